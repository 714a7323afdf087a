"""The population as matching may see it: current documents without what is not consented to."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlmodel import Session

from app.households.consent import categories_of
from app.households.facts import hidden_facts, without
from app.platform import clock
from app.rules.facts import FactCatalogue

BASIC: Final = "basic"
_BEFORE_ALL: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Households that agreed to be matched, with the documents the evaluator may read; mostly of one municipality.

    Attributes:
        ids: household ids, in the order of the documents.
        documents: household documents whose `id` is the household id as text.
        asked_for: every id that was asked for, agreed or not: what is not in `ids` has no entitlements any more.
    """

    ids: list[uuid.UUID]
    documents: list[dict[str, Any]]
    asked_for: frozenset[uuid.UUID]

    def part(self, positions: Iterable[int]) -> "Snapshot":
        """Return some of the households, by position."""
        chosen = list(positions)
        ids = [self.ids[position] for position in chosen]
        return Snapshot(ids, [self.documents[position] for position in chosen], frozenset(ids))

    def only(self, household_ids: frozenset[uuid.UUID]) -> "Snapshot":
        """Return the same about some of those asked for."""
        if household_ids == self.asked_for:
            return self
        kept = self.part(position for position, one in enumerate(self.ids) if one in household_ids)
        return replace(kept, asked_for=household_ids)

    @classmethod
    def together(cls, snapshots: Iterable["Snapshot"]) -> "Snapshot":
        """Return several snapshots as one, in their order."""
        parts = list(snapshots)
        ids = [one for part in parts for one in part.ids]
        documents = [one for part in parts for one in part.documents]
        return cls(ids, documents, frozenset().union(*(part.asked_for for part in parts)))


def read_snapshot(
    session: Session, catalogue: FactCatalogue, household_ids: Collection[uuid.UUID] | None = None
) -> Snapshot:
    """Read the documents of households in the session's municipality; all of them where no ids are given.

    Facts of a category that is not consented are left out, and so are unknown to the evaluator.
    """
    if household_ids is None:
        return _read(session, catalogue, "true", {})
    found = _read(session, catalogue, "household_id = ANY(:ids)", {"ids": list(household_ids)})
    return Snapshot(found.ids, found.documents, found.asked_for | frozenset(household_ids))


def read_chunk(
    session: Session, catalogue: FactCatalogue, municipality_code: str, after: uuid.UUID | None, most: int
) -> Snapshot:
    """Read the next households of a municipality in the order of their ids; an empty snapshot after the last one.

    Args:
        session: in the municipality's context.
        catalogue: says which consent opens which fact.
        municipality_code: of that context; named, so that the index of this order is used.
        after: the last id looked at; None = from the first.
        most: how many.
    """
    which = "municipality_code = :code AND household_id > :after ORDER BY household_id LIMIT :most"
    return _read(session, catalogue, which, {"code": municipality_code, "after": after or _BEFORE_ALL, "most": most})


def _read(session: Session, catalogue: FactCatalogue, which: str, values: dict[str, Any]) -> Snapshot:
    rows = session.execute(
        text(
            # As text: the driver's own reading of JSON takes several times as long.
            "SELECT d.household_id, d.document, ARRAY(SELECT c.purpose FROM consents c"  # noqa: S608
            "  WHERE c.household_id = d.household_id AND c.state = 'given' AND c.starts_at <= :now"
            "  AND (c.expires_at IS NULL OR c.expires_at > :now)) AS purposes"
            f" FROM (SELECT household_id, document::text FROM household_documents WHERE {which}) d"
            " ORDER BY d.household_id"
        ),
        {"now": clock.now(), **values},
    )
    ids, documents, asked_for = [], [], set()
    hidden: dict[tuple[str, ...], frozenset[str] | None] = {}
    for household_id, document, purposes in rows:
        asked_for.add(household_id)
        given = tuple(purposes)
        if given not in hidden:
            categories = categories_of(given)
            hidden[given] = hidden_facts(categories, catalogue) if BASIC in categories else None
        unseen = hidden[given]
        if unseen is not None:
            ids.append(household_id)
            documents.append({**without(orjson.loads(document), unseen), "id": str(household_id)})
    return Snapshot(ids, documents, frozenset(asked_for))
