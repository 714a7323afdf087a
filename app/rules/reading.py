"""What a rule reads of a population on a day: facts resolved for the programme, the claimant, the place of residence.

A ``Moment`` is a population on a day (or on one day per household) and is shared by all programmes; a ``Reading`` is a
moment as one rule sees it, with its own reckoning of incomes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import Days, as_days, date_of, month_starts, months_of
from app.calendar.fiscal_year import class_ages, school_grades
from app.calendar.windows import Edge
from app.rules.building import ANY_PROGRAMME, NO_YEAR, StatedKey
from app.rules.columns import Column, Rows, Verdicts
from app.rules.facts import DERIVED_FACTS
from app.rules.population import Population, Subset
from app.rules.residence import in_area
from app.rules.rule import IncomeYear, Rule

CLAIMANT_INCOME = "guardian.income_after_deductions"
CLAIMANT_FACTS = (CLAIMANT_INCOME, "guardian.claimant")
"""Facts that say which guardian claims."""
_YEARS_BACK = {"current_year": 0, "previous_year": 1, "year_before_previous": 2}


@dataclass
class Moment:
    """``days``: one day number, or one per household. ``as_of``: the day of asking; later days are looked ahead to.

    A dated income of the year that counts on ``as_of`` is carried on past later switches (they set ``review_on``).
    """

    population: Population
    days: Days
    as_of: int
    cache: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def on(cls, population: Population, day: dt.date | int | Days, as_of: dt.date | int | None = None) -> Moment:
        """A population on one day, asked on that day unless ``as_of`` says otherwise."""
        days = as_days(_number(day) if isinstance(day, dt.date | int) else day)
        if days.ndim and days.shape != (population.size,):
            raise ValueError(f"found {days.shape} days; expected one, or one per household ({population.size})")
        if as_of is None and days.ndim:
            raise ValueError("found one day per household and no as_of; expected the day of asking")
        return cls(population, days, int(days) if as_of is None else _number(as_of))

    def days_of(self, scope: str) -> Days:
        """The day for each row of a scope: a scalar, or an array through the household."""
        if not self.days.ndim or scope == "household":
            return self.days
        key = ("days", scope)
        if key not in self.cache:
            self.cache[key] = self.days[self.population.people[scope].household]
        found: Days = self.cache[key]
        return found

    def lift(self, values: NDArray[Any], scope: str) -> NDArray[Any]:
        """Household rows spread over the people of a kind."""
        return values if scope == "household" else values[self.population.people[scope].household]

    def part(self, name: str, chosen: NDArray[np.bool_]) -> tuple[Moment, Subset]:
        """The same moment for some households alone, kept by name for all who ask; and those households."""
        key = ("part", name)
        if key not in self.cache:
            households = np.flatnonzero(chosen)
            subset = self.population.subset(households)
            days = self.days[households] if self.days.ndim else self.days
            self.cache[key] = Moment(subset, days, self.as_of), subset
        found: tuple[Moment, Subset] = self.cache[key]
        return found

    def codes(self) -> NDArray[np.int32]:
        """The municipality of each household on its day."""
        if "codes" not in self.cache:
            sets = self.population.people["household"].residence_sets
            days = np.broadcast_to(self.days, sets.shape)
            self.cache["codes"] = self.population.residence.codes_on(sets, days)
        found: NDArray[np.int32] = self.cache["codes"]
        return found

    def covered(self, area: str) -> Verdicts:
        """Whether each household lives in the area on its day."""
        key = ("area", area)
        if key not in self.cache:
            self.cache[key] = in_area(self.codes(), area)
        found: Verdicts = self.cache[key]
        return found


def _number(day: dt.date | int) -> int:
    return (day - dt.date(1970, 1, 1)).days if isinstance(day, dt.date) else int(day)


def income_years(rule: IncomeYear, days: Days) -> NDArray[np.int64]:
    """The year whose income counts on each day."""
    months = months_of(days)
    month, day_of_month = months % 12 + 1, as_days(days) - month_starts(months) + 1
    switched = month * 100 + day_of_month >= rule.switches[0] * 100 + rule.switches[1]
    years: NDArray[np.int64] = months // 12 + 1970 - np.where(switched, 0, 1) - _YEARS_BACK[rule.uses]
    return years


def switch_days(rule: IncomeYear, first: int, last: int) -> list[int]:
    """The days from ``first`` to ``last`` on which the income year moves on."""
    years = range(date_of(first).year, date_of(last).year + 1)
    days = [_number(dt.date(year, *_existing(year, rule.switches))) for year in years]
    return [day for day in days if first <= day <= last]


def _existing(year: int, month_day: tuple[int, int]) -> tuple[int, int]:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (3, 1) if month_day == (2, 29) and not leap else month_day


class Reading:
    """A moment as one rule sees it."""

    def __init__(self, moment: Moment, rule: Rule) -> None:
        self.moment = moment
        self.rule = rule
        self.population = moment.population

    def cache_key(self, paths: tuple[str, ...], key: Any) -> Any:
        """A key for results that other programmes may share; what is reckoned by programme or year stays apart."""
        if self.population.reckoned.keys().isdisjoint(paths):
            return key
        reckonings = [self._reckoning(path) for path in paths]
        return (tuple(reckonings), key) if any(reckonings) else key

    def _reckoning(self, path: str) -> tuple[Any, ...]:
        """What makes this programme's value of a fact its own: the income year, and values stated for it."""
        if path not in self.population.reckoned:
            return ()
        programmes, dated = self.population.reckoned[path]
        own = self.rule.id in programmes or self.rule.key in programmes
        return (self.rule.income_year if dated else None, self.rule.key if own else None) if own or dated else ()

    def column(self, path: str) -> Column:
        """A fact of its owner's rows, as this programme reckons it on the moment's days."""
        if path in DERIVED_FACTS:
            births = self.population.column("child.birth_date")
            reckon = school_grades if path == "child.school_grade" else class_ages
            return Column(reckon(births.values, self.moment.days_of("child")), births.known, births.all_known)
        reckoning = self._reckoning(path)
        if not reckoning:
            return self.population.column(path)
        key = ("column", path, reckoning)
        if key not in self.moment.cache:
            self.moment.cache[key] = self._resolved(path)
        found: Column = self.moment.cache[key]
        return found

    def _resolved(self, path: str) -> Column:
        stated = self.population.stated(path)
        general = self._layer(path, {key: part for key, part in stated.items() if key[0] == ANY_PROGRAMME})
        own_keys = {key: part for key, part in stated.items() if key[0] in (self.rule.id, self.rule.key)}
        if not own_keys:
            return general
        own = self._layer(path, own_keys)
        says = [part.known if part.bounds is None else part.known | part.bounds.stated for part in own_keys.values()]
        # Whoever stated figures for the programme means those, also where none of them counts on the day.
        general = general.where(~np.logical_or.reduce(says))
        return own.over(general)

    def _layer(self, path: str, stated: dict[StatedKey, Column]) -> Column:
        """Bare values, then dated ones of the year that counts; a carried one only where nothing newer is stated."""
        layers = [part for (_, year), part in stated.items() if year == NO_YEAR]
        for (_, year), part in sorted(stated.items(), key=lambda entry: entry[0][1]):
            counts = np.asarray(year != NO_YEAR) & self._counts(path, year)
            if counts.all():
                layers.append(part)
            elif counts.any():
                layers.append(part.where(np.asarray(counts)))
        result = layers[0] if layers else self.population.nothing(path)
        for part in layers[1:]:
            result = part.over(result)
        return result

    def _counts(self, path: str, year: int) -> Any:
        """Whether an income of ``year`` counts on the moment's days; alike for everybody on a single day."""
        reckoning = self.rule.income_year
        if reckoning is None:
            return True
        days = self.moment.days_of(path.split(".", 1)[0])
        needed = income_years(reckoning, days)
        now = int(income_years(reckoning, as_days(self.moment.as_of)))
        return (needed == year) | ((days > self.moment.as_of) & (now <= year) & (year <= needed))

    def at(self, path: str, scope: str) -> Column:
        """A fact for each row of a scope: the bound person's, the household's, or the claimant's."""
        owner = path.split(".", 1)[0]
        if owner == scope:
            return self.column(path)
        by_income = owner == "guardian" and self._sole_claimants()[1].size
        facts = (path, *CLAIMANT_FACTS) if by_income else (path,)
        key = self.cache_key(facts, ("at", path, scope))
        cache = self.moment.cache
        if key not in cache:
            column = self._claimants(path) if owner == "guardian" else self.column(path)
            cache[key] = column if scope == "household" else column.take(self.population.people[scope].household)
        found: Column = cache[key]
        return found

    def later(self, path: str, scope: str, day: int) -> NDArray[np.bool_]:
        """Which rows of a scope have a later date than a day; on one moment many windows ask for the same days."""
        key = self.cache_key((path,), ("later", path, scope, day))
        cache = self.moment.cache
        if key not in cache:
            cache[key] = self.at(path, scope).values > day
        found: NDArray[np.bool_] = cache[key]
        return found

    def threshold(self, path: str, edge: Edge, scope: str) -> Days:
        """The day of an edge for each row of a scope, shared between programmes where it is the bound person's."""
        if path.split(".", 1)[0] == scope and path != "child.school_grade":
            return self.population.threshold(path, edge)
        return edge.days(self.at(path, scope).values)

    def claimant_rows(self) -> Rows:
        """The guardian who claims, by household: marked, or alone, or of the highest income; −1 where that is open.

        Marked not to claim leaves a guardian out; equal incomes go by id.
        """
        sole, several = self._sole_claimants()
        if not several.size or CLAIMANT_INCOME not in self.population.catalogue:
            return sole
        key = self.cache_key(CLAIMANT_FACTS, "claimant")
        if key not in self.moment.cache:
            people, best = self.population.people["guardian"], sole.copy()
            rows = people.rows_of(several)
            rows = rows[self.candidates()[rows]]
            self._choose_highest(rows, people.household[rows], best)
            self.moment.cache[key] = best
        found: Rows = self.moment.cache[key]
        return found

    def candidates(self) -> NDArray[np.bool_]:
        """Guardians who may be the claimant."""
        if "candidates" not in self.moment.cache:
            self.moment.cache["candidates"] = self._find_candidates()
        found: NDArray[np.bool_] = self.moment.cache["candidates"]
        return found

    def _find_candidates(self) -> NDArray[np.bool_]:
        people = self.population.people["guardian"]
        if "guardian.claimant" not in self.population.catalogue:
            return np.ones(people.size, dtype=np.bool_)
        marked = self.population.column("guardian.claimant")
        chosen: NDArray[np.bool_] = marked.known & (marked.values == 1)
        settled = np.zeros(self.population.size, dtype=np.bool_)
        settled[people.household[np.flatnonzero(chosen)]] = True
        if settled.all():
            return chosen
        return np.asarray(np.where(settled[people.household], chosen, ~(marked.known & (marked.values == 0))))

    def _sole_claimants(self) -> tuple[Rows, Rows]:
        """(the only candidate of each household, −1 where there is none or several; the households with several)."""
        if "sole claimants" not in self.moment.cache:
            people, rows = self.population.people["guardian"], np.flatnonzero(self.candidates())
            counts = np.bincount(people.household[rows], minlength=self.population.size)
            sole = np.full(self.population.size, -1, dtype=np.int64)
            sole[people.household[rows]] = rows
            sole[counts > 1] = -1
            self.moment.cache["sole claimants"] = sole, np.flatnonzero(counts > 1)
        found: tuple[Rows, Rows] = self.moment.cache["sole claimants"]
        return found

    def _choose_highest(self, rows: Rows, household: Rows, best: Rows) -> None:
        """Write the guardian of the highest income, or of the first id among equals, for whole households."""
        income = self.column(CLAIMANT_INCOME)
        order = np.lexsort((self.population.people["guardian"].id_rank[rows], -income.values[rows], household))
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = household[1:] != household[:-1]
        best[household[first]] = rows[order[first]]
        best[household[~income.known[rows]]] = -1

    def _claimants(self, path: str) -> Column:
        """A guardian fact of the claimant, by household; where it is open who claims, known if it is alike for all."""
        column, rows = self.column(path), self.claimant_rows()
        if not len(column.values):
            return Column.unknown(self.population.size, column.values.dtype)
        if rows.min(initial=0) >= 0:
            return column.take(rows)
        safe = np.maximum(rows, 0)
        values, known = column.values[safe], column.known[safe] & (rows >= 0)
        bounds = None if column.bounds is None else column.take(safe).where(rows >= 0).bounds
        people = self.population.people["guardian"]
        openly = (rows < 0) & (people.counts > 0)
        if openly.any():
            candidate = self.candidates()
            high = people.reduced(np.where(candidate, column.values, np.iinfo(column.values.dtype).min), True, 0)
            low = people.reduced(np.where(candidate, column.values, np.iinfo(column.values.dtype).max), False, 0)
            unknown = people.sums(candidate & ~column.known)
            alike = openly & (people.sums(candidate) > 0) & (unknown == 0) & (high == low)
            values, known = np.where(alike, high, values), known | alike
        return Column.of(values, known, bounds)
