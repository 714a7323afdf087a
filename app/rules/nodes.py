"""Compiled criteria: each node gives one verdict per row of its scope, and the days on which it may change.

A verdict is 0 no, 1 unknown, 2 yes: all = minimum, any = maximum, not = 2 − x. Arrays that a node returns may be
shared; nobody writes into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import Days, as_days
from app.rules.columns import NO, UNKNOWN, YES, Column, Rows, Verdicts
from app.rules.reading import CLAIMANT_FACTS, Moment, Reading

Candidates = tuple[Rows, Days]
"""Household rows and, for each, a day on which a verdict may change."""
FEW = 4
"""One row of so many is few: what is dear is then worked out for those alone."""


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

    @cached_property
    def dear(self) -> bool:
        """True where each row costs so much that a test is better put to the rows alone that others leave open."""
        return any(part.dear for part in self.parts)

    def verdicts(self, reading: Reading) -> Verdicts:
        """One verdict per row of the scope."""
        raise NotImplementedError

    def verdicts_at(self, reading: Reading, rows: Rows) -> Verdicts:
        """The verdicts of some rows of the scope, in their order."""
        return self.verdicts(reading)[rows]

    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        """Days after ``first`` up to ``last`` on which this node's own verdict may change."""
        return iter(())


class Leaf(Node):
    """A test of one thing; its verdicts are shared by every programme that asks the same of the same moment."""

    @cached_property
    @override
    def dear(self) -> bool:
        return False

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        key = reading.cache_key(self.depends, self.key)
        cache = reading.moment.cache
        if key not in cache:
            cache[key] = self.judge(reading)
        found: Verdicts = cache[key]
        return found

    @override
    def verdicts_at(self, reading: Reading, rows: Rows) -> Verdicts:
        if self.dear and reading.cache_key(self.depends, self.key) not in reading.moment.cache:
            return self.judge_at(reading, rows)
        return self.verdicts(reading)[rows]

    def judge(self, reading: Reading) -> Verdicts:
        """The verdicts, worked out."""
        raise NotImplementedError

    def judge_at(self, reading: Reading, rows: Rows) -> Verdicts:
        """The verdicts of some rows, worked out for those alone where the test is dear."""
        return self.judge(reading)[rows]


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


def verdicts_of_some(node: Node, kind: str, reading: Reading, rows: Rows) -> Verdicts:
    """A node's verdicts for some rows of a kind, their household's where it is a household's test."""
    return node.verdicts_at(reading, rows if node.scope == kind else reading.population.people[kind].household[rows])


@dataclass(frozen=True, eq=False)
class Group(Node):
    """``all`` (smallest) or ``any`` (largest) of parts; parts of household scope are joined before they are spread.

    Of ``all``, the dear parts are put to those alone whom the others leave open, where they are few.
    """

    members: tuple[Node, ...] = ()
    largest: bool = False

    @property
    @override
    def parts(self) -> Sequence[Node]:
        return self.members

    @cached_property
    def _cheap(self) -> Group | None:
        """The parts that are not dear, where the dear ones can wait for them."""
        cheap = tuple(part for part in self.members if not part.dear)
        waits = cheap and len(cheap) < len(self.members) and not self.largest
        return replace(self, members=cheap) if waits else None

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        if self._cheap is None:
            return self._of_all(self.members, reading)
        verdicts = self._cheap.verdicts(reading)
        dear = [part for part in self.members if part.dear]
        possible = verdicts > NO
        if FEW * np.count_nonzero(possible) > len(verdicts):
            return np.minimum(verdicts, self._of_all(dear, reading))
        rows = np.flatnonzero(possible)
        narrowed = np.zeros(len(verdicts), dtype=np.int8)
        narrowed[rows] = np.minimum(verdicts[rows], self._of_some(dear, reading, rows))
        return narrowed

    @override
    def verdicts_at(self, reading: Reading, rows: Rows) -> Verdicts:
        return self._of_some(self.members, reading, rows)

    def _of_some(self, members: Sequence[Node], reading: Reading, rows: Rows) -> Verdicts:
        join = np.maximum if self.largest else np.minimum
        return reduce(join, (verdicts_of_some(part, self.scope, reading, rows) for part in members))

    def _of_all(self, members: Sequence[Node], reading: Reading) -> Verdicts:
        join = np.maximum if self.largest else np.minimum
        inner = self._joined([part for part in members if part.scope == self.scope], reading, join)
        if self.scope == "household":
            return inner
        shared = [part for part in members if part.scope == "household"]
        if not shared:
            return inner
        if len(shared) == 1:
            spread = lifted(shared[0], reading, self.scope)
        else:
            spread = reading.moment.lift(self._joined(shared, reading, join), self.scope)
        if len(shared) == len(members):
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

    @override
    def verdicts_at(self, reading: Reading, rows: Rows) -> Verdicts:
        verdicts: Verdicts = np.int8(2) - self.inner.verdicts_at(reading, rows)
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
        return self._unless(self.inner.verdicts(reading))

    @override
    def verdicts_at(self, reading: Reading, rows: Rows) -> Verdicts:
        return self._unless(self.inner.verdicts_at(reading, rows))

    @staticmethod
    def _unless(inner: Verdicts) -> Verdicts:
        known: Verdicts = inner & np.int8(YES)  # of 0, 1 and 2 only yes has this bit
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
        if self.values == (1,):
            return column.flagged
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
        judged = column if limit.all_known else Column(column.values, column.known & limit.known, False)
        verdicts = judged.judge(np.asarray(holds))
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
        return self.known_below > 0 and bool(self.known[: self.known_below].all())

    def of(self, chosen: Column) -> Column:
        """The rows that numbers choose; past the last row it counts."""
        values, known = self.rows.take(chosen.values, mode="clip"), chosen.known
        if self.known_below < len(self.rows):
            known = known & (chosen.values < self.known_below)
        if not self.without_holes:
            known = known & self.known.take(chosen.values, mode="clip")
        return Column.of(values, known)

    def of_everybody(self, size: int) -> Column:
        """The first row, for so many."""
        values, known = np.broadcast_to(self.rows[0], (size,)), np.broadcast_to(self.known[0], (size,))
        return Column(values, known, bool(self.known[0]))


def table_edges(tables: Sequence[LimitTable], first: int, last: int) -> list[int]:
    """The days on which another period begins, or none holds any more."""
    days = {table.first for table in tables} | {table.last + 1 for table in tables}
    return sorted(day for day in days if first < day <= last)


def limits(tables: Sequence[LimitTable], by: str | None, reading: Reading, scope: str) -> Column:
    """The parameter's value for each row of a scope, on the moment's days."""
    size = reading.population.people[scope].size
    days = reading.moment.days_of(scope)
    chosen = None if by is None else reading.at(by, scope)
    result = None
    for table in tables:
        inside = (table.first <= days) & (days <= table.last)
        if not inside.any():
            continue
        found = table.of_everybody(size) if chosen is None else table.of(chosen)
        if inside.all():
            return found
        below = Column.unknown(size) if result is None else result
        result = Column.of(np.where(inside, found.values, below.values), np.where(inside, found.known, below.known))
    return Column.unknown(size) if result is None else result


def bounded(sure: NDArray[np.int64], possible: NDArray[np.int64], low: int | None, high: int | None) -> Verdicts:
    """Judge whether a number known only to lie in [sure, possible] lies in [low, high]."""
    low_bound = -1 if low is None else low
    high_bound = np.iinfo(np.int64).max if high is None else high
    inside = (sure >= low_bound) & (possible <= high_bound)
    outside = (possible < low_bound) | (sure > high_bound)
    return Column(inside, inside | outside, False).judge(inside)
