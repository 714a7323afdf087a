"""Impact: who gains, loses or becomes open when one rulebook takes the place of another, counted over a population.

For a new version of a programme or another value of a parameter: compile both rulebooks and compare one programme.
Nothing here names a family; rows are for the caller to count by town or by kind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import date_of, month_starts, months_of, number_of
from app.rules.amounts_over_time import KNOWN, OPEN, AmountColumns, pays
from app.rules.columns import NO, UNKNOWN, YES, Rows, Verdicts
from app.rules.evaluate import CompiledRule, Rulebook
from app.rules.population import Population
from app.rules.reading import Moment

MONTHS = 12
"""How many firsts of a month are looked at after the day itself."""


@dataclass(frozen=True)
class Standing:
    """What one rulebook says of every row of the subject on a day: verdicts, and the yen of rows that are entitled.

    ``yen`` are by what they are paid per (month, once, year), 0 where nothing is known or due; ``open_amounts`` are
    entitled rows whose amount is not known, and which therefore count in no sum.
    """

    verdict: Verdicts
    yen: Mapping[str, NDArray[np.int64]]
    open_amounts: NDArray[np.bool_]


@dataclass(frozen=True)
class Impact:
    """The difference on one day. Rows are rows of ``population.people[subject]``; ``households`` says whose each is."""

    programme: str
    subject: str
    on: dt.date
    before: Standing
    after: Standing
    households: Rows

    @property
    def gains(self) -> Rows:
        """Entitled now, not before."""
        return np.flatnonzero((self.before.verdict != YES) & (self.after.verdict == YES))

    @property
    def loses(self) -> Rows:
        """Entitled before, refused now."""
        return np.flatnonzero((self.before.verdict == YES) & (self.after.verdict == NO))

    @property
    def becomes_open(self) -> Rows:
        """Decided before, undetermined now."""
        return np.flatnonzero((self.before.verdict != UNKNOWN) & (self.after.verdict == UNKNOWN))

    @property
    def closes(self) -> Rows:
        """Undetermined before, refused now."""
        return np.flatnonzero((self.before.verdict == UNKNOWN) & (self.after.verdict == NO))

    @property
    def stays(self) -> Rows:
        """Entitled before and now."""
        return np.flatnonzero((self.before.verdict == YES) & (self.after.verdict == YES))

    @cached_property
    def gets_more(self) -> Rows:
        """Entitled before and now, to more of one kind of payment and less of none."""
        return self._paid_otherwise(1)

    @cached_property
    def gets_less(self) -> Rows:
        """Entitled before and now, to less of one kind of payment."""
        return self._paid_otherwise(-1)

    def _paid_otherwise(self, sign: int) -> Rows:
        stays = self.stays
        stays = stays[~(self.before.open_amounts | self.after.open_amounts)[stays]]
        less = more = np.zeros(len(stays), dtype=np.bool_)
        for per in self._kinds:
            difference = self._difference(per)[stays]
            less, more = less | (difference < 0), more | (difference > 0)
        rows: Rows = stays[more & ~less] if sign > 0 else stays[less]
        return rows

    @property
    def _kinds(self) -> list[str]:
        return sorted({*self.before.yen, *self.after.yen})

    def _difference(self, per: str) -> NDArray[np.int64]:
        none = np.zeros(len(self.after.verdict), dtype=np.int64)
        difference: NDArray[np.int64] = self.after.yen.get(per, none) - self.before.yen.get(per, none)
        return difference

    @property
    def yen(self) -> dict[str, int]:
        """By month, once or year: how many yen more (or less) are due to everybody together."""
        return {per: int(self._difference(per).sum()) for per in self._kinds}

    def counts(self) -> dict[str, int]:
        """How many rows each word of this class is true of; ``open_amounts`` are left out of ``yen`` before or now."""
        names = ("gains", "loses", "becomes_open", "closes", "stays", "gets_more", "gets_less")
        counts = {name: len(getattr(self, name)) for name in names}
        return counts | {"open_amounts": int((self.before.open_amounts | self.after.open_amounts).sum())}


def impact(before: Rulebook, after: Rulebook, key: str, population: Population, on: dt.date) -> Impact:
    """What changes for a population on a day when ``after`` takes the place of ``before`` for one programme.

    A rulebook in which the programme is not there, or not law on the day, refuses everybody. Raises ``KeyError`` where
    neither has the programme, ``ValueError`` where they have it for different subjects.
    """
    return _impact(before, after, key, population, number_of(on), number_of(on))


def impact_ahead(
    before: Rulebook, after: Rulebook, key: str, population: Population, on: dt.date, months: int = MONTHS
) -> list[Impact]:
    """The same asked today for the first days of the coming months."""
    starts = month_starts(months_of(number_of(on)) + np.arange(1, months + 1))
    return [_impact(before, after, key, population, int(day), number_of(on)) for day in starts]


def _impact(before: Rulebook, after: Rulebook, key: str, population: Population, day: int, as_of: int) -> Impact:
    subjects = {rules[-1].subject for book in (before, after) if (rules := book.versions.get(key))}
    if not subjects:
        raise KeyError(key)
    if len(subjects) > 1:
        raise ValueError(f"found {key} for {' and for '.join(sorted(subjects))}; expected one subject in both")
    (subject,) = subjects
    # A moment keeps the verdicts of tests by their text, and the two rulebooks may read one parameter differently.
    standings = [
        _standing(book.on(key, day) if key in book.versions else None, Moment.on(population, day, as_of), subject)
        for book in (before, after)
    ]
    return Impact(key, subject, date_of(day), standings[0], standings[1], population.people[subject].household)


def _standing(rule: CompiledRule | None, moment: Moment, subject: str) -> Standing:
    size = moment.population.people[subject].size
    if rule is None:
        return Standing(np.full(size, NO, dtype=np.int8), {}, np.zeros(size, dtype=np.bool_))
    verdict = rule.verdicts(moment)
    raw = rule.amounts(moment)
    if raw is None:
        return Standing(verdict, {}, np.zeros(size, dtype=np.bool_))
    amounts, entitled = AmountColumns.of(rule, raw, np.arange(size)), verdict == YES
    kinds = np.asarray([per for per, _ in pays(rule)])[amounts.per]
    due = entitled & (amounts.state == KNOWN)
    yen = {str(per): np.where(due & (kinds == per), amounts.yen, 0) for per in dict.fromkeys(p for p, _ in pays(rule))}
    return Standing(verdict, yen, entitled & (amounts.state == OPEN))
