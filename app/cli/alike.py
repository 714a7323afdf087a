"""Rows that are written alike: one whole number for many columns, equal where all of them are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 2**62
Codes = NDArray[np.int64]


class Alike:
    """Columns joined one after the other into one exact code for each row."""

    def __init__(self, size: int) -> None:
        self._codes, self._span = np.zeros(size, dtype=np.int64), 1

    def add(self, *columns: NDArray[Any]) -> None:
        """Tell rows apart by some columns of whole numbers as well."""
        for column in columns if len(self._codes) else ():
            codes, span = _from_zero(column)
            if self._span * span > _LARGEST:
                self._codes, self._span = _numbered(self._codes)
                codes, span = _numbered(codes)
            if span > 1:
                self._codes, self._span = self._codes * span + codes, self._span * span

    def add_sequences(self, values: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        """Tell rows apart by lists of numbers, none negative: row i has ``values[offsets[i]:offsets[i + 1]]``."""
        counts = np.diff(offsets)
        for position in range(int(counts.max(initial=0))):
            column = np.full(len(counts), -1, dtype=np.int64)
            has = counts > position
            column[has] = values[offsets[:-1][has] + position]
            self.add(column)

    def numbered(self) -> tuple[Codes, Codes]:
        """(one row of each kind, the kind of every row)."""
        if self._span == 1:
            return np.zeros(min(1, len(self._codes)), dtype=np.int64), self._codes
        _, first, kinds = np.unique(self._codes, return_index=True, return_inverse=True)
        return first, kinds.reshape(-1)


def _numbered(codes: Codes) -> tuple[Codes, int]:
    found, kinds = np.unique(codes, return_inverse=True)
    return kinds.reshape(-1), len(found)


def _from_zero(column: NDArray[Any]) -> tuple[Codes, int]:
    """The column counted from 0, the lowest value (which often stands for none) set close to the others."""
    lowest, highest = int(column.min()), int(column.max())
    if lowest == highest:
        return np.zeros(len(column), dtype=np.int64), 1
    others = column != lowest
    base = int(column[others].min()) - 1
    if highest - base >= _LARGEST:
        return _numbered(column.astype(np.int64))
    return np.where(others, column.astype(np.int64) - base, 0), highest - base + 1
