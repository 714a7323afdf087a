"""When a delivery is tried again: pure, so that the schedule can be read and tested without a clock or a database.

The schedule is the one that Standard Webhooks gives as its example; it spans three days, so that a receiver may be
broken over a weekend. A request answered with 429 or 503 uses up no step.
"""

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

#: Waiting time before each request; the first one goes at once.
STEPS: Final = tuple(
    dt.timedelta(seconds=seconds)
    for seconds in (0, 5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
)
JITTER: Final = 0.2
LONGEST_PAUSE: Final = dt.timedelta(hours=1)
DEFAULT_PAUSE: Final = dt.timedelta(seconds=60)
#: A target that only ever says "later" is given up after this time.
LONGEST_LIFE: Final = dt.timedelta(days=4)
#: The LINE-style API forgets a retry key after 24 hours; another request after that could arrive twice.
LONGEST_LIFE_OF_CHANNEL: Final = {"line": dt.timedelta(hours=23)}

assert all(earlier < later for earlier, later in pairwise(STEPS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What is known about a delivery when one of its requests has failed.

    Attributes:
        retries: steps of the schedule used up before this failure.
        first_attempted_at: real instant of its first request.
        failed_at: real instant of this failure.
    """

    channel: str
    retries: int
    first_attempted_at: dt.datetime
    failed_at: dt.datetime


def wait_after_failure(tried: Tried, chance: float, at_least_seconds: float = 0.0) -> dt.timedelta | None:
    """Return how long to wait for the next request, or None to give up.

    Args:
        tried: the delivery so far.
        chance: a random number from 0 to 1; spreads the wait by 20 % to either side.
        at_least_seconds: sooner is useless, says the channel (greylisting).
    """
    step = tried.retries + 1
    if step >= len(STEPS):
        return None
    wait = STEPS[step] * (1 - JITTER + 2 * JITTER * chance)
    return _within_life(tried, max(wait, dt.timedelta(seconds=at_least_seconds)))


def wait_after_throttling(tried: Tried, asked_seconds: float | None) -> dt.timedelta | None:
    """Return how long to wait after "later, please": what the target asked for, an hour at most; None to give up."""
    pause = DEFAULT_PAUSE if asked_seconds is None else dt.timedelta(seconds=max(asked_seconds, 1.0))
    return _within_life(tried, min(pause, LONGEST_PAUSE))


def _within_life(tried: Tried, wait: dt.timedelta) -> dt.timedelta | None:
    life = LONGEST_LIFE_OF_CHANNEL.get(tried.channel, LONGEST_LIFE)
    return wait if tried.failed_at + wait < tried.first_attempted_at + life else None
