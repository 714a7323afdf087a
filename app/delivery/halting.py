"""Halts in the outbox: what is due and held back waits out of the claim's sight, and is due again when the halt ends.

The claim itself holds back whatever it meets; the sweep does the same in bulk, so that a mountain of held rows never
stands before rows that may go.
"""

import datetime as dt
import uuid
from collections import defaultdict
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

#: What rows halts of each kind are about. A programme's holds back what is not due yet, too, because that is composed
#: anew without it; the rest may become due while the halt lasts, or may not.
_ABOUT: Final = {
    HaltKind.PROGRAMME: "programme_keys && :programme",
    HaltKind.CHANNEL: "(next_attempt_at <= :now AND channel = ANY(:channel))",
    HaltKind.PARTNER: "(next_attempt_at <= :now AND partner_id = ANY(CAST(:partner AS uuid[])))",
    HaltKind.MUNICIPALITY: "(next_attempt_at <= :now AND municipality_code = ANY(:municipality))",
}
_HALTED_BY: Final = ("channel", "partner_id", "municipality_code", "programme_keys")


def hold(session: Session, halt_id: uuid.UUID, delivery_ids: Collection[uuid.UUID]) -> None:
    """Hold locked rows back: they keep their state and are due no more."""
    session.execute(_HOLD, {"halt_id": halt_id, "ids": list(delivery_ids), "not_now": NOT_NOW})


def hold_back(session: Session, now: dt.datetime) -> int:
    """Hold back some of what is halted; return how many rows. The caller commits, and calls again until 0."""
    halts = halts_in_force(session)
    names = {kind: halts.names(kind) for kind in HaltKind if halts.names(kind)}
    if not names:
        return 0
    until = NOT_NOW - dt.timedelta(days=1) if HaltKind.PROGRAMME in names else now
    rows = session.execute(
        text(
            f"SELECT id, {', '.join(_HALTED_BY)} FROM deliveries WHERE state IN ('scheduled', 'retrying')"  # noqa: S608
            f" AND next_attempt_at <= :until AND ({' OR '.join(_ABOUT[kind] for kind in names)})"
            " LIMIT :most FOR UPDATE SKIP LOCKED"
        ),
        {"now": now, "until": until, "most": _AT_ONCE, **{kind.value: found for kind, found in names.items()}},
    ).mappings()
    held: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for row in rows:
        halt_id = halts.halting(**{name: row[name] for name in _HALTED_BY})
        if halt_id is not None:
            held[halt_id].append(row["id"])
    for halt_id, ids in held.items():
        hold(session, halt_id, ids)
    return sum(map(len, held.values()))


def let_go(session: Session, now: dt.datetime) -> int:
    """Make due again what waits for halts that have ended; what another halt holds is found again by the claim."""
    # The table changes faster than its statistics; the few held rows have their index.
    session.execute(text("SET LOCAL enable_seqscan = off"))
    rows: Any = session.execute(
        text(
            "UPDATE deliveries d SET halt_id = NULL, next_attempt_at = :now FROM halts h"
            " WHERE d.halt_id IS NOT NULL AND h.id = d.halt_id AND h.resumed_at IS NOT NULL RETURNING d.id"
        ),
        {"now": now},
    )
    return len(rows.all())
