"""The population as matching may see it: current documents without what is not consented to."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from app.households.consent import categories_of
from app.households.facts import only_consented
from app.platform import clock
from app.rules.facts import FactCatalogue

BASIC = "basic"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Households of one municipality that agreed to be matched, with the documents the evaluator may read.

    Attributes:
        ids: household ids, in the order of the documents.
        documents: household documents whose `id` is the household id as text.
        asked_for: every id that was asked for, agreed or not: what is not in `ids` has no entitlements any more.
    """

    ids: list[uuid.UUID]
    documents: list[dict[str, Any]]
    asked_for: frozenset[uuid.UUID]


def read_snapshot(
    session: Session, catalogue: FactCatalogue, household_ids: Collection[uuid.UUID] | None = None
) -> Snapshot:
    """Read the documents of households in the session's municipality; all of them where no ids are given.

    Facts of a category that is not consented are left out, and so are unknown to the evaluator.
    """
    rows = session.execute(
        text(
            "SELECT d.household_id, d.document,"
            " coalesce(array_agg(c.purpose) FILTER (WHERE c.state = 'given' AND c.starts_at <= :now"
            "   AND (c.expires_at IS NULL OR c.expires_at > :now)), '{}') AS purposes"
            " FROM household_documents d LEFT JOIN consents c ON c.household_id = d.household_id"
            " WHERE (CAST(:everybody AS boolean) OR d.household_id = ANY(:ids))"
            " GROUP BY d.household_id ORDER BY d.household_id"
        ),
        {"now": clock.now(), "everybody": household_ids is None, "ids": list(household_ids or ())},
    ).all()
    ids, documents = [], []
    for household_id, document, purposes in rows:
        categories = categories_of(purposes)
        if BASIC in categories:
            ids.append(household_id)
            documents.append({**only_consented(document, categories, catalogue), "id": str(household_id)})
    return Snapshot(ids, documents, frozenset(row[0] for row in rows) | frozenset(household_ids or ()))
