"""Windows counted from a date: [first day, last day], both included."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from app.calendar.day_numbers import Days, as_days, end_of_month
from app.calendar.fiscal_year import fiscal_year_ends
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span

FIRST_DAY_OFFSET = {"birthday": 0, "reached": -1}
"""Added to the corresponding day B of the opening span."""
LAST_DAY_OFFSET = {"birthday": -1, "reached": -1, "until_reached": -2, "included": 0}
"""Added to the corresponding day B of the closing span (n歳未満 · 至るまで · 達する日の前日まで · その日まで)."""


def first_days(dates: Any, span: Span, reckoning: str = "birthday") -> Days:
    """The first day of a window that opens ``span`` after each date."""
    return as_days(corresponding_days(dates, span) + FIRST_DAY_OFFSET[reckoning])


def last_days(
    dates: Any, span: Span, reckoning: str = "birthday", until_end_of: Literal["month", "school_year"] | None = None
) -> Days:
    """The last day of a window that closes ``span`` after each date, run on to the month's or school year's end."""
    last = as_days(corresponding_days(dates, span) + LAST_DAY_OFFSET[reckoning])
    if until_end_of == "month":
        return end_of_month(last)
    return fiscal_year_ends(last) if until_end_of == "school_year" else last


def fiscal_year_ends_of_age(dates: Any, age: int) -> Days:
    """The first 31 March on or after the day ``age`` is reached (達する日以後の最初の3月31日)."""
    return fiscal_year_ends(corresponding_days(dates, Span(months=12 * age)) - np.int32(1))
