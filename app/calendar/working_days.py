"""Open and closed days of municipal offices.

Closed: Saturdays, Sundays, national holidays and 29 December – 3 January.
Basis: 地方自治法 4条の2; 民法 142条 (a period that ends on a closed day ends with the next open day).
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_counting import period_ends
from app.calendar.day_numbers import Days, as_days, end_of_month, number_of
from app.calendar.holidays import FIRST_YEAR, LAST_YEAR, national_holidays
from app.calendar.spans import Span

_FIRST = number_of(dt.date(FIRST_YEAR, 1, 1))
_LAST = number_of(dt.date(LAST_YEAR, 12, 31))
_NO_LOSS = Span(days=15)


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.bool_], Days, Days]:
    """(closed, next open day, previous open day) for every day from 2007 to 2099."""
    days = np.arange(_FIRST, _LAST + 1, dtype=np.int32)
    closed = (days + 3) % 7 >= 5  # 1970-01-01 was a Thursday; Monday is 0
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        off = [number_of(day) for day in national_holidays(year)]
        off += [number_of(dt.date(year, 12, day)) for day in (29, 30, 31)]
        off += [number_of(dt.date(year, 1, day)) for day in (1, 2, 3)]
        closed[np.array(off) - _FIRST] = True
    following = np.minimum.accumulate(np.where(closed, np.iinfo(np.int32).max, days)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(closed, np.iinfo(np.int32).min, days))
    return closed, following.astype(np.int32), preceding.astype(np.int32)


def _look_up(table: NDArray[Any], days: Any) -> NDArray[Any]:
    positions = as_days(days) - _FIRST
    if positions.size and (positions.min() < 4 or positions.max() >= len(table) - 4):
        raise ValueError(f"found a day outside {FIRST_YEAR}–{LAST_YEAR}, for which open days are not known")
    found: NDArray[Any] = table[positions]
    return found


def closed_days(days: Any) -> NDArray[np.bool_]:
    """True where offices are closed. Raises ``ValueError`` outside 2007–2099."""
    return _look_up(_tables()[0], days)


def next_open_days(days: Any) -> Days:
    """Each day itself if open, else the next open day."""
    return _look_up(_tables()[1], days)


def previous_open_days(days: Any) -> Days:
    """Each day itself if open, else the open day before it."""
    return _look_up(_tables()[2], days)


def no_loss_days(anchors: Any, legal_days: Any | None = None) -> tuple[Days, Days]:
    """(counted on, office day) up to which a claim loses nothing (15日特例).

    The later of the legal day (day 15 after the anchor unless given) moved forward to an open day, and the last open
    day of the anchor's month. Basis: 児童手当法 8条3項.
    """
    legal = as_days(period_ends(anchors, _NO_LOSS) if legal_days is None else legal_days)
    month_end = end_of_month(anchors)
    forward, back = next_open_days(legal), previous_open_days(month_end)
    return as_days(np.where(forward >= back, legal, month_end)), as_days(np.maximum(forward, back))
