"""Rights over time: evaluated on the days on which they may change, never day by day.

Every time-varying leaf names its candidate days; the k-th candidate day of every household is one pass over those that
still have one. Periods merge on the verdict alone; amount steps stay inside a right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import Days, as_days, number_of
from app.rules.building import NO_YEAR
from app.rules.columns import Rows, Verdicts
from app.rules.evaluate import CompiledRule, Rulebook
from app.rules.nodes import Node, everybody
from app.rules.population import Population
from app.rules.reading import CLAIMANT_INCOME, Moment, Reading, income_years, switch_days


@dataclass(frozen=True)
class Periods:
    """Periods of one programme as columns, ordered by subject row and first day; days are inclusive.

    ``row`` is a row of ``population.people[subject]``; a period that reaches the last day asked may run on.
    """

    programme: str
    subject: str
    row: Rows
    verdict: Verdicts
    first: Days
    last: Days

    def __len__(self) -> int:
        return len(self.row)

    def select(self, wanted: NDArray[Any]) -> Periods:
        """Some of the periods."""
        return Periods(
            self.programme, self.subject, self.row[wanted], self.verdict[wanted], self.first[wanted], self.last[wanted]
        )

    def rows_between(self, first: int, last: int) -> Periods:
        """The periods of the rows from ``first`` up to, but not including, ``last``, counted from ``first``."""
        start, end = np.searchsorted(self.row, [first, last])
        return Periods(
            self.programme,
            self.subject,
            self.row[start:end] - first,
            self.verdict[start:end],
            self.first[start:end],
            self.last[start:end],
        )

    def with_verdict(self, verdict: int) -> Periods:
        """The periods of one verdict."""
        return self.select(self.verdict == verdict)

    def households(self, population: Population) -> Rows:
        """The household row of each period."""
        rows: Rows = population.people[self.subject].household[self.row]
        return rows


@dataclass(frozen=True)
class Schedule:
    """Days to look at, per household: household h has ``days[offsets[h]:offsets[h + 1]]``, rising."""

    offsets: Rows
    days: Days

    @classmethod
    def gather(cls, size: int, candidates: Iterable[tuple[Rows, Days]], start: int | Days) -> Schedule:
        """Unique days of each household; ``start``, the same for everybody or one each, is the first."""
        households, days = [np.arange(size)], [np.full(size, start, dtype=np.int32)]
        first = int(days[0].min()) if size else 0
        for rows, found in candidates:
            households.append(np.asarray(rows, dtype=np.int64))
            days.append(as_days(found))
        shifted = np.concatenate(households) * 2**32 + (np.concatenate(days).astype(np.int64) - first)
        unique = np.unique(shifted)
        counts = np.bincount(unique >> 32, minlength=size)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        return cls(offsets, as_days((unique & (2**32 - 1)) + first))

    def passes(self) -> Iterator[tuple[Rows, Days]]:
        """For k = 0, 1, …: the households that have a k-th day, and that day."""
        counts = np.diff(self.offsets)
        for position in range(int(counts.max(initial=0))):
            households = np.flatnonzero(counts > position)
            yield households, self.days[self.offsets[households] + position]


def schedule(
    nodes: Iterable[Node], rule: CompiledRule, population: Population, as_of: int, first: int, last: int
) -> Schedule:
    """The days after ``first`` up to ``last`` on which the nodes' verdicts may change, and ``first`` itself."""
    return Schedule.gather(population.size, candidate_days(nodes, rule, population, as_of, first, last), first)


def candidate_days(
    nodes: Iterable[Node],
    rule: CompiledRule,
    population: Population,
    as_of: int,
    first: int,
    last: int,
    everywhere: Iterable[int] = (),
) -> list[tuple[Rows, Days]]:
    """(households, days) after ``first`` up to ``last`` on which something may change; ``everywhere`` for everybody."""
    moment = Moment.on(population, first, as_of)
    reading = Reading(moment, rule.rule)
    candidates = [found for node in nodes for found in node.changes(reading, first, last)]
    days = sorted({*everywhere, *_income_days(rule, population, as_of, first, last)})
    if days:
        candidates.append(everybody(moment, days))
    return candidates


def _income_days(rule: CompiledRule, population: Population, as_of: int, first: int, last: int) -> list[int]:
    """Days on which the year of a dated value moves on, and the day after the day of asking."""
    reckoning = rule.rule.income_year
    years = [key[1] for path in (*rule.reads, CLAIMANT_INCOME) for key in population.stated(path)]
    if reckoning is None or not any(year != NO_YEAR for year in years):
        return []
    # Ahead of the day of asking a value is carried on: nothing moves once the newest stated year counts.
    newest = max(years)
    ahead = [day for day in switch_days(reckoning, as_of, last) if int(income_years(reckoning, as_days(day))) <= newest]
    days = {as_of + 1, *switch_days(reckoning, first, min(as_of, last)), *ahead}
    return sorted(day for day in days if first < day <= last)


def version_periods(rule: CompiledRule, population: Population, as_of: int, first: int, last: int) -> Periods:
    """The periods of one version within its own days and the days asked."""
    first, last = max(first, rule.first), min(last, rule.last)
    people = population.people[rule.subject]
    if first > last or not people.size:
        return _nothing(rule)
    # Capping depends on the day of asking alone, so that it holds for the whole version.
    plan = schedule(rule.nodes, rule, population, as_of, first, last)
    rows, verdicts, starts = [], [], []
    for position, (households, days) in enumerate(plan.passes()):
        whole = not position
        part = population if whole else population.subset(households)
        found = rule.verdicts(Moment.on(part, days, as_of))
        mine = np.arange(people.size) if whole else people.rows_of(households)
        rows.append(mine)
        verdicts.append(found)
        starts.append(days[part.people[rule.subject].household])
    return _merged(
        rule.rule.key, rule.subject, np.concatenate(rows), np.concatenate(verdicts), np.concatenate(starts), last
    )


def _nothing(rule: CompiledRule) -> Periods:
    none = np.zeros(0, dtype=np.int32)
    return Periods(rule.rule.key, rule.subject, none.astype(np.int64), none.astype(np.int8), none, none)


def _merged(programme: str, subject: str, rows: Rows, verdicts: Verdicts, starts: Days, last: int) -> Periods:
    """Join equal neighbours of each row; each period ends the day before the next, the last one on ``last``."""
    order = np.lexsort((starts, rows))
    rows, verdicts, starts = rows[order], verdicts[order], starts[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (rows[1:] != rows[:-1]) | (verdicts[1:] != verdicts[:-1])
    rows, verdicts, starts = rows[new], verdicts[new], starts[new]
    ends = np.full(len(rows), last, dtype=np.int32)
    same = rows[1:] == rows[:-1]
    ends[:-1][same] = starts[1:][same] - 1
    return Periods(programme, subject, rows, verdicts, as_days(starts), ends)


def programme_periods(
    versions: tuple[CompiledRule, ...],
    population: Population,
    as_of: dt.date | int,
    first: dt.date | int,
    last: dt.date | int,
) -> Periods:
    """The periods of a programme over all its versions, stitched; days without a version belong to no period."""
    numbers = [number_of(day) if isinstance(day, dt.date) else int(day) for day in (as_of, first, last)]
    pieces = [version_periods(rule, population, numbers[0], numbers[1], numbers[2]) for rule in versions]
    pieces = [piece for piece in pieces if len(piece)] or pieces[:1]
    if len(pieces) == 1:
        return pieces[0]
    if len({piece.subject for piece in pieces}) > 1:
        raise ValueError(f"found versions of {pieces[0].programme} with different subjects; expected one subject")
    row, verdict, starts, ends = (
        np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("row", "verdict", "first", "last")
    )
    order = np.lexsort((starts, row))
    row, verdict, starts, ends = row[order], verdict[order], starts[order], ends[order]
    joined = (row[1:] == row[:-1]) & (verdict[1:] == verdict[:-1]) & (ends[:-1] + 1 == starts[1:])
    opening = np.concatenate((np.ones(1, dtype=np.bool_), ~joined))
    closing = np.concatenate((~joined, np.ones(1, dtype=np.bool_)))
    return Periods(
        pieces[0].programme, pieces[0].subject, row[opening], verdict[opening], starts[opening], ends[closing]
    )


def timeline(
    rulebook: Rulebook,
    population: Population,
    first: dt.date,
    last: dt.date,
    *,
    as_of: dt.date | None = None,
    programmes: Iterable[str] | None = None,
) -> dict[str, Periods]:
    """The periods of all programmes (or some) from ``first`` to ``last``, asked on ``as_of`` (``first`` unless given).

    Raises ``ValueError`` when the days are reversed.
    """
    if last < first:
        raise ValueError(f"found {first} … {last}; expected the last day on or after the first")
    return {
        key: programme_periods(rulebook.versions[key], population, as_of or first, first, last)
        for key in (rulebook if programmes is None else programmes)
    }
