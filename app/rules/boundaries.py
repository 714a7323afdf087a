"""Boundaries: for every edge of a rule, the values just inside and just outside.

Used by a programme's examples, by tests and by the staff editor.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.calendar.day_numbers import EARLIEST, OPEN_END, date_of, number_of
from app.calendar.windows import Edge
from app.rules.evaluate import CompiledRule, walk
from app.rules.nodes import Between, Compared, Equals, Window

AWKWARD_BIRTHS = ((1, 1), (2, 28), (2, 29), (3, 1), (3, 31), (4, 1), (4, 2), (12, 31))
"""Days of birth at which ages and school years are miscounted."""


@dataclass(frozen=True)
class Boundary:
    """One value on one side of one edge: ``value`` of ``fact`` at which the test at ``path`` changes or just has not.

    Dates are dates, numbers numbers; ``by`` is the number of dependants a limit belongs to.
    """

    path: str
    fact: str
    value: dt.date | int | str
    by: int | None = None


def boundaries(rule: CompiledRule, on: dt.date) -> tuple[Boundary, ...]:
    """Values around every edge of the criteria on a day, without repetition, in the order of the document."""
    found: list[Boundary] = []
    for node in walk(rule.criteria):
        if isinstance(node, Window):
            for edge in (node.opens, node.closes):
                if edge is not None:
                    found += [Boundary(node.path, node.fact, day) for day in _births_at(edge, number_of(on))]
        elif isinstance(node, Between):
            dates = node.fact.endswith(("_date", "_on"))
            for limit in (node.low, node.high):
                if limit is not None:
                    found += [
                        Boundary(node.path, node.fact, date_of(value) if dates else value)
                        for value in (limit - 1, limit, limit + 1)
                    ]
        elif isinstance(node, Compared):
            found += _around_limits(node, number_of(on))
        elif isinstance(node, Equals):
            wanted = (node.source.is_,) if node.source.in_ is None else node.source.in_
            found += [Boundary(node.path, node.fact, value) for value in wanted if value is not None]
    return tuple(dict.fromkeys(found))


def _births_at(edge: Edge, day: int) -> Iterator[dt.date]:
    """Dates whose edge falls just before, on or just after a day, and awkward days of the same years."""
    span_days = edge.span.days + edge.span.months * 31
    low, high = day - span_days - 800, day - edge.span.days - edge.span.months * 28 + 800
    years = set()
    births = np.arange(max(low, EARLIEST), min(high, OPEN_END), dtype=np.int32)
    falls = edge.days(births)
    for birth in births[:-1][(falls[:-1] <= day) & (falls[1:] >= day) & (falls[:-1] != falls[1:])]:
        yield date_of(int(birth))
        yield date_of(int(birth) + 1)
        years.add(date_of(int(birth)).year)
    for year in sorted(years):
        for month, day_of_month in AWKWARD_BIRTHS:
            if (month, day_of_month) != (2, 29) or (year % 4 == 0 and year % 100 != 0):
                yield dt.date(year, month, day_of_month)


def _around_limits(node: Compared, day: int) -> list[Boundary]:
    found = []
    for table in node.tables:
        if table.first <= day <= table.last:
            rows = range(min(len(table.rows), 8)) if node.by is not None else range(1)
            for row in rows:
                if table.known[row]:
                    limit = int(table.rows[row])
                    found += [
                        Boundary(node.path, node.fact, value, row if node.by is not None else None)
                        for value in (limit - 1, limit, limit + 1)
                        if value >= 0
                    ]
    return found
