"""Periods counted from an event (期間の計算).

Basis: 民法 140条 (the first day does not count), 143条 (months and years by the corresponding day); 戸籍法 43条 counts
the first day.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from app.calendar.day_numbers import Days, as_days
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span


def period_ends(anchors: Any, span: Span, first_day: Literal["included", "excluded"] = "excluded") -> Days:
    """The last day of a period of ``span`` that begins with each anchor day, or with the day after it."""
    start = as_days(anchors) + np.int32(0 if first_day == "included" else 1)
    return as_days(corresponding_days(start, span) - 1)
