"""Amounts of many rows on their days, and the days on which they change; columns only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.calendar.day_numbers import Days, as_days
from app.rules.columns import Rows
from app.rules.evaluate import CompiledRule, walk
from app.rules.money import Amounts, TermNode
from app.rules.nodes import Node
from app.rules.reading import Moment, Reading
from app.rules.timeline import Schedule, candidate_days, income_days

NOTHING, KNOWN, OPEN = 0, 1, 2
UNSAID = int(np.iinfo(np.int64).min)
"""Stands for yen that are not known."""


@dataclass(frozen=True)
class AmountColumns:
    """What may be said of amounts: ``state`` NOTHING, KNOWN (``yen``) or OPEN (``least``/``most``, UNSAID where open).

    ``per`` is the position of (per, each) in the rule's ``pays``.
    """

    state: NDArray[np.int8]
    per: NDArray[np.int8]
    yen: NDArray[np.int64]
    least: NDArray[np.int64]
    most: NDArray[np.int64]

    @classmethod
    def of(cls, rule: CompiledRule, amounts: Amounts, rows: Rows) -> AmountColumns:
        """The amounts of some rows, with everything that means nothing set alike, so that equal means equal."""
        known, is_open = amounts.known[rows], amounts.open[rows]
        is_open = is_open & ~known
        codes = np.asarray([pays(rule).index((case.per, case.each)) for case in rule.cases], dtype=np.int8)
        said = known | is_open
        return cls(
            np.where(known, KNOWN, np.where(is_open, OPEN, NOTHING)).astype(np.int8),
            np.where(said, codes[np.maximum(amounts.case[rows], 0)], np.int8(0)),
            np.where(known, amounts.yen[rows], UNSAID),
            np.where(is_open & amounts.least_known[rows], amounts.least[rows], UNSAID),
            np.where(is_open & amounts.most_known[rows], amounts.most[rows], UNSAID),
        )

    @classmethod
    def nothing(cls, size: int) -> AmountColumns:
        """No amounts at all."""
        unsaid = np.full(size, UNSAID, dtype=np.int64)
        none = np.zeros(size, dtype=np.int8)
        return cls(none, none, unsaid, unsaid, unsaid)

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns."""
        return (self.state, self.per, self.yen, self.least, self.most)

    def take(self, rows: Any) -> AmountColumns:
        """The amounts at some places."""
        return AmountColumns(*(column[rows] for column in self.columns))

    @staticmethod
    def joined(parts: list[AmountColumns]) -> AmountColumns:
        """Several one after the other."""
        return AmountColumns(
            *(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True))
        )


def pays(rule: CompiledRule) -> tuple[tuple[str, str], ...]:
    """The distinct (per, each) of a rule's cases."""
    return tuple(dict.fromkeys((case.per, case.each) for case in rule.cases))


@dataclass(frozen=True)
class Steps:
    """The amounts of each answer over time: answer i has the places ``offsets[i]:offsets[i + 1]``, rising by day."""

    offsets: Rows
    day: Days
    amount: AmountColumns


def steps(rule: CompiledRule, moment: Moment, rows: Rows, last: Days, today: AmountColumns) -> Steps:
    """The amounts of some rows of a moment, one day per household, from their day to their last one."""
    population = moment.population
    household = population.people[rule.subject].household[rows]
    days = np.broadcast_to(moment.days, (population.size,))
    until = np.full(population.size, NO_DAY, dtype=np.int32)
    np.maximum.at(until, household, last)
    plan = _plan(rule, moment, as_days(days), until) if len(rows) else None
    if plan is None:
        return Steps(np.arange(len(rows) + 1), days[household], today)
    found = [(np.arange(len(rows)), days[household], today)]
    found += [_on(rule, moment, rows, last, households, on) for households, on in plan.pairs()]
    place, day = np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])
    amount = AmountColumns.joined([part[2] for part in found])
    order = np.lexsort((day, place))
    place, day, amount = place[order], day[order], amount.take(order)
    new = np.ones(len(place), dtype=np.bool_)
    new[1:] = place[1:] != place[:-1]
    for column in amount.columns:
        new[1:] |= column[1:] != column[:-1]
    offsets = np.concatenate(([0], np.cumsum(np.bincount(place[new], minlength=len(rows)))))
    return Steps(offsets, as_days(day[new]), amount.take(new))


def _on(
    rule: CompiledRule, moment: Moment, rows: Rows, last: Days, households: Rows, on: Days
) -> tuple[Rows, Days, AmountColumns]:
    """The amounts of the rows of some households on a later day of theirs, as far as the row's own last day."""
    people = moment.population.people[rule.subject]
    home = people.household[rows]
    order = np.argsort(home, kind="stable")
    begins, ends = (np.searchsorted(home[order], households, side=side) for side in ("left", "right"))
    counts = ends - begins
    asked = np.repeat(np.arange(len(households)), counts)
    mine = order[np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(len(asked))]
    lasting = on[asked] <= last[mine]
    asked, mine = asked[lasting], mine[lasting]
    part = moment.population.subset(households)
    amounts = rule.amounts(Moment.on(part, on, moment.as_of))
    assert amounts is not None
    there = part.people[rule.subject].offsets[asked] + rows[mine] - people.offsets[home[mine]]
    return mine, on[asked], AmountColumns.of(rule, amounts, there)


def _plan(rule: CompiledRule, moment: Moment, days: Days, until: Days) -> Schedule | None:
    """The days after each household's own, up to ``until``, on which amounts may change; None where there is none."""
    first, last = int(days.min()), int(until.max())
    nodes = [node for case in rule.cases for node in _conditions(case.when, case.yen, case.least, case.most)]
    terms = {day for case in rule.cases for day in case.yen.changes(first, last)}
    moves = income_days(rule, moment.population, moment.as_of, first, last)
    reading = Reading(Moment.on(moment.population, first, moment.as_of), rule.rule)
    kept = []
    for households, found in candidate_days(nodes, reading, first, last, [*terms, *moves]):
        wanted = (days[households] < found) & (found <= until[households])
        if wanted.any():
            kept.append((households[wanted], as_days(found)[wanted]))
    return Schedule.gather(moment.population.size, kept) if kept else None


def _conditions(when: Node | None, *terms: TermNode | None) -> Iterator[Node]:
    """Every test that an amount rests on: its condition, and whom its figures count."""
    if when is not None:
        yield from walk(when)
    for term in terms:
        if term is not None:
            yield from _conditions(term.where, *term.inner)
