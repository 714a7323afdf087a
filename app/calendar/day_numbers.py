"""Day numbers: int32, days since 1970-01-01, so that a million dates are one array.

Unknown dates are ``UNKNOWN``; comparisons must look at the mask beside the column, never at the number.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.int32]
"""Day numbers of any shape."""

UNKNOWN = int(np.iinfo(np.int32).min)
EARLIEST = -120_000
"""Before every date a document may hold; an open beginning."""
OPEN_END = 400_000
"""After every date a document may hold (the year 3065); an open end."""
_EPOCH = dt.date(1970, 1, 1).toordinal()


def number_of(day: dt.date) -> int:
    """The day number of a date."""
    return day.toordinal() - _EPOCH


def date_of(number: int) -> dt.date:
    """The date of a day number."""
    return dt.date.fromordinal(int(number) + _EPOCH)


def as_days(days: Any) -> Days:
    """Day numbers as an int32 array, whatever integers came in."""
    return np.asarray(days, dtype=np.int32)


def months_of(days: Any) -> NDArray[np.int64]:
    """Whole months since 1970-01 of each day."""
    return as_days(days).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def month_starts(months: Any) -> Days:
    """The day number of the first of each month, counted from 1970-01."""
    return np.asarray(months, dtype="datetime64[M]").astype("datetime64[D]").astype(np.int32)


def first_of_month(days: Any) -> Days:
    """The first day of the month that holds each day."""
    return month_starts(months_of(days))


def end_of_month(days: Any) -> Days:
    """The last day of the month that holds each day."""
    return (month_starts(months_of(days) + 1) - 1).astype(np.int32)
