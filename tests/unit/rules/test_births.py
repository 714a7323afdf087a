"""A test of a birth date holds from the birth on: nobody has a right before being born."""

import pytest

from tests.unit.rules.world import D, answers, rule, verdict

BORN = {"id": "c1", "birth_date": "2026-11-20"}
TESTS = {
    "range": {"fact": "child.birth_date", "from": "2025-04-01", "until": "2027-03-31"},
    "open range": {"fact": "child.birth_date", "from": "2025-04-01"},
    "until an age": {"within": "child.birth_date", "until": "20y"},
    "class age": {"fact": "child.class_age", "at_most": 2},
    "school year": {"fiscal_year_end": "child.birth_date", "of_age": 18},
}


@pytest.mark.parametrize("name", TESTS)
def test_a_right_begins_with_the_birth(name):
    made = rule(TESTS[name], subject="child", valid="2024-04-01")
    found = answers(made, {"children": [BORN]})["child:c1"]
    assert (found.verdict, found.eligible_from) == ("eligible", D("2026-11-20"))
    ahead = answers(made, {"children": [BORN]}, D("2026-11-19"))["child:c1"]
    assert (ahead.verdict, ahead.begins_on) == ("ineligible", D("2026-11-20"))


@pytest.mark.parametrize("name", TESTS)
def test_a_family_has_a_child_from_its_birth_on(name):
    some = {"some": "child", "where": TESTS[name]}
    assert [verdict(some, {"children": [BORN]}, on=D(day)) for day in ("2026-11-19", "2026-11-20")] == [
        "ineligible", "eligible"]


def test_a_window_that_says_from_before_the_birth_keeps_its_word():
    before = {"within": "child.birth_date", "from": "-2m", "until": "1y"}
    assert verdict(before, {"children": [BORN]}, on=D("2026-10-01"), subject="child") == "eligible"
