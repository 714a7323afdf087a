"""The health of a channel: pauses, the rate of all processes, the month's quota. Pure."""

import datetime as dt

import pytest

from app.delivery.channel_health import Health, after, after_reading, month_of, room
from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.channels.line_api import Quota

NOW = dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC)
NOTICE, URGENT, ANSWERS = "line:notice", "line:urgent", "line:transactional"


def answer(outcome: Outcome = Outcome.ACCEPTED, **more: object) -> AttemptResult:
    return AttemptResult(outcome=outcome, duration_seconds=0.1, **{"status_code": 200, **more})  # type: ignore[arg-type]


def too_fast(seconds: float = 5.0) -> AttemptResult:
    return answer(Outcome.THROTTLED, status_code=429, error="rate_limit", retry_after_seconds=seconds)


USED_UP = answer(Outcome.CHANNEL_CLOSED, status_code=429, error="monthly_limit")
REFUSED = answer(Outcome.CHANNEL_CLOSED, status_code=401, error="token_refused", retry_after_seconds=300.0)


def test_a_channel_that_was_never_used_has_all_its_room():
    assert room(Health(), NOTICE, 0, NOW) == 1000


def test_months_are_those_of_japan():
    assert month_of(dt.datetime(2026, 11, 30, 14, 59, tzinfo=dt.UTC)) == "2026-11"
    assert month_of(dt.datetime(2026, 11, 30, 15, 0, tzinfo=dt.UTC)) == "2026-12"


def test_too_fast_is_a_pause_of_everything_that_grows_and_ends_with_a_success():
    health = after(Health(), [answer(), too_fast()], NOW)
    assert health.paused_until == NOW + dt.timedelta(seconds=5)
    assert [room(health, queue, 0, NOW) for queue in (NOTICE, URGENT, ANSWERS)] == [0, 0, 0]
    assert room(health, NOTICE, 0, NOW + dt.timedelta(seconds=5)) > 0
    health = after(health, [too_fast()], NOW)
    assert health.paused_until == NOW + dt.timedelta(seconds=10)
    for _ in range(20):
        health = after(health, [too_fast()], NOW)
    assert health.paused_until <= NOW + dt.timedelta(minutes=5)
    assert after(health, [answer()], NOW).refusals == 0


def test_a_refused_token_pauses_everything_for_minutes():
    health = after(Health(), [REFUSED], NOW)
    assert (health.pause_reason, health.is_paused(NOW + dt.timedelta(seconds=299))) == ("token_refused", True)
    assert not health.is_paused(NOW + dt.timedelta(seconds=300))


def test_a_used_up_month_closes_everything_until_the_next_one():
    health = after(Health(), [answer(), USED_UP], NOW)
    assert room(health, ANSWERS, 0, NOW) == 0
    assert health.left(NOW) == 0
    assert room(health, NOTICE, 0, NOW + dt.timedelta(days=6)) == 0
    assert room(health, NOTICE, 0, NOW + dt.timedelta(days=7)) > 0  # December in Japan


@pytest.mark.parametrize(
    ("used", "notices", "urgent"), [(0, 90, 100), (89, 1, 11), (90, 0, 10), (99, 0, 1), (100, 0, 0), (120, 0, 0)]
)
def test_the_reserve_is_for_what_is_urgent(used: int, notices: int, urgent: int):
    health = after_reading(Health(), Quota(100, used), NOW)
    assert [room(health, queue, 0, NOW) for queue in (NOTICE, URGENT, ANSWERS)] == [notices, urgent, urgent]


def test_what_is_in_flight_counts_as_used():
    health = after_reading(Health(), Quota(100, 80), NOW)
    assert room(health, NOTICE, 7, NOW) == 3
    assert room(health, URGENT, 30, NOW) == 0


def test_accepted_pushes_are_counted_between_readings_and_a_409_is_not_counted_twice():
    health = after_reading(Health(), Quota(100, 10), NOW)
    health = after(health, [answer(), answer(status_code=409), answer(Outcome.RETRY, status_code=500)], NOW)
    assert health.quota_used == 11
    december = NOW + dt.timedelta(days=10)
    assert health.left(december) == 100
    assert after(health, [answer()], december).quota_used == 1


def test_a_larger_plan_opens_a_month_that_was_used_up():
    health = after(Health(), [USED_UP], NOW)
    assert after_reading(health, Quota(200, 200), NOW).left(NOW) == 0
    assert after_reading(health, Quota(500, 200), NOW).left(NOW) == 300
    assert after_reading(health, Quota(None, 200), NOW).left(NOW) is None


def test_the_rate_is_earned_by_time_and_may_be_owed():
    health = Health(tokens=-10.0, refilled_at=NOW)
    assert room(health, NOTICE, 0, NOW) == 0
    assert room(health, NOTICE, 0, NOW + dt.timedelta(milliseconds=20)) == 10
    assert room(health, NOTICE, 0, NOW + dt.timedelta(hours=1)) == 1000
    assert room(health, NOTICE, 0, NOW - dt.timedelta(seconds=1)) == 0
