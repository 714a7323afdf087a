"""Fiscal and school years (1 April to 31 March), school grades and class ages.

Basis: 学校教育法 17条; 学校教育法施行令 29条 (born on 1 April counts as born on 31 March).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import Days, as_days, month_starts, months_of

CLASS_AGE_AT_ENTRY = 5
"""Grade 0 is the year before primary school (年長), whose class age is 5."""


def fiscal_years(days: Any) -> NDArray[np.int64]:
    """The year in which the fiscal year of each day began."""
    return (months_of(days) - 3) // 12 + 1970


def fiscal_year_ends(days: Any) -> Days:
    """The first 31 March on or after each day."""
    return as_days(month_starts((fiscal_years(days) - 1969) * 12 + 3) - 1)


def fiscal_year_starts(days: Any) -> Days:
    """The last 1 April on or before each day."""
    return month_starts((fiscal_years(days) - 1970) * 12 + 3)


def cohorts(births: Any) -> NDArray[np.int64]:
    """The fiscal year in which each child is born for school purposes; 1 April belongs to the year before."""
    return fiscal_years(as_days(births) - np.int32(1))


def school_grades(births: Any, days: Any) -> NDArray[np.int64]:
    """小学1年 = 1 … 小学6年 = 6, 中学1年 = 7 … 高校3年 = 12; 年長 = 0, 年中 = -1; steps every 1 April."""
    return fiscal_years(days) - cohorts(births) - 6


def class_ages(births: Any, days: Any) -> NDArray[np.int64]:
    """The age on 1 April (as reached on 31 March) for the whole school year; below zero before the first class."""
    return school_grades(births, days) + CLASS_AGE_AT_ENTRY
