"""Boundary households of every programme: what they expect is what comes out, and every test that can decide has some."""

import dataclasses

import pytest

from app.registry.boundary_examples import as_example, boundaries_of
from app.registry.examples import example_household
from app.registry.loading import Registry
from app.rules.boundaries import boundaries, deciding_tests
from app.rules.day_nodes import Window
from app.rules.household import read_household
from app.rules.inquiry import answers_on
from app.rules.nodes import Between, Compared
from app.rules.population import Population


@pytest.fixture(scope="module")
def found(registry: Registry):
    return {version.key: (version, boundaries_of(registry, version, version.sources[0].checked_on))
            for version in registry.versions if registry.programmes[version.key][-1] is version}


def test_every_window_and_limit_that_can_decide_has_a_pair(registry: Registry, found) -> None:
    """But for edges past the day of the next check, where nothing is certain; without that check they show."""
    for key, (version, around) in found.items():
        eligible = any(one.verdict == "eligible" for example in version.examples for one in example.expect.values())
        without = {node.path for node in around.without
                   if isinstance(node, Window | Compared | Between) and not node.path.startswith("amount")}
        if eligible and without:
            compiled = registry.rulebook.on(key, version.valid.from_)
            unchecked = dataclasses.replace(compiled, rule=version.model_copy(update={"next_check_on": None}))
            households = [example_household(registry, example).document() for example in version.examples]
            later = boundaries(unchecked, registry.facts, version.sources[0].checked_on, households)
            assert without & {node.path for node in later.without} == set(), key


def test_every_pair_differs_and_names_a_test_of_the_programme(registry: Registry, found) -> None:
    for key, (version, around) in found.items():
        paths = {node.path for node in deciding_tests(registry.rulebook.on(key, version.valid.from_))}
        for pair in around.pairs:
            assert pair.inside.outcome != pair.outside.outcome, (key, pair.path)
            assert pair.path in paths


def test_what_a_boundary_expects_is_what_is_answered(registry: Registry, found) -> None:
    """One pair of each programme, read as an example's household is, and asked the way families are."""
    for key, (_, around) in found.items():
        for pair in around.pairs[:1]:
            for side in (pair.inside, pair.outside):
                household = read_household(as_example(side)["household"], registry.facts, "example")
                population = Population.from_documents([household], registry.facts)
                (answered,) = answers_on(registry.rulebook, population, side.on, [key])
                answer = next(one for one in answered.answers if one.subject == side.subject)
                assert answer.verdict == side.outcome.verdict, (key, pair.path, side)
                if side.outcome.amount is not None:
                    assert answer.amount is not None
                    assert answer.amount.yen == side.outcome.amount, (key, pair.path)
