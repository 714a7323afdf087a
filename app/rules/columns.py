"""Columns of values with masks, and the people of one kind stored contiguously per household."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Verdicts = NDArray[np.int8]
"""0 no, 1 unknown, 2 yes."""
Rows = NDArray[np.int64]
"""Row numbers of one kind."""
NO, UNKNOWN, YES = 0, 1, 2

DTYPES = {"bool": np.int8, "choice": np.int32, "date": np.int32, "int": np.int64, "yen": np.int64}
"""Array types by fact type; a choice is its position in the catalogue, a date its day number."""


@dataclass(frozen=True)
class Column:
    """One value per row; where ``known`` is False the value means nothing. ``all_known`` spares the mask."""

    values: NDArray[Any]
    known: NDArray[np.bool_]
    all_known: bool

    @classmethod
    def of(cls, values: NDArray[Any], known: NDArray[np.bool_]) -> Column:
        """A column with its summary worked out."""
        return cls(values, known, bool(known.all()))

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

    def take(self, rows: Rows) -> Column:
        """The column at some rows."""
        if self.all_known:
            return Column(self.values[rows], np.ones(len(rows), dtype=np.bool_), True)
        return Column.of(self.values[rows], self.known[rows])

    def judge(self, holds: NDArray[np.bool_]) -> Verdicts:
        """The verdicts of a comparison: unknown where the value is."""
        verdicts: Verdicts = np.left_shift(holds.view(np.int8), 1)
        if not self.all_known:
            verdicts[~self.known] = UNKNOWN
        return verdicts


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

    def rows_of(self, households: Rows) -> Rows:
        """The rows of some households, in their order."""
        counts = np.diff(self.offsets)[households]
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
        filled = np.diff(self.offsets) > 0
        if len(values):
            reduce = np.maximum.reduceat if largest else np.minimum.reduceat
            result[filled] = reduce(values, self.offsets[:-1][filled])
        return result
