"""Rights over time: evaluated on the days on which they may change, never day by day.

Every time-varying leaf names its candidate days; those of all households that are not refused for good are one pass.
Periods merge on the verdict alone; amount steps stay inside a right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.calendar.day_numbers import Days, as_days, number_of
from app.rules.building import NO_YEAR
from app.rules.columns import Rows, Verdicts
from app.rules.evaluate import CompiledRule, Rulebook
from app.rules.nodes import Candidates, Node, everybody
from app.rules.population import Population
from app.rules.reading import CLAIMANT_INCOME, Moment, Reading, income_years, switch_days
from app.rules.settled import changes_of, refused_for_good


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


_AT_ONCE = 200_000
"""How many days of households are looked at together."""


@dataclass(frozen=True)
class Schedule:
    """Days to look at, per household: household h has ``days[offsets[h]:offsets[h + 1]]``, rising."""

    offsets: Rows
    days: Days

    @classmethod
    def gather(cls, size: int, candidates: Iterable[Candidates]) -> Schedule:
        """Unique days of each household."""
        found = list(candidates)
        households = np.concatenate([np.zeros(0, dtype=np.int64), *(rows for rows, _ in found)])
        days = np.concatenate([np.zeros(0, dtype=np.int64), *(days for _, days in found)])
        unique = np.sort(households * 2**32 + (days - NO_DAY))
        if len(unique):
            unique = unique[np.concatenate(([True], unique[1:] != unique[:-1]))]
        counts = np.bincount(unique >> 32, minlength=size)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        return cls(offsets, as_days((unique & (2**32 - 1)) + NO_DAY))

    def pairs(self) -> Iterator[tuple[Rows, Days]]:
        """Households, each as often as it has days, and these days; many at once, never too many."""
        households = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        for start in range(0, len(households), _AT_ONCE):
            yield households[start : start + _AT_ONCE], self.days[start : start + _AT_ONCE]


def candidate_days(
    nodes: Iterable[Node], reading: Reading, first: int, last: int, everywhere: Iterable[int] = ()
) -> list[Candidates]:
    """(households, days) after ``first`` up to ``last`` on which something may change; ``everywhere`` for everybody."""
    candidates = [found for node in nodes for found in changes_of(node, reading, first, last)]
    days = sorted(set(everywhere))
    if days:
        candidates.append(everybody(reading.moment, days))
    return candidates


def income_days(rule: CompiledRule, population: Population, as_of: int, first: int, last: int) -> list[int]:
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


def version_periods(rule: CompiledRule, asked: Moment, first: int, last: int) -> Periods:
    """The periods of one version within its own days and the days asked; ``asked`` is the first of them."""
    first, last = max(first, rule.first), min(last, rule.last)
    population, people = asked.population, asked.population.people[rule.subject]
    if first > last or not people.size:
        return _nothing(rule)
    # Capping depends on the day of asking alone, so that it holds for the whole version.
    moment = asked if int(asked.days) == first else Moment.on(population, first, asked.as_of)
    rows, starts = np.arange(people.size), np.full(people.size, first, dtype=np.int32)
    verdicts = rule.verdicts(moment)
    later = _later_days(rule, moment, first, last)
    if later is None:
        return _merged(rule, rows, verdicts, starts, last)
    found = [(rows, verdicts, starts)]
    for households, days in later.pairs():
        part = population.subset(households)
        judged = rule.verdicts(Moment.on(part, days, asked.as_of))
        found.append((people.rows_of(households), judged, days[part.people[rule.subject].household]))
    rows, verdicts, starts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.argsort(rows * 2**32 + (starts.astype(np.int64) - first), kind="stable")
    return _merged(rule, rows[order], verdicts[order], starts[order], last)


def _later_days(rule: CompiledRule, moment: Moment, first: int, last: int) -> Schedule | None:
    """The days after ``first`` on which a verdict may change, of households that are not refused for good."""
    population, reading = moment.population, Reading(moment, rule.rule)
    moves = income_days(rule, population, moment.as_of, first, last)
    candidates = candidate_days(rule.nodes, reading, first, last, moves)
    if not candidates:
        return None
    open_to = np.zeros(population.size, dtype=np.bool_)
    people = population.people[rule.subject]
    open_to[people.household[~refused_for_good(rule, reading, first, last, bool(moves))]] = True
    kept = [(rows[open_to[rows]], days[open_to[rows]]) for rows, days in candidates]
    return Schedule.gather(population.size, kept) if any(len(rows) for rows, _ in kept) else None


def _nothing(rule: CompiledRule) -> Periods:
    none = np.zeros(0, dtype=np.int32)
    return Periods(rule.rule.key, rule.subject, none.astype(np.int64), none.astype(np.int8), none, none)


def _merged(rule: CompiledRule, rows: Rows, verdicts: Verdicts, starts: Days, last: int) -> Periods:
    """Join equal neighbours of each row; each period ends the day before the next, the last one on ``last``."""
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (rows[1:] != rows[:-1]) | (verdicts[1:] != verdicts[:-1])
    rows, verdicts, starts = rows[new], verdicts[new], starts[new]
    ends = np.full(len(rows), last, dtype=np.int32)
    same = rows[1:] == rows[:-1]
    ends[:-1][same] = starts[1:][same] - 1
    return Periods(rule.rule.key, rule.subject, rows, verdicts, as_days(starts), ends)


def programme_periods(
    versions: tuple[CompiledRule, ...],
    population: Population,
    as_of: dt.date | int,
    first: dt.date | int,
    last: dt.date | int,
) -> Periods:
    """The periods of a programme over all its versions, stitched; days without a version belong to no period."""
    start, end = (number_of(day) if isinstance(day, dt.date) else int(day) for day in (first, last))
    return periods_from(versions, Moment.on(population, start, as_of), end)


def periods_from(versions: tuple[CompiledRule, ...], moment: Moment, last: int) -> Periods:
    """As ``programme_periods``, from the day of a moment that several programmes may share."""
    return stitched([version_periods(rule, moment, int(moment.days), last) for rule in versions])


def stitched(pieces: list[Periods]) -> Periods:
    """Periods of one programme joined where one runs on into the next; no two of the same row overlap."""
    pieces = [piece for piece in pieces if len(piece)] or pieces[:1]
    if len(pieces) == 1:
        return pieces[0]
    if len({piece.subject for piece in pieces}) > 1:
        raise ValueError(f"found versions of {pieces[0].programme} with different subjects; expected one subject")
    row, verdict, starts, ends = (
        np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("row", "verdict", "first", "last")
    )
    order = np.argsort(row * 2**32 + (starts.astype(np.int64) - NO_DAY), kind="stable")
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
    moment = Moment.on(population, first, as_of or first)
    return {
        key: periods_from(rulebook.versions[key], moment, number_of(last))
        for key in (rulebook if programmes is None else programmes)
    }
