"""Days by hand: corresponding days, school years, and masks of dates. Nothing of `app` is used here."""

import datetime as dt
from functools import lru_cache

import numpy as np

EPOCH = dt.date(1970, 1, 1).toordinal()
EARLY, LATE = dt.date(1940, 1, 1), dt.date(2080, 1, 1)


def number(day):
    """Days since 1970."""
    return day.toordinal() - EPOCH


def after_months(day, months):
    """The corresponding day; where the month lacks it, the first of the next, or the month's last counted back."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return dt.date(year, month + 1, day.day)
    except ValueError:
        first_of_next = dt.date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
        return first_of_next if months > 0 else first_of_next - dt.timedelta(days=1)


def months_after(days, months):
    """The corresponding days of an array of day numbers, for spans forward."""
    start = days.astype("datetime64[D]")
    month = start.astype("datetime64[M]")
    target = (month + months).astype("datetime64[D]") + (start - month.astype("datetime64[D]"))
    return np.minimum(target, (month + months + 1).astype("datetime64[D]")).astype(np.int64)


def month_starts(days):
    """The first of the month of each day number."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


@lru_cache(maxsize=1024)
def latest(on, months):
    """The last date whose corresponding day after some months is not later than a day; a day number."""
    low, high = EARLY.toordinal(), LATE.toordinal()
    while high - low > 1:
        middle = (low + high) // 2
        if after_months(dt.date.fromordinal(middle), months) <= on:
            low = middle
        else:
            high = middle
    return low - EPOCH


def school_year(day):
    """The year in whose April the school year of a day began."""
    return day.year - (day.month < 4)


class Dates:
    """Known dates on one day: masks of windows, the comparisons made once."""

    def __init__(self, days, on):
        self.days, self.on, self.today = days, on, number(on)
        self._since = {}

    def since(self, day):
        """True from a day on."""
        if day not in self._since:
            self._since[day] = self.days >= day
        return self._since[day]

    def between(self, first, last):
        """True from the first to the last day, both included; None leaves an end open."""
        if last is None:
            return self.since(first)
        late = self.since(last + 1)
        return ~late if first is None else self.since(first) > late

    def aged(self, months, until_months, ends=0):
        """From the corresponding day of some months to the day before that of others.

        ``ends`` 1: to that day itself; −1: to two days before it.
        """
        first = latest(self.on - dt.timedelta(days=ends), until_months) + 1
        return self.between(first, latest(self.on, months) if months else self.today)

    def younger(self, months):
        """Until the day before the corresponding day, also before the date itself."""
        return self.since(latest(self.on, months) + 1)

    def days_old(self, first, last):
        """From so many days after the date to so many, both included (negative: before it)."""
        return self.between(self.today - last, self.today - first)

    def up_to_year_end(self, age, after=None):
        """Until the first 31 March on or after reaching an age, from the date or after the 31 March of another age."""
        april = dt.date(school_year(self.on), 4, 1)
        opened = self.today if after is None else latest(april, 12 * after)
        return self.between(latest(april, 12 * age) + 1, opened)

    def grades(self, first, last):
        """School grades, the first year of primary school being 1; None leaves an end open."""
        year = school_year(self.on) - 6
        oldest = None if last is None else number(dt.date(year - last, 4, 2))
        youngest = None if first is None else number(dt.date(year - first + 1, 4, 1))
        return self.between(oldest, youngest)

    def fixed(self, first, last=None):
        """The date itself lies in fixed days, both included."""
        return self.between(number(first), None if last is None else number(last))
