"""The timeline is what asking on every single day would give."""

import datetime as dt
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.calendar.day_numbers import date_of, number_of
from app.rules.columns import YES
from app.rules.reading import Moment
from app.rules.timeline import programme_periods, timeline
from tests.property.trees import (
    DAYS,
    FIRSTS,
    LEAVES,
    areas,
    book_of,
    calm,
    day_by_day,
    drawn,
    households,
    merged,
    no_table,
    people,
    seeds,
    trees,
)

MANY = {first: people(households(20261124, 80, first)) for first in FIRSTS.values()}


def last_of(first):
    return first + dt.timedelta(days=DAYS - 1)


@settings(calm, max_examples=20)
@given(seeds, trees, areas, st.none() | trees, st.sampled_from(list(FIRSTS.values())))
def test_timeline_equals_day_by_day(seed, tree, area, against, first):
    book = book_of(tree, area, against=against, first=first)
    population, key = people(households(seed, 6, first)), f"{area}/programme"
    periods = timeline(book, population, first, last_of(first))[key]
    table = no_table(book, key, population, DAYS)
    assert (drawn(periods, table, first) == day_by_day(book, population, first, DAYS)[key]).all()
    assert merged(periods)


FROM_BIRTH = ("within", "within, end of month", "within, school year", "within, start of month", "within, start of year",
              "fiscal year end", "fiscal year between", "school grade", "class age", "born between")


@pytest.mark.parametrize("span", FIRSTS)
@pytest.mark.parametrize("name", LEAVES)
def test_timeline_of_every_leaf_equals_day_by_day(name, span):
    first, many = FIRSTS[span], MANY[FIRSTS[span]]
    area = "131121" if "resid" in str(LEAVES[name]) else "000000"
    book = book_of(LEAVES[name], area, first=first, reaches={"left_within": "4m"})
    key = f"{area}/programme"
    periods = timeline(book, many, first, last_of(first))[key]
    slow = day_by_day(book, many, first, DAYS)[key]
    assert (drawn(periods, no_table(book, key, many, DAYS), first) == slow).all()
    if name in FROM_BIRTH:
        births, days = many.column("child.birth_date"), np.arange(DAYS)[:, None] + number_of(first)
        unborn = births.known & (days < births.values)
        assert unborn.any() and (slow[unborn] < YES).all(), "nobody has a right before being born"


@pytest.mark.parametrize("span", FIRSTS)
def test_the_timeline_of_every_programme_equals_day_by_day(rulebook, some_families, span):
    """Every programme of the registry on households of this run; the seed is in the message."""
    first = FIRSTS[span]
    seed, population = some_families(60, first)
    tables, changing = day_by_day(rulebook, population, first, DAYS), 0
    for key, slow in tables.items():
        periods = programme_periods(rulebook.versions[key], population, first, first, last_of(first))
        fast = drawn(periods, no_table(rulebook, key, population, DAYS), first)
        assert (fast == slow).all(), f"{key} with seed {seed}"
        assert merged(periods), f"{key} with seed {seed}"
        changing += bool((slow[1:] != slow[:-1]).any())
    assert changing > len(tables) // 2, "households so far from most programmes show nothing"


def test_a_day_for_each_household_equals_the_same_day_for_all(rulebook, some_families):
    """The two ways of asking for a day, for every programme on some days of the 25 months."""
    seed, population = some_families(60)
    start = number_of(FIRSTS["now"])
    for offset in [0, *random.Random(seed).sample(range(1, DAYS), 11)]:
        day = start + offset
        one = Moment.on(population, day, start)
        each = Moment.on(population, np.full(population.size, day, dtype=np.int32), start)
        for key in rulebook:
            version = rulebook.on(key, day)
            if version is not None:
                assert (version.verdicts(one) == version.verdicts(each)).all(), f"{key} on {date_of(day)} with seed {seed}"
