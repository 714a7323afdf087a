"""What programmes share of one moment is what each would find alone."""

import datetime as dt

import numpy as np

from app.rules.evaluate import evaluate
from app.rules.nodes import FEW
from app.rules.people_nodes import people_verdicts
from app.rules.reading import Moment, Reading
from app.rules.timeline import timeline
from tests.unit.rules.world import population, rule, rulebook

ON = dt.date(2026, 11, 21)
CIVIL_SERVANT = {"fact": "guardian.civil_servant", "is": True}
SETAGAYA, KITA = "131121", "131172"


def guardian(identifier, civil_servant, **incomes):
    stated = [{"value": yen, "income_year": int(year[1:])} for year, yen in incomes.items()]
    return {"id": identifier, "facts": {"civil_servant": civil_servant, "income_after_deductions": stated}}


def test_a_claimants_fact_is_kept_apart_by_the_year_that_says_who_claims():
    family = {"guardians": [guardian("g1", True, y2025=1, y2024=5), guardian("g2", False, y2025=5, y2024=1)]}
    rules = [
        rule(CIVIL_SERVANT, identifier=uses.replace("_", "-"), income_year={"uses": uses, "switches": "01-01"})
        for uses in ("previous_year", "year_before_previous")
    ]
    found = evaluate(rulebook(*rules), population(family), ON)
    assert {key: int(verdicts[0]) for key, verdicts in found.items()} == {
        "000000/previous-year": 0, "000000/year-before-previous": 2}
    alone = [int(evaluate(rulebook(one), population(family), ON)[one.key][0]) for one in rules]
    assert alone == [0, 2]


def test_a_towns_own_families_are_found_among_many_others():
    births = ["2026-10-01", "2025-03-05", "2010-01-01"]
    families = [
        {"residence": [{"municipality": town, "from": moved_in}],
         "children": [{"id": f"c{position}", "birth_date": birth} for position, birth in enumerate(births[: 1 + row % 3])]}
        for row, (town, moved_in) in enumerate(
            [(KITA, "2020-01-01")] * 5 + [(SETAGAYA, "2026-05-01"), (SETAGAYA, "2020-01-01")] + [(KITA, "2026-01-01")] * 4)
    ]
    made = rule({"resided": "3m", "by": "child.birth_date"}, subject="child", municipality=SETAGAYA)
    book, everybody = rulebook(made), population(*families)
    compiled = book.on(made.key, ON)
    moment = Moment.on(everybody, ON)
    whole = people_verdicts(compiled.whole, "child", Reading(moment, made))
    found = compiled.verdicts(moment)
    assert np.array_equal(found, whole)
    in_setagaya = np.isin(everybody.people["child"].household, [5, 6])
    assert not found[~in_setagaya].any()
    assert set(found[in_setagaya].tolist()) == {0, 2}


def test_where_people_lived_is_asked_of_the_few_alone_whom_the_rest_leaves_open():
    births = ["2010-01-01", "2010-01-01", "2010-01-01", "2010-01-01", "2010-01-01", "2025-03-05"]
    families = [
        {"residence": [{"municipality": (KITA, SETAGAYA)[row % 2], "from": moved_in}],
         "children": [{"id": "c1", "birth_date": births[row % len(births)]}]}
        for row, moved_in in enumerate(["2020-01-01"] * 11 + ["2025-01-15", "2020-01-01"] * 6)
    ]
    stay = {"any": [{"resided": "3m", "by": "child.birth_date"}, {"not": {"resident_on": "child.birth_date"}}]}
    made = rule({"all": [{"within": "child.birth_date", "from": "0d", "until": "3y"}, stay]}, subject="child")
    book, everybody = rulebook(made), population(*families)
    criteria = book.on(made.key, ON).criteria
    reading = Reading(Moment.on(everybody, ON), made)
    young, stayed = (part.verdicts(reading) for part in criteria.parts)
    found = criteria.verdicts(reading)
    assert 0 < FEW * (young > 0).sum() <= len(young)
    assert np.array_equal(found, np.minimum(young, stayed))
    assert set(found[young > 0].tolist()) == {1, 2}


def test_a_stay_that_is_still_too_short_for_one_of_many_is_not_refused_for_good():
    families = [
        {"residence": [{"municipality": SETAGAYA, "from": moved_in}], "children": [{"id": "c1", "birth_date": birth}]}
        for moved_in, birth in [("2020-01-01", "2010-01-01")] * (2 * FEW) + [("2026-11-01", "2025-12-01")]
    ]
    young = {"within": "child.birth_date", "from": "0d", "until": "3y"}
    made = rule({"all": [young, {"resided": "3m"}]}, subject="child", municipality=SETAGAYA)
    found = timeline(rulebook(made), population(*families), ON, dt.date(2027, 12, 31))[made.key].with_verdict(2)
    assert found.row.tolist() == [2 * FEW]
    assert dt.date(1970, 1, 1) + dt.timedelta(int(found.first[0])) == dt.date(2027, 2, 1)
