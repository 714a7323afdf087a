"""National holidays, computed.

Basis: 国民の祝日に関する法律 (昭和23年法律第178号) 2条, 3条2項 (振替休日), 3条3項 (国民の休日); the equinoxes follow
the astronomical approximation that holds from 1980 to 2099; 2019, 2020 and 2021 had days of their own by special laws.
"""

from __future__ import annotations

import datetime as dt
from functools import cache

FIRST_YEAR, LAST_YEAR = 2007, 2099
"""From 2007 the days of the law as they stand (昭和の日, 振替休日 to the next day that is no holiday)."""


@cache
def national_holidays(year: int) -> frozenset[dt.date]:
    """All holidays of a year, substitute holidays included. Raises ``ValueError`` outside 2007–2099."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"found the year {year}; expected {FIRST_YEAR}–{LAST_YEAR}, for which the holidays are known")
    named = _named(year)
    one_day = dt.timedelta(days=1)
    between = {
        day + one_day
        for day in named
        if day + 2 * one_day in named and day + one_day not in named and (day + one_day).weekday() != 6
    }
    substitutes = set()
    for day in named:
        if day.weekday() == 6:
            substitute = day + one_day
            while substitute in named:
                substitute += one_day
            substitutes.add(substitute)
    return frozenset(named | between | substitutes)


def _named(year: int) -> set[dt.date]:
    fixed = [(1, 1), (2, 11), (4, 29), (5, 3), (5, 4), (5, 5), (11, 3), (11, 23)]
    if year >= 2020:
        fixed.append((2, 23))
    elif year <= 2018:
        fixed.append((12, 23))
    if year == 2019:
        fixed += [(5, 1), (10, 22)]
    days = {dt.date(year, month, day) for month, day in fixed}
    days |= {_monday(year, 1, 2), _monday(year, 9, 3), _equinox(year, 3, 20_843_100), _equinox(year, 9, 23_248_800)}
    return days | _moved_for_the_games(year)


def _moved_for_the_games(year: int) -> set[dt.date]:
    """海の日, 山の日 and スポーツの日 (体育の日 until 2019), moved in 2020 and 2021."""
    if year == 2020:
        return {dt.date(2020, 7, 23), dt.date(2020, 8, 10), dt.date(2020, 7, 24)}
    if year == 2021:
        return {dt.date(2021, 7, 22), dt.date(2021, 8, 8), dt.date(2021, 7, 23)}
    mountain = {dt.date(year, 8, 11)} if year >= 2016 else set()
    return {_monday(year, 7, 3), _monday(year, 10, 2)} | mountain


def _monday(year: int, month: int, number: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(7 - first.weekday()) % 7 + 7 * (number - 1))


def _equinox(year: int, month: int, base: int) -> dt.date:
    return dt.date(year, month, (base + 242_194 * (year - 1980)) // 1_000_000 - (year - 1980) // 4)
