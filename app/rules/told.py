"""The sentences of many rows: written once for all rows of one outline that name the same days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.calendar.windows import Edge
from app.rules.columns import NO, UNKNOWN, Rows
from app.rules.evaluate import CompiledRule
from app.rules.nodes import Window
from app.rules.outlines import Outline, Shared, outlines
from app.rules.phrases import Phrases
from app.rules.reading import Reading
from app.rules.reasons import checked, deciding, grounds, reason
from app.rules.rule import Rule
from app.rules.trace import Trace

REMEMBERED = 20_000
"""How many sentences of one outline are kept."""


@dataclass(frozen=True)
class Told:
    """What a family reads about one answer: the reason, and the tests that a right rests on."""

    reason: str
    checked: tuple[str, ...]


@dataclass(frozen=True)
class _OneRow:
    """A reading of one row, as far as sentences name its values: the days of its windows."""

    rule: Rule
    days: dict[tuple[str, Edge, str, int], int]

    def threshold(self, fact: str, edge: Edge, scope: str) -> _Thresholds:
        """The day of an edge by row."""
        return _Thresholds(self.days, (fact, edge, scope))


@dataclass(frozen=True)
class _Thresholds:
    days: dict[tuple[str, Edge, str, int], int]
    of: tuple[str, Edge, str]

    def __getitem__(self, row: int) -> int:
        return self.days[(*self.of, row)]


def told(rule: CompiledRule, reading: Reading, rows: Rows, verdict: int, phrases: Phrases, stale: bool) -> list[Told]:
    """Reason and checks of rows that have one verdict (before capping), in their order."""
    return told_alike(outlines(rule, reading, rows, verdict), rule, reading, rows, phrases, stale)


def told_alike(
    shared: Shared, rule: CompiledRule, reading: Reading, rows: Rows, phrases: Phrases, stale: bool
) -> list[Told]:
    """As ``told``, for rows whose outlines are known."""
    result: list[Any] = [None] * len(rows)
    order = np.argsort(shared.index, kind="stable")
    starts = np.searchsorted(shared.index[order], np.arange(len(shared.values) + 1))
    for number, outline in enumerate(shared.values):
        places = order[starts[number] : starts[number + 1]]
        for place, words in zip(
            places.tolist(), _of_one(outline, rule, reading, rows[places], phrases, stale), strict=True
        ):
            result[place] = words
    return result


def _of_one(
    outline: Outline, rule: CompiledRule, reading: Reading, rows: Rows, phrases: Phrases, stale: bool
) -> Iterator[Told]:
    """The sentences of rows of one outline."""
    known = _remembered(outline, phrases)
    edges = list(_named_edges(outline))
    columns = [_edge_days(outline, rule, reading, rows, edge).tolist() for edge in edges]
    for days in zip(*columns, strict=True) if columns else [()] * len(rows):
        key = (stale, days)
        if key not in known:
            one = _OneRow(rule.rule, dict(zip(edges, days, strict=True)))
            known[key] = Told(
                reason(outline.trace, phrases, one, stale),
                checked(outline.trace, phrases, one),  # type: ignore[arg-type]
            )
        yield known[key]


def _remembered(outline: Outline, phrases: Phrases) -> dict[Any, Told]:
    """The sentences of an outline in one language; kept with the words they were written in."""
    words, known = outline.sentences.get(phrases.language, (None, {}))
    if words is not phrases.words or len(known) > REMEMBERED:
        known = {}
        outline.sentences[phrases.language] = (phrases.words, known)
    return known


def _named_edges(outline: Outline) -> Iterator[tuple[str, Edge, str, int]]:
    """The edges whose days a sentence of this outline may name: (fact, edge, kind, row traced)."""
    for leaf in _named_leaves(outline.trace):
        if isinstance(leaf.node, Window):
            for edge in (leaf.node.opens, leaf.node.closes):
                if edge is not None:
                    yield (leaf.node.fact, edge, leaf.kind, leaf.row)


def _named_leaves(root: Trace) -> list[Trace]:
    if root.verdict == UNKNOWN:
        return []
    return [deciding(root)] if root.verdict == NO else grounds(root)


def _edge_days(
    outline: Outline, rule: CompiledRule, reading: Reading, rows: Rows, edge: tuple[str, Edge, str, int]
) -> Any:
    """The day of an edge for each row: of the same person of its household as in the traced one."""
    fact, which, kind, traced = edge
    people = reading.population.people
    homes = people[rule.subject].household[rows]
    begins = rows if kind == rule.subject and outline.alone else people[kind].offsets[homes]
    return reading.threshold(fact, which, kind)[begins + (traced - outline.origin[kind])]
