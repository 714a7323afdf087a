"""Compiled quantifiers, ranks, sums over people, and answers about other programmes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.rules.amounts import PaidElsewhere
from app.rules.building import PAID_ELSEWHERE
from app.rules.columns import NO, UNKNOWN, YES, Column, Ranges, Verdicts
from app.rules.nodes import Candidates, Leaf, LimitTable, Node, bounded, everybody, lifted, limits, table_edges
from app.rules.reading import Reading

ENDLESS = np.int64(2**31)
"""How many people a list that was left out might hold."""
BOUNDLESS = np.int64(2**62)
"""A sum of which the most is open."""


@dataclass(frozen=True, eq=False)
class Quantifier(Leaf):
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
    def judge(self, reading: Reading) -> Verdicts:
        people = reading.population.people[self.kind]
        if self.where is None and self.quantifier == "some":
            return Column(people.counts > 0, people.listed, False).judge(people.counts > 0)
        inner = people_verdicts(self.where, self.kind, reading)
        if self.quantifier == "count":
            sure, possible = (
                np.bincount(people.household[np.flatnonzero(inner >= least)], minlength=reading.population.size)
                for least in (YES, UNKNOWN)
            )
            possible[people.unlisted] = ENDLESS
            return bounded(sure, possible, self.low, self.high)
        some = self.quantifier == "some"
        verdicts = np.full(reading.population.size, NO if some else YES, dtype=np.int8)
        for verdict in (UNKNOWN, YES if some else NO):
            verdicts[people.household[np.flatnonzero(inner == verdict)]] = verdict
        verdicts[people.unlisted] = UNKNOWN
        return verdicts


def people_verdicts(node: Node | None, kind: str, reading: Reading) -> Verdicts:
    """A node's verdicts for the people of a kind, spread from the household where it is a household's test."""
    if node is None:
        return np.full(reading.population.people[kind].size, YES, dtype=np.int8)
    return node.verdicts(reading) if node.scope == kind else lifted(node, reading, kind)


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
        own = population.answers(self.scope, self.question, self.programme)
        if household is None:
            return np.full(population.people[self.scope].size, UNKNOWN, dtype=np.int8) if own is None else own.flagged
        shared = reading.moment.lift(household.flagged, self.scope)
        return shared if own is None else np.where(own.known, own.flagged, shared)


def paid_elsewhere(term: PaidElsewhere, reading: Reading, scope: str) -> Column:
    """The yen other municipalities paid of a programme, by row: the person's own answer, else the household's."""
    programme = term.paid_elsewhere.rsplit("/", 1)[-1]
    paid = Column.unknown(reading.population.people[scope].size)
    for column in _answers(PAID_ELSEWHERE, programme, reading, scope):
        paid = column.over(paid)
    if term.assumed is None:
        return paid
    received = np.zeros(len(paid.values), dtype=np.bool_)
    for column in _answers("received_elsewhere", programme, reading, scope):
        received = np.where(column.known, column.values == 1, received)
    return Column.of(np.where(paid.known, paid.values, term.assumed), paid.known | ~received)


def _answers(question: str, programme: str, reading: Reading, scope: str) -> Iterator[Column]:
    """What was answered, by row of the scope: the household's answers, then those of the rows' own."""
    population = reading.population
    household = population.answers("household", question, programme)
    own = population.answers(scope, question, programme)
    if household is not None:
        yield household.take(population.people[scope].household)
    if own is not None:
        yield own


@dataclass(frozen=True)
class DatedLimit:
    """A parameter as a limit: ``word`` is at_least, over, at_most or under, ``by`` the fact that chooses the row."""

    word: str
    by: str | None
    tables: tuple[LimitTable, ...]


@dataclass(frozen=True, eq=False)
class Totalled(Leaf):
    """The sum of facts over all people they belong to lies between two numbers, or on one side of dated limits."""

    facts: tuple[str, ...]
    low: int | None = None
    high: int | None = None
    limit: DatedLimit | None = None

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return self.facts if self.limit is None or self.limit.by is None else (*self.facts, self.limit.by)

    @override
    def judge(self, reading: Reading) -> Verdicts:
        sure, possible = self.sums(reading)
        if self.limit is None:
            return bounded(sure, possible, self.low, self.high)
        limit = limits(self.limit.tables, self.limit.by, reading, "household")
        lower = self.limit.word in ("at_least", "over")
        inside = sure >= limit.values if lower else possible <= limit.values
        outside = possible < limit.values if lower else sure > limit.values
        verdicts = np.where(inside, np.int8(YES), np.where(outside, np.int8(NO), np.int8(UNKNOWN)))
        return np.where(limit.known, verdicts, np.int8(UNKNOWN))

    def sums(self, reading: Reading) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The least and the most that each household's total may be; BOUNDLESS where the most is open."""
        least = np.zeros(reading.population.size, dtype=np.int64)
        most = np.zeros(reading.population.size, dtype=np.int64)
        for fact in self.facts:
            people, column = reading.population.people[fact.split(".", 1)[0]], reading.column(fact)
            ranges = column.bounds or Ranges.nothing(people.size)
            low = np.where(column.known, column.values, np.maximum(ranges.low, 0))
            high = np.where(column.known, column.values, ranges.high)
            open_end = high > BOUNDLESS
            least += people.sums(low)
            most += people.sums(np.where(open_end, 0, high))
            most[(people.sums(open_end) > 0) | ~people.listed] = BOUNDLESS
        return least, np.minimum(most, BOUNDLESS)

    @override
    def changes(self, reading: Reading, first: int, last: int) -> Iterator[Candidates]:
        if self.limit is not None:
            yield everybody(reading.moment, table_edges(self.limit.tables, first, last))
