"""The registry as it is delivered, read and compiled once, and households that live where it has programmes."""

import random

import pytest

from app.rules.people_nodes import Answered
from tests.conftest import registry as registry_of_the_files
from tests.property.made_up import Maker
from tests.property.trees import FIRSTS, people


@pytest.fixture(scope="session")
def registry():
    return registry_of_the_files()


@pytest.fixture(scope="session")
def rulebook(registry):
    return registry.rulebook


@pytest.fixture(scope="session")
def towns(registry):
    """Every municipality with programmes of its own, in the order of their codes, and one outside; no prefecture."""
    codes = {version.municipality for version in registry.versions}
    return (*sorted(code for code in codes if code[2:5] != "000"), "141003")


@pytest.fixture(scope="session")
def asked_about(rulebook):
    """The programmes that others ask whether they are received, and some more."""
    nodes = [node for key in rulebook for version in rulebook.versions[key] for node in version.nodes]
    named = {node.programme for node in nodes if isinstance(node, Answered)}
    return sorted(named | {name.rsplit("/", 1)[-1] for name in list(rulebook)[::20]})


@pytest.fixture(scope="session")
def maker_of(registry, towns, asked_about):
    """(day, unknown) → a maker of households that speak every fact of the registry."""
    return lambda first, unknown=0.25: Maker(registry.facts, first, asked_about, towns, unknown)


@pytest.fixture
def some_families(registry, maker_of):
    """(count, first day) → (seed, households): other ones in each run; half of them leave little unknown."""
    def made(count, first=FIRSTS["now"]):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        return seed, people(
            [maker_of(first, 0.25 if row % 2 else 0.05).household(chance) for row in range(count)], registry.facts)

    return made
