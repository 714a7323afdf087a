"""When a family may be disturbed: 08:00 to 21:00 in Japan. Holds back the release, never the evaluation."""

import datetime as dt
import hashlib
import uuid

from app.platform.clock import JAPAN, at_japan_time

OPENS_AT = 8
CLOSES_AT = 21
_SPREAD_SECONDS = 3600


def next_allowed(instant: dt.datetime, household_id: uuid.UUID) -> dt.datetime:
    """Return the instant itself, or the next morning; mornings are spread over an hour so that no desk is flooded."""
    here = instant.astimezone(JAPAN)
    if OPENS_AT <= here.hour < CLOSES_AT:
        return instant
    day = here.date() if here.hour < OPENS_AT else here.date() + dt.timedelta(days=1)
    return morning_of(day, household_id)


def morning_of(day: dt.date, household_id: uuid.UUID) -> dt.datetime:
    """Return the household's own moment in the first hour of a day: always the same one."""
    digest = hashlib.sha256(household_id.bytes).digest()
    spread = int.from_bytes(digest[:4], "big") % _SPREAD_SECONDS
    return at_japan_time(day, OPENS_AT) + dt.timedelta(seconds=spread)
