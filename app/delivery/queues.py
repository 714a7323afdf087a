"""The queues: what waits in each and how much its target may take. The claim shares its sockets by this."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, text
from sqlmodel import Session

from app.delivery import breaker
from app.delivery.fairness import Waiting
from app.platform.clock import real_now

#: Conditions of rows that are unfinished, and of rows whose worker lost them.
LIVE: Final = "state IN ('scheduled', 'sending', 'retrying')"
LAPSED: Final = "state = 'sending' AND coalesce(lease_until, '-infinity') < clock_timestamp()"
_COUNTED_UP_TO: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """One queue: what waits in it, and whether its endpoint is disabled."""

    waiting: Waiting
    disabled: bool


def queue_states(session: Session, now: dt.datetime) -> list[QueueState]:
    """Return every queue that holds unfinished rows, with what is due and how much its target may take."""
    rows = session.execute(_QUEUES, {"now": now, "most": _COUNTED_UP_TO}).mappings()
    real = real_now()
    return [_queue_state(row, real) for row in rows]


def something_due(session: Session, now: dt.datetime) -> bool:
    """Say whether a claim would find anything to do now."""
    for state in queue_states(session, now):
        waiting = state.waiting
        if state.disabled or (waiting.room > 0 and waiting.first_attempts + waiting.further_attempts > 0):
            return True
    return False


_QUEUES = text(f"""
WITH RECURSIVE names AS (
    (SELECT queue FROM deliveries WHERE {LIVE} ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT d.queue FROM deliveries d WHERE d.queue > names.queue AND {LIVE} ORDER BY d.queue LIMIT 1)
    FROM names WHERE names.queue IS NOT NULL
)
SELECT names.queue, one.channel, one.endpoint_id, fresh.rows AS fresh, again.rows AS again, lapsed.rows AS lapsed,
    busy.rows AS in_flight, e.disabled_at IS NOT NULL AS disabled,
    h.window_started_at, h.window_requests, h.window_failures, h.paused_until, h.breaker, h.failing_since
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
CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM deliveries d WHERE d.queue = names.queue AND state = 'sending'
    AND lease_until >= clock_timestamp()
) AS busy
LEFT JOIN partner_endpoints e ON e.id = one.endpoint_id
LEFT JOIN endpoint_health h ON h.endpoint_id = one.endpoint_id
WHERE names.queue IS NOT NULL
""")  # noqa: S608


def _queue_state(row: RowMapping, real: dt.datetime) -> QueueState:
    room = _COUNTED_UP_TO
    if row["endpoint_id"] is not None:
        health = breaker.Health()
        if row["breaker"] is not None:
            health = breaker.Health(
                window_started_at=row["window_started_at"],
                window_requests=row["window_requests"],
                window_failures=row["window_failures"],
                paused_until=row["paused_until"],
                breaker=row["breaker"],
                failing_since=row["failing_since"],
            )
        room = breaker.allowed_in_flight(health, real) - row["in_flight"]
    waiting = Waiting(
        queue=row["queue"],
        channel=row["channel"],
        first_attempts=row["fresh"],
        further_attempts=row["again"] + row["lapsed"],
        room=max(room, 0),
    )
    return QueueState(waiting=waiting, disabled=row["disabled"])
