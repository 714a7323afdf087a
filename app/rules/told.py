"""The sentences of many rows: written once for all rows of one outline that name the same days."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.calendar.day_numbers import number_of
from app.calendar.windows import Edge
from app.rules.columns import NO, UNKNOWN, Rows
from app.rules.day_nodes import Window
from app.rules.evaluate import CompiledRule
from app.rules.outlines import Outline, Shared, outlines
from app.rules.phrases import Phrases
from app.rules.reading import Reading
from app.rules.reasons import checked, deciding, grounds, reason
from app.rules.rule import Rule
from app.rules.trace import Trace

NamedEdge = tuple[str, Edge, str, int]
"""(fact, edge, kind, row traced): an edge of a window whose day a sentence may name."""


@dataclass(frozen=True)
class _Sentence:
    """A sentence with a gap for every day it names; ``days`` says which day goes into each gap."""

    text: str
    days: tuple[int, ...]

    @classmethod
    def of(cls, sentence: str, stand_ins: Sequence[str]) -> _Sentence:
        """From a sentence in which stand-ins hold the places of the days."""
        if not stand_ins:
            return cls(sentence, ())
        parts = re.split("(" + "|".join(map(re.escape, stand_ins)) + ")", sentence)
        text = "%s".join(part.replace("%", "%%") for part in parts[::2])
        return cls(text, tuple(map(stand_ins.index, parts[1::2]))) if parts[1:] else cls(sentence, ())

    def filled(self, days: Sequence[str]) -> str:
        """The sentence with days in words."""
        return self.text % tuple([days[place] for place in self.days]) if self.days else self.text


@dataclass(frozen=True)
class _Template:
    """The sentences of all rows of an outline whose named days are equal and different alike."""

    reason: _Sentence
    checked: tuple[_Sentence, ...]


@dataclass(frozen=True)
class Told:
    """What a family reads about one answer: ``days`` are those that the sentences name, in words."""

    template: _Template
    days: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why the answer is what it is."""
        return self.template.reason.filled(self.days)

    @property
    def checked(self) -> tuple[str, ...]:
        """The tests that a right rests on."""
        return tuple([check.filled(self.days) for check in self.template.checked])


_FIRST_STAND_IN = 2790
"""Stand-ins are the first of January of this year and the following ones: days that no family ever meets."""


@dataclass(frozen=True)
class _OneRow:
    """A reading of one row, as far as sentences name its values: the days of its windows."""

    rule: Rule
    days: dict[NamedEdge, int]

    def threshold(self, fact: str, edge: Edge, scope: str) -> _Thresholds:
        """The day of an edge by row."""
        return _Thresholds(self.days, (fact, edge, scope))


@dataclass(frozen=True)
class _Thresholds:
    days: dict[NamedEdge, int]
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
    edges = _named_edges(outline)
    if not edges:
        yield from [Told(_template(known, outline, rule, phrases, stale, (), ()), ())] * len(rows)
        return
    columns = [_edge_days(outline, rule, reading, rows, edge).tolist() for edge in edges]
    for days in zip(*columns, strict=True):
        # Equal days are said once: which days are equal decides the sentence, which they are only fills it.
        distinct = tuple(dict.fromkeys(days))
        template = _template(known, outline, rule, phrases, stale, tuple(map(distinct.index, days)), edges)
        yield Told(template, tuple([day_in_words(phrases, day) for day in distinct]))


def _template(
    known: dict[Any, _Template], outline: Outline, rule: CompiledRule, phrases: Phrases, stale: bool,
    pattern: tuple[int, ...], edges: Sequence[NamedEdge],
) -> _Template:  # fmt: skip
    key = (stale, pattern)
    if key not in known:
        stand_ins = [number_of(dt.date(_FIRST_STAND_IN + place, 1, 1)) for place in range(len(set(pattern)))]
        one: Any = _OneRow(rule.rule, {edge: stand_ins[place] for edge, place in zip(edges, pattern, strict=True)})
        words = [phrases.day(day) for day in stand_ins]
        known[key] = _Template(
            _Sentence.of(reason(outline.trace, phrases, one, stale), words),
            tuple(_Sentence.of(check, words) for check in checked(outline.trace, phrases, one)),
        )
    return known[key]


def day_in_words(phrases: Phrases, day: int) -> str:
    """A date in words, kept: there are few different dates."""
    kept = _DAYS.setdefault(phrases.words["date"], {})
    if day not in kept:
        kept[day] = phrases.day(day)
    return kept[day]


_DAYS: dict[str, dict[int, str]] = {}


def _remembered(outline: Outline, phrases: Phrases) -> dict[Any, _Template]:
    """The sentences of an outline in one language; kept with the words they were written in."""
    known: dict[Any, _Template]
    words, known = outline.sentences.get(phrases.language, (None, {}))
    if words is not phrases.words:
        known = {}
        outline.sentences[phrases.language] = (phrases.words, known)
    return known


def _named_edges(outline: Outline) -> list[NamedEdge]:
    """The edges whose days a sentence of this outline may name: (fact, edge, kind, row traced)."""
    if "edges" not in outline.sentences:
        outline.sentences["edges"] = [
            (leaf.node.fact, edge, leaf.kind, leaf.row)
            for leaf in _named_leaves(outline.trace) if isinstance(leaf.node, Window)
            for edge in (leaf.node.opens, leaf.node.closes) if edge is not None
        ]  # fmt: skip
    found: list[NamedEdge] = outline.sentences["edges"]
    return found


def _named_leaves(root: Trace) -> list[Trace]:
    if root.verdict == UNKNOWN:
        return []
    return [deciding(root)] if root.verdict == NO else grounds(root)


def named_days(outline: Outline, rule: CompiledRule, reading: Reading, rows: Rows) -> list[Any]:
    """The days that sentences of an outline may name, by row: rows for which all are equal are told the same."""
    return [_edge_days(outline, rule, reading, rows, edge) for edge in _named_edges(outline)]


def _edge_days(outline: Outline, rule: CompiledRule, reading: Reading, rows: Rows, edge: NamedEdge) -> Any:
    """The day of an edge for each row: of the same person of its household as in the traced one."""
    fact, which, kind, traced = edge
    people = reading.population.people
    homes = people[rule.subject].household[rows]
    begins = rows if kind == rule.subject and outline.alone else people[kind].offsets[homes]
    return reading.threshold(fact, which, kind)[begins + (traced - outline.origin[kind])]
