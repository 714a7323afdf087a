"""Households on one day, with everything that more than one programme asks worked out once.

A verdict is an int8 array of 0 no, 1 unknown, 2 yes; a mask is a bool array. Where a person decides, a mask is itself
the verdict: 0 no, 1 unknown.
"""

from functools import cached_property, reduce

import numpy as np

from tests.bench.reference.days import Dates, latest, number

NO, UNKNOWN, YES = np.int8(0), np.int8(1), np.int8(2)


def yes(mask):
    """Certain: yes where the mask is true, else no. (Adding bytes is many times as quick as shifting them.)"""
    certain = mask.view(np.int8)
    return certain + certain


def yes_if_known(mask, unknown):
    """Yes where the mask is true, no where it is false, unknown where another mask says so."""
    return yes(mask & ~unknown) | unknown.view(np.int8)


def judged(mask):
    """For a person to decide where the mask is true, else no."""
    return mask.view(np.int8)


def both(*verdicts):
    return reduce(np.minimum, verdicts)


def either(*verdicts):
    return reduce(np.maximum, verdicts)


def open_at_best(verdict):
    """A person decides besides: the lesser of the verdict and unknown, without the slow minimum of array and number."""
    return (verdict + UNKNOWN) >> UNKNOWN


def open_at_least(verdict):
    """A person may decide otherwise: the greater of the verdict and unknown."""
    return (verdict >> UNKNOWN) + UNKNOWN


def no(verdict):
    return YES - verdict


def unless(verdict):
    """Yes unless it is known to hold."""
    return YES - (verdict & YES)


def one_of(column, *wanted):
    """A choice or grade is one of some values; −1 is unknown."""
    holds = column == wanted[0]
    for value in wanted[1:]:
        holds |= column == value
    return yes(holds) | (column < 0).view(np.int8)


def at_most(column, limit):
    """A number from 0 on is not above a limit; −1 is unknown."""
    return yes(column <= limit) - (column < 0).view(np.int8)


def at_least(column, limit):
    return yes(column >= limit) | (column < 0).view(np.int8)


class Asked:
    """``limits``: parameters of the day by name, a number or (rows, step past the last or None where it is unknown)."""

    def __init__(self, households, on, limits):
        self.h, self.on, self.today, self.limits = households, on, number(on), limits
        self._children_in = {}
        self.born = Dates(households.child["date"], on)
        self.due = Dates(households.pregnancy["date"], on)
        self.guardian_born = Dates(households.guardian["date"], on)

    # ---- spreading ------------------------------------------------------------------------------------------------

    def of_child(self, verdict):
        return verdict[self.h.child.household]

    def of_guardian(self, verdict):
        return verdict[self.h.guardian.household]

    def of_pregnancy(self, verdict):
        return verdict[self.h.pregnancy.household]

    def some(self, people, verdict):
        """Of each household: does it hold for anybody?"""
        result = np.zeros(self.h.size, dtype=np.int8)
        result[people.household[np.flatnonzero(verdict == UNKNOWN)]] = UNKNOWN
        result[people.household[np.flatnonzero(verdict == YES)]] = YES
        return result

    def some_child(self, mask):
        """Of each household: is the mask true for any child?"""
        result = np.zeros(self.h.size, dtype=np.int8)
        result[self.h.child.household[np.flatnonzero(mask)]] = YES
        return result

    def every(self, people, verdict):
        """Of each household: does it hold for everybody?"""
        result = np.full(self.h.size, YES, dtype=np.int8)
        result[people.household[np.flatnonzero(verdict == UNKNOWN)]] = UNKNOWN
        result[people.household[np.flatnonzero(verdict == NO)]] = NO
        return result

    # ---- shared facts ---------------------------------------------------------------------------------------------

    @cached_property
    def at_home(self):
        """Not known to live in an institution."""
        return unless(self.h.child["in_institution"])

    @cached_property
    def mother_not_known_absent(self):
        """Of each household: no, where every guardian is known not to have given birth."""
        guardians = self.h.guardian
        return unless(self.every(guardians, no(guardians["gave_birth"])))

    @cached_property
    def single_parent(self):
        return self.of_child(self.h.household["single_parent"])

    @cached_property
    def guardian_single(self):
        return self.of_guardian(self.h.household["single_parent"])

    @cached_property
    def not_assisted(self):
        return no(self.h.household["public_assistance"])

    @cached_property
    def not_assisted_child(self):
        return self.of_child(self.not_assisted)

    @cached_property
    def assisted_child(self):
        return no(self.not_assisted_child)

    @cached_property
    def under_18(self):
        return self.born.aged(0, 216)

    @cached_property
    def under_20(self):
        return self.born.aged(0, 240)

    @cached_property
    def to_18(self):
        """Until the first 31 March on or after the eighteenth birthday."""
        return self.born.up_to_year_end(18)

    @cached_property
    def has_child(self):
        return self.some_child(np.ones(self.h.child.size, dtype=bool))

    @cached_property
    def has_pregnancy(self):
        result = np.zeros(self.h.size, dtype=np.int8)
        result[self.h.pregnancy.household] = YES
        return result

    @cached_property
    def child_or_pregnancy(self):
        return either(self.has_child, self.has_pregnancy)

    @cached_property
    def has_child_under_20(self):
        return self.some_child(self.under_20)

    @cached_property
    def needs_care(self):
        return self.of_child(self.h.household["needs_daytime_care"])

    @cached_property
    def tax_exempt_child(self):
        return self.of_child(self.h.household["residence_tax_exempt"])

    @cached_property
    def allowance_graded(self):
        return one_of(self.h.child["special_allowance_grade"], 1, 2)

    # ---- incomes --------------------------------------------------------------------------------------------------

    def year(self, switch, back=1):
        """The year whose income counts, moving on at a day of the year."""
        return self.on.year - back - ((self.on.month, self.on.day) < switch)

    @cached_property
    def _incomes(self):
        return {}

    def income(self, kind, year):
        """Incomes of a kind of people for a year; −1 where that of the year is not known."""
        if (kind, year) not in self._incomes:
            people = getattr(self.h, kind)
            told = (people["income_year"] == 0) | (people["income_year"] == year)
            self._incomes[kind, year] = np.where(told, people["income"], np.int32(-1))
        return self._incomes[kind, year]

    @cached_property
    def claimant_dependants(self):
        return self.h.guardian["dependants"][self.h.claimant]

    def claimant_income(self, year):
        key = "claimant", year
        if key not in self._incomes:
            self._incomes[key] = self.income("guardian", year)[self.h.claimant]
        return self._incomes[key]

    def rows(self, name, number_of_people):
        """A table's row for each number; −1 where the number or the row is unknown."""
        rows, step = self.limits[name]
        if step is not None:
            rows = [*rows, *(rows[-1] + step * more for more in range(1, 20))]
        return np.array([*rows, -1], dtype=np.int32).take(number_of_people, mode="clip") | (number_of_people >> 31)

    def claimant_under(self, name, year, inclusive=False):
        """Of each household: the claimant's income is under (or at most) the limit for their dependants."""
        limit, income = self.rows(name, self.claimant_dependants), self.claimant_income(year)
        return yes_if_known(income <= limit if inclusive else income < limit, (limit | income) < 0)

    def relatives_under(self, kind, name, year, least=None):
        """Of each household: everybody is under the limit for dependants, or under the least limit of all."""
        people, income = getattr(self.h, kind), self.income(kind, year)
        limit = self.rows(name, people["dependants"])
        under, unknown = income < limit, limit < 0
        if least is not None:
            safe = income < self.limits[least]
            under, unknown = under | safe, unknown & ~safe
        result = self.every(people, yes_if_known(under, unknown | (income < 0)))
        if kind == "co_resident":
            result[~self.h.co_residents_listed] = UNKNOWN
        return result

    @cached_property
    def special_supporters(self):
        """特別児童扶養手当 and 障害児福祉手当: relatives at home under the supporters' limits."""
        year, names = self.year((8, 1)), ("special-child-rearing-allowance-supporter-limit",)
        return self.relatives_under("co_resident", *names, year, "special-child-rearing-allowance-supporter-least-limit")

    # ---- residence ------------------------------------------------------------------------------------------------

    @cached_property
    def child_town(self):
        return self.h.town[self.h.child.household]

    @cached_property
    def in_tokyo(self):
        """Of each household: lives in Tokyo today."""
        return yes(self.h.town // 10_000 == 13)

    @cached_property
    def child_in_tokyo(self):
        return self.of_child(self.in_tokyo)

    def in_town(self, code):
        """Mask of the households that live in a town today."""
        return self.h.town == code

    def child_in(self, code):
        """Mask of the children whose household lives in a town today."""
        if code not in self._children_in:
            self._children_in[code] = self.child_town == code
        return self._children_in[code]

    def lived_in_tokyo(self, households, days):
        """Whether households (rows) lived in Tokyo on their days; before the history nobody knows."""
        h = self.h
        town = np.where(days >= h.moved_in[households], h.town[households], h.former_town[households])
        return np.where(days < h.former_from[households], UNKNOWN, yes(town // 10_000 == 13))

    def lived_in(self, code, households, days):
        """Whether households (rows) lived in a town on their days; before the history they lived in another town."""
        h = self.h
        first = h.former_town[households]
        town = np.where(days >= h.moved_in[households], h.town[households], first)
        before = np.where(first == code, NO, UNKNOWN)
        return np.where(days < h.former_from[households], before, yes(town == code))

    def stay_since(self, code, households):
        """The first day of the unbroken stay in the town where households (rows) live today."""
        h = self.h
        return np.where(h.former_town[households] == code, h.former_from[households], h.moved_in[households])

    def resided(self, code, households, months):
        """Whether households (rows) that live in a town have lived there for some months."""
        return yes(self.stay_since(code, households) <= latest(self.on, months))

    def where(self, mask, judge):
        """Verdicts that are worked out only where a mask is true: ``judge(rows of children, of households)``."""
        result = np.zeros(len(mask), dtype=np.int8)
        rows = np.flatnonzero(mask)
        result[rows] = judge(rows, self.h.child.household[rows])
        return result
