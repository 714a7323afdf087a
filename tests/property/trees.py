"""Every leaf of the language, random trees of them, and the slow ways of asking that the fast ones must equal."""

import datetime as dt
import random

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from app.calendar.day_numbers import number_of
from app.rules.evaluate import Rulebook
from app.rules.household import read_household
from app.rules.population import Population
from app.rules.reading import Moment
from tests.property.made_up import Maker
from tests.unit.rules.world import CATALOGUE, PARAMETERS, rule

FIRST = dt.date(2025, 9, 10)
DAYS = 25 * 31
FIRSTS = {"2024-02-29": dt.date(2023, 3, 12), "now": FIRST, "2028-02-29": dt.date(2026, 11, 24)}
"""First days of spans of 25 months: two hold a 29 February."""
MAKER = Maker(CATALOGUE, FIRST, ("other", "programme"))
calm = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**32 - 1)
INCOME = "guardian.income_after_deductions"

LEAVES = {
    "within": {"within": "child.birth_date", "from": "2m", "until": "90m", "reckoning": {"until": "until_reached"}},
    "within, end of month": {"within": "child.birth_date", "until": "3y", "reckoning": {"until": "reached"},
                             "until_end_of": "month"},
    "within, school year": {"within": "child.birth_date", "from": "1y", "until": "1y6m", "until_end_of": "school_year"},
    "within, start of month": {"within": "child.birth_date", "from": "1y", "from_start_of": "month", "until": "2y"},
    "within, start of year": {"within": "child.birth_date", "from": "3y", "from_start_of": "school_year", "until": "5y"},
    "within, counted back": {"within": "child.birth_date", "from": "-2m", "until": "-1d"},
    "within, moved": {"within": "child.birth_date", "after": "-56d", "from": "0d", "until": "2y"},
    "fiscal year end": {"fiscal_year_end": "child.birth_date", "of_age": 18},
    "fiscal year between": {"fiscal_year_end": "child.birth_date", "of_age": 15, "from_age": 6},
    "school grade": {"fact": "child.school_grade", "in": [0, 1]},
    "class age": {"fact": "child.class_age", "at_most": 2},
    "born between": {"fact": "child.birth_date", "from": "2012-04-02", "until": "2026-04-01"},
    "choice": {"fact": "child.grade", "at_most": 2},
    "rank": {"rank": "child", "at_least": 2, "among": {"any": [
        {"fiscal_year_end": "child.birth_date", "of_age": 18},
        {"all": [{"fiscal_year_end": "child.birth_date", "of_age": 22},
                 {"fact": "child.supported_by_guardian", "is": True}]}]}},
    "rank of all": {"rank": "child", "is": 1},
    "month start": {"resident_on": "month_start"},
    "lives there": {"resident_on": "today"},
    "lived there at birth": {"resident_on": "child.birth_date"},
    "lived there at one": {"resident_on": "child.birth_date", "after": "1y", "start_of": "month"},
    "lived there on a day": {"resident_on": "2026-03-01"},
    "resided": {"resided": "1y"},
    "resided at birth": {"resided": "3m", "by": "child.birth_date"},
    "resided by a day": {"resided": "6m", "by": "2026-01-15"},
    "resided since": {"resided_since": "child.birth_date"},
    "resided since a day": {"resided_since": "2025-05-01"},
    "claimant resided": {"resided": "6m", "whose": "claimant"},
    "household lives there": {"resident_on": "today", "whose": "household"},
    "receives": {"receives": "other"},
    "received elsewhere": {"received_elsewhere": "other"},
    "on": {"on": {"from": "2026-01-15", "until": "2026-09-30"}},
    "each year": {"each_year": {"from": "11-15", "until": "02-10"}},
    "table": {"fact": INCOME, "under": {"parameter": "table", "by": "guardian.dependants"}},
    "limit": {"fact": INCOME, "at_least": {"parameter": "limit"}},
    "yen between": {"fact": INCOME, "at_least": 100, "under": 1_220_000},
    "total": {"total": INCOME, "under": {"parameter": "limit"}},
    "total of all": {"total": [INCOME, "co_resident.income_after_deductions"], "at_least": 100, "at_most": 2_460_000},
    "flag": {"fact": "household.single_parent", "is": True},
    "every": {"every": "co_resident", "where": {"fact": "co_resident.income_after_deductions",
                                                "under": {"parameter": "table-same", "by": "co_resident.dependants"}}},
    "count": {"count": "child", "where": {"fiscal_year_end": "child.birth_date", "of_age": 18}, "at_least": 2},
    "some": {"some": "pregnancy", "where": {"within": "pregnancy.due_date", "from": "-84d", "until": "-22d"}},
    "judgement": {"judgement": "a person decides"},
}
trees = st.recursive(
    st.sampled_from(list(LEAVES.values())),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
areas = st.sampled_from(["000000", "130001", "131121"])


def book_of(tree, area="000000", income_year=True, against=None, first=FIRST, **more):
    """Two versions of one programme of children, the second with one test more, in the 25 months from a first day."""
    if income_year:
        more["income_year"] = {"switches": "11-01", "uses": "previous_year"}
    if against is not None:
        more["unmodelled"] = [{"ja": "…", "contradicted_by": against}]
    days = [first + dt.timedelta(days=number) for number in (-162, 264, 567)]
    made = [rule(tree, subject="child", municipality=area, valid={"from": days[0]}, **more),
            rule({"all": [tree, {"fact": "household.public_assistance", "is": False}]}, subject="child",
                 municipality=area, valid={"from": days[1], "until": days[2]}, **more)]
    return Rulebook.compile(made, CATALOGUE, PARAMETERS)


def households(seed, count, first=FIRST):
    """Some households of one seed, made around a day."""
    chance, maker = random.Random(seed), Maker(CATALOGUE, first, MAKER.programmes)
    return [maker.household(chance) for _ in range(count)]


def people(documents, catalogue=CATALOGUE):
    """A population of checked documents."""
    return Population.from_documents(
        [read_household(document, catalogue, f"h{row}") for row, document in enumerate(documents)], catalogue)


def no_table(book, key, population, days):
    """A row for each day, −1 everywhere."""
    rows = population.people[book.versions[key][0].subject].size
    return np.full((days, rows), -1, dtype=np.int8)


def every_day(population, first, days):
    """Each household once for every day, on that day: one moment, asked on the first day."""
    size = population.size
    part = population.subset(np.repeat(np.arange(size), days))
    return Moment.on(part, np.tile(np.arange(days, dtype=np.int32) + number_of(first), size), number_of(first))


def day_by_day(book, population, first, days):
    """Verdicts of every programme on every single day: −1 where no version is law."""
    moment, numbers, tables = every_day(population, first, days), np.arange(days) + number_of(first), {}
    for key in book:
        tables[key] = no_table(book, key, population, days)
        for version in book.versions[key]:
            people, copies = population.people[version.subject], moment.population.people[version.subject]
            place = np.arange(people.size) - people.offsets[people.household]
            rows = copies.offsets[people.household * days + np.arange(days)[:, None]] + place
            law = (version.first <= numbers) & (numbers <= version.last)
            tables[key][law] = version.verdicts(moment)[rows[law]]
    return tables


def drawn(periods, table, first):
    """The same table from periods; every day at most once."""
    start = number_of(first)
    for row, verdict, begin, end in zip(periods.row, periods.verdict, periods.first, periods.last, strict=True):
        assert (table[begin - start: end - start + 1, row] == -1).all()
        table[begin - start: end - start + 1, row] = verdict
    return table


def merged(periods):
    """No two neighbours say the same."""
    same = (periods.row[1:] == periods.row[:-1]) & (periods.verdict[1:] == periods.verdict[:-1])
    return not (same & (periods.first[1:] == periods.last[:-1] + 1)).any()
