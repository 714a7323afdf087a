"""Boundary households of a programme, written as examples that can be pasted into its file.

The rules find them (`app.rules.boundaries`); here they start from the programme's own examples.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import yaml

from app.registry.examples import example_household
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.rules.boundaries import Boundaries, BoundaryHousehold, BoundaryPair, boundaries, deciding_tests
from app.rules.documents import DocumentError
from app.rules.phrases import Phrases, condition

SIDES = ("inside", "outside")


def boundaries_of(registry: Registry, version: Programme, on: dt.date) -> Boundaries:
    """Return the boundary households of a version on a day (the nearest day on which it is law), from its examples."""
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    if compiled is None:
        return Boundaries((), ())
    households = []
    for example in version.examples:
        try:
            households.append(example_household(registry, example).document())
        except (DocumentError, ValueError):
            continue  # `todoke registry check` says what is wrong with it
    return boundaries(compiled, registry.facts, on, households)


def as_example(household: BoundaryHousehold, note: str | None = None) -> dict[str, Any]:
    """Return one boundary household as an entry of `examples`."""
    expected: dict[str, Any] = {"verdict": household.outcome.verdict}
    if household.outcome.amount is not None:
        expected["amount"] = household.outcome.amount
    document = {name: part for name, part in household.document.items() if name != "id" and part not in ({}, None)}
    example = {"household": document, "on": household.on, "expect": {household.subject: expected}}
    return example if note is None else {**example, "note": note}


def note_of(pair: BoundaryPair, side: str, node_words: str, words: Mapping[str, Any]) -> str:
    """Return what an example shows: which test, which edge, which side of it."""
    edge = words["edges"].get(pair.edge, words["edges"]["value"])
    return str(words["note"]).format(condition=node_words, edge=edge, side=words["sides"][side])


def pasted(
    found: Boundaries, registry: Registry, version: Programme, phrases: Phrases, words: Mapping[str, Any]
) -> str:
    """Return every pair as YAML that can be pasted under `examples`, each with a note of what it shows."""
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    assert compiled is not None
    said = {node.path: condition(node, phrases) for node in deciding_tests(compiled)}
    parts = []
    for pair in found.pairs:
        for side in SIDES:
            note = note_of(pair, side, said[pair.path], words)
            parts.append(as_yaml(as_example(getattr(pair, side), note)))
    return "".join(parts)


def as_yaml(example: Mapping[str, Any]) -> str:
    """Return one example as the files write it: a key a line, everything below it in braces."""
    lines = [f"{name}: {_flow(part)}" for name, part in example.items()]
    return "- " + "\n  ".join(lines) + "\n"


def as_line(example: Mapping[str, Any]) -> str:
    """Return one example on a single line, to be pasted all the same."""
    return f"- {_flow(dict(example))}"


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, default_flow_style=True, width=100_000)
    return text.removesuffix("...\n").strip().replace("'on': ", "on: ")


def as_documents(found: Boundaries) -> list[dict[str, Any]]:
    """Return every pair as plain JSON values, with the test that decides."""
    return [
        {
            "path": pair.path,
            "fact": pair.fact,
            "edge": pair.edge,
            **{side: _plain(as_example(getattr(pair, side))) for side in SIDES},
        }
        for pair in found.pairs
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, dt.date) else value
