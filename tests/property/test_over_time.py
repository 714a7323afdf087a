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
from tests.property.made_up import Maker
from tests.property.trees import (
    DAYS,
    FIRST,
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

LAST = FIRST + dt.timedelta(days=DAYS - 1)
MANY = people(households(20261124, 80))


@settings(calm, max_examples=20)
@given(seeds, trees, areas, st.none() | trees)
def test_timeline_equals_day_by_day(seed, tree, area, against):
    book, population, key = book_of(tree, area, against=against), people(households(seed, 6)), f"{area}/programme"
    periods = timeline(book, population, FIRST, LAST)[key]
    table = no_table(book, key, population, DAYS)
    assert (drawn(periods, table, FIRST) == day_by_day(book, population, FIRST, DAYS)[key]).all()
    assert merged(periods)


FROM_BIRTH = ("within", "within, end of month", "within, school year", "within, start of month", "within, start of year",
              "fiscal year end", "fiscal year between", "school grade", "class age", "born between")


@pytest.mark.parametrize("name", LEAVES)
def test_timeline_of_every_leaf_equals_day_by_day(name):
    area = "131121" if "resid" in str(LEAVES[name]) else "000000"
    book = book_of(LEAVES[name], area, reaches={"left_within": "4m"})
    key = f"{area}/programme"
    periods = timeline(book, MANY, FIRST, LAST)[key]
    slow = day_by_day(book, MANY, FIRST, DAYS)[key]
    assert (drawn(periods, no_table(book, key, MANY, DAYS), FIRST) == slow).all()
    if name in FROM_BIRTH:
        births, days = MANY.column("child.birth_date"), np.arange(DAYS)[:, None] + number_of(FIRST)
        unborn = births.known & (days < births.values)
        assert unborn.any() and (slow[unborn] < YES).all(), "nobody has a right before being born"


def some_families(registry, rulebook, count):
    """(seed, households that speak every fact of the registry); other ones in each run."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    maker = Maker(registry.facts, FIRST, sorted({name.rsplit("/", 1)[-1] for name in rulebook})[::7])
    return seed, people([maker.household(chance) for _ in range(count)], registry.facts)


def test_the_timeline_of_every_programme_equals_day_by_day(registry, rulebook):
    """Every programme of the registry on households of this run; the seed is in the message."""
    seed, population = some_families(registry, rulebook, 60)
    tables, changing = day_by_day(rulebook, population, FIRST, DAYS), 0
    for key, slow in tables.items():
        periods = programme_periods(rulebook.versions[key], population, FIRST, FIRST, LAST)
        fast = drawn(periods, no_table(rulebook, key, population, DAYS), FIRST)
        assert (fast == slow).all(), f"{key} with seed {seed}"
        assert merged(periods), f"{key} with seed {seed}"
        changing += bool((slow[1:] != slow[:-1]).any())
    assert changing > len(tables) // 2, "households so far from most programmes show nothing"


def test_a_day_for_each_household_equals_the_same_day_for_all(registry, rulebook):
    """The two ways of asking for a day, for every programme on some days of the 25 months."""
    seed, population = some_families(registry, rulebook, 60)
    days = [0, *random.Random(seed).sample(range(1, DAYS), 11)]
    for offset in days:
        day = number_of(FIRST) + offset
        one = Moment.on(population, day, number_of(FIRST))
        each = Moment.on(population, np.full(population.size, day, dtype=np.int32), number_of(FIRST))
        for key in rulebook:
            version = rulebook.on(key, day)
            if version is not None:
                assert (version.verdicts(one) == version.verdicts(each)).all(), f"{key} on {date_of(day)} with seed {seed}"
