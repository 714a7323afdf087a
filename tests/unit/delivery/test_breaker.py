"""The circuit breaker as a state machine."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.breaker import (
    FAILING_IN_FLIGHT,
    FAILING_LIMIT,
    FEWEST_IN_FLIGHT,
    MOST_IN_FLIGHT,
    OPEN_FOR,
    TRIAL_IN_FLIGHT,
    WINDOW,
    Answers,
    Health,
    after,
    allowed_in_flight,
    should_be_disabled,
    state_at,
)

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def opened():
    return after(Health(), Answers(failures=10), NOW)


@pytest.mark.parametrize(
    ("successes", "failures", "state"),
    [(0, 9, "closed"), (0, 10, "open"), (3, 7, "open"), (4, 6, "closed"), (100, 0, "closed")],
)
def test_it_opens_at_seventy_percent_of_at_least_ten(successes, failures, state):
    health = after(Health(), Answers(successes=successes, failures=failures), NOW)
    assert health.breaker == state
    assert (allowed_in_flight(health, NOW) == 0) == (state == "open")


def test_failures_of_an_earlier_window_are_forgotten():
    health = after(Health(), Answers(failures=9), NOW)
    assert after(health, Answers(failures=1), NOW + WINDOW - SECOND).breaker == "open"
    assert after(health, Answers(failures=1), NOW + WINDOW).breaker == "closed"


def test_after_thirty_seconds_one_request_decides():
    health, later = opened(), NOW + OPEN_FOR
    assert state_at(health, later - SECOND) == "open"
    assert state_at(health, later) == "half_open"
    assert allowed_in_flight(health, later) == TRIAL_IN_FLIGHT
    closed = after(health, Answers(successes=1), later)
    assert (closed.breaker, closed.failing_since) == ("closed", None)
    assert allowed_in_flight(closed, later) == FEWEST_IN_FLIGHT
    again = after(health, Answers(failures=1), later)
    assert allowed_in_flight(again, later + OPEN_FOR - SECOND) == 0
    assert state_at(again, later + OPEN_FOR) == "half_open"


def test_stragglers_neither_close_nor_prolong_an_open_breaker():
    health = opened()
    assert after(health, Answers(successes=5), NOW + SECOND).breaker == "open"
    assert after(health, Answers(failures=5), NOW + SECOND).paused_until == health.paused_until


def test_a_pause_is_no_failure():
    health = after(Health(), Answers(asked_pause=dt.timedelta(seconds=7)), NOW)
    assert (health.breaker, health.window_failures, health.failing_since) == ("closed", 0, None)
    assert allowed_in_flight(health, NOW + 6 * SECOND) == 0
    assert allowed_in_flight(health, NOW + 7 * SECOND) > 0


def test_room_is_earned_and_lost():
    assert allowed_in_flight(Health(), NOW) == FEWEST_IN_FLIGHT
    trusted = after(Health(), Answers(successes=1000), NOW)
    assert allowed_in_flight(trusted, NOW) == MOST_IN_FLIGHT
    assert allowed_in_flight(after(trusted, Answers(failures=1), NOW), NOW) == FAILING_IN_FLIGHT


def test_five_days_without_a_success_disable():
    health = after(Health(), Answers(failures=1), NOW)
    assert not should_be_disabled(health, NOW + FAILING_LIMIT - SECOND)
    assert should_be_disabled(health, NOW + FAILING_LIMIT)
    assert not should_be_disabled(after(health, Answers(successes=1), NOW + SECOND), NOW + FAILING_LIMIT)


BATCHES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.none() | st.integers(1, 3600), st.integers(0, 120)), max_size=20
)


@given(BATCHES)
def test_whatever_comes_an_endpoint_is_tried_again_within_an_hour(batches):
    health, now = Health(), NOW
    for successes, failures, pause, seconds in batches:
        asked = None if pause is None else dt.timedelta(seconds=pause)
        health = after(health, Answers(successes=successes, failures=failures, asked_pause=asked), now)
        now += seconds * SECOND
        assert 0 <= allowed_in_flight(health, now) <= MOST_IN_FLIGHT
    assert allowed_in_flight(health, now + dt.timedelta(hours=1)) >= TRIAL_IN_FLIGHT


def test_an_endpoint_that_only_ever_says_later_fails_as_well():
    health = Health()
    for day in range(6):
        health = after(health, Answers(refusals=3, asked_pause=SECOND), NOW + dt.timedelta(days=day))
    assert health.breaker == "closed" and health.failing_since == NOW
    assert should_be_disabled(health, NOW + dt.timedelta(days=5))
    assert after(health, Answers(successes=1), NOW + dt.timedelta(days=6)).failing_since is None


def test_an_endpoint_that_answers_most_of_the_time_keeps_its_room():
    health = after(Health(), Answers(successes=95, failures=5), NOW)
    assert health.failing_since is None and allowed_in_flight(health, NOW) > FEWEST_IN_FLIGHT
