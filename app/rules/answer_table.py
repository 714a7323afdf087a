"""Answers as columns: what many rows may be told about one version of a programme, each on its own day.

One pass over all rows works everything out; ``answers`` reads single rows from it. Nothing here loops over rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import EARLIEST, Days, as_days, months_of, number_of
from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.rules.amounts_over_time import KNOWN, OPEN, AmountColumns, Steps, pays, steps
from app.rules.building import ANY_PROGRAMME, NO_YEAR
from app.rules.columns import NO, UNKNOWN, YES, Rows, Verdicts
from app.rules.deadlines import next_deadlines, opening_days
from app.rules.evaluate import CompiledRule
from app.rules.outlines import Shared, open_figures, outlines
from app.rules.people_nodes import people_verdicts
from app.rules.population import Population
from app.rules.reading import Moment, Reading, income_years, switch_days
from app.rules.rule import IncomeYear
from app.rules.timeline import Periods

NONE = -1
"""A position, code, month or sum that there is not."""
_SHIFT = 2**32


@dataclass(frozen=True)
class Asked:
    """Which rows are asked about, and on which day each: ``row`` are rows of ``population.people[rule.subject]``.

    ``verdict`` is each row's on its day; ``periods`` hold at least every right of these households that has not ended;
    a period that reaches ``horizon`` has no end in sight. ``as_of`` is the day of asking.
    """

    rule: CompiledRule
    population: Population
    row: Rows
    day: Days
    verdict: Verdicts
    periods: Periods
    as_of: int
    horizon: int

    def at(self, places: Any) -> Asked:
        """Some of the rows."""
        return Asked(
            self.rule, self.population, self.row[places], self.day[places], self.verdict[places], self.periods,
            self.as_of, self.horizon,
        )  # fmt: skip

    def on(self, days: Days) -> tuple[Moment, Rows]:
        """Every household on the days its rows name, and the asked rows in that moment's population."""
        people = self.population.people[self.rule.subject]
        household = people.household[self.row]
        pairs, index = np.unique(household * _SHIFT + (days.astype(np.int64) - EARLIEST), return_inverse=True)
        homes = pairs >> 32
        part = self.population.subset(homes)
        moment = Moment.on(part, as_days((pairs & (_SHIFT - 1)) + EARLIEST), self.as_of)
        index = index.reshape(-1)
        place = part.people[self.rule.subject].offsets[index] + self.row - people.offsets[household]
        return moment, place


@dataclass(frozen=True)
class Bounds:
    """The right that runs on each row's day, or the first day of a later one; ``NO_DAY`` where there is none.

    ``until`` is ``NO_DAY`` too where no end is in sight; ``current_until`` is the last day of whatever period runs.
    """

    since: Days
    until: Days
    begins_on: Days
    current_until: Days


def bounds(asked: Asked) -> Bounds:
    """Where each row's day lies in its periods."""
    size, periods = len(asked.row), asked.periods
    none = np.full(size, NO_DAY, dtype=np.int32)
    here = _running(periods, asked.row, asked.day)
    current = np.where(here >= 0, periods.last[np.maximum(here, 0)], asked.day) if len(periods) else asked.day
    rights = periods.with_verdict(YES)
    if not len(rights):
        return Bounds(none, none.copy(), none.copy(), as_days(current))
    mine = _running(rights, asked.row, asked.day)
    has = (asked.verdict == YES) & (mine >= 0)
    since = np.where(has, rights.first[np.maximum(mine, 0)], NO_DAY)
    last = rights.last[np.maximum(mine, 0)]
    until = np.where(has & (last < asked.horizon), last, NO_DAY)
    following = np.searchsorted(_keys(rights.row, rights.first), _keys(asked.row, asked.day), side="right")
    safe = np.minimum(following, len(rights) - 1)
    later = (asked.verdict != YES) & (following < len(rights)) & (rights.row[safe] == asked.row)
    begins = np.where(later, rights.first[safe], NO_DAY)
    return Bounds(as_days(since), as_days(until), as_days(begins), as_days(current))


def _possible_until(asked: Asked) -> Days:
    """The day before each row's next refusal, or before no version is law; the horizon where neither comes."""
    open_to = asked.periods.select(asked.periods.verdict != NO)
    here = _running(open_to, asked.row, asked.day)
    if not len(open_to):
        return asked.day
    ends = np.ones(len(open_to), dtype=np.bool_)
    ends[:-1] = (open_to.row[1:] != open_to.row[:-1]) | (open_to.first[1:] != open_to.last[:-1] + 1)
    places = np.flatnonzero(ends)
    last = open_to.last[places[np.searchsorted(places, np.maximum(here, 0))]]
    return as_days(np.where(here >= 0, last, asked.day))


def _keys(rows: Rows, days: Days) -> NDArray[np.int64]:
    return rows * _SHIFT + (days.astype(np.int64) - NO_DAY)


def _running(periods: Periods, rows: Rows, days: Days) -> Rows:
    """The period of each row that holds its day, −1 where none does."""
    if not len(periods):
        return np.full(len(rows), NONE, dtype=np.int64)
    place = np.searchsorted(_keys(periods.row, periods.first), _keys(rows, days), side="right") - 1
    safe = np.maximum(place, 0)
    inside = (place >= 0) & (periods.row[safe] == rows) & (days <= periods.last[safe])
    return np.where(inside, place, NONE)


@dataclass(frozen=True)
class Claims:
    """How and until when each row can claim. Days are ``NO_DAY``, everything else ``NONE``, where there is none.

    ``occasion`` is a position among the rule's deadlines, ``take_up`` one among its ways, ``form`` 0 for the first and
    1 for a further right; ``pays_from`` counts months from 1970-01. Where a claim would pay from a month after
    the last of the right, nothing is left to claim: no occasion, no deadline and no month.
    """

    occasion: NDArray[np.int64]
    counted_on: Days
    deadline: Days
    lapsed_on: Days
    opens_on: Days
    pays_from: NDArray[np.int64]
    take_up: NDArray[np.int64]
    form: NDArray[np.int64]


@dataclass(frozen=True)
class AnswerTable:
    """What rows may be told about one version of a programme; nobody in it is refused.

    ``place`` are the asked rows in the population of ``reading``: each household on its rows' days. ``unbound`` is the
    verdict before an overdue version was capped. ``outline`` and ``figure`` say what is open, where something is.
    """

    asked: Asked
    reading: Reading
    place: Rows
    bounds: Bounds
    claims: Claims
    amounts: AmountColumns | None
    steps: Steps | None
    review_on: Days
    cost_of_delay: NDArray[np.int64]
    unbound: Verdicts
    outline: Shared
    figure: Shared

    def __len__(self) -> int:
        return len(self.asked.row)

    @property
    def rule(self) -> CompiledRule:
        """The version asked about."""
        return self.asked.rule

    @cached_property
    def grounds(self) -> Shared:
        """What a right rests on, where there is one."""
        return _where(self.unbound == YES, lambda rows: outlines(self.rule, self.reading, rows, YES), self.place)

    @cached_property
    def stale(self) -> bool:
        """Overdue for checking: nothing better than undetermined may be said."""
        return self.rule.capped(self.asked.as_of)


def answer_table(asked: Asked) -> AnswerTable:
    """Work out everything that may be told of rows that are not refused."""
    rule = asked.rule
    moment, place = asked.on(asked.day)
    reading, found = Reading(moment, rule.rule), bounds(asked)
    unbound = people_verdicts(rule.whole, rule.subject, reading)[place]
    claims = _claims(asked, moment, place, found)
    amounts, course, figure = None, None, Shared.nothing(len(place))
    raw = rule.amounts(moment)
    if raw is not None:
        amounts = AmountColumns.of(rule, raw, place)
        course = steps(rule, moment, place, np.minimum(found.current_until, rule.last), amounts)
        figure = _where(amounts.state == OPEN, lambda rows: open_figures(rule, reading, rows), place)
    return AnswerTable(
        asked, reading, place, found, claims, amounts, course,
        review_days(asked, reading, place),
        _cost_of_delay(rule, amounts, claims),
        unbound,
        _where(unbound == UNKNOWN, lambda rows: outlines(rule, reading, rows, UNKNOWN), place),
        figure,
    )  # fmt: skip


def _where(wanted: NDArray[np.bool_], shared: Callable[[Rows], Shared], place: Rows) -> Shared:
    """What is shared by the wanted rows; nothing for the others."""
    places = np.flatnonzero(wanted)
    if not len(places):
        return Shared.nothing(len(place))
    found = shared(place[places])
    index = np.full(len(place), NONE, dtype=np.int64)
    index[places] = found.index
    return Shared(found.values, index)


def _claims(asked: Asked, moment: Moment, place: Rows, found: Bounds) -> Claims:
    """How each row can claim on its own day, whatever is certain only later."""
    rule, people = asked.rule, moment.population.people[asked.rule.subject]
    reading, today = Reading(moment, rule.rule), np.broadcast_to(moment.days_of(rule.subject), (people.size,))
    upcoming = next_deadlines(rule, reading, today)
    application = rule.rule.application
    opens = opening_days(application.opens if application else None, reading, rule.subject, today, upcoming)
    occasion, pays_from = upcoming.position[place], upcoming.pays_from[place]
    too_late = np.zeros(len(place), dtype=np.bool_)
    if application is not None and application.pays_from is not None:
        too_late = pays_from > months_of(_possible_until(asked))
    none = too_late | (occasion < 0)
    return Claims(
        np.where(none, NONE, occasion),
        as_days(np.where(none, NO_DAY, upcoming.counted_on[place])),
        as_days(np.where(none, NO_DAY, upcoming.office_on[place])),
        upcoming.lapsed_on[place],
        as_days(np.where(opens.known, opens.values, NO_DAY)[place]),
        np.where(too_late, NONE, pays_from),
        _take_up(rule, reading, people.size)[place],
        _forms(asked, found),
    )


def _take_up(rule: CompiledRule, reading: Reading, size: int) -> NDArray[np.int64]:
    """The first way whose case holds; NONE while an earlier one is open."""
    chosen, undecided = np.full(size, NONE, dtype=np.int64), np.ones(size, dtype=np.bool_)
    for position, (when, _) in enumerate(rule.take_up):
        verdicts = people_verdicts(when, rule.subject, reading)
        chosen[undecided & (verdicts == YES)] = position
        undecided &= verdicts == NO
    return chosen


def _forms(asked: Asked, found: Bounds) -> NDArray[np.int64]:
    """The form for a further child where an older right of the household exists, else for the first."""
    form, size = asked.rule.rule.form, len(asked.row)
    if form is None:
        return np.full(size, NONE, dtype=np.int64)
    forms = np.zeros(size, dtype=np.int64)
    if form.further is None:
        return forms
    rights = asked.periods.with_verdict(YES)
    home = asked.population.people[asked.rule.subject].household
    theirs, mine = home[rights.row], home[asked.row]
    starts, ends = np.searchsorted(theirs, mine, side="left"), np.searchsorted(theirs, mine, side="right")
    for shift in range(int((ends - starts).max(initial=0))):
        other = np.minimum(starts + shift, len(rights) - 1)
        earlier = (starts + shift < ends) & (rights.row[other] != asked.row) & (rights.last[other] >= asked.day)
        forms[earlier & (found.since != NO_DAY) & (rights.first[other] < found.since)] = 1
    return forms


def _cost_of_delay(rule: CompiledRule, amounts: AmountColumns | None, claims: Claims) -> NDArray[np.int64]:
    """Yen lost for each month of waiting, where the amount is known and paid by the month of the claim."""
    if amounts is None:
        return np.full(len(claims.form), NONE, dtype=np.int64)
    monthly = np.asarray([per == "month" for per, _ in pays(rule)])[amounts.per]
    return np.where((amounts.state == KNOWN) & monthly & (claims.pays_from >= 0), amounts.yen, NONE)


def review_days(asked: Asked, reading: Reading, place: Rows) -> Days:
    """The next day on which a stated income of the household stops being the one that counts; ``NO_DAY`` if none."""
    rule, population = asked.rule, reading.population
    result = np.full(len(place), NO_DAY, dtype=np.int32)
    reckoning = rule.rule.income_year
    if reckoning is None:
        return result
    newest = np.full(population.size, NO_YEAR, dtype=np.int64)
    for path in rule.reads:
        people = population.people[path.split(".", 1)[0]]
        for (programme, year), column in population.stated(path).items():
            if year != NO_YEAR and programme in (ANY_PROGRAMME, rule.rule.id, rule.rule.key):
                stated = people.reduced(column.known.view(np.int8), largest=True, empty=0) > 0
                newest = np.where(stated, np.maximum(newest, year), newest)
    own = newest[population.people[rule.subject].household[place]]
    counts = (own != NO_YEAR) & (own >= income_years(reckoning, asked.day))
    for year in np.unique(own[counts]):
        result[counts & (own == year)] = _stops_counting(reckoning, int(year))
    return result


def _stops_counting(reckoning: IncomeYear, year: int) -> int:
    first, last = (number_of(dt.date(calendar, 1, 1)) for calendar in (year, year + 5))
    days = switch_days(reckoning, first, last)
    return next(day for day in days if int(income_years(reckoning, as_days(day))) > year)
