"""Windows counted from a date: [first day, last day], both included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from app.calendar.day_numbers import Days, as_days, end_of_month, first_of_month
from app.calendar.fiscal_year import fiscal_year_ends, fiscal_year_starts
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span

Whole = Literal["month", "school_year"]
"""What an edge may be widened to: a month, or a school year from 1 April to 31 March."""


NO_SPAN = Span()


@dataclass(frozen=True)
class Edge:
    """One edge of a window: ``span`` after a date (moved on by ``base`` first), ``offset`` days beside it.

    ``end_of`` runs on to the end of the month or school year that holds the day, ``start_of`` goes back to its
    beginning; ``after`` days are added last.
    """

    span: Span
    offset: int = 0
    end_of: Whole | None = None
    after: int = 0
    start_of: Whole | None = None
    base: Span = NO_SPAN

    def next_day(self) -> Edge:
        """The day after this edge."""
        return replace(self, after=self.after + 1)

    def last_date(self, day: int) -> int:
        """The last date whose edge falls on ``day`` or before; later dates have later edges."""
        return _last_date(self, day)

    def days(self, dates: Any) -> Days:
        """The day of the edge for each date."""
        if self.base != NO_SPAN:
            dates = corresponding_days(dates, self.base)
        edge = as_days(corresponding_days(dates, self.span) + np.int32(self.offset))
        if self.end_of == "month":
            edge = end_of_month(edge)
        elif self.end_of == "school_year":
            edge = fiscal_year_ends(edge)
        if self.start_of is not None:
            edge = first_of_month(edge) if self.start_of == "month" else fiscal_year_starts(edge)
        return as_days(edge + np.int32(self.after)) if self.after else edge


@lru_cache(maxsize=4096)
def _last_date(edge: Edge, day: int) -> int:
    """Kept, because every household that is asked about alone asks for the same few edges and days again."""
    months, days = edge.span.months + edge.base.months, edge.span.days + edge.base.days
    near = day - edge.offset - edge.after - days - round(months * 30.436875)
    dates = np.arange(near - 800, near + 400, dtype=np.int32)
    position = int(np.searchsorted(edge.days(dates), day, side="right"))
    return int(dates[position]) - 1


def age_fiscal_year_end(age: int) -> Edge:
    """The first 31 March on or after the day an age is reached (達する日以後の最初の3月31日)."""
    return Edge(Span(months=12 * age), -1, "school_year")


FIRST_DAY_OFFSET = {"birthday": 0, "reached": -1}
"""Added to the corresponding day B of the opening span."""
LAST_DAY_OFFSET = {"birthday": -1, "reached": -1, "until_reached": -2, "included": 0}
"""Added to the corresponding day B of the closing span (n歳未満 · 至るまで · 達する日の前日まで · その日まで)."""


def opening(
    span: Span, reckoning: str = "birthday", from_start_of: Whole | None = None, base: Span = NO_SPAN
) -> Edge:
    """The first day of a window that opens ``span`` after a date, or at the beginning of that month or school year."""
    return Edge(span, FIRST_DAY_OFFSET[reckoning], start_of=from_start_of, base=base)


def closing(span: Span, reckoning: str = "birthday", until_end_of: Whole | None = None, base: Span = NO_SPAN) -> Edge:
    """The last day of a window that closes ``span`` after a date."""
    return Edge(span, LAST_DAY_OFFSET[reckoning], until_end_of, base=base)
