"""Compiled criteria: each node gives one verdict per row of its scope, and the days on which it may change.

A verdict is 0 no, 1 unknown, 2 yes: all = minimum, any = maximum, not = 2 − x. Arrays that a node returns may be
shared; nobody writes into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import Days, as_days
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span
from app.calendar.windows import Edge, opening
from app.rules.columns import NO, UNKNOWN, YES, Column, Rows, Verdicts
from app.rules.reading import CLAIMANT_FACTS, Moment, Reading
from app.rules.residence import is_one_day

Candidates = tuple[Rows, Days]
"""Household rows and, for each, a day on which a verdict may change."""


@dataclass(frozen=True, eq=False)
class Node:
    """What every compiled node knows: its scope, its place in the document, and the facts it reads itself."""

    scope: str
    path: str
    source: Any
    key: str
    """The node as text, with its scope: equal keys mean equal verdicts on the same moment."""

    @property
    def parts(self) -> Sequence[Node]:
        """Nodes below this one."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of the facts this node itself reads."""
        return ()

    @cached_property
    def depends(self) -> tuple[str, ...]:
        """Paths of all facts that this node and those below it read; with a claimant's, those that say who it is."""
        below = [path for part in self.parts for path in part.depends]
        return tuple(dict.fromkeys((*self.reads, *below, *(CLAIMANT_FACTS if self.asks_claimant else ()))))

    @property
    def asks_claimant(self) -> bool:
        """True where a guardian's fact is the claimant's."""
        return self.scope != "guardian" and any(path.startswith("guardian.") for path in self.reads)

    def verdicts(self, reading: Reading) -> Verdicts:
        """One verdict per row of the scope."""
        raise NotImplementedError

    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        """Days after ``first`` up to ``last`` on which this node's own verdict may change."""
        return iter(())


class Leaf(Node):
    """A test of one thing; its verdicts are shared by every programme that asks the same of the same moment."""

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        key = reading.cache_key(self.depends, self.key)
        cache = reading.moment.cache
        if key not in cache:
            cache[key] = self.judge(reading)
        found: Verdicts = cache[key]
        return found

    def judge(self, reading: Reading) -> Verdicts:
        """The verdicts, worked out."""
        raise NotImplementedError


def lifted(node: Node, reading: Reading, scope: str) -> Verdicts:
    """A household's verdicts spread over the people of a kind; a leaf's are kept for all who ask."""
    if not isinstance(node, Leaf):
        return reading.moment.lift(node.verdicts(reading), scope)
    key = reading.cache_key(node.depends, ("lifted", scope, node.key))
    cache = reading.moment.cache
    if key not in cache:
        cache[key] = reading.moment.lift(node.verdicts(reading), scope)
    found: Verdicts = cache[key]
    return found


@dataclass(frozen=True, eq=False)
class Group(Node):
    """``all`` (smallest) or ``any`` (largest) of parts; parts of household scope are joined before they are spread."""

    members: tuple[Node, ...] = ()
    largest: bool = False

    @property
    @override
    def parts(self) -> Sequence[Node]:
        return self.members

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        join = np.maximum if self.largest else np.minimum
        inner = self._joined([part for part in self.members if part.scope == self.scope], reading, join)
        if self.scope == "household":
            return inner
        shared = [part for part in self.members if part.scope == "household"]
        if not shared:
            return inner
        if len(shared) == 1:
            spread = lifted(shared[0], reading, self.scope)
        else:
            spread = reading.moment.lift(self._joined(shared, reading, join), self.scope)
        if len(shared) == len(self.members):
            return spread
        return np.asarray(join(inner, spread))

    @staticmethod
    def _joined(parts: list[Node], reading: Reading, join: Any) -> Verdicts:
        verdicts = parts[0].verdicts(reading) if parts else np.zeros(0, dtype=np.int8)
        for position, part in enumerate(parts[1:]):
            other = part.verdicts(reading)
            verdicts = join(verdicts, other, out=verdicts) if position else join(verdicts, other)
        return verdicts


@dataclass(frozen=True, eq=False)
class Negation(Node):
    """2 − x."""

    inner: Node

    @property
    @override
    def parts(self) -> Sequence[Node]:
        return (self.inner,)

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        verdicts: Verdicts = np.int8(2) - self.inner.verdicts(reading)
        return verdicts


@dataclass(frozen=True, eq=False)
class Uncontradicted(Node):
    """No where the inner node is known to hold, else yes: what is unknown speaks against nobody.

    ``source`` is the condition that it contradicts.
    """

    inner: Node

    @property
    @override
    def parts(self) -> Sequence[Node]:
        return (self.inner,)

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        known: Verdicts = self.inner.verdicts(reading) & np.int8(YES)  # of 0, 1 and 2 only yes has this bit
        verdicts: Verdicts = np.int8(YES) - known
        return verdicts


@dataclass(frozen=True, eq=False)
class Open(Leaf):
    """A human decides."""

    @override
    def judge(self, reading: Reading) -> Verdicts:
        return np.full(reading.population.people[self.scope].size, UNKNOWN, dtype=np.int8)


@dataclass(frozen=True, eq=False)
class Equals(Leaf):
    """The fact is one of some values (as stored: flags 0/1, choices by position)."""

    fact: str
    values: tuple[int, ...]

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (self.fact,)

    @override
    def judge(self, reading: Reading) -> Verdicts:
        column = reading.at(self.fact, self.scope)
        holds = column.values == self.values[0]
        for value in self.values[1:]:
            holds |= column.values == value
        return column.judge(holds)


@dataclass(frozen=True, eq=False)
class Between(Leaf):
    """The fact lies between two numbers or day numbers, both included; None leaves an end open."""

    fact: str
    low: int | None
    high: int | None

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (self.fact,)

    @override
    def judge(self, reading: Reading) -> Verdicts:
        column = reading.at(self.fact, self.scope)
        if self.low is None:
            verdicts = column.judge(column.values <= self.high)
        else:
            holds = column.values >= self.low
            if self.high is not None:
                holds &= column.values <= self.high
            verdicts = column.judge(holds)
        if column.bounds is None:
            return verdicts
        return column.settled(verdicts, self.low, self.high)


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
class Season(Leaf):
    """The day itself lies in fixed days, or each year between two days of the year (month × 100 + day)."""

    first_day: int | None = None
    last_day: int | None = None
    yearly: tuple[int, int] | None = None

    @override
    def judge(self, reading: Reading) -> Verdicts:
        verdicts = self._on(reading.moment.days).astype(np.int8) * np.int8(YES)
        return np.broadcast_to(verdicts, (reading.population.size,))

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


def everybody(moment: Moment, days: Sequence[int]) -> Candidates:
    """The same days for every household."""
    size = moment.population.size
    return np.tile(np.arange(size), len(days)), np.repeat(as_days(days), size)


@dataclass(frozen=True, eq=False)
class Compared(Leaf):
    """The fact compared with a dated parameter. ``tables`` are its periods in whole numbers.

    ``word`` is at_least, over, at_most or under; the limits are already turned into the whole number that just holds
    (over 100 → 101 or more). Outside every period, and where a table says so, the limit is unknown.
    """

    fact: str
    by: str | None
    word: str
    tables: tuple[LimitTable, ...]

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (self.fact,) if self.by is None else (self.fact, self.by)

    @override
    def judge(self, reading: Reading) -> Verdicts:
        column = reading.at(self.fact, self.scope)
        limit = limits(self.tables, self.by, reading, self.scope)
        lower = self.word in ("at_least", "over")
        holds = column.values >= limit.values if lower else column.values <= limit.values
        if column.all_known and limit.all_known:
            return column.judge(holds)
        verdicts = Column(column.values, column.known & limit.known, False).judge(np.asarray(holds))
        if column.bounds is None:
            return verdicts
        ends = (limit.values, None) if lower else (None, limit.values)
        return np.where(limit.known, column.settled(verdicts, *ends), verdicts)

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        yield everybody(reading.moment, table_edges(self.tables, first, last))


@dataclass(frozen=True)
class LimitTable:
    """A parameter's period: the days it holds and its rows, −1 in ``known`` terms where the row is unknown."""

    first: int
    last: int
    rows: NDArray[np.int64]
    known: NDArray[np.bool_]

    @cached_property
    def known_below(self) -> int:
        """The number of the last known row, and one."""
        return int(np.flatnonzero(self.known).max(initial=-1)) + 1

    @cached_property
    def without_holes(self) -> bool:
        """True where every row up to the last known one is known."""
        return bool(self.known[: self.known_below].all())


def table_edges(tables: Sequence[LimitTable], first: int, last: int) -> list[int]:
    """The days on which another period begins, or none holds any more."""
    days = {table.first for table in tables} | {table.last + 1 for table in tables}
    return sorted(day for day in days if first < day <= last)


def limits(tables: Sequence[LimitTable], by: str | None, reading: Reading, scope: str) -> Column:
    """The parameter's value for each row of a scope, on the moment's days."""
    size = reading.population.people[scope].size
    days = reading.moment.days_of(scope)
    chosen = None if by is None else reading.at(by, scope)
    result = Column.unknown(size)
    for table in tables:
        inside = (table.first <= days) & (days <= table.last)
        if not inside.any():
            continue
        if chosen is None:
            values, known = np.broadcast_to(table.rows[0], (size,)), np.broadcast_to(table.known[0], (size,))
        else:
            rows = np.clip(chosen.values, 0, len(table.rows) - 1)
            values, known = table.rows[rows], chosen.known & (rows < table.known_below)
            if not table.without_holes:
                known &= table.known[rows]
        if inside.all():
            return Column.of(values, known)
        result = Column.of(np.where(inside, values, result.values), np.where(inside, known, result.known))
    return result


@dataclass(frozen=True, order=True)
class Replacement:
    """Where, and from which day to which (both included), another programme takes the place of one."""

    area: str
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Everywhere(Leaf):
    """The household lives in the programme's area on the day (geography, not criteria).

    Where another programme takes its place on the day, it does not count as its area. Households that left the area
    less than ``left_within`` ago count as living there: the criteria judge them.
    """

    area: str
    replacements: tuple[Replacement, ...] = ()
    left_within: Span | None = None

    @override
    def judge(self, reading: Reading) -> Verdicts:
        covered = reading.moment.covered(self.area)
        if self.left_within is not None:
            sets = reading.population.people["household"].residence_sets
            days = np.broadcast_to(reading.moment.days, sets.shape)
            left = reading.population.residence.left_on(sets, days, self.area)
            covered = np.where(self._lately(left, days), np.int8(YES), covered)
        days = reading.moment.days
        for other in self.replacements:
            replaced = (other.first <= days) & (days <= other.last) & (reading.moment.covered(other.area) == YES)
            covered = np.where(replaced, np.int8(NO), covered)
        return covered

    def _lately(self, left: Days, days: Days) -> NDArray[np.bool_]:
        """Whether each left less than the span ago."""
        assert self.left_within is not None
        if is_one_day(days):
            return np.asarray(left > opening(self.left_within).last_date(int(days.flat[0])))
        return np.asarray(days < corresponding_days(left, self.left_within))

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        taken = {day for other in self.replacements for day in (other.first, other.last + 1) if first < day <= last}
        yield everybody(reading.moment, sorted(taken))
        sets, days = reading.population.residence.change_days()
        mine = sets < reading.population.size
        spans = [Span()] if self.left_within is None else [Span(), self.left_within]
        for span in spans:
            edges = corresponding_days(days, span)
            inside = mine & (first < edges) & (edges <= last)
            yield sets[inside], edges[inside]


def bounded(sure: NDArray[np.int64], possible: NDArray[np.int64], low: int | None, high: int | None) -> Verdicts:
    """Judge whether a number known only to lie in [sure, possible] lies in [low, high]."""
    low_bound = -1 if low is None else low
    high_bound = np.iinfo(np.int64).max if high is None else high
    inside = (sure >= low_bound) & (possible <= high_bound)
    outside = (possible < low_bound) | (sure > high_bound)
    return Column(inside, inside | outside, False).judge(inside)
