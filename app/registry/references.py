"""What a document names must exist: facts in the catalogue, parameters in their files, programmes in the registry."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from app.rules.facts import FactCatalogue

RULE_PARTS = ("criteria", "unmodelled", "amount", "application", "take_up")
FACT_KEYS = ("fact", "within", "fiscal_year_end", "resident_on", "resided_since", "total", "by", "anchor")
LISTS_OF_FACTS = {".latest": "anchor", ".total": "total"}
NOT_FACTS = ("today", "month_start", "residence.from", "residence.planned_move_out_on")
DEADLINE_SPAN = re.compile(r"\.deadlines\[\d+\]\.within$")
FIXED_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
PROGRAMME_KEYS = ("receives", "received_elsewhere", "paid_elsewhere")


def unknown_facts_and_parameters(
    document: Mapping[str, Any], facts: FactCatalogue, parameter_ids: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield (path, message) for every fact and parameter that a raw programme document names and nobody defines."""
    for path, key, name in _names(document):
        if key in FACT_KEYS and name not in NOT_FACTS and name not in facts and not _is_no_fact(path, name):
            where = "a fact of vocabulary/facts.yaml"
            yield path, _unknown("fact", name, where, [fact.path for fact in facts])
        if key == "parameter" and name not in parameter_ids:
            yield path, _unknown("parameter", name, "a parameter of parameters/*.yaml", [*parameter_ids])


def _is_no_fact(path: str, name: str) -> bool:
    return DEADLINE_SPAN.search(path) is not None or FIXED_DAY.match(name) is not None


def parameters_named_in(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the id of every parameter that a raw programme document names."""
    for _, name in parameter_places(document):
        yield name


def parameter_places(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (path, id) for every parameter that a raw programme document names."""
    for path, key, name in _names(document):
        if key == "parameter":
            yield path, name


def facts_named_in(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of every fact that a raw programme document names."""
    for path, key, name in _names(document):
        if key in FACT_KEYS and name not in NOT_FACTS and not _is_no_fact(path, name):
            yield name


def unknown_programmes(document: Mapping[str, Any], keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, message) for every programme that a raw document names and the registry does not hold."""
    ids = {key.split("/", 1)[1] for key in keys}
    for path, key, name in _names(document):
        if key in PROGRAMME_KEYS and name not in keys and name not in ids:
            yield path, _unknown("programme", name, "a programme of the registry, as id or CODE/id", [*keys])


def _unknown(kind: str, name: str, expected: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"found the {kind} {name!r}; expected {expected}{hint}"


def _names(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for part in RULE_PARTS:
        if part in document:
            yield from _walk(document[part], part)


def _walk(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield (path, key, text) for every text below a key; the texts of a list count as under the list's key."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if isinstance(part, str):
                yield f"{path}.{key}", str(key), part
            else:
                yield from _walk(part, f"{path}.{key}")
    elif isinstance(value, list):
        for position, part in enumerate(value):
            if isinstance(part, str):
                key = next((key for end, key in LISTS_OF_FACTS.items() if path.endswith(end)), "")
                yield f"{path}[{position}]", key, part
            else:
                yield from _walk(part, f"{path}[{position}]")
