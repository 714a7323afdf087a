"""Japanese eras (元号). Basis: 元号法; 政令 (昭和, 平成, 令和)."""

from __future__ import annotations

import datetime as dt

_ERAS = (
    (dt.date(2019, 5, 1), "令和"),
    (dt.date(1989, 1, 8), "平成"),
    (dt.date(1926, 12, 25), "昭和"),
)


def era_year(day: dt.date) -> str:
    """令和8年, 平成元年; the western year before Shōwa."""
    for first_day, name in _ERAS:
        if day >= first_day:
            number = day.year - first_day.year + 1
            return f"{name}{'元' if number == 1 else number}年"
    return f"{day.year}年"


def era_date(day: dt.date) -> str:
    """令和8年11月21日."""
    return f"{era_year(day)}{day.month}月{day.day}日"
