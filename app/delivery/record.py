"""The record: writes down in bulk what became of claimed rows.

Only the holder of a claim may write: a result whose token no longer matches came too late, because the lease ran out
and somebody else has the row. It is logged and never applied.
"""

import datetime as dt
import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlmodel import Session

from app.delivery import breaker, channel_health, endpoint_ends, endpoint_tests, pace, retry
from app.delivery.channel_health import LINE
from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.claim import KEY_MISSING, Claimed
from app.delivery.outbox import ENDED_UNTOLD, TEST_QUEUE, Lane
from app.delivery.tables import Delivery
from app.partners.endpoints import FAILING, GONE
from app.partners.tables import PartnerEndpoint
from app.platform.change_queue import NOTICES, Change
from app.platform.clock import real_now
from app.platform.database import Context, enter
from app.platform.identifiers import new_id

_logger = logging.getLogger(__name__)

#: What says nothing against the address of the person.
NOT_THE_ADDRESS: Final = frozenset({"monthly_limit", "retry_key_expired"})
_NEVER_REACHED: Final = frozenset({"connect", KEY_MISSING})
_FAILURES: Final = (Outcome.RETRY, Outcome.TARGET_BLOCKED, Outcome.ENDPOINT_GONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One attempt that has ended. `started_at` is the real instant at which it began."""

    claimed: Claimed
    result: AttemptResult
    started_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a row becomes: its state, the steps used up, and when it is due again if it is."""

    state: str
    retries: int
    next_attempt_at: dt.datetime | None = None


@dataclass(slots=True)
class Recorded:
    """How many results were applied, by the state they led to, and how many came too late.

    `turned_away_in` are the municipalities of families to be looked at again: an address refused a notice and another
    channel may take it, or what was called back while under way did not arrive.
    """

    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    late: int = 0
    turned_away_in: set[str] = field(default_factory=set)


def ending(finished: Finished, now: dt.datetime, chance: float) -> Ending:
    """Return what an attempt makes of its row.

    Args:
        finished: the attempt.
        now: of `app.platform.clock`.
        chance: a random number from 0 to 1 that spreads retries.
    """
    claimed, result = finished.claimed, finished.result
    if result.outcome in (Outcome.DELIVERED, Outcome.ACCEPTED):
        return Ending(state=result.outcome.value, retries=claimed.retries)
    tried = retry.Tried(
        channel=claimed.channel,
        retries=claimed.retries,
        first_attempted_at=claimed.first_attempted_at,
        failed_at=finished.started_at,
    )
    retries = claimed.retries
    if result.outcome is Outcome.THROTTLED:
        wait = retry.wait_after_throttling(tried, result.retry_after_seconds)
    elif result.outcome in (Outcome.RETRY, Outcome.TARGET_BLOCKED):
        wait, retries = retry.wait_after_failure(tried, chance, result.retry_after_seconds or 0.0), retries + 1
    elif result.outcome is Outcome.CHANNEL_CLOSED:
        wait = dt.timedelta(0)  # it waits for the channel, which has no room now, and not for a step
    else:
        wait = None
    if wait is None:
        return Ending(state="failed", retries=retries)
    if claimed.expires_at is not None and now + wait >= claimed.expires_at:
        return Ending(state="expired", retries=retries)
    return Ending(state="retrying", retries=retries, next_attempt_at=now + wait)


def record(session: Session, finished: Sequence[Finished], now: dt.datetime) -> Recorded:
    """Write down results. The caller commits."""
    recorded = Recorded()
    if not finished:
        return recorded
    endings = [ending(one, now, random.random()) for one in finished]  # noqa: S311 - spreads load, guards nothing
    written = _write(session, finished, endings)
    states = {delivery_id: row.state for delivery_id, row in written.items()}
    applied = [one for one in finished if one.claimed.id in states]
    for one in finished:
        if one.claimed.id in states:
            recorded.states[states[one.claimed.id]] += 1
        else:
            recorded.late += 1
            _logger.warning("delivery %s: late result %s not applied", one.claimed.id, one.result.outcome)
    _judge_endpoints(session, applied)
    _judge_channels(session, applied)
    for one in applied:
        if written[one.claimed.id].untold:
            recorded.turned_away_in.add(one.claimed.municipality_code)
        if one.claimed.queue.startswith(TEST_QUEUE):
            endpoint_tests.end_test(session, one.claimed.endpoint_id, one.claimed.id, states[one.claimed.id])
        if one.result.outcome is Outcome.UNDELIVERABLE and one.result.error not in NOT_THE_ADDRESS:
            _set_address_aside(session, one, now)
        elif one.claimed.channel != LINE or states[one.claimed.id] != "failed":
            continue
        if _wants_another_channel(session, one.claimed.id):
            recorded.turned_away_in.add(one.claimed.municipality_code)
    return recorded


def give_back(session: Session, claimed: Iterable[Claimed]) -> None:
    """Return rows that were not sent after all; the counted request is taken back too. The caller commits."""
    rows = list(claimed)
    if not rows:
        return
    session.execute(
        text(
            "UPDATE deliveries d SET state = CASE WHEN d.requests = 1 THEN 'scheduled' ELSE 'retrying' END,"
            " requests = d.requests - 1, lease_until = NULL, claim_token = NULL,"
            " first_attempted_at = CASE WHEN d.requests > 1 THEN d.first_attempted_at END"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[])) AS r (id, token)"
            " WHERE d.id = r.id AND d.claim_token = r.token"
        ),
        {"ids": [row.id for row in rows], "tokens": [row.token for row in rows]},
    )


_WRITE = text(f"""
WITH results AS (
    SELECT * FROM json_to_recordset(CAST(:results AS json)) AS r (id uuid, token uuid, state text, retries int,
        next_attempt_at timestamptz, error text, attempt_id uuid, started_at timestamptz, milliseconds int,
        outcome text, status_code int, excerpt text)
), applied AS (
    UPDATE deliveries d SET
        state = CASE WHEN r.state = 'retrying' AND d.stop_reason IS NOT NULL THEN 'cancelled' ELSE r.state END,
        last_error = CASE WHEN r.state = 'retrying' THEN coalesce(d.stop_reason, r.error) ELSE r.error END,
        finished_at = CASE WHEN r.state <> 'retrying' OR d.stop_reason IS NOT NULL THEN clock_timestamp() END,
        next_attempt_at = coalesce(r.next_attempt_at, d.next_attempt_at),
        retries = r.retries, losses = 0, lease_until = NULL, claim_token = NULL,
        dedupe_key = CASE WHEN d.lane <> 'transactional' AND ((r.state = 'retrying' AND d.stop_reason IS NOT NULL)
            OR (d.lane = 'notice' AND r.state = 'failed')) THEN d.dedupe_key || ':' || d.id ELSE d.dedupe_key END
    FROM results r WHERE d.id = r.id AND d.claim_token = r.token
    RETURNING d.id, d.state, d.requests, d.household_id, d.municipality_code, d.partner_id, d.lane, d.stop_reason
), untold AS (
    SELECT id, household_id, municipality_code FROM applied
    WHERE {ENDED_UNTOLD} AND stop_reason IS NOT NULL AND household_id IS NOT NULL
), looks AS (
    INSERT INTO changes (household_id, municipality_code, reader, reason)
    SELECT DISTINCT household_id, municipality_code, :reader, 'called back' FROM untold
), attempts AS (
    INSERT INTO delivery_attempts (id, delivery_id, household_id, municipality_code, partner_id, number, started_at,
        milliseconds, outcome, status_code, error, response_excerpt)
    SELECT r.attempt_id, a.id, a.household_id, a.municipality_code, a.partner_id, a.requests, r.started_at,
        r.milliseconds, r.outcome, r.status_code, r.error, r.excerpt
    FROM applied a JOIN results r ON r.id = a.id
)
SELECT id, state, EXISTS (SELECT FROM untold u WHERE u.id = a.id) AS untold FROM applied a
""")  # noqa: S608
#: Of families that will be looked at again; before any message, in the order of whoever changes a household.
_LOCK_GATES = text(
    "SELECT FROM households WHERE id IN (SELECT household_id FROM deliveries WHERE id = ANY(:failed)"
    " AND (stop_reason IS NOT NULL OR id = ANY(:undeliverable))) ORDER BY id FOR KEY SHARE"
)


def _write(session: Session, finished: Sequence[Finished], endings: Sequence[Ending]) -> dict[uuid.UUID, Any]:
    """Apply endings where the token matches; return the new state of each row that was applied, and who is `untold`."""
    results = [_result(one, end) for one, end in zip(finished, endings, strict=True)]
    failed = [one["id"] for one in results if one["state"] in ("retrying", "failed")]
    if failed:
        refused = [
            one.claimed.id
            for one in finished
            if one.result.outcome is Outcome.UNDELIVERABLE or one.claimed.channel == LINE
        ]
        session.execute(_LOCK_GATES, {"failed": failed, "undeliverable": refused})
    rows = session.execute(_WRITE, {"results": orjson.dumps(results).decode(), "reader": NOTICES})
    return {row.id: row for row in rows}


def _result(one: Finished, end: Ending) -> dict[str, Any]:
    return {
        "id": one.claimed.id,
        "token": one.claimed.token,
        "state": end.state,
        "retries": end.retries,
        "next_attempt_at": end.next_attempt_at,
        "error": one.result.error,
        "attempt_id": new_id(),
        "started_at": one.started_at,
        "milliseconds": round(one.result.duration_seconds * 1000),
        "outcome": one.result.outcome,
        "status_code": one.result.status_code,
        "excerpt": one.result.response_excerpt or None,
    }


def _judge_endpoints(session: Session, applied: Iterable[Finished]) -> None:
    by_endpoint: dict[uuid.UUID, list[AttemptResult]] = defaultdict(list)
    for one in applied:
        if one.claimed.endpoint_id is not None:
            by_endpoint[one.claimed.endpoint_id].append(one.result)
    if not by_endpoint:
        return
    now = real_now()
    judged = [
        _judged(session, endpoint_id, health, by_endpoint[endpoint_id], now)
        for endpoint_id, health in pace.lock(session, by_endpoint).items()
    ]
    session.execute(_UPDATE_HEALTHS, {"healths": orjson.dumps(judged).decode()})


def _took_nothing(result: AttemptResult) -> bool:
    """Whether LINE certainly kept no message: it refused, or no connection was made."""
    return result.outcome in (Outcome.CHANNEL_CLOSED, Outcome.THROTTLED) or result.error in _NEVER_REACHED


def _judge_channels(session: Session, applied: Sequence[Finished]) -> None:
    by_channel: dict[str, list[AttemptResult]] = defaultdict(list)
    for one in applied:
        by_channel[one.claimed.channel].append(one.result)
    # What was certainly not taken counts as never tried, so that waiting outlives no retry key.
    untried = [
        one.claimed.id
        for one in applied
        if one.claimed.channel == LINE and _took_nothing(one.result) and not one.claimed.tried_before
    ]
    if untried:
        session.execute(text("UPDATE deliveries SET first_attempted_at = NULL WHERE id = ANY(:ids)"), {"ids": untried})
    channel_health.judge(session, by_channel, real_now())


def _judged(
    session: Session, endpoint_id: uuid.UUID, health: breaker.Health, results: Sequence[AttemptResult], now: dt.datetime
) -> dict[str, Any]:
    """Return what becomes of an endpoint's health row; one that is gone or has failed for days is disabled."""
    pauses = [result.retry_after_seconds or 0.0 for result in results if result.outcome is Outcome.THROTTLED]
    longest = dt.timedelta(seconds=max(pauses, default=0.0))
    answers = breaker.Answers(
        successes=sum(result.outcome is Outcome.DELIVERED for result in results),
        failures=sum(result.outcome in _FAILURES for result in results),
        refusals=len(pauses),
        asked_pause=min(longest, retry.LONGEST_PAUSE) if pauses else None,
    )
    health = breaker.after(health, answers, now)
    reason = None
    if any(result.outcome is Outcome.ENDPOINT_GONE for result in results):
        reason = GONE
    elif breaker.should_be_disabled(health, now):
        reason = FAILING
    if reason is not None:
        _disable(session, endpoint_id, reason, now)
        health = breaker.Health()  # whoever enables it again begins with a clean slate
    errors = [result.error for result in results if result.outcome in _FAILURES]
    last_error = errors[-1] if errors else None
    return {"endpoint_id": endpoint_id, "last_error": last_error, **asdict(health)}


_UPDATE_HEALTHS = text(
    "UPDATE endpoint_health h SET window_started_at = r.window_started_at, window_requests = r.window_requests,"
    " window_failures = r.window_failures, paused_until = r.paused_until, breaker = r.breaker,"
    " failing_since = r.failing_since, last_error = coalesce(r.last_error, h.last_error)"
    " FROM json_to_recordset(CAST(:healths AS json)) AS r (endpoint_id uuid, window_started_at timestamptz,"
    " window_requests int, window_failures int, paused_until timestamptz, breaker text, failing_since timestamptz,"
    " last_error text) WHERE h.endpoint_id = r.endpoint_id"
)


def _disable(session: Session, endpoint_id: uuid.UUID, reason: str, now: dt.datetime) -> None:
    _logger.warning("endpoint %s disabled: %s", endpoint_id, reason)
    endpoint = session.get(PartnerEndpoint, endpoint_id)
    if endpoint is not None:
        endpoint_ends.disable(session, endpoint, at=now, reason=reason)


def _set_address_aside(session: Session, finished: Finished, now: dt.datetime) -> None:
    """Suspend an address that refuses for good, so that the next channel of that person is used from now on."""
    claimed = finished.claimed
    if claimed.contact_point_id is not None:
        # A contact point is visible in its municipality's context only.
        enter(session, Context(municipality=claimed.municipality_code))
        session.execute(
            text(
                "UPDATE contact_points SET suspended_at = :now, suspended_reason = :reason"
                " WHERE id = :id AND suspended_at IS NULL"
            ),
            {"id": claimed.contact_point_id, "now": now, "reason": finished.result.error},
        )


def _wants_another_channel(session: Session, delivery_id: uuid.UUID) -> bool:
    """Have the family of a notice that its address refused looked at again; False if it was no notice, or stopped."""
    row = session.get_one(Delivery, delivery_id)
    if row.lane != Lane.NOTICE or row.household_id is None or row.stop_reason is not None:
        return False
    session.add(
        Change(
            household_id=row.household_id,
            municipality_code=row.municipality_code,
            reader=NOTICES,
            reason="undeliverable",
        )
    )
    return True
