"""The retry schedule: it grows, it ends, and it keeps its promises whatever chance says."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from app.delivery.retry import (
    JITTER,
    LONGEST_LIFE,
    LONGEST_LIFE_OF_CHANNEL,
    LONGEST_PAUSE,
    STEPS,
    Tried,
    wait_after_failure,
    wait_after_throttling,
)

FIRST = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
CHANCES = st.floats(0, 1)


def tried(retries=0, channel="webhook", after=dt.timedelta(0)):
    return Tried(channel=channel, retries=retries, first_attempted_at=FIRST, failed_at=FIRST + after)


def test_the_schedule_spans_three_days():
    assert sum(STEPS, dt.timedelta(0)) == dt.timedelta(hours=75, minutes=35, seconds=5)


def test_waits_grow_when_chance_is_even():
    waits = [wait_after_failure(tried(retries), 0.5) for retries in range(len(STEPS) - 1)]
    assert waits == list(STEPS[1:])
    assert waits == sorted(waits)


def test_after_the_last_step_it_gives_up():
    assert wait_after_failure(tried(len(STEPS) - 1), 0.0) is None


@given(st.lists(CHANCES, min_size=len(STEPS), max_size=len(STEPS)))
def test_whatever_chance_says_the_whole_takes_at_most_the_schedule_and_its_jitter(chances):
    elapsed, requests = dt.timedelta(0), 1
    while (wait := wait_after_failure(tried(requests - 1, after=elapsed), chances[requests - 1])) is not None:
        step = STEPS[requests]
        assert step * (1 - JITTER) <= wait <= step * (1 + JITTER)
        elapsed += wait
        requests += 1
    assert requests <= len(STEPS)
    assert elapsed <= dt.timedelta(hours=75, minutes=35, seconds=5) * (1 + JITTER)
    assert elapsed < LONGEST_LIFE


@given(st.integers(0, 9), CHANCES, st.floats(0, 100))
def test_line_is_never_tried_after_its_retry_key_is_forgotten(retries, chance, hours):
    after = dt.timedelta(hours=hours)
    wait = wait_after_failure(tried(retries, "line", after), chance)
    assert wait is None or after + wait < LONGEST_LIFE_OF_CHANNEL["line"] < dt.timedelta(hours=24)


@given(st.none() | st.floats(-10, 1e9))
def test_a_target_may_ask_for_an_hour_at_most(asked):
    wait = wait_after_throttling(tried(), asked)
    assert wait is not None
    assert dt.timedelta(seconds=1) <= wait <= LONGEST_PAUSE


def test_who_only_ever_says_later_is_given_up():
    assert wait_after_throttling(tried(after=LONGEST_LIFE), 10) is None
