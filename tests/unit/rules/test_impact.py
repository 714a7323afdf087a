"""Impact of another version or another parameter: who gains, who loses, and how many yen."""

import numpy as np
import pytest

from app.rules.evaluate import Rulebook
from app.rules.impact import impact, impact_ahead
from app.rules.parameters import Parameters
from tests.unit.rules.world import CATALOGUE, ON, PARAMETERS, D, parameter, population, rule, rulebook

KEY = "000000/programme"
BORN = ["2026-06-01", "2024-04-02", "2018-05-05", "2027-02-10", None]
FAMILIES = population(*({"children": [{"id": "c", "birth_date": born}]} for born in BORN))


def until(years, yen):
    criteria = {"within": "child.birth_date", "from": "0d", "until": f"{years}y"}
    return rule(criteria, subject="child", amount=[{"yen": yen, "per": "month"}])


def rows(found):
    return {name: list(getattr(found, name)) for name in ("gains", "loses", "becomes_open", "closes", "stays")}


def test_a_wider_age_and_less_money():
    found = impact(rulebook(until(2, 10_000)), rulebook(until(10, 9_000)), KEY, FAMILIES, ON)
    assert rows(found) == {"gains": [1, 2], "loses": [], "becomes_open": [], "closes": [], "stays": [0]}
    assert list(found.gets_less) == [0]
    assert found.yen == {"month": 3 * 9_000 - 10_000}


def test_the_other_way_round_is_the_mirror():
    narrow, wide = rulebook(until(2, 10_000)), rulebook(until(10, 9_000))
    there, back = impact(narrow, wide, KEY, FAMILIES, ON), impact(wide, narrow, KEY, FAMILIES, ON)
    assert list(back.loses) == list(there.gains)
    assert back.yen["month"] == -there.yen["month"]
    assert list(back.gets_more) == list(there.gets_less)


def test_a_question_opens_and_closes():
    asks = rule({"fact": "household.single_parent", "is": True})
    everybody = rule({"on": {"from": "2024-04-01"}})
    whole = population({}, {"facts": {"single_parent": False}}, {"facts": {"single_parent": True}})
    assert rows(impact(rulebook(everybody), rulebook(asks), KEY, whole, ON)) == {
        "gains": [], "loses": [1], "becomes_open": [0], "closes": [], "stays": [2]}
    nobody = rule({"on": {"until": "2024-04-01"}})
    assert list(impact(rulebook(asks), rulebook(nobody), KEY, whole, ON).closes) == [0]


def test_the_coming_months_follow_the_families():
    """Row 3 is born in February: the wider rule gives it nothing more than the narrow one before it turns two."""
    months = impact_ahead(rulebook(until(2, 10_000)), rulebook(until(3, 10_000)), KEY, FAMILIES, ON, 8)
    assert [found.on for found in months][:2] == [D("2026-12-01"), D("2027-01-01")]
    # Row 1 (born 2024-04-02) leaves the wider rule in April 2027 as well.
    assert [list(found.gains) for found in months] == [[1]] * 5 + [[]] * 3
    assert list(months[3].stays) == [0, 3]


def test_a_parameter_changes():
    limited = rule({"fact": "household.levy", "under": {"parameter": "limit"}})
    higher = Parameters([parameter("limit", {"valid_from": "2024-04-01", "value": 2_000_000})])
    whole = population(*({"facts": {"levy": levy}} for levy in (1_100_000, 1_500_000, 2_500_000)))
    before, after = (Rulebook.compile([limited], CATALOGUE, parameters) for parameters in (PARAMETERS, higher))
    assert list(impact(before, after, KEY, whole, ON).gains) == [1]


def test_an_amount_that_is_open_is_in_no_sum():
    open_amount = rule({"on": {"from": "2024-04-01"}}, amount=[
        {"when": {"fact": "household.single_parent", "is": True}, "yen": 500, "per": "once"}, {"yen": 100, "per": "once"}])
    found = impact(rulebook(), rulebook(open_amount), KEY, population({}, {"facts": {"single_parent": True}}), ON)
    assert (found.yen, found.counts()["open_amounts"], found.counts()["gains"]) == ({"once": 500}, 1, 2)


def test_another_subject_and_a_programme_of_nobody_are_refused():
    with pytest.raises(ValueError, match="one subject"):
        impact(rulebook(until(2, 1)), rulebook(rule({"on": {"from": "2024-04-01"}})), KEY, FAMILIES, ON)
    with pytest.raises(KeyError):
        impact(rulebook(), rulebook(), KEY, FAMILIES, ON)


def test_parts_add_up_to_the_whole():
    before, after = rulebook(until(2, 10_000)), rulebook(until(10, 9_000))
    parts = [impact(before, after, KEY, FAMILIES.subset(np.asarray(some)), ON).counts() for some in ([0, 3], [1, 2, 4])]
    whole = impact(before, after, KEY, FAMILIES, ON).counts()
    assert {name: sum(part[name] for part in parts) for name in whole} == whole
