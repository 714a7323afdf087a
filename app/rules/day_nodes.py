"""Compiled tests of the day: windows counted from a date of somebody, births, and seasons of the year."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import Days
from app.calendar.windows import Edge
from app.rules.columns import YES, Verdicts
from app.rules.nodes import Between, Candidates, Leaf, everybody
from app.rules.reading import Reading

BIRTH = ".birth_date"
"""How the paths of dates of birth end. A test of one holds from the birth on, unless it says from when before it."""


@dataclass(frozen=True, eq=False)
class Window(Leaf):
    """The day lies between two edges counted from a date fact; None leaves an end open."""

    fact: str
    opens: Edge | None
    closes: Edge | None

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (self.fact,)

    @override
    def judge(self, reading: Reading) -> Verdicts:
        column, days = reading.at(self.fact, self.scope), reading.moment.days_of(self.scope)
        if not days.ndim:
            return column.judge(self._on_one_day(reading, int(days)))
        holds = np.ones(len(column.values), dtype=np.bool_)
        if self.opens is not None:
            holds = reading.threshold(self.fact, self.opens, self.scope) <= days
        if self.closes is not None:
            holds &= days <= reading.threshold(self.fact, self.closes, self.scope)
        return column.judge(holds)

    def _on_one_day(self, reading: Reading, day: int) -> NDArray[np.bool_]:
        """On a single day a window is a range of dates: two comparisons, which other windows share."""
        if self.closes is None:
            assert self.opens is not None
            return ~reading.later(self.fact, self.scope, self.opens.last_date(day))
        open_still = reading.later(self.fact, self.scope, self.closes.last_date(day - 1))
        if self.opens is None:
            return open_still
        return np.greater(open_still, reading.later(self.fact, self.scope, self.opens.last_date(day)))

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        known = reading.at(self.fact, self.scope).known
        household = reading.population.people[self.scope].household
        for edge, after in ((self.opens, 0), (self.closes, 1)):
            if edge is not None:
                days = reading.threshold(self.fact, edge, self.scope) + np.int32(after)
                inside = known & (first < days) & (days <= last)
                yield household[inside], days[inside]


@dataclass(frozen=True, eq=False)
class Born(Between):
    """The date of birth lies between two days, both included; who is not born yet was not born between them."""

    @override
    def judge(self, reading: Reading) -> Verdicts:
        column, days = reading.at(self.fact, self.scope), reading.moment.days_of(self.scope)
        unborn = column.values > days if days.ndim else reading.later(self.fact, self.scope, int(days))
        return np.minimum(super().judge(reading), column.judge(~unborn))

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        births = reading.at(self.fact, self.scope)
        inside = births.known & (first < births.values) & (births.values <= last)
        yield reading.population.people[self.scope].household[inside], births.values[inside]


@dataclass(frozen=True, eq=False)
class Season(Leaf):
    """The day itself lies in fixed days, or each year between two days of the year (month × 100 + day)."""

    first_day: int | None = None
    last_day: int | None = None
    yearly: tuple[int, int] | None = None

    @override
    def judge(self, reading: Reading) -> Verdicts:
        verdicts = np.empty(reading.population.size, dtype=np.int8)  # written out: joining one byte with many is slow
        verdicts[:] = self._on(reading.moment.days).astype(np.int8) * np.int8(YES)
        return verdicts

    def _on(self, days: Days) -> NDArray[np.bool_]:
        if self.yearly is None:
            low = -(2**31) if self.first_day is None else self.first_day
            high = 2**31 - 1 if self.last_day is None else self.last_day
            return np.asarray((low <= days) & (days <= high))
        text = days.astype("datetime64[D]")
        month = text.astype("datetime64[M]").astype(np.int64) % 12 + 1
        place = month * 100 + (text - text.astype("datetime64[M]")).astype(np.int64) + 1
        start, end = self.yearly
        inside = (start <= place) & (place <= end) if start <= end else (start <= place) | (place <= end)
        return np.asarray(inside)

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        if self.yearly is None:
            days = [
                day
                for day in (self.first_day, None if self.last_day is None else self.last_day + 1)
                if day is not None and first < day <= last
            ]
        else:
            span = np.arange(first + 1, last + 1, dtype=np.int32)
            inside = self._on(np.arange(first, last + 1, dtype=np.int32))
            days = [int(day) for day in span[inside[1:] != inside[:-1]]]
        yield everybody(reading.moment, days)
