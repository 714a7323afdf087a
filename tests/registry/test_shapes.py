"""Every shape that a real programme of the facts page has, and the programme of the registry whose document has it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.registry.loading import Registry

ANY: Any = object()
"""Any value at all."""
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "until the fiscal year end of an age": ("000000/child-allowance", {"fiscal_year_end": ANY, "of_age": 18}),
    "no income: 018": ("130001/018-support", {"fiscal_year_end": ANY, "of_age": 18}),
    "no income: マル青": ("130001/youth-medical-subsidy", {"fiscal_year_end": ANY, "of_age": 18, "from_age": ANY}),
    "months from one birthday to the day before another": ("000000/measles-rubella-first", {"within": ANY, "from": "1y", "until": "2y"}),
    "weeks and days": ("000000/rota-first-dose", {"within": ANY, "from": "6w0d", "until": "14w6d"}),
    "an age between two checkups": ("000000/checkup-eighteen-months", {"within": ANY, "from": "1y6m", "until": "2y"}),
    "a school year": ("000000/measles-rubella-second", {"fact": "child.school_grade"}),
    "a school grade of a loan": ("130001/exam-challenge-loan", {"fact": "child.school_grade", "in": ANY}),
    "a class age": ("000000/free-childcare-three-to-five", {"fact": "child.class_age"}),
    "weeks of a pregnancy": ("000000/rsv-maternal-vaccination", {"within": "pregnancy.due_date", "from": "-84d", "until": "-22d"}),
    "so much for each fetus": ("000000/pregnancy-support-benefit-second", {"multiply": ANY}),
    "a limitation from a moved day": ("000000/pregnancy-support-benefit-second", {"anchor": ANY, "after": "-56d", "within": "2y"}),
    "a table by dependants": ("000000/child-rearing-allowance", {"under": {"parameter": ANY, "by": "guardian.dependants"}}),
    "a table for co-residents": ("000000/child-rearing-allowance", {"every": "co_resident"}),
    "a day on which the income year moves on": ("000000/child-rearing-allowance", {"switches": "11-01"}),
    "another day of the income year": ("130001/child-development-allowance", {"switches": "06-01"}),
    "a figure with rounding": ("000000/child-rearing-allowance", {"round": ANY, "to": 10}),
    "one of several, and not": ("130001/pregnancy-complication-medical-subsidy", {"any": ANY}),
    "one of several handbooks": ("130001/child-development-allowance-disability", {"any": ANY}),
    "a stay of a year": ("131032/birth-cost-subsidy", {"resided": ANY}),
    "living there on the first of the month": ("130001/018-support", {"resident_on": "month_start"}),
    "living there at birth": ("130001/baby-first", {"resident_on": "child.birth_date"}),
    "living there on the first of the birthday's month": (
        "131237/birthday-support", {"resident_on": "child.birth_date", "after": "1y", "start_of": "month"}),
    "families who left are looked at": ("131041/birthday-support", {"left_within": ANY}),
    "not where another town has paid": ("131041/birthday-support", {"received_elsewhere": "birthday-support"}),
    "less what another town paid": ("000000/pregnancy-support-benefit-second", {"paid_elsewhere": ANY}),
    "not beside a nursery": ("000000/childcare-for-all", {"fact": "child.childcare"}),
    "whoever receives another benefit": ("130001/child-rearing-plus", {"receives": "018-support"}),
    "the third child by a rule of its own": ("000000/child-allowance", {"rank": "child", "among": ANY}),
    "a rate that ends with a month": ("000000/child-allowance", {"within": ANY, "until_end_of": "month"}),
    "born between two days": ("130001/child-rearing-plus", {"fact": "child.birth_date", "from": ANY, "until": ANY}),
    "a programme that has ended": ("000000/birth-childrearing-gift", {"valid": {"until": ANY}}),
    "paid unasked": ("000000/price-rise-child-support", {"else": "opt_out"}),
    "civil servants through their employer": ("000000/child-allowance", {"is": "via_employer"}),
    "a variant of a town": ("131172/child-allowance", {"based_on": "000000/child-allowance"}),
    "the town counts from the day of moving in": ("131172/child-allowance", {"anchor": "residence.from"}),
    "fifteen days without loss": ("000000/child-allowance", {"within": "15d", "no_loss": True}),
    "the first day counts": ("000000/birth-registration", {"within": "14d", "first_day": "included"}),
    "the month after the claim": ("000000/child-rearing-allowance", {"pays_from": "month_after_claim"}),
    "by the end of this month": ("000000/child-rearing-allowance", {"end_of": "month", "holiday": "previous_working_day"}),
    "several payments, each with its own last day": ("130001/018-support", {"occasion": "april_payment", "on": ANY}),
    "a yearly last day": ("130001/exam-challenge-loan", {"each_year": "01-31"}),
    "a season of the right": ("000000/school-entry-notice", {"each_year": {"from": ANY, "until": ANY}}),
    "a person decides": ("000000/school-expense-assistance", {"judgement": ANY}),
    "until the day before the last but one": ("000000/childcare-for-all", {"reckoning": {"until": "until_reached"}}),
}


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping inside a document."""
    if isinstance(value, Mapping):
        yield value
        for part in value.values():
            yield from mappings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from mappings(part)


def matches(found: Any, wanted: Any) -> bool:
    """Whether a part of a document is as wanted; of a mapping only the keys asked about."""
    if wanted is ANY:
        return found is not None
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(key in found and matches(found[key], part) for key, part in wanted.items())
    return bool(str(found) == str(wanted))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_registry_has_a_programme_of_this_shape(registry: Registry, shape: str) -> None:
    key, wanted = SHAPES[shape]
    assert key in registry.programmes, f"{key} is not in the registry"
    versions = [document for (programme, _), document in registry.documents.items() if programme == key]
    rules = [{name: part for name, part in document.items() if name != "examples"} for document in versions]
    assert any(matches(part, wanted) for rule in rules for part in mappings(rule)), f"{key} has no {wanted}"


@pytest.mark.parametrize(("found", "wanted", "same"), [
    ({"a": 1, "b": {"c": 2}}, {"b": {"c": 2}}, True), ({"a": 1}, {"a": 2}, False), ({"a": None}, {"a": ANY}, False),
    ({"a": 1}, {"b": ANY}, False), ({"a": [1]}, {"a": ANY}, True)])
def test_what_counts_as_a_shape(found: Any, wanted: Any, same: bool) -> None:
    assert matches(found, wanted) is same
