"""Halts in the outbox: what is due and held back waits out of the claim's sight, and is due again when the halt ends.

The claim itself holds back whatever it meets; the sweep does the same in bulk, so that a mountain of held rows never
stands before rows that may go.
"""

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from app.platform.halt_kinds import HaltKind
from app.platform.halts import halts_in_force

#: When a held row is due: never, as far as any claim is concerned.
NOT_NOW: Final = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_AT_ONCE: Final = 5000

_HOLD = text(
    "UPDATE deliveries SET halt_id = :halt_id, next_attempt_at = :not_now, lease_until = NULL, claim_token = NULL,"
    " state = CASE state WHEN 'sending' THEN 'retrying' ELSE state END WHERE id = ANY(:ids)"
)

#: What rows a halt of each kind is about.
_ABOUT: Final = {
    HaltKind.PROGRAMME: "programme_keys && ARRAY[:name]",
    HaltKind.CHANNEL: "channel = :name",
    HaltKind.PARTNER: "partner_id = CAST(:name AS uuid)",
    HaltKind.MUNICIPALITY: "municipality_code = :name",
}


def hold(session: Session, halt_id: uuid.UUID, delivery_ids: Collection[uuid.UUID]) -> None:
    """Hold locked rows back: they keep their state and are due no more."""
    session.execute(_HOLD, {"halt_id": halt_id, "ids": list(delivery_ids), "not_now": NOT_NOW})


def hold_back(session: Session, now: dt.datetime) -> int:
    """Hold back some of what is due and halted; return how many rows. The caller commits, and calls again until 0."""
    held = 0
    for (kind, name), halt_id in halts_in_force(session).ids.items():
        rows = session.execute(
            text(
                "SELECT id FROM deliveries WHERE state IN ('scheduled', 'retrying') AND next_attempt_at <= :now"  # noqa: S608
                f" AND {_ABOUT[HaltKind(kind)]} LIMIT :most FOR UPDATE SKIP LOCKED"
            ),
            {"now": now, "name": name, "most": _AT_ONCE},
        )
        ids = list(rows.scalars())
        if ids:
            hold(session, halt_id, ids)
        held += len(ids)
    return held


def let_go(session: Session, halt_id: uuid.UUID, now: dt.datetime) -> int:
    """Make due again what waited for a halt that has ended; what another halt holds is found again by the claim."""
    rows: Any = session.execute(
        text("UPDATE deliveries SET halt_id = NULL, next_attempt_at = :now WHERE halt_id = :halt_id RETURNING id"),
        {"halt_id": halt_id, "now": now},
    )
    return len(rows.all())
