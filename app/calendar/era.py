"""Japanese eras (元号). Basis: 元号法; 政令 (昭和, 平成, 令和)."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata

_WRITTEN = re.compile(
    r"(?P<era>令和|平成|昭和|[RHS])\s*(?P<year>元|\d{1,2})(?:年|[./-])\s*(?P<month>\d{1,2})(?:月|[./-])\s*(?P<day>\d{1,2})日?",
    re.IGNORECASE,
)
_LETTERS = {"R": "令和", "H": "平成", "S": "昭和"}

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


def date_from_era(text: str) -> dt.date | None:
    """Read 令和8年4月1日, 令和元年5月1日, R8.4.1, Ｈ３１／４／３０; None for what is no date of that era.

    A day after the end of an era is refused, except that 平成 is read on: forms of 2018 promise 平成32年.
    """
    match = _WRITTEN.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if match is None:
        return None
    era = _LETTERS.get(match["era"].upper(), match["era"])
    first_day = next(day for day, name in _ERAS if name == era)
    year = 1 if match["year"] == "元" else int(match["year"])
    try:
        day = dt.date(first_day.year + year - 1, int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    ended = era == "昭和" and day >= dt.date(1989, 1, 8)
    return day if year >= 1 and day >= first_day and not ended else None
