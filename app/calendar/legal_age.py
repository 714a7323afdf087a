"""Ages and corresponding days as the law counts them.

Basis: 年齢計算ニ関スル法律 (明治35年法律第50号); 民法 143条2項 (missing corresponding day → end of the month).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from app.calendar.day_numbers import Days, as_days, month_starts, months_of
from app.calendar.spans import Span


def corresponding_days(days: Any, span: Span) -> Days:
    """The day ``span`` after each day (応当日), int32 of the same shape.

    Where the month lacks the day it is the first of the next month, so that the day before it, on which an age is
    reached, is the month's last day. Counted back (a negative span) it is the month's last day itself.
    """
    start = as_days(days)
    if span.in_days:
        return (start + np.int32(span.days)).astype(np.int32)
    months = months_of(start)
    day_of_month = start - month_starts(months)
    target = month_starts(months + span.months) + day_of_month
    latest = month_starts(months + span.months + 1) - np.int32(0 if span.months > 0 else 1)
    return as_days(np.minimum(target, latest))
