"""Columns of values with masks, and the people of one kind stored contiguously per household."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Verdicts = NDArray[np.int8]
"""0 no, 1 unknown, 2 yes."""
Rows = NDArray[np.int64]
"""Row numbers of one kind."""
Chosen = Rows | slice
"""Some rows of one kind, or all of them."""
EVERYBODY = slice(None)
NO, UNKNOWN, YES = 0, 1, 2

DTYPES = {"bool": np.int8, "choice": np.int8, "date": np.int32, "int": np.int64, "yen": np.int64}
"""Array types by fact type; a choice is its position in the catalogue, a date its day number."""


@dataclass(frozen=True)
class Ranges:
    """What is known of numbers whose value is not: they lie from ``low`` to ``high``, both included."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @classmethod
    def nothing(cls, size: int) -> Ranges:
        """Ranges that say nothing."""
        whole = np.iinfo(np.int64)
        return cls(np.full(size, whole.min, dtype=np.int64), np.full(size, whole.max, dtype=np.int64))

    @property
    def stated(self) -> NDArray[np.bool_]:
        """True where a range says something."""
        whole = np.iinfo(np.int64)
        return np.asarray((self.low > whole.min) | (self.high < whole.max))

    def take(self, rows: Chosen) -> Ranges:
        """The ranges at some rows."""
        return Ranges(self.low[rows], self.high[rows])


@dataclass(frozen=True)
class Column:
    """One value per row; where ``known`` is False the value means nothing. ``all_known`` spares the mask.

    ``bounds`` say between which numbers a value lies that is not known exactly; None where nobody stated any.
    """

    values: NDArray[Any]
    known: NDArray[np.bool_]
    all_known: bool
    bounds: Ranges | None = None

    @classmethod
    def of(cls, values: NDArray[Any], known: NDArray[np.bool_], bounds: Ranges | None = None) -> Column:
        """A column with its summary worked out; bounds that no unknown row has are left out."""
        all_known = bool(known.all())
        kept = None if all_known or bounds is None or not (bounds.stated & ~known).any() else bounds
        return cls(values, known, all_known, kept)

    @classmethod
    def unknown(cls, size: int, dtype: Any = np.int64) -> Column:
        """A column of which nothing is known."""
        return cls(np.zeros(size, dtype=dtype), np.zeros(size, dtype=np.bool_), size == 0)

    @classmethod
    def sparse(cls, size: int, rows: Sequence[int], values: Sequence[Any], dtype: Any) -> Column:
        """A column known at ``rows`` only."""
        column = cls.unknown(size, dtype)
        positions = np.asarray(rows, dtype=np.int64)
        column.values[positions] = np.asarray(values, dtype=dtype)
        column.known[positions] = True
        return cls.of(column.values, column.known)

    def take(self, rows: Chosen) -> Column:
        """The column at some rows."""
        if self.all_known:
            values = self.values[rows]
            return Column(values, np.ones(len(values), dtype=np.bool_), True)
        return Column.of(self.values[rows], self.known[rows], None if self.bounds is None else self.bounds.take(rows))

    def over(self, below: Column) -> Column:
        """The column where it says anything, a range included, else the one below."""
        says = self.known if self.bounds is None else self.known | self.bounds.stated
        values, known = np.where(says, self.values, below.values), np.where(says, self.known, below.known)
        if self.bounds is None and below.bounds is None:
            return Column.of(values, known)
        upper, lower = (part.bounds or Ranges.nothing(len(values)) for part in (self, below))
        low, high = np.where(says, upper.low, lower.low), np.where(says, upper.high, lower.high)
        return Column.of(values, known, Ranges(low, high))

    def where(self, rows: NDArray[np.bool_]) -> Column:
        """The column at the rows of a mask; nothing is known elsewhere."""
        if self.bounds is None:
            return Column.of(self.values, self.known & rows)
        nothing = Ranges.nothing(len(self.values))
        low, high = np.where(rows, self.bounds.low, nothing.low), np.where(rows, self.bounds.high, nothing.high)
        return Column.of(self.values, self.known & rows, Ranges(low, high))

    def settled(self, verdicts: Verdicts, low: Any, high: Any) -> Verdicts:
        """The verdicts of "from low to high", decided as well where a stated range lies wholly inside or outside."""
        if self.bounds is None:
            return verdicts
        inside, outside = np.ones(len(self.values), dtype=np.bool_), np.zeros(len(self.values), dtype=np.bool_)
        if low is not None:
            inside &= self.bounds.low >= low
            outside |= self.bounds.high < low
        if high is not None:
            inside &= self.bounds.high <= high
            outside |= self.bounds.low > high
        decided = np.where(inside, np.int8(YES), np.where(outside, np.int8(NO), np.int8(UNKNOWN)))
        return np.where(self.known, verdicts, decided)

    def judge(self, holds: NDArray[np.bool_]) -> Verdicts:
        """The verdicts of a comparison: unknown where the value is."""
        # Yes is 2 and unknown 1: adding bytes is many times as quick as shifting them, or writing through a mask.
        certain = (holds if self.all_known else holds & self.known).view(np.int8)
        verdicts: Verdicts = certain + certain
        if not self.all_known:
            verdicts |= self._open
        return verdicts

    @cached_property
    def flagged(self) -> Verdicts:
        """The verdicts of a flag, which every day and every programme asks again: yes where it is set."""
        verdicts = self.judge(self.values == 1)
        verdicts.flags.writeable = False
        return verdicts

    @cached_property
    def _open(self) -> Verdicts:
        """Unknown where the value is, else no."""
        return (~self.known).view(np.int8)


@dataclass(frozen=True)
class People:
    """The people of one kind: household h has the rows ``offsets[h]:offsets[h + 1]``.

    ``listed`` is False for households that left the list out; ``id_rank`` orders the people of one household by id;
    ``residence_sets`` says whose residence each has. Households themselves are a kind with one row each.
    """

    ids: Sequence[str]
    offsets: Rows
    household: Rows
    listed: NDArray[np.bool_]
    id_rank: NDArray[np.int32]
    residence_sets: Rows

    @property
    def size(self) -> int:
        """Number of people."""
        return len(self.household)

    @cached_property
    def counts(self) -> Rows:
        """Number of people of each household."""
        return np.diff(self.offsets)

    @cached_property
    def unlisted(self) -> Rows:
        """The households that left the list out."""
        return np.flatnonzero(~self.listed)

    @cached_property
    def names(self) -> tuple[list[str], Rows]:
        """The different ids of these people, and the place of each person's own among them."""
        found: dict[str, int] = {}
        places = np.fromiter((found.setdefault(name, len(found)) for name in self.ids), dtype=np.int64, count=self.size)
        return list(found), places

    def rows_of(self, households: Rows) -> Rows:
        """The rows of some households, in their order."""
        counts = self.counts[households]
        ends = np.cumsum(counts)
        starts = np.repeat(self.offsets[households] - ends + counts, counts)
        rows: Rows = starts + np.arange(len(starts))
        return rows

    def sums(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Sum over the people of each household; 0 where there are none."""
        totals = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(values, dtype=np.int64)))
        sums: NDArray[np.int64] = totals[self.offsets[1:]] - totals[self.offsets[:-1]]
        return sums

    def reduced(self, values: NDArray[Any], largest: bool, empty: int) -> NDArray[Any]:
        """The largest (or smallest) over the people of each household; ``empty`` where there are none."""
        result = np.full(len(self.offsets) - 1, empty, dtype=values.dtype)
        filled = self.counts > 0
        if len(values):
            reduce = np.maximum.reduceat if largest else np.minimum.reduceat
            result[filled] = reduce(values, self.offsets[:-1][filled])
        return result
