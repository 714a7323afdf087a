"""The one clock: `now()` in UTC, `today()` in Japan. A setting can shift it (demo, sandbox, tests).

Release, due and quiet times compare with this clock; leases and webhook timestamps use real time (`real_now`).
"""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

from app.platform.settings import settings

JAPAN = ZoneInfo("Asia/Tokyo")


def real_now() -> dt.datetime:
    """Return the instant it really is, in UTC."""
    return dt.datetime.now(dt.UTC)


def now() -> dt.datetime:
    """Return the instant that Todoke lives in, in UTC."""
    return real_now() + _offset()


def today() -> dt.date:
    """Return the date in Japan that Todoke lives in."""
    return now().astimezone(JAPAN).date()


def japan_date(instant: dt.datetime) -> dt.date:
    """Return the date in Japan at an instant."""
    return instant.astimezone(JAPAN).date()


def at_japan_time(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    """Return the UTC instant of a wall-clock time in Japan."""
    return dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=JAPAN).astimezone(dt.UTC)


def shift_to(instant: dt.datetime) -> None:
    """Make `now()` be `instant` from here on, in every process that shares the offset file.

    Raises:
        RuntimeError: where no offset file is set, as in production.
    """
    path = settings().clock.offset_file
    if path is None:
        raise RuntimeError("the clock of this installation is the real one; TODOKE_CLOCK__OFFSET_FILE is not set")
    _write(path, (instant - real_now()).total_seconds())


def _write(path: Path, seconds: float) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(f"{seconds:.3f}\n")
    partial.rename(path)


def _offset() -> dt.timedelta:
    path = settings().clock.offset_file
    if path is None:
        return dt.timedelta(0)
    try:
        return dt.timedelta(seconds=float(path.read_text()))
    except FileNotFoundError:
        return dt.timedelta(0)
