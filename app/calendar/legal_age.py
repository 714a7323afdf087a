"""Ages and corresponding days as the law counts them.

Basis: 年齢計算ニ関スル法律 (明治35年法律第50号); 民法 143条2項 (missing corresponding day → end of the month).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from app.calendar.day_numbers import Days, as_days, date_of, month_starts, months_of, number_of
from app.calendar.spans import Span


def corresponding_days(days: Any, span: Span) -> Days:
    """The day ``span`` after each day (応当日), int32 of the same shape.

    Where the month lacks the day it is the first of the next month, so that the day before it, on which an age is
    reached, is the month's last day.
    """
    start = as_days(days)
    if span.in_days:
        return (start + np.int32(span.days)).astype(np.int32)
    months = months_of(start)
    day_of_month = start - month_starts(months)
    target = month_starts(months + span.months) + day_of_month
    return np.minimum(target, month_starts(months + span.months + 1)).astype(np.int32)


def corresponding_day(day: dt.date, span: Span) -> dt.date:
    """``corresponding_days`` for one date."""
    return date_of(int(corresponding_days(number_of(day), span)))


def attained_on(birth: dt.date, age: int) -> dt.date:
    """The day an age is reached: the day before the birthday; born 29 February, 28 February every year.

    Basis: 年齢計算ニ関スル法律.
    """
    return corresponding_day(birth, Span(months=12 * age)) - dt.timedelta(days=1)


def completed_age(birth: dt.date, day: dt.date) -> int:
    """The legal age at the end of ``day``, in whole years; negative before birth."""
    age = day.year - birth.year + 1
    while attained_on(birth, age) > day if age > 0 else birth > day and age >= 0:
        age -= 1
    return age
