"""Which programmes a rule asks about (``receives``), and whether those questions go round in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from app.rules.criteria import Receives
from app.rules.rule import Rule


def asked_of(rule: Rule) -> frozenset[str]:
    """Ids of the programmes whose receipt a rule asks about, wherever the tree stands."""
    parts = (rule.criteria, rule.unmodelled, rule.amount, rule.application, rule.take_up)
    return frozenset(leaf.receives.rsplit("/", 1)[-1] for part in parts for leaf in _leaves(part))


def _leaves(value: Any) -> Iterator[Receives]:
    if isinstance(value, Receives):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)


def circles(rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """Programmes (``CODE/id``) that would have to be received before they can be, each with its circle of ids.

    Programmes of one id in several municipalities are one here: ``receives`` names an id.
    """
    asked: dict[str, set[str]] = {}
    keys: dict[str, set[str]] = {}
    for rule in rules:
        asked.setdefault(rule.id, set()).update(asked_of(rule))
        keys.setdefault(rule.id, set()).add(rule.key)
    found = {}
    for start in sorted(asked):
        circle = _way_back(start, asked)
        if circle is not None:
            found.update(dict.fromkeys(sorted(keys[start]), circle))
    return found


def _way_back(start: str, asked: Mapping[str, set[str]]) -> tuple[str, ...] | None:
    """The shortest way from a programme back to itself, None where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        following = []
        for way in ways:
            for to in sorted(asked.get(way[-1], ())):
                if to == start:
                    return (*way, start)
                if to not in seen:
                    seen.add(to)
                    following.append((*way, to))
        ways = following
    return None
