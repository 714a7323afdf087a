"""Circuit breaker of an endpoint: a pure state machine over how it has answered lately.

    closed ──(70 % of at least 10 in 5 minutes failed)──→ open ──(30 s)──→ half open ──(one success)──→ closed
                                                           ↑                    │
                                                           └────(one failure)───┘

Apart from that an endpoint may ask for a pause (429, 503), which is no failure. All instants are real time: a shifted
clock must not silence an endpoint for a year.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.partners.endpoints import MOST_IN_FLIGHT

WINDOW: Final = dt.timedelta(minutes=5)
FEWEST_REQUESTS: Final = 10
FAILED_SHARE: Final = 0.7
OPEN_FOR: Final = dt.timedelta(seconds=30)
#: An endpoint that has failed for this long without one success is disabled.
FAILING_LIMIT: Final = dt.timedelta(days=5)

#: Requests that may be open at once, at most `MOST_IN_FLIGHT`; each counts until its result is written. Room is earned:
#: an endpoint that answers gets one more for each success of the last minutes, one that fails gets few, one on trial
#: gets one. So a target that hangs holds few sockets, and one that earned many loses them after one deadline.
FEWEST_IN_FLIGHT: Final = 20
FAILING_IN_FLIGHT: Final = 5
TRIAL_IN_FLIGHT: Final = 1

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How an endpoint has answered lately.

    Attributes:
        window_started_at: start of the five minutes that are being counted.
        paused_until: nothing is sent before, because the breaker is open or because the endpoint asked.
        failing_since: of the first failure since the last success.
    """

    window_started_at: dt.datetime | None = None
    window_requests: int = 0
    window_failures: int = 0
    paused_until: dt.datetime | None = None
    breaker: State = "closed"
    failing_since: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came back in one batch.

    Attributes:
        refusals: "later, please" (429, 503): no failure for the breaker, but no success either.
        asked_pause: the longest that the endpoint asked for.
    """

    successes: int = 0
    failures: int = 0
    refusals: int = 0
    asked_pause: dt.timedelta | None = None


def state_at(health: Health, now: dt.datetime) -> State:
    """Return the breaker's state: an open one becomes half open when its time is up."""
    if health.breaker == "open" and (health.paused_until is None or health.paused_until <= now):
        return "half_open"
    return health.breaker


def allowed_in_flight(health: Health, now: dt.datetime) -> int:
    """Return how many requests may be open at once now."""
    if health.paused_until is not None and now < health.paused_until:
        return 0
    if state_at(health, now) == "half_open":
        return TRIAL_IN_FLIGHT
    if health.failing_since is not None:
        return FAILING_IN_FLIGHT
    return min(FEWEST_IN_FLIGHT + health.window_requests - health.window_failures, MOST_IN_FLIGHT)


def after(health: Health, answers: Answers, now: dt.datetime) -> Health:
    """Return the health after a batch of answers."""
    state = state_at(health, now)
    counted = _counted(health, answers, now)
    if answers.successes and state != "open":
        # Stragglers from before the breaker opened say nothing about the endpoint now; a success in a trial does.
        # One that answers most of the time is not failing.
        counted = replace(counted, failing_since=now if answers.failures > answers.successes else None)
        if state == "half_open":
            counted = Health(window_started_at=now)
    elif answers.failures or answers.refusals:
        counted = replace(counted, failing_since=counted.failing_since or now)
    if _opens(counted, state, answers):
        counted = replace(counted, breaker="open", paused_until=now + OPEN_FOR)
    if answers.asked_pause is not None:
        until = now + answers.asked_pause
        counted = replace(counted, paused_until=max(counted.paused_until or until, until))
    return counted


def should_be_disabled(health: Health, now: dt.datetime) -> bool:
    """Say whether the endpoint has failed for five days without one success."""
    return health.failing_since is not None and now - health.failing_since >= FAILING_LIMIT


def _counted(health: Health, answers: Answers, now: dt.datetime) -> Health:
    started = health.window_started_at
    if started is None or now - started >= WINDOW:
        health = replace(health, window_started_at=now, window_requests=0, window_failures=0)
    return replace(
        health,
        window_requests=health.window_requests + answers.successes + answers.failures,
        window_failures=health.window_failures + answers.failures,
    )


def _opens(counted: Health, state: State, answers: Answers) -> bool:
    if state == "half_open":
        return answers.failures > 0 and not answers.successes
    return (
        state == "closed"
        and counted.window_requests >= FEWEST_REQUESTS
        and counted.window_failures >= FAILED_SHARE * counted.window_requests
    )
