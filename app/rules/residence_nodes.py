"""Compiled tests of where people live: the programme's area, and stays on a day, for a time or since a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import Days, as_days, first_of_month, month_starts, months_of
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span
from app.calendar.windows import Edge, opening
from app.rules.columns import EVERYBODY, NO, UNKNOWN, YES, Chosen, Rows, Verdicts
from app.rules.nodes import FEW, Candidates, Leaf, everybody
from app.rules.reading import Reading
from app.rules.residence import is_one_day, lived_in

_NO_SPAN = Span()


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
            lately = self._lately(left, days).view(np.int8)
            covered = np.maximum(covered, lately + lately)
        days = reading.moment.days
        for other in self.replacements:
            in_force = (other.first <= days) & (days <= other.last)
            if in_force.any():
                replaced = in_force & (reading.moment.covered(other.area) == YES)
                covered = covered * (~replaced).view(np.int8)
        return covered

    def few(self, reading: Reading, scope: str) -> tuple[Rows, Verdicts] | None:
        """The people of a kind whom the area does not rule out, and its verdicts; None where they are not few."""
        cache, key = reading.moment.cache, ("few", scope, self.key)
        if key not in cache:
            covered, people = self.verdicts(reading), reading.population.people[scope]
            reached, cache[key] = covered > NO, None
            if FEW * np.count_nonzero(reached) <= len(covered):
                rows = people.rows_of(np.flatnonzero(reached))
                cache[key] = rows, covered[people.household[rows]]
        found: tuple[Rows, Verdicts] | None = cache[key]
        return found

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


@dataclass(frozen=True, eq=False)
class Stay(Leaf):
    """Where people lived on a day: a date fact, a fixed day, or (neither) a day that follows from today.

    ``edge`` moves a date on (a span after it, the first of its month). ``whose`` says who is asked about where it is
    not the row itself: household, or claimant (the guardian who claims).
    """

    area: str
    date_fact: str | None = None
    fixed: int | None = None
    edge: Edge | None = None
    whose: str | None = None

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.date_fact is None else (self.date_fact,)

    @property
    @override
    def asks_claimant(self) -> bool:
        return self.whose == "claimant" or super().asks_claimant

    @cached_property
    @override
    def dear(self) -> bool:
        return True

    @property
    def from_today(self) -> bool:
        """True where the day asked about moves with the day of asking."""
        return self.date_fact is None and self.fixed is None

    @cached_property
    def of_household(self) -> Stay:
        """The same question about the household, for people who live where it lives."""
        return replace(self, scope="household", key=f"household of {self.key}")

    @override
    def judge(self, reading: Reading) -> Verdicts:
        population = reading.population
        together = population.residence.size == population.size
        if self.scope == "household" or self.date_fact is not None or not together:
            return self.stay(reading, EVERYBODY)
        return reading.moment.lift(self.of_household.verdicts(reading), self.scope)

    @override
    def judge_at(self, reading: Reading, rows: Rows) -> Verdicts:
        return self.stay(reading, rows)

    def stay(self, reading: Reading, rows: Chosen) -> Verdicts:
        """The verdicts of some rows of the scope, worked out for each."""
        raise NotImplementedError

    def days(self, reading: Reading, rows: Chosen) -> Days:
        """The day for each of some rows."""
        if self.from_today:
            return self._days_from(reading, rows, self.day)
        if self.date_fact is None:
            dates = np.full(len(reading.population.people[self.scope].household[rows]), self.fixed, dtype=np.int32)
        elif self.edge is not None:
            return reading.threshold(self.date_fact, self.edge, self.scope)[rows]
        else:
            dates = reading.at(self.date_fact, self.scope).values[rows]
        return dates if self.edge is None else self.edge.days(dates)

    def _days_from(self, reading: Reading, rows: Chosen, day: Callable[[Days], Days]) -> Days:
        """What a day makes of today for each of some rows: one day for all of them is not written out."""
        today = reading.moment.days_of(self.scope)
        if today.ndim:
            return day(today[rows])
        return np.broadcast_to(day(today), reading.population.people[self.scope].household[rows].shape)

    def day(self, today: Days) -> Days:
        """The day that follows from today: today itself unless a kind of stay says otherwise."""
        return today

    def sets(self, reading: Reading, rows: Chosen) -> Rows:
        """Whose residence counts for each of some rows."""
        if self.whose == "claimant":
            return self._of_claimants(reading)[0][rows]
        return reading.population.people[self.scope].residence_sets[rows]

    def _of_claimants(self, reading: Reading) -> tuple[Rows, NDArray[np.bool_]]:
        """(where the claimant of each household lives, is that known)."""
        people = reading.population.people[self.scope]
        guardians, claimants = reading.population.people["guardian"], reading.claimant_rows()
        if not guardians.size:
            return people.residence_sets, np.zeros(people.size, dtype=np.bool_)
        own = guardians.residence_sets[np.maximum(claimants, 0)]
        together = guardians.sums(guardians.residence_sets >= reading.population.size) == 0
        known = (claimants >= 0) | (together & (np.diff(guardians.offsets) > 0))
        return np.where(claimants >= 0, own, people.residence_sets), known

    def inside(self, reading: Reading, rows: Chosen, days: Days) -> Verdicts:
        """Whether each of some rows lived in the area on its day, as far as the history goes."""
        sets = self.sets(reading, rows)
        verdicts = lived_in(reading.population.residence.codes_on(sets, days), self.area)
        if self.whose == "claimant":
            verdicts[~self._of_claimants(reading)[1][rows]] = UNKNOWN
        return verdicts

    def lived(self, reading: Reading, rows: Chosen, days: Days) -> Verdicts:
        """The same; a stay of unknown beginning says nothing of a date, and nothing is known of an unknown one."""
        verdicts = self.inside(reading, rows, days)
        table = reading.population.residence
        if table.any_assumed and not self.from_today:
            intervals = table.covering(self.sets(reading, rows), days)
            verdicts[(intervals >= 0) & table.assumed[intervals]] = UNKNOWN
        if self.date_fact is not None:
            dates = reading.at(self.date_fact, self.scope)
            if not dates.all_known:
                verdicts[~dates.known[rows]] = UNKNOWN
        return verdicts

    def residence_changes(self, reading: Reading) -> tuple[Rows, Days]:
        """(household, day) of every change of residence that may count for a row."""
        return residence_changes(reading, "guardian" if self.whose == "claimant" else self.scope)


@dataclass(frozen=True, eq=False)
class LivedOn(Stay):
    """Lived in an area on a day; ``month_start``: on the first of the month, for a child the first since its birth."""

    month_start: bool = False

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return ("child.birth_date",) if self.since_birth else super().reads

    @property
    def since_birth(self) -> bool:
        """A child lives nowhere on the first of a month before its birth."""
        return self.month_start and self.scope == "child"

    @override
    def day(self, today: Days) -> Days:
        return first_of_month(today) if self.month_start else today

    @override
    def judge(self, reading: Reading) -> Verdicts:
        verdicts = super().judge(reading)
        return np.minimum(verdicts, self._born(reading, EVERYBODY)) if self.since_birth else verdicts

    @override
    def judge_at(self, reading: Reading, rows: Rows) -> Verdicts:
        verdicts = super().judge_at(reading, rows)
        return np.minimum(verdicts, self._born(reading, rows)) if self.since_birth else verdicts

    def _born(self, reading: Reading, rows: Chosen) -> Verdicts:
        births = reading.column("child.birth_date").take(rows)
        return births.judge(births.values <= self.days(reading, rows))

    @override
    def stay(self, reading: Reading, rows: Chosen) -> Verdicts:
        return self.lived(reading, rows, self.days(reading, rows))

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        if not self.from_today:
            return
        moves = self.residence_changes(reading)
        births = reading.column("child.birth_date")
        born = np.flatnonzero(births.known) if self.since_birth else np.zeros(0, dtype=np.int64)
        households = reading.population.people["child"].household[born]
        for rows, found in (moves, (households, births.values[born])):
            days = first_of_month_from(found) if self.month_start else found
            inside = (first < days) & (days <= last)
            yield rows[inside], days[inside]


@dataclass(frozen=True, eq=False)
class Resided(Stay):
    """Has lived in an area without a break for ``span``, on the day, on a date fact or on a fixed day."""

    span: Span = _NO_SPAN

    @override
    def stay(self, reading: Reading, rows: Chosen) -> Verdicts:
        days = self.days(reading, rows)
        return self.unbroken(reading, rows, self.lived(reading, rows, days), days, self._latest_start(days))

    def _latest_start(self, days: Days) -> Callable[[Days], NDArray[np.bool_]]:
        """Whether stays began long enough before some days."""
        if is_one_day(days):
            latest = opening(self.span).last_date(int(days.flat[0]))
            return lambda starts: starts <= latest
        return lambda starts: corresponding_days(starts, self.span) <= days

    def unbroken(
        self,
        reading: Reading,
        rows: Chosen,
        inside: Verdicts,
        days: Days,
        long_enough: Callable[[Days], NDArray[np.bool_]],
    ) -> Verdicts:
        """Whether some rows lived ``inside`` on their days, in stays that began early enough, for sure or at best.

        ``long_enough`` takes the first day of each row's stay.
        """
        table = reading.population.residence
        if not len(table.codes):
            return np.full(days.shape, UNKNOWN, dtype=np.int8)
        intervals = table.covering(self.sets(reading, rows), days)
        sure, possible = (long_enough(starts[intervals]) for starts in table.run_starts(self.area))
        stayed = np.where(sure, np.int8(YES), np.where(possible, np.int8(UNKNOWN), np.int8(NO)))
        verdicts = np.where(inside == YES, stayed, inside).astype(np.int8)
        verdicts[(intervals >= 0) & table.assumed[intervals] & (inside == YES)] = UNKNOWN
        return verdicts

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        if not self.from_today:
            return
        households, days = self.residence_changes(reading)
        for candidates in (days, corresponding_days(days, self.span)):
            inside = (first < candidates) & (candidates <= last)
            yield households[inside], candidates[inside]


@dataclass(frozen=True, eq=False)
class ResidedSince(Resided):
    """Has lived in an area without a break from a day (``date_fact`` or ``fixed``) until the day asked."""

    @override
    def stay(self, reading: Reading, rows: Chosen) -> Verdicts:
        since = self.days(reading, rows)
        today = self._days_from(reading, rows, lambda today: today)
        inside = self.inside(reading, rows, today)
        verdicts = self.unbroken(reading, rows, inside, today, lambda starts: starts <= since)
        if self.date_fact is not None:
            unknown = ~reading.at(self.date_fact, self.scope).known[rows]
            verdicts[unknown] = np.minimum(inside[unknown], UNKNOWN)
        return verdicts

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        households, days = self.residence_changes(reading)
        inside = (first < days) & (days <= last)
        yield households[inside], days[inside]


def first_of_month_from(days: Days) -> Days:
    """Each day itself if it is the first of a month, else the next first."""
    months = months_of(days)
    return as_days(np.where(month_starts(months) == days, days, month_starts(months + 1)))


def residence_changes(reading: Reading, scope: str) -> tuple[Rows, Days]:
    """(household, day) of every change of residence of the scope's rows."""
    sets, days = reading.population.residence.change_days()
    owner = np.arange(max(reading.population.size, int(sets.max(initial=-1)) + 1))
    people = reading.population.people[scope]
    owner[people.residence_sets] = people.household
    used = np.isin(sets, people.residence_sets)
    return owner[sets[used]], days[used]
