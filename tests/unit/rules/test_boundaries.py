"""Boundary households: one thing moved, the evaluator's own answer on either side, and which test decides."""

import datetime as dt

import pytest

from app.rules.boundaries import boundaries
from app.rules.evaluate import compile_rule
from app.rules.household import read_household
from tests.unit.rules.world import CATALOGUE, ON, PARAMETERS, D, answers, rule

TO_18 = {"fiscal_year_end": "child.birth_date", "of_age": 18}
SINGLE = {"fact": "household.single_parent", "is": True}
LIMIT = {"fact": "guardian.income_after_deductions", "under": {"parameter": "table", "by": "guardian.dependants"}}


def found(criteria, *households, subject="household", on=ON, **more):
    made = rule(criteria, subject=subject, **more)
    return made, boundaries(compile_rule(made, CATALOGUE, PARAMETERS), CATALOGUE, on, households)


def births(pairs):
    return {(pair.inside.document["children"][0]["birth_date"], pair.inside.on,
             pair.outside.document["children"][0]["birth_date"], pair.outside.on) for pair in pairs}


def test_what_is_expected_is_what_the_evaluator_gives():
    made, around = found({"all": [TO_18, SINGLE, LIMIT]}, subject="child")
    assert around.without == ()
    for pair in around.pairs:
        for side in (pair.inside, pair.outside):
            read_household(side.document, CATALOGUE)
            answer = answers(made, side.document, side.on)[side.subject]
            assert (answer.verdict, None) == (side.outcome.verdict, side.outcome.amount)
        assert pair.inside.outcome != pair.outside.outcome


def test_birth_dates_around_an_edge_and_awkward_ones_on_their_own_edge():
    _, around = found(TO_18, subject="child")
    dates = births(around.pairs)
    assert (D("2008-04-02"), ON, D("2008-04-01"), ON) in dates
    assert (ON, ON, ON + dt.timedelta(1), ON) in dates
    assert (D("2008-02-29"), D("2026-03-31"), D("2008-02-29"), D("2026-04-01")) in dates


def test_29_february_at_three_years():
    _, around = found({"within": "child.birth_date", "until": "3y"}, subject="child")
    assert (D("2024-02-29"), D("2027-02-28"), D("2024-02-29"), D("2027-03-01")) in births(around.pairs)


def test_weeks_before_the_due_date():
    _, around = found({"within": "pregnancy.due_date", "from": "-84d", "until": "-22d"}, subject="pregnancy")
    dates = {(pair.edge, pair.inside.document["pregnancies"][0]["due_date"], pair.outside.document["pregnancies"][0]["due_date"])
             for pair in around.pairs}
    day = dt.timedelta
    assert dates == {("opens", ON + day(84), ON + day(85)), ("closes", ON + day(22), ON + day(21))}


def test_a_limit_by_one_yen_for_every_row_and_one_past_the_last():
    _, around = found(LIMIT)
    incomes = set()
    for pair in around.pairs:
        inside, outside = (side.document["guardians"][0]["facts"] for side in (pair.inside, pair.outside))
        assert inside["dependants"] == outside["dependants"]
        incomes.add((inside["dependants"], inside["income_after_deductions"], outside["income_after_deductions"]))
    assert {(0, 689_999, 690_000), (1, 1_069_999, 1_070_000), (2, 1_449_999, 1_450_000)} <= incomes


def test_past_the_last_row_of_a_table_that_says_nothing_more():
    _, around = found({"fact": "guardian.income_after_deductions",
                       "under": {"parameter": "table-unknown", "by": "guardian.dependants"}})
    (last,) = [pair for pair in around.pairs if pair.edge == "last_row"]
    assert [side.document["guardians"][0]["facts"]["dependants"] for side in (last.inside, last.outside)] == [1, 2]
    assert [last.inside.outcome.verdict, last.outside.outcome.verdict] == ["eligible", "undetermined"]


@pytest.mark.parametrize(("criteria", "since"), [
    ({"resided": "1y"}, ["2025-11-21", "2025-11-22"]),
    ({"resident_on": "month_start"}, ["2026-11-01", "2026-11-02"]),
    ({"resident_on": "child.birth_date"}, None),
])
def test_the_first_day_of_a_residence(criteria, since):
    _, around = found(criteria, subject="child", municipality="131121")
    (pair, *_) = around.pairs
    stays = [side.document["residence"][-1] for side in (pair.inside, pair.outside)]
    assert stays[1]["from"] - stays[0]["from"] == dt.timedelta(1)
    if since is not None:
        assert [str(stay["from"]) for stay in stays] == since


def test_a_test_behind_an_alternative_is_reached_by_failing_the_other():
    alternatives = {"any": [SINGLE, {"fact": "household.levy", "under": 100}]}
    _, around = found(alternatives, {"facts": {"single_parent": True, "levy": 5}})
    assert {pair.path for pair in around.pairs} == {"criteria.any[0]", "criteria.any[1]"}


def test_a_test_that_can_decide_nothing_is_named():
    _, around = found({"any": [{"fact": "household.levy", "under": 100}, {"fact": "household.levy", "under": 50}]})
    assert [node.path for node in around.without] == ["criteria.any[1]"]


def test_an_edge_of_the_amount_changes_the_amount():
    _, around = found(SINGLE, amount=[{"when": {"fact": "household.levy", "under": 100}, "yen": 7, "per": "once"},
                                      {"yen": 3, "per": "once"}])
    (pair,) = around.of("amount[0].when")
    assert [(side.outcome.verdict, side.outcome.amount) for side in (pair.inside, pair.outside)] == [
        ("eligible", 7), ("eligible", 3)]


def test_every_person_of_a_quantifier_and_the_number_of_people():
    poor = {"fact": "co_resident.income_after_deductions", "at_most": 3}
    _, around = found({"all": [{"every": "co_resident", "where": poor}, {"count": "child", "at_least": 3}]})
    assert around.without == ()
    (people,) = around.of("criteria.all[1]")
    assert [len(side.document["children"]) for side in (people.inside, people.outside)] == [3, 2]


def test_the_households_given_are_used_first_and_keep_their_people():
    given = {"facts": {"single_parent": True, "levy": 1}, "guardians": [{"id": "mother"}]}
    _, around = found(SINGLE, given)
    (pair,) = around.pairs
    assert pair.inside.document["guardians"] == [{"id": "mother"}]
    assert "levy" not in pair.inside.document["facts"]
