"""Where people lived and when, as columns: intervals per residence set, the household's or a person's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import EARLIEST, OPEN_END, Days
from app.rules.municipality_code import NATIONAL, is_prefecture

UNKNOWN_CODE = 0
"""The municipality on a day for which no residence is known; −code where it is only known not to be that one."""


@dataclass(frozen=True)
class ResidenceTable:
    """Intervals of each set in order: set i has the rows ``offsets[i]:offsets[i + 1]``; days are inclusive.

    ``assumed`` marks a first interval whose beginning is unknown: a bare ``municipality``, or a stay without ``from``.
    """

    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]
    first: Days
    last: Days
    planned: Days
    assumed: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of sets."""
        return len(self.offsets) - 1

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of intervals of each set."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The set of each interval."""
        return np.repeat(np.arange(self.size), self.counts)

    @cached_property
    def unknown_sets(self) -> NDArray[np.int64]:
        """Sets without any interval."""
        return np.flatnonzero(self.counts == 0)

    @cached_property
    def any_assumed(self) -> bool:
        """True where some interval is assumed."""
        return bool(self.assumed.any())

    @cached_property
    def _runs(self) -> dict[str, tuple[Days, Days]]:
        return {}

    def take(self, sets: NDArray[np.int64]) -> ResidenceTable:
        """The table of some sets, in their order."""
        counts = self.counts[sets]
        offsets = np.concatenate(([0], np.cumsum(counts)))
        rows = np.repeat(self.offsets[sets] - offsets[:-1], counts) + np.arange(offsets[-1])
        return ResidenceTable(
            offsets, self.codes[rows], self.first[rows], self.last[rows], self.planned[rows], self.assumed[rows]
        )

    def covering(self, sets: NDArray[np.int64], days: Days) -> NDArray[np.int64]:
        """The interval that covers each day, −1 where none is known."""
        if self._for_most(sets, days):
            rows = self._covering_all(days.flat[0])
            if len(rows) == self.size:
                return rows[sets]
            found = np.full(self.size, -1, dtype=np.int64)
            found[self.owners[rows]] = rows
            return found[sets]
        if not len(self.codes):
            return np.full(sets.shape, -1, dtype=np.int64)
        rows, begun = self._latest_begun(sets, days)
        return np.where(begun & (days <= self.last[rows]), rows, -1)

    def _for_most(self, sets: NDArray[np.int64], days: Days) -> bool:
        """Say whether looking at all sets on one day is quicker than at these on theirs."""
        return is_one_day(days) and 4 * len(sets) > self.size

    def _covering_all(self, day: np.int32) -> NDArray[np.int64]:
        """The intervals that cover one day, in the order of their sets: one for each set of which it is known."""
        return np.flatnonzero((self.first <= day) & (day <= self.last))

    def _codes_of_all(self, day: np.int32) -> NDArray[np.int32]:
        """The municipality of every set on one day, as ``codes_on`` gives it."""
        rows = self._covering_all(day)
        if len(rows) == self.size:
            return self.codes[rows]
        opening = np.minimum(self.offsets[:-1], len(self.codes) - 1)
        before = (self.first[opening] > day) & (self.counts > 0)
        codes: NDArray[np.int32] = np.where(before, -self.codes[opening], np.int32(UNKNOWN_CODE))
        codes[self.owners[rows]] = self.codes[rows]
        return codes

    def _latest_begun(self, sets: NDArray[np.int64], days: Days) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The last interval of each set that has begun on its day, else its first; and whether any has begun.

        Intervals are in order and apart, so that no other can cover the day.
        """
        counts = self.counts[sets]
        rows = np.minimum(self.offsets[sets], len(self.codes) - 1)
        begun = (counts > 0) & (self.first[rows] <= days)
        further = np.flatnonzero(counts > 1)
        for position in range(1, int(counts.max(initial=0))):
            further = further[counts[further] > position]
            starts = self.offsets[sets[further]] + position
            rows[further] = np.where(self.first[starts] <= days[further], starts, rows[further])
        return rows, begun

    def codes_on(self, sets: NDArray[np.int64], days: Days) -> NDArray[np.int32]:
        """The municipality of each set on its day; 0 where unknown.

        Before the first entry of a history people lived somewhere else: minus its code.
        """
        if not len(self.codes):
            return np.zeros(sets.shape, dtype=np.int32)
        if self._for_most(sets, days):
            return self._codes_of_all(days.flat[0])[sets]
        rows, begun = self._latest_begun(sets, days)
        codes = self.codes[rows]
        known: NDArray[np.int32] = np.where(begun, np.where(days <= self.last[rows], codes, UNKNOWN_CODE), -codes)
        if self.unknown_sets.size:
            known[np.isin(sets, self.unknown_sets)] = UNKNOWN_CODE
        return known.astype(np.int32, copy=False)

    def run_starts(self, area: str) -> tuple[Days, Days]:
        """For each interval, the first day of the unbroken stay in ``area`` that it continues: (for sure, at earliest).

        People may have lived anywhere in a hole of the history, and in any other municipality before its first entry.
        """
        if area not in self._runs:
            self._runs[area] = self._find_runs(area)
        return self._runs[area]

    def _find_runs(self, area: str) -> tuple[Days, Days]:
        inside = in_area(self.codes, area) == 2
        opening = np.zeros(len(self.codes), dtype=bool)
        opening[self.offsets[:-1][self.counts > 0]] = True
        holds = np.zeros(len(self.codes), dtype=bool)
        holds[1:] = (self.last[:-1] + 1 < self.first[1:]) & ~opening[1:]
        follows = np.zeros(len(self.codes), dtype=bool)
        follows[1:] = inside[1:] & inside[:-1] & ~opening[1:]
        # Of a stay since an unknown day only its last day is sure, for the stay that continues it.
        ended = self.assumed & (self.last < OPEN_END)
        sure, earliest = np.where(ended, self.last, self.first), self.first.copy()
        earliest[opening & (lived_in(-self.codes, area) > 0)] = EARLIEST
        after_hole = np.flatnonzero(holds & ~follows)
        earliest[after_hole] = self.last[after_hole - 1] + 1
        joined, through = np.flatnonzero(follows & ~holds), np.flatnonzero(follows)
        for _ in range(int(self.counts.max(initial=0)) - 1):
            sure[joined] = sure[joined - 1]
            earliest[through] = earliest[through - 1]
        return sure, earliest

    def left_on(self, sets: NDArray[np.int64], days: Days, area: str) -> Days:
        """The latest day, not after each day, on which each set had ceased to be known in ``area``; EARLIEST if never.

        Whoever moved on within the area has not left it.
        """
        left = np.full(sets.shape, EARLIEST, dtype=np.int32)
        inside = in_area(self.codes, area) == 2
        if is_one_day(days):
            rows = np.flatnonzero(inside & (self.last < days.flat[0]))
            latest = np.full(self.size, EARLIEST, dtype=np.int32)
            np.maximum.at(latest, self.owners[rows], self.last[rows] + np.int32(1))
            return latest[sets]
        counts = self.counts[sets]
        for position in range(int(counts.max(initial=0))):
            rows = np.minimum(self.offsets[sets] + position, max(len(self.codes) - 1, 0))
            gone = (position < counts) & inside[rows] & (self.last[rows] < days)
            left[gone] = np.maximum(left[gone], self.last[rows][gone] + 1)
        return left

    def change_days(self) -> tuple[NDArray[np.int64], Days]:
        """(set, day) of every day on which a municipality begins, or ceases to be known."""
        starts = self.first > EARLIEST
        ends = self.last < OPEN_END
        sets = np.concatenate((self.owners[starts], self.owners[ends]))
        return sets, np.concatenate((self.first[starts], self.last[ends] + 1)).astype(np.int32)


def is_one_day(days: Days) -> bool:
    """Say whether the days are one and the same, spread over all rows without being written out."""
    return days.size > 1 and not any(days.strides)


def in_area(codes: NDArray[np.int32], area: str) -> NDArray[np.int8]:
    """2 where the municipality lies in the area, 0 where not, 1 where it is unknown; the country holds everybody.

    ``codes`` as ``codes_on`` gives them: minus a code excludes that municipality alone.
    """
    if area == NATIONAL:
        return np.full(codes.shape, 2, dtype=np.int8)
    number = int(area)
    start = number // 10_000 * 10_000
    inside = (start <= codes) & (codes < start + 10_000) if is_prefecture(area) else codes == number
    certain = inside.view(np.int8)
    verdicts: NDArray[np.int8] = certain + certain
    if codes.min(initial=number) <= UNKNOWN_CODE:
        verdicts |= ((codes <= UNKNOWN_CODE) & (codes != -number)).view(np.int8)
    return verdicts


def lived_in(codes: NDArray[np.int32], area: str) -> NDArray[np.int8]:
    """As ``in_area``, for a stay that must be known: an unknown place may lie outside the country too."""
    verdicts = in_area(codes, area)
    if area == NATIONAL:
        verdicts[codes <= UNKNOWN_CODE] = 1
    return verdicts
