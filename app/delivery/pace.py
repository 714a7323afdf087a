"""How much an endpoint may be sent: its partner's limits, and few requests while it fails; exact over all processes.

Claims of different processes see the same free room until one of them has committed. For an endpoint without limits
that answers well, that is harmless; for every other one the claim locks its health row and looks again, so that the
second comes after the first. A bucket holds half a second's requests, so that no second has more than one and a half
times the pace, and every longer span has the pace.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from app.delivery import breaker
from app.delivery.fairness import Share

BURST_SECONDS: Final = 0.5

#: What is in an endpoint's bucket now; NULL without a pace. `e` is the endpoint, `h` its health, which may be missing.
TOKENS: Final = (
    "CASE WHEN e.requests_a_second IS NOT NULL THEN"
    f" least(greatest(1, e.requests_a_second * {BURST_SECONDS}), h.tokens + e.requests_a_second"
    " * greatest(0, extract(epoch FROM clock_timestamp() - h.tokens_at))) END"
)


def cut(shares: Sequence[Share], room: Mapping[str, int]) -> list[Share]:
    """Make shares no larger than the room that is left in their queues; first attempts stay before further ones."""
    cut_shares = []
    for share in shares:
        left = room.get(share.queue, share.first_attempts + share.further_attempts)
        first = min(share.first_attempts, left)
        further = min(share.further_attempts, left - first)
        if first or further:
            cut_shares.append(replace(share, first_attempts=first, further_attempts=further))
    return cut_shares


def lock(session: Session, endpoint_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, breaker.Health]:
    """Lock the health of endpoints until the transaction ends, in the order of ids, and return it.

    What is missing is made; an endpoint that is gone has none.
    """
    wanted = {"ids": sorted(endpoint_ids)}
    found = session.execute(_LOCK, wanted).mappings().all()
    if len(found) < len(wanted["ids"]):
        session.execute(_MAKE, wanted)
        found = session.execute(_LOCK, wanted).mappings().all()
    return {row["endpoint_id"]: breaker.Health(**{name: row[name] for name in _HEALTH}) for row in found}


def spend(session: Session, taken: Counter[uuid.UUID]) -> None:
    """Take claimed requests out of the buckets of endpoints; those without a pace have none."""
    session.execute(_SPEND, {"ids": list(taken), "counts": list(taken.values())})


_HEALTH: Final = tuple(breaker.Health.__dataclass_fields__)
_LOCK = text(
    f"SELECT endpoint_id, {', '.join(_HEALTH)} FROM endpoint_health"  # noqa: S608
    " WHERE endpoint_id = ANY(:ids) ORDER BY endpoint_id FOR UPDATE"
)
_MAKE = text(
    "INSERT INTO endpoint_health (endpoint_id, partner_id, window_requests, window_failures, breaker)"
    " SELECT id, partner_id, 0, 0, 'closed' FROM partner_endpoints e WHERE id = ANY(:ids)"
    " AND NOT EXISTS (SELECT FROM endpoint_health h WHERE h.endpoint_id = e.id) ON CONFLICT DO NOTHING"
)
_SPEND = text(
    f"UPDATE endpoint_health h SET tokens = {TOKENS} - t.taken, tokens_at = clock_timestamp()"  # noqa: S608
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:counts AS int[])) AS t (id, taken)"
    " JOIN partner_endpoints e ON e.id = t.id WHERE h.endpoint_id = t.id AND e.requests_a_second IS NOT NULL"
)
