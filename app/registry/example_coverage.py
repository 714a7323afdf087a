"""Leaf coverage: whether the examples of a programme show each of its tests both holding and failing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.calendar.day_numbers import as_days, number_of
from app.registry.examples import example_household
from app.registry.loading import Registry
from app.registry.programme import Example, Programme
from app.rules.boundaries import deciding_tests
from app.rules.columns import NO, YES
from app.rules.documents import DocumentError
from app.rules.evaluate import CompiledRule
from app.rules.nodes import Node
from app.rules.population import Population
from app.rules.reading import Moment, Reading


@dataclass(frozen=True)
class Seen:
    """One test of a version, and whether its examples show it true and false."""

    node: Node
    true: bool
    false: bool


def coverage_of(registry: Registry, version: Programme) -> tuple[Seen, ...]:
    """Return every test of a version with what its examples show; an example that cannot be read shows nothing.

    A test that stands in several places counts once. What is inherited is for the original's examples to show.
    """
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    if compiled is None:
        return ()
    shown: list[tuple[Any, Example]] = []
    for example in version.examples:
        try:
            shown.append((example_household(registry, example), example))
        except (DocumentError, ValueError):
            continue
    own = registry.files[version.key, version.version].value
    nodes = [node for node in deciding_tests(compiled) if re.split(r"[.\[]", node.path)[0] in own]
    places: dict[str, list[Node]] = {}
    for node in nodes:
        places.setdefault(node.key, []).append(node)
    if not shown:
        return tuple(Seen(alike[0], False, False) for alike in places.values())
    population = Population.from_documents([household for household, _ in shown], registry.facts)
    days = as_days([number_of(example.on) for _, example in shown])
    reading = Reading(Moment.on(population, days, as_of=int(days.min())), compiled.rule)
    examples = [example for _, example in shown]
    found = []
    for alike in places.values():
        verdicts = np.concatenate(
            [node.verdicts(reading)[_rows(compiled, population, node, examples)] for node in alike]
        )
        found.append(Seen(alike[0], bool((verdicts == YES).any()), bool((verdicts == NO).any())))
    return tuple(found)


def _rows(compiled: CompiledRule, population: Population, node: Node, examples: list[Example]) -> np.ndarray[Any, Any]:
    """Rows of a test that the examples are about: the subjects they expect something of, everybody else as they are."""
    people = population.people[node.scope]
    if node.scope != compiled.subject or node.scope == "household":
        return np.arange(people.size)
    wanted = {
        (household, subject.split(":", 1)[1])
        for household, example in enumerate(examples)
        for subject in example.expect
        if ":" in subject
    }
    inside_people = node.path.count(".where") + node.path.count(".among")
    kept = [
        row
        for row in range(people.size)
        if inside_people or (int(people.household[row]), str(people.ids[row])) in wanted
    ]
    return np.asarray(kept, dtype=np.int64)


@dataclass(frozen=True)
class Coverage:
    """How many sides of how many tests are shown by examples; each test has two."""

    tests: int
    sides: int

    @property
    def percent(self) -> int:
        """Sides shown of a hundred, rounded down; 100 where there is nothing to show."""
        return 100 if not self.tests else self.sides * 100 // (2 * self.tests)


def total_coverage(registry: Registry, keys: Iterable[str] | None = None) -> Coverage:
    """Return the coverage of all versions, or of some programmes."""
    wanted = None if keys is None else set(keys)
    tests = sides = 0
    for version in registry.versions:
        if wanted is None or version.key in wanted:
            seen = coverage_of(registry, version)
            tests += len(seen)
            sides += sum(one.true + one.false for one in seen)
    return Coverage(tests, sides)
