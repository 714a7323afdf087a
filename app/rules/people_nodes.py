"""Compiled quantifiers, ranks, residence and answers about other programmes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import Days, as_days, first_of_month, month_starts, months_of
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span
from app.rules.columns import NO, UNKNOWN, YES, Rows, Verdicts
from app.rules.nodes import Candidates, Leaf, Node, bounded
from app.rules.reading import Reading
from app.rules.residence import lived_in

ENDLESS = np.int64(2**31)
"""How many people a list that was left out might hold."""


@dataclass(frozen=True, eq=False)
class Quantifier(Node):
    """``some``, ``every`` or ``count`` over the people of a kind; household scope."""

    kind: str
    quantifier: str
    where: Node | None
    low: int | None = None
    high: int | None = None

    @property
    @override
    def parts(self) -> Sequence[Node]:
        return () if self.where is None else (self.where,)

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        people = reading.population.people[self.kind]
        inner = people_verdicts(self.where, self.kind, reading)
        if self.quantifier == "count":
            sure = people.sums(inner == YES)
            possible = np.where(people.listed, people.sums(inner >= UNKNOWN), ENDLESS)
            return bounded(sure, possible, self.low, self.high)
        some = self.quantifier == "some"
        verdicts: Verdicts = people.reduced(inner, largest=some, empty=NO if some else YES)
        return np.where(people.listed, verdicts, np.int8(UNKNOWN))


def people_verdicts(node: Node | None, kind: str, reading: Reading) -> Verdicts:
    """A node's verdicts for the people of a kind, spread from the household where it is a household's test."""
    if node is None:
        return np.full(reading.population.people[kind].size, YES, dtype=np.int8)
    verdicts = node.verdicts(reading)
    return verdicts if node.scope == kind else reading.moment.lift(verdicts, kind)


@dataclass(frozen=True, eq=False)
class Ranked(Node):
    """The child's place among the children that count: one plus those born before it (equal dates by id)."""

    among: Node | None
    low: int | None = None
    high: int | None = None

    @property
    @override
    def parts(self) -> Sequence[Node]:
        return () if self.among is None else (self.among,)

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return ("child.birth_date",)

    @override
    def verdicts(self, reading: Reading) -> Verdicts:
        sure, possible = self.places(reading)
        return bounded(sure, possible, self.low, self.high)

    def places(self, reading: Reading) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lowest and the highest place of each child, counted from 1."""
        people = reading.population.people["child"]
        counts = people_verdicts(self.among, "child", reading)
        births = reading.column("child.birth_date")
        sure, possible = np.ones(people.size, dtype=np.int64), np.ones(people.size, dtype=np.int64)
        for shift in range(1, int(np.diff(people.offsets).max(initial=0))):
            left = np.flatnonzero(people.household[:-shift] == people.household[shift:])
            right = left + shift
            earlier = np.where(
                births.values[left] == births.values[right],
                people.id_rank[left] < people.id_rank[right],
                births.values[left] < births.values[right],
            ).astype(np.int8) * np.int8(YES)
            earlier[~(births.known[left] & births.known[right])] = UNKNOWN
            for ahead, behind, order in ((left, right, earlier), (right, left, np.int8(2) - earlier)):
                counted = np.minimum(order, counts[ahead])
                sure[behind] += counted == YES
                possible[behind] += counted >= UNKNOWN
        return sure, possible


@dataclass(frozen=True, eq=False)
class Answered(Leaf):
    """The person, or else the household, receives another programme, or was paid it elsewhere."""

    question: str
    programme: str

    @override
    def judge(self, reading: Reading) -> Verdicts:
        population = reading.population
        household = population.answers("household", self.question, self.programme)
        size = population.people[self.scope].size
        own = population.answers(self.scope, self.question, self.programme)
        verdicts = np.full(size, UNKNOWN, dtype=np.int8)
        for column in (household.take(population.people[self.scope].household) if household else None, own):
            if column is not None:
                verdicts = np.where(column.known, column.values * np.int8(YES), verdicts).astype(np.int8)
        return verdicts


@dataclass(frozen=True, eq=False)
class Stay(Leaf):
    """Where people lived on a day of their own: a date fact, or (``date_fact`` None) a day that follows from today."""

    area: str
    date_fact: str | None

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.date_fact is None else (self.date_fact,)

    def days(self, reading: Reading) -> Days:
        """The day for each row of the scope."""
        if self.date_fact is not None:
            return reading.at(self.date_fact, self.scope).values
        size = reading.population.people[self.scope].size
        return np.broadcast_to(self.day(reading.moment.days_of(self.scope)), (size,))

    def day(self, today: Days) -> Days:
        """The day that follows from today: today itself unless a kind of stay says otherwise."""
        return today

    def lived(self, reading: Reading, days: Days) -> Verdicts:
        """Whether each row lived in the area on its day; a stay of unknown beginning says nothing of a date fact."""
        sets = reading.population.people[self.scope].residence_sets
        table = reading.population.residence
        verdicts = lived_in(table.codes_on(sets, days), self.area)
        if self.date_fact is not None:
            if len(table.codes):
                rows = table.covering(sets, days)
                verdicts[(rows >= 0) & table.assumed[rows]] = UNKNOWN
            verdicts[~reading.at(self.date_fact, self.scope).known] = UNKNOWN
        return verdicts


@dataclass(frozen=True, eq=False)
class LivedOn(Stay):
    """Lived in an area on a date fact, or on the first of the day's month: for a child, the first since its birth."""

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        born = self.date_fact is None and self.scope == "child"
        return ("child.birth_date",) if born else super().reads

    @override
    def day(self, today: Days) -> Days:
        return first_of_month(today)

    @override
    def judge(self, reading: Reading) -> Verdicts:
        days = self.days(reading)
        verdicts = self.lived(reading, days)
        if self.date_fact is None and self.scope == "child":
            births = reading.column("child.birth_date")
            return np.minimum(verdicts, births.judge(births.values <= days))
        return verdicts

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        if self.date_fact is not None:
            return
        moves = residence_changes(reading, self.scope)
        births = reading.column("child.birth_date")
        born = np.flatnonzero(births.known) if self.scope == "child" else np.zeros(0, dtype=np.int64)
        households = reading.population.people["child"].household[born]
        for rows, days in (moves, (households, births.values[born])):
            months = months_of(days)
            starts = as_days(np.where(month_starts(months) == days, days, month_starts(months + 1)))
            inside = (first < starts) & (starts <= last)
            yield rows[inside], starts[inside]


@dataclass(frozen=True, eq=False)
class Resided(Stay):
    """Has lived in an area without a break for ``span``, on the day or on a date fact."""

    span: Span

    @override
    def judge(self, reading: Reading) -> Verdicts:
        days, table = self.days(reading), reading.population.residence
        if not len(table.codes):
            return np.full(days.shape, UNKNOWN, dtype=np.int8)
        sets = reading.population.people[self.scope].residence_sets
        inside, rows = self.lived(reading, days), table.covering(sets, days)
        long_enough = corresponding_days(table.run_starts(self.area), self.span)[rows] <= days
        verdicts = np.where(inside == YES, np.where(long_enough, YES, NO), inside).astype(np.int8)
        verdicts[(rows >= 0) & table.assumed[rows] & (inside == YES)] = UNKNOWN
        return verdicts

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        if self.date_fact is not None:
            return
        households, days = residence_changes(reading, self.scope)
        for candidates in (days, corresponding_days(days, self.span)):
            inside = (first < candidates) & (candidates <= last)
            yield households[inside], candidates[inside]


def residence_changes(reading: Reading, scope: str) -> tuple[Rows, Days]:
    """(household, day) of every change of residence of the scope's rows."""
    sets, days = reading.population.residence.change_days()
    owner = np.arange(max(reading.population.size, int(sets.max(initial=-1)) + 1))
    people = reading.population.people[scope]
    owner[people.residence_sets] = people.household
    used = np.isin(sets, people.residence_sets)
    return owner[sets[used]], days[used]
