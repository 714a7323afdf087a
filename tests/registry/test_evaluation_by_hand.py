"""Every programme in force, evaluated and by hand in numpy (`tests/bench/reference`): the same verdicts."""

import datetime as dt

import numpy as np
import pytest

from app.households.synthetic import synthetic_households
from app.registry.loading import Registry
from app.rules.evaluate import evaluate
from app.rules.population import Population
from tests.bench import reference
from tests.bench.evaluate import ON, differences, limits

WITH_OWN_PROGRAMMES = (
    "131016", "131024", "131032", "131041", "131113", "131121", "131130", "131148", "131164", "131172", "131181",
    "131237", "139904",
)  # fmt: skip
Families = tuple[list[dict], Population]


@pytest.fixture(scope="module")
def families(registry: Registry) -> Families:
    """Some families all over Tokyo, and some in each town that has programmes of its own."""
    documents = list(synthetic_households(1_700, on=ON))
    for town in WITH_OWN_PROGRAMMES:
        documents += synthetic_households(100, on=ON, seed=1, municipality=town)
    return documents, Population.from_documents(documents, registry.facts)


@pytest.mark.parametrize("on", [ON, dt.date(2026, 12, 1)])
def test_verdicts_are_those_of_the_rules_written_by_hand(registry: Registry, families: Families, on: dt.date) -> None:
    documents, population = families
    found = evaluate(registry.rulebook, population, on)
    expected = reference.verdicts(reference.Households(documents, on), on, limits(registry.parameters, on))
    assert len(found) >= 100
    assert differences(found, expected) == {}


def test_the_families_show_several_outcomes_of_most_programmes(registry: Registry, families: Families) -> None:
    found = evaluate(registry.rulebook, families[1], ON)
    alike = [key for key, verdicts in found.items() if len(np.unique(verdicts)) == 1]
    assert len(alike) < 10, alike


def test_a_difference_is_seen() -> None:
    no, yes = np.zeros(3, dtype=np.int8), np.full(3, 2, dtype=np.int8)
    assert differences({"a": no, "b": no, "c": no}, {"a": no, "b": yes, "c": no[:2]}) == {"b": 3, "c": "different sizes"}
    assert differences({"a": no}, {"b": no}) == {"a": "only one side has it", "b": "only one side has it"}
