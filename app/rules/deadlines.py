"""Until when to apply, from which month it pays, and what waiting costs; for all rows of a subject at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_counting import period_ends
from app.calendar.day_numbers import UNKNOWN, Days, as_days, date_of, end_of_month, month_starts, months_of, number_of
from app.calendar.fiscal_year import fiscal_year_ends
from app.calendar.holidays import LAST_YEAR
from app.calendar.legal_age import corresponding_days
from app.calendar.working_days import next_open_days, no_loss_days, previous_open_days
from app.rules.application import Deadline, Opening, anchor_facts
from app.rules.columns import YES, Column
from app.rules.evaluate import CompiledRule
from app.rules.people_nodes import people_verdicts
from app.rules.reading import Reading
from app.rules.trace import Missing, subject_name

_LOWEST, _HIGHEST = 13_600, 47_400
"""Day numbers between which open days are known with room to move: 2007-03 to 2099-10."""
BIRTH_ANCHOR = "child.birth_date"
assert date_of(_HIGHEST).year == LAST_YEAR


@dataclass(frozen=True)
class DeadlineDays:
    """One deadline for each row: the legal day, the office day and the anchor, meaningful where ``known``.

    ``applies`` is False where the occasion's own condition does not hold for sure.
    """

    deadline: Deadline
    counted_on: Days
    office_on: Days
    anchor: Days
    known: NDArray[np.bool_]
    applies: NDArray[np.bool_]


def anchor_days(anchor: Any, reading: Reading, scope: str, today: Days) -> Column:
    """The anchor's day for each row of a scope.

    ``today`` is the first open day on or after the day asked.
    """
    if hasattr(anchor, "latest"):
        parts = [anchor_days(single, reading, scope, today) for single in anchor.latest]
        return Column.of(
            np.maximum.reduce([part.values for part in parts]), np.logical_and.reduce([part.known for part in parts])
        )
    if anchor == "today":
        return Column(today, np.ones(today.shape, dtype=np.bool_), True)
    if not anchor.startswith("residence."):
        return reading.at(anchor, scope)
    table = reading.population.residence
    if not len(table.codes):
        return Column.unknown(len(today), np.int32)
    rows = table.covering(reading.population.people[scope].residence_sets, today)
    days = (table.first if anchor == "residence.from" else table.planned)[rows]
    return Column.of(days, (rows >= 0) & ~table.assumed[rows] & (days != UNKNOWN))


def deadline_days(rule: CompiledRule, reading: Reading, today: Days) -> list[DeadlineDays]:
    """Every deadline of a rule for every row of its subject."""
    return [_one(deadline, when, reading, rule.subject, today) for deadline, when in rule.deadlines]


def _one(deadline: Deadline, when: Any, reading: Reading, scope: str, today: Days) -> DeadlineDays:
    if deadline.on is not None:
        anchor = Column(today, np.ones(today.shape, dtype=np.bool_), True)
        legal = np.full(today.shape, number_of(deadline.on), dtype=np.int32)
    elif deadline.each_year is not None:
        anchor = Column(today, np.ones(today.shape, dtype=np.bool_), True)
        legal = _next_each_year(deadline.each_year, today)
    else:
        anchor = anchor_days(deadline.anchor, reading, scope, today)
        if deadline.after is not None:
            anchor = Column(corresponding_days(anchor.values, deadline.after), anchor.known, anchor.all_known)
        legal = _counted(deadline, anchor.values)
    known = anchor.known & (legal > _LOWEST) & (legal < _HIGHEST) & (anchor.values > _LOWEST)
    safe, safe_anchor = np.where(known, legal, _LOWEST), np.where(known, anchor.values, _LOWEST)
    counted, office = _office(deadline, as_days(safe), as_days(safe_anchor))
    applies = people_verdicts(when, scope, reading) == YES
    return DeadlineDays(deadline, counted, office, as_days(anchor.values), known, applies)


def _counted(deadline: Deadline, anchors: Days) -> Days:
    if deadline.within is not None:
        return period_ends(anchors, deadline.within, deadline.first_day)
    if deadline.end_of is None:
        return anchors
    return end_of_month(anchors) if deadline.end_of == "month" else fiscal_year_ends(anchors)


def _next_each_year(month_day: tuple[int, int], today: Days) -> Days:
    years = months_of(today) // 12
    days, following = (_in_year(years + step, month_day) for step in (0, 1))
    return as_days(np.where(days >= today, days, following))


def _last_each_year(month_day: tuple[int, int], today: Days) -> Days:
    years = months_of(today) // 12
    days, before = (_in_year(years + step, month_day) for step in (0, -1))
    return as_days(np.where(days <= today, days, before))


def _in_year(years: NDArray[np.int64], month_day: tuple[int, int]) -> Days:
    """A day of the year in each year, counted from 1970; 29 February is the 28th where there is none."""
    first = month_starts(years * 12 + month_day[0] - 1)
    return as_days(np.minimum(first + np.int32(month_day[1] - 1), end_of_month(first)))


def _office(deadline: Deadline, legal: Days, anchors: Days) -> tuple[Days, Days]:
    """(counted on, office day). Only a birth's no-loss day waits for the end of the month (児童手当法 8条3項)."""
    if deadline.no_loss and deadline.anchor == BIRTH_ANCHOR:
        return no_loss_days(anchors, legal)
    if deadline.holiday == "next_working_day":
        return legal, next_open_days(legal)
    return legal, previous_open_days(legal) if deadline.holiday == "previous_working_day" else legal


def open_anchors(rule: CompiledRule, reading: Reading, today: Days, row: int) -> tuple[tuple[Deadline, Missing], ...]:
    """The deadlines of a row that have no day, each with what would have to be known (``residence.from`` included).

    A deadline that is not the row's own, because its condition does not hold, lacks nothing.
    """
    found = []
    for days in deadline_days(rule, reading, today):
        if days.applies[row] and not days.known[row]:
            for path in anchor_facts(days.deadline.anchor):
                if not anchor_days(path, reading, rule.subject, today).known[row]:
                    found.append((days.deadline, _lack(path, rule.subject, reading, row)))
    return tuple(found)


def _lack(path: str, subject: str, reading: Reading, row: int) -> Missing:
    owner = path.split(".", 1)[0]
    if owner != subject:
        return Missing(path, "household")
    return Missing(path, subject_name(reading, subject, row), reading.population.declined(path, row))


@dataclass(frozen=True)
class NextDeadline:
    """For each row the next deadline that is not over: its position among the rule's, −1 where there is none.

    ``pays_from`` is a month (counted from 1970-01), −1 where the rule does not say; ``lapsed_on`` the last office day
    that is over, ``UNKNOWN`` where none is.
    """

    position: NDArray[np.int64]
    counted_on: Days
    office_on: Days
    lapsed_on: Days
    pays_from: NDArray[np.int64]


def next_deadlines(rule: CompiledRule, reading: Reading, today: Days) -> NextDeadline:
    """The deadline that counts next for every row of the subject, and the month a claim in time pays from."""
    size = today.shape
    position, office = np.full(size, -1, dtype=np.int64), np.full(size, np.iinfo(np.int32).max, dtype=np.int32)
    counted, lapsed = np.full(size, UNKNOWN, dtype=np.int32), np.full(size, UNKNOWN, dtype=np.int32)
    # Nobody can claim on a closed day: asked on 30 December, a claim is January's and pays from February.
    claim = next_open_days(np.clip(today, _LOWEST, _HIGHEST))
    month = months_of(claim) + 1
    for number, days in enumerate(deadline_days(rule, reading, claim)):
        valid = days.known & days.applies
        ahead = valid & (days.office_on >= today)
        lapsed = np.where(valid & ~ahead, np.maximum(lapsed, days.office_on), lapsed)
        if days.deadline.no_loss:
            month = np.where(ahead, np.minimum(month, months_of(days.anchor) + 1), month)
        sooner = ahead & (days.office_on < office)
        position[sooner], office[sooner], counted[sooner] = number, days.office_on[sooner], days.counted_on[sooner]
    office[position < 0] = UNKNOWN
    how = rule.rule.application.pays_from if rule.rule.application is not None else None
    if how == "month_of_claim":
        month = month - 1
    return NextDeadline(
        position, counted, office, as_days(lapsed), month if how is not None else np.full(size, -1, dtype=np.int64)
    )


def opening_days(
    opening: Opening | None, reading: Reading, scope: str, today: Days, upcoming: NextDeadline | None = None
) -> Column:
    """The first day on which each row can apply; unknown where the rule does not say.

    A yearly season opens before the ``upcoming`` deadline; without one, before today.
    """
    if opening is None:
        return Column.unknown(len(today), np.int32)
    if opening.on is not None:
        return Column(
            np.full(today.shape, number_of(opening.on), dtype=np.int32), np.ones(today.shape, dtype=np.bool_), True
        )
    if opening.each_year is not None:
        closes = today if upcoming is None else np.where(upcoming.position >= 0, upcoming.counted_on, today)
        return Column(
            _last_each_year(opening.each_year, as_days(closes)), np.ones(today.shape, dtype=np.bool_), True
        )
    anchor = anchor_days(opening.anchor, reading, scope, today)
    days = anchor.values if opening.after is None else corresponding_days(anchor.values, opening.after)
    return Column(as_days(days), anchor.known, anchor.all_known)
