"""The queues: what waits in each and how much its target may take. The claim shares its sockets by this."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, text
from sqlmodel import Session

from app.delivery import breaker, channel_health, pace
from app.delivery.fairness import Waiting
from app.delivery.outbox import TEST_QUEUE
from app.platform.clock import real_now

#: Conditions of rows that are unfinished, and of rows whose worker lost them.
LIVE: Final = "state IN ('scheduled', 'sending', 'retrying')"
LAPSED: Final = "state = 'sending' AND coalesce(lease_until, '-infinity') < clock_timestamp()"
_COUNTED_UP_TO: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """One queue: what waits in it, and how it stands with its endpoint.

    Attributes:
        disabled: whether the endpoint is; the queue of its test goes on.
        limited: the endpoint, if its limits must be exact: it has a pace or a room of its own, or it fails.
        paced: whether only the pace keeps due rows waiting.
    """

    waiting: Waiting
    disabled: bool
    limited: uuid.UUID | None = None
    paced: bool = False


def queue_states(session: Session, now: dt.datetime) -> list[QueueState]:
    """Return every queue that holds unfinished rows, with what is due and how much its target may take."""
    rows = session.execute(_QUEUES, {"now": now, "most": _COUNTED_UP_TO}).mappings().all()
    real = real_now()
    healths = channel_health.healths_of(session, {row["channel"] for row in rows})
    return [_queue_state(row, real, healths.get(row["channel"])) for row in rows]


def something_due(session: Session, now: dt.datetime) -> bool:
    """Say whether a claim would find anything to do now."""
    for state in queue_states(session, now):
        waiting = state.waiting
        if state.disabled or (waiting.room > 0 and waiting.first_attempts + waiting.further_attempts > 0):
            return True
    return False


def waits_for_pace(session: Session, now: dt.datetime) -> bool:
    """Say whether due rows wait for nothing but the pace that their endpoint's partner set."""
    return any(state.paced and not state.disabled for state in queue_states(session, now))


def room_now(session: Session, limited: Mapping[str, uuid.UUID]) -> dict[str, int]:
    """Return how many requests may be added to queues, after their endpoints' health was locked."""
    rows = session.execute(_ROOM, {"queues": list(limited), "ids": list(limited.values())}).mappings()
    real = real_now()
    return {row["queue"]: max(_room(row, real), 0) for row in rows}


_HEALTH: Final = f"""e.requests_a_second, e.most_in_flight, {pace.TOKENS} AS tokens,
    h.window_started_at, h.window_requests, h.window_failures, h.paused_until, h.breaker, h.failing_since"""
_BUSY: Final = """(
    SELECT count(*) AS rows FROM deliveries d WHERE d.queue = names.queue AND state = 'sending'
    AND lease_until >= clock_timestamp()
)"""
_ROOM = text(f"""
SELECT names.queue, names.endpoint_id, busy.rows AS in_flight, {_HEALTH}
FROM unnest(CAST(:queues AS text[]), CAST(:ids AS uuid[])) AS names (queue, endpoint_id)
CROSS JOIN LATERAL {_BUSY} AS busy
JOIN partner_endpoints e ON e.id = names.endpoint_id
LEFT JOIN endpoint_health h ON h.endpoint_id = names.endpoint_id
""")  # noqa: S608
def live_queues(session: Session) -> list[str]:
    """Return the names of the queues that hold unfinished rows."""
    return list(session.execute(_LIVE_QUEUES).scalars())


#: Every queue with unfinished rows, found by stepping from one to the next in the index.
_NAMES = f"""
WITH RECURSIVE names AS (
    (SELECT queue FROM deliveries WHERE {LIVE} ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT d.queue FROM deliveries d WHERE d.queue > names.queue AND {LIVE} ORDER BY d.queue LIMIT 1)
    FROM names WHERE names.queue IS NOT NULL
)
"""  # noqa: S608
_LIVE_QUEUES = text(f"{_NAMES} SELECT queue FROM names WHERE queue IS NOT NULL")  # noqa: S608
_QUEUES = text(f"""
{_NAMES}
SELECT names.queue, one.channel, one.endpoint_id, fresh.rows AS fresh, again.rows AS again, lapsed.rows AS lapsed,
    busy.rows AS in_flight, {_HEALTH},
    e.disabled_at IS NOT NULL AND (e.removed_at IS NOT NULL OR NOT starts_with(names.queue, '{TEST_QUEUE}')) AS disabled
FROM names
CROSS JOIN LATERAL (
    SELECT channel, endpoint_id FROM deliveries d WHERE d.queue = names.queue AND {LIVE} LIMIT 1
) AS one
CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM (
        SELECT FROM deliveries d WHERE d.queue = names.queue AND state = 'scheduled'
        AND next_attempt_at <= :now ORDER BY next_attempt_at LIMIT :most) AS due
) AS fresh
CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM (
        SELECT FROM deliveries d WHERE d.queue = names.queue AND state = 'retrying'
        AND next_attempt_at <= :now ORDER BY next_attempt_at LIMIT :most) AS due
) AS again
CROSS JOIN LATERAL (SELECT count(*) AS rows FROM deliveries d WHERE d.queue = names.queue AND {LAPSED}) AS lapsed
CROSS JOIN LATERAL {_BUSY} AS busy
LEFT JOIN partner_endpoints e ON e.id = one.endpoint_id
LEFT JOIN endpoint_health h ON h.endpoint_id = one.endpoint_id
WHERE names.queue IS NOT NULL
""")  # noqa: S608


def _queue_state(row: RowMapping, real: dt.datetime, health: channel_health.Health | None) -> QueueState:
    room = _room(row, real)
    if health is not None:
        room = min(room, channel_health.room(health, row["queue"], row["in_flight"], real))
    due = row["fresh"] + row["again"] + row["lapsed"]
    waiting = Waiting(
        queue=row["queue"],
        channel=row["channel"],
        first_attempts=row["fresh"],
        further_attempts=row["again"] + row["lapsed"],
        room=max(room, 0),
    )
    return QueueState(
        waiting=waiting,
        disabled=row["disabled"],
        limited=row["endpoint_id"] if _is_limited(row) else None,
        paced=due > room and row["tokens"] is not None and room == int(row["tokens"]),
    )


def _is_limited(row: RowMapping) -> bool:
    limits = (row["requests_a_second"], row["most_in_flight"], row["failing_since"])
    return any(limit is not None for limit in limits) or row["breaker"] not in (None, "closed")


def _room(row: RowMapping, real: dt.datetime) -> int:
    """Return how many requests may be added now: what the endpoint earned, within what its partner allows."""
    if row["endpoint_id"] is None:
        return _COUNTED_UP_TO
    if row["queue"].startswith(TEST_QUEUE):
        return 1 - int(row["in_flight"])
    room = breaker.allowed_in_flight(_health(row), real)
    if row["most_in_flight"] is not None:
        room = min(room, row["most_in_flight"])
    room -= int(row["in_flight"])
    return room if row["tokens"] is None else min(room, int(row["tokens"]))


def _health(row: RowMapping) -> breaker.Health:
    if row["breaker"] is None:
        return breaker.Health()
    return breaker.Health(
        window_started_at=row["window_started_at"],
        window_requests=row["window_requests"],
        window_failures=row["window_failures"],
        paused_until=row["paused_until"],
        breaker=row["breaker"],
        failing_since=row["failing_since"],
    )
