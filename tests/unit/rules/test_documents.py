"""What is refused, and how it is said."""

import pytest
from pydantic import ValidationError

from app.rules.documents import DocumentError, problems_of
from app.rules.evaluate import Rulebook
from app.rules.facts import FactCatalogue
from app.rules.household import read_household
from app.rules.municipality_code import check_digit, covers, read_municipality_code
from app.rules.my_number import check_digit as my_number_digit
from app.rules.my_number import holds_my_number
from app.rules.parameters import Parameter
from tests.unit.rules.world import CATALOGUE, PARAMETERS, rule, rulebook


def refused(criteria, subject="child"):
    with pytest.raises(ValidationError) as error:
        rule(criteria, subject=subject)
    return [str(problem) for problem in problems_of(error.value)]


@pytest.mark.parametrize(("criteria", "subject", "place"), [
    ({"all": [{"fact": "child.grade", "is": 1}]}, "household", "criteria.all[0].fact"),
    ({"all": [{"fact": "pregnancy.fetuses", "is": 1}]}, "child", "criteria.all[0].fact"),
    ({"some": "co_resident", "where": {"fact": "child.grade", "is": 1}}, "child", "criteria.where.fact"),
    ({"any": [{"rank": "child", "at_least": 3}]}, "guardian", "criteria.any[0]"),
    ({"within": "child.birth_date", "from": "3m", "until": "2m"}, "child", "criteria"),
    ({"within": "child.birth_date", "from": "1y", "until": "1y"}, "child", "criteria"),
    ({"within": "child.birth_date", "from": "-22d", "until": "-84d"}, "child", "criteria"),
    ({"within": "child.birth_date", "from": "soon"}, "child", "criteria.from"),
    ({"fiscal_year_end": "child.birth_date", "of_age": 6, "from_age": 15}, "child", "criteria"),
    ({"on": {"from": "2026-04-02", "until": "2026-04-01"}}, "household", "criteria.on"),
    ({"fact": "household.levy", "at_least": 9, "under": 9}, "household", "criteria"),
    ({"fact": "household.levy", "at_least": 9, "is": 9}, "household", "criteria"),
    ({"count": "child", "at_least": 3, "at_most": 2}, "household", "criteria"),
    ({"all": []}, "household", "criteria.all"),
    ({"fact": "household.levy", "above": 9}, "household", "criteria.above"),
    ({"somehow": True}, "household", "criteria"),
])
def test_a_wrong_criterion_is_refused_with_its_path(criteria, subject, place):
    assert any(problem.startswith(f"{place}: found ") for problem in refused(criteria, subject)), refused(criteria, subject)


def test_one_mistake_is_one_problem():
    assert len(refused({"all": [{"fact": "household.levy"}]})) == 1


@pytest.mark.parametrize(("criteria", "place", "expected"), [
    ({"fact": "household.wealth", "is": True}, "criteria.fact", "catalogue"),
    ({"fact": "household.levy", "under": {"parameter": "nowhere"}}, "criteria.under.parameter", "parameter"),
    ({"fact": "household.levy", "under": {"parameter": "table"}}, "criteria.under", "by"),
    ({"fact": "household.single_parent", "at_least": 3}, "criteria.fact", "int"),
    ({"fact": "household.single_parent", "is": 3}, "criteria.is", "bool"),
    ({"some": "child", "where": {"fact": "child.school_kind", "is": "boat"}}, "criteria.where.is", "'public'"),
    ({"fact": "household.levy", "under": {"parameter": "table", "by": "child.grade"}}, "criteria.under.by", "int"),
    ({"within": "household.levy", "until": "1y"}, "criteria.within", "date"),
])
def test_compiling_names_the_path(criteria, place, expected):
    with pytest.raises(DocumentError) as error:
        rulebook(rule(criteria))
    (problem,) = error.value.problems
    assert problem.path == f"000000/programme 2024-04-01 {place}"
    assert expected in problem.expected


def test_an_amount_cannot_be_a_floating_point_number():
    with pytest.raises(ValidationError) as error:
        rule({"judgement": "x"}, amount=[{"yen": 100.5, "per": "month"}])
    assert "amount[0].yen: found 100.5; expected a whole number" in str(problems_of(error.value)[0])


@pytest.mark.parametrize("period", [
    {"valid_from": "2024-04-01"}, {"valid_from": "2024-04-01", "value": 1, "table": [1], "beyond": "same"},
    {"valid_from": "2024-04-01", "table": [1]}, {"valid_from": "2024-04-01", "value": 0.1},
    {"valid_from": "2024-04-01", "valid_until": "2024-03-31", "value": 1},
])
def test_a_wrong_parameter_is_refused(period):
    with pytest.raises(ValidationError):
        Parameter.model_validate({"id": "p", "label": "p", "periods": [period]})


def problems(document):
    with pytest.raises(DocumentError) as error:
        read_household(document, CATALOGUE, "line 7")
    assert str(error.value).startswith("line 7: ")
    return {problem.path for problem in error.value.problems}


@pytest.mark.parametrize(("document", "path"), [
    ({"facts": {"wealth": 1}}, "facts"),
    ({"facts": {"single_parent": "yes"}}, "facts.single_parent"),
    ({"facts": {"levy": -1}}, "facts.levy"),
    ({"facts": {"levy": 1.5}}, "facts.levy"),
    ({"facts": {"levy": {"value": 1, "year": 2025}}}, "facts.levy.year"),
    ({"facts": {"levy": {"programme": [{"value": "much"}]}}}, "facts.levy.programme[0].value"),
    ({"children": [{"id": "a", "birth_date": "2023-02-29"}]}, "children[0].birth_date"),
    ({"children": [{"id": "a"}, {"id": "a"}]}, "children[1].id"),
    ({"children": [{"id": "a", "facts": {"birth_date": "2023-02-20"}}]}, "children[0].facts"),
    ({"municipality": "131122"}, "municipality"),
    ({"municipality": 131121}, "municipality"),
    ({"residence": [{"municipality": "131121", "from": "2026-01-01", "who": "x"}]}, "residence[0].who"),
    ({"parents": []}, "parents"),
    ({"guardians": [{"id": "a", "facts": {"claimant": True}}, {"id": "b", "facts": {"claimant": True}}]},
     "guardians[1].facts.claimant"),
])
def test_a_wrong_household_is_refused_with_its_path(document, path):
    assert problems(document) == {path}


def my_number(first_eleven):
    return f"{first_eleven}{my_number_digit(first_eleven)}"


@pytest.mark.parametrize("write", [str, int, lambda text: f"{text[:4]}-{text[4:8]}-{text[8:]}",
                                   lambda text: f"番号は{text}です", lambda text: text.translate({ord("1"): "１"})])
def test_a_my_number_is_refused_anywhere(write):
    number = write(my_number("12345678901"))
    assert problems({"id": number} if isinstance(number, str) else {"facts": {"levy": number}})
    assert problems({"children": [{"id": "a", "facts": {"grade": number}}]}) == {"children[0].facts.grade"}


def test_other_long_numbers_are_not_my_numbers():
    wrong = my_number("12345678901")[:-1] + str((my_number_digit("12345678901") + 1) % 10)
    assert not holds_my_number(wrong)
    assert not holds_my_number(my_number("12345678901") + "3")
    assert not holds_my_number("2026-11-21T09:00:00")


def test_what_is_kept_of_a_household():
    household = read_household({"municipality": "13112", "children": [{"birth_date": "2020-04-01"}], "co_residents": []},
                               CATALOGUE, "file")
    document = household.document()
    assert (document["id"], document["municipality"]) == ("file", "131121")
    assert list(document["co_residents"]) == []
    assert "guardians" not in document


@pytest.mark.parametrize("code", ["131016", "131121", "131172", "130001", "134210", "011002", "141003", "401307",
                                  "172065", "272299", "133035"])
def test_municipality_codes(code):
    assert str(check_digit(code[:5])) == code[5]
    assert read_municipality_code(code[:5]) == read_municipality_code(code) == code
    with pytest.raises(ValueError, match=f"expected {code}"):
        read_municipality_code(code[:5] + str((int(code[5]) + 1) % 10))


def test_areas_cover_their_towns():
    assert covers("000000", "131121")
    assert covers("130001", "131121")
    assert not covers("130001", "141003")
    assert not covers("131121", "131130")


def test_a_catalogue_names_its_wrong_entries():
    with pytest.raises(DocumentError) as error:
        FactCatalogue.from_mapping({"child.a": {"type": "choice", "label": "a"}, "pet.b": {"type": "bool", "label": "b"}})
    assert {problem.path.split(".")[0] for problem in error.value.problems} == {"child", "pet"}


def test_a_rule_survives_being_written_and_read():
    made = rule({"all": [{"fiscal_year_end": "child.birth_date", "of_age": 18}, {"rank": "child", "at_least": 3}]},
                subject="child", amount=[{"when": {"rank": "child", "is": 1}, "yen": {"multiply": [2, "0.0264029"]}, "per": "month"}])
    written = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert type(made).model_validate(written) == made
    assert Rulebook.compile([made], CATALOGUE, PARAMETERS)
