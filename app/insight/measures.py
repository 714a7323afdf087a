"""What the worker measures every few seconds, and the metrics that are made of it (Prometheus text format).

Only the worker sees everybody's rows, only the web process is asked for metrics: so the one counts into a table and the
other shows the table. A measure says nothing about a family: no label names a household, a municipality or a programme
with few families. Counts of the last minutes are found by ids, which are ordered by time.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlmodel import Session, col, insert, select

from app.delivery.queues import queue_states
from app.insight.tables import Measure
from app.platform import clock
from app.platform.database import app_session, worker_session
from app.platform.identifiers import new_id

WINDOW: Final = dt.timedelta(minutes=5)
OLDEST_DUE: Final = "todoke_oldest_due_seconds"
Labels = dict[str, str]

#: name → (help, query that returns labels and value). Parameters: `now` of the clock, `real`, `since` as an id.
_QUERIES: Final[dict[str, tuple[str, str]]] = {
    "todoke_claim_lag_seconds": (
        "Seconds from a delivery's row to its first request, over the deliveries of the last five minutes.",
        "SELECT jsonb_build_object('channel', channel, 'quantile', CAST(q AS text)),"
        " percentile_cont(q) WITHIN GROUP (ORDER BY extract(epoch FROM first_attempted_at - created_at))"
        " FROM deliveries, unnest(ARRAY[0.5, 0.95]) AS q"
        " WHERE id >= :since AND first_attempted_at IS NOT NULL GROUP BY channel, q",
    ),
    "todoke_processed_within_10_seconds_share": (
        "Share of the deliveries of the last five minutes whose first request began within ten seconds.",
        "SELECT jsonb_build_object('channel', channel),"
        " avg(CAST(coalesce(first_attempted_at, :real) - created_at <= interval '10 s' AS int))"
        " FROM deliveries WHERE id >= :since AND created_at <= CAST(:real AS timestamptz) - interval '10 s'"
        " AND state <> 'cancelled' AND halt_id IS NULL GROUP BY channel",
    ),
    "todoke_attempts_last_5_minutes": (
        "Requests that ended in the last five minutes, by what came of them.",
        "SELECT jsonb_build_object('channel', d.channel, 'outcome', a.outcome), count(*)"
        " FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE a.id >= :since GROUP BY 1",
    ),
    "todoke_endpoint_breaker": (
        "1 for the state that the circuit breaker of an endpoint in use is in.",
        "SELECT jsonb_build_object('endpoint', e.id, 'state', CASE"
        " WHEN h.breaker = 'open' AND h.paused_until <= :real THEN 'half_open' ELSE h.breaker END), 1"
        " FROM endpoint_health h JOIN partner_endpoints e ON e.id = h.endpoint_id"
        " WHERE e.disabled_at IS NULL AND e.removed_at IS NULL",
    ),
    "todoke_endpoints_disabled": (
        "Endpoints that receive nothing, by the reason.",
        "SELECT jsonb_build_object('reason', disabled_reason), count(*) FROM partner_endpoints"
        " WHERE disabled_at IS NOT NULL AND removed_at IS NULL GROUP BY 1",
    ),
    "todoke_channel_paused": (
        "1 for a channel that rests as a whole.",
        "SELECT jsonb_build_object('channel', channel, 'reason', coalesce(pause_reason, '')), 1 FROM channel_health"
        " WHERE paused_until > :real",
    ),
    "todoke_oldest_change_seconds": (
        "Age of the oldest change that its reader has not looked at.",
        "SELECT jsonb_build_object('reader', reader), extract(epoch FROM :real - min(queued_at)) FROM changes"
        " GROUP BY reader",
    ),
    "todoke_sweeps_running": (
        "Publications whose evaluation is not complete.",
        "SELECT jsonb_build_object(), count(*) FROM sweeps WHERE state = 'running'",
    ),
    "todoke_campaigns": (
        "Campaigns that hold something back, by state.",
        "SELECT jsonb_build_object('state', state), count(*) FROM campaigns"
        " WHERE state NOT IN ('open', 'superseded') GROUP BY state",
    ),
    "todoke_quarantined_programmes": (
        "Programmes whose rule broke and is not evaluated until it is put right.",
        "SELECT jsonb_build_object(), count(*) FROM quarantined_programmes",
    ),
    "todoke_set_aside_households": (
        "Households that could not be evaluated, alone or for one programme.",
        "SELECT jsonb_build_object(), count(DISTINCT household_id) FROM set_aside_households",
    ),
    "todoke_halts": (
        "1 for everything that an operator holds back.",
        "SELECT jsonb_build_object('kind', kind, 'name', name), 1 FROM halts WHERE resumed_at IS NULL",
    ),
    "todoke_heartbeat_age_seconds": (
        "Seconds since scheduled work was last done to its end.",
        "SELECT jsonb_build_object('work', name), extract(epoch FROM :real - done_at) FROM heartbeats",
    ),
}
_HELP: Final = {name: help_text for name, (help_text, _) in _QUERIES.items()} | {
    OLDEST_DUE: "Age of the oldest delivery that is due; able says whether its target may be sent to at all.",
    "todoke_due": "Deliveries that are due in a queue; counted up to 500 first and 500 further attempts.",
    "todoke_measured_timestamp_seconds": "When all of this was measured.",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One value: its name, its labels and the value."""

    name: str
    labels: Labels
    value: float


def measure() -> int:
    """Measure everything anew, as the worker; return how many values there are."""
    now, real = clock.now(), clock.real_now()
    with worker_session() as session:
        found = list(_measured(session, now, real))
        # One process after the other: two at the same moment would write the same rows.
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('measures'))"))
        session.execute(text("DELETE FROM measures"))
        session.execute(
            insert(Measure),
            [
                {"id": new_id(), "name": one.name, "labels": one.labels, "value": one.value, "measured_at": real}
                for one in found
            ],
        )
        session.commit()
    return len(found)


def metrics() -> bytes:
    """Return what was measured last, as the text that Prometheus reads."""
    with app_session() as session:
        rows = list(session.exec(select(Measure).order_by(col(Measure.name))))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Table(rows))
    return generate_latest(registry)


def _measured(session: Session, now: dt.datetime, real: dt.datetime) -> Iterator[Measured]:
    yield Measured("todoke_measured_timestamp_seconds", {}, real.timestamp())
    yield from _waiting(session, now)
    values = {"real": real, "since": _first_id_of(real - WINDOW)}
    for name, (_, query) in _QUERIES.items():
        for labels, value in session.execute(text(query), values):
            yield Measured(name, {key: str(label) for key, label in labels.items()}, float(value))


def _waiting(session: Session, now: dt.datetime) -> Iterator[Measured]:
    oldest = text(
        "SELECT min(next_attempt_at) FROM unnest(ARRAY['scheduled', 'retrying']) AS of (state), LATERAL ("
        " SELECT next_attempt_at FROM deliveries d WHERE d.queue = :queue AND d.state = of.state"
        " AND next_attempt_at <= :now ORDER BY next_attempt_at LIMIT 1) AS first"
    )
    for state in queue_states(session, now):
        waiting = state.waiting
        labels = {"queue": waiting.queue, "able": str(waiting.room > 0 and not state.disabled).lower()}
        due_since = session.execute(oldest, {"queue": waiting.queue, "now": now}).scalar()
        yield Measured("todoke_due", labels, waiting.first_attempts + waiting.further_attempts)
        yield Measured(OLDEST_DUE, labels, (now - due_since).total_seconds() if due_since else 0.0)


def _first_id_of(instant: dt.datetime) -> uuid.UUID:
    """Return the lowest id that could have been made at an instant; see `app.platform.identifiers`."""
    return uuid.UUID(int=int(instant.timestamp() * 1000) << 80)


class _Table(Collector):
    """The stored measures as Prometheus sees them: one family for each name."""

    def __init__(self, rows: Iterable[Measure]) -> None:
        self._rows = list(rows)

    def collect(self) -> Iterator[Any]:
        families: dict[str, GaugeMetricFamily] = {}
        for row in self._rows:
            names = sorted(row.labels)
            family = families.setdefault(row.name, GaugeMetricFamily(row.name, _HELP.get(row.name, ""), labels=names))
            family.add_metric([row.labels[name] for name in names], row.value)
        yield from families.values()
