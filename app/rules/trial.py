"""Trials: a rule evaluated where one fact takes every value that matters and everything else is unknown.

What comes out no for every value can never be yes, whatever else is known: three-valued verdicts only settle further.
So contradictions, gaps and bands are found by the evaluator itself, not by a second reading of the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from app.calendar.day_numbers import as_days
from app.rules.columns import Verdicts
from app.rules.day_nodes import Season
from app.rules.drafts import Draft
from app.rules.edges import edge_pairs
from app.rules.evaluate import CompiledRule, walk
from app.rules.facts import FactCatalogue
from app.rules.nodes import Compared, Node
from app.rules.people_nodes import Quantifier, Ranked
from app.rules.population import Population
from app.rules.reading import Moment, Reading

_ROWS = 8
"""Rows of a limit table that are tried beside a literal on the same fact."""
_DAYS = 6
"""Days that a rule is tried on, at most."""
_AHEAD = 366


@dataclass(frozen=True)
class Trial:
    """Every value of one fact that matters to a rule, on some days. ``by`` are the facts known beside it.

    ``verdicts(node)`` gives one verdict per draft, for the person the fact belongs to.
    """

    rule: CompiledRule
    fact: str
    by: tuple[str, ...]
    drafts: tuple[Draft, ...]
    catalogue: FactCatalogue

    @property
    def paths(self) -> frozenset[str]:
        """Every fact that is known in it."""
        return frozenset({self.fact, *self.by})

    @cached_property
    def reading(self) -> Reading:
        """The drafts as a population, each on its own day."""
        population = Population.from_documents([draft.document for draft in self.drafts], self.catalogue)
        days = as_days([draft.day for draft in self.drafts])
        return Reading(Moment.on(population, days, as_of=int(days.min())), self.rule.rule)

    def verdicts(self, node: Node) -> Verdicts:
        """One verdict per draft."""
        found = node.verdicts(self.reading)
        offsets = self.reading.population.people[node.scope].offsets
        first: Verdicts = found[np.asarray(offsets[:-1])] if node.scope != "household" else found
        return first


def roots_of(rule: CompiledRule) -> tuple[Node, ...]:
    """The trees that decide the right and its amounts."""
    return (rule.criteria, *rule.contradictions, *(case.when for case in rule.cases if case.when is not None))


def trials(rule: CompiledRule, catalogue: FactCatalogue, today: int) -> Iterator[Trial]:
    """A trial for each fact that a rule tests."""
    nodes = [node for root in roots_of(rule) for node in walk(root)]
    leaves = [node for node in nodes if node.reads and not node.parts]
    bare = _bare(rule, nodes)
    for path in sorted({node.reads[0] for node in leaves}):
        mine = [node for node in leaves if node.reads[0] == path]
        by = sorted({node.by for node in mine if isinstance(node, Compared) and node.by is not None})
        beside = sorted({other for node in mine for other in node.reads[1:]})
        drafts: dict[str, Draft] = {}
        for day in _days(rule, nodes, today):
            for start in _starts(Draft(bare, day, (rule.subject, 0)), by):
                for node in mine:
                    for pair in edge_pairs(node, start, catalogue):
                        for draft in (pair.inside, pair.outside):
                            if rule.first <= draft.day <= rule.last:
                                drafts.setdefault(f"{draft.day} {draft.document}", draft)
        if drafts:
            yield Trial(rule, path, tuple(beside), tuple(drafts.values()), catalogue)


def _starts(bare: Draft, by: list[str]) -> Iterator[Draft]:
    if not by:
        yield bare
    for path in by:
        for row in range(_ROWS):
            yield bare.with_fact(path, row)


def _bare(rule: CompiledRule, nodes: list[Node]) -> Mapping[str, Any]:
    """One person of each kind of whom nothing is known, and more where people are counted."""
    wanted = dict.fromkeys(("guardian", "child", "pregnancy", "co_resident"), 1)
    for node in nodes:
        if isinstance(node, Quantifier | Ranked):
            kind = node.kind if isinstance(node, Quantifier) else "child"
            wanted[kind] = max(wanted[kind], 1 + max(node.low or 1, node.high or 1))
    draft = Draft({}, 0, (rule.subject, 0))
    for kind, number in wanted.items():
        for _ in range(number):
            draft = draft.with_people(kind, [*draft.people(kind), draft.new_person(kind)])
    return draft.document


def _days(rule: CompiledRule, nodes: list[Node], today: int) -> list[int]:
    """Today, the first and the last day of the version, and days on which a season is on; all limits known on them."""
    first, last = rule.first, min(rule.last, today + _AHEAD)
    days = [min(max(today, first), last), last, first]
    for node in nodes:
        if isinstance(node, Season):
            days += [pair.inside.day for pair in edge_pairs(node, Draft({}, days[0], ("household", 0)), _NO_FACTS)]
    days = list(dict.fromkeys(day for day in days if first <= day <= max(first, last)))
    tables = [node.tables for node in nodes if isinstance(node, Compared)]
    known = [day for day in days if all(any(one.first <= day <= one.last for one in table) for table in tables)]
    return (known or days)[:_DAYS]


_NO_FACTS = FactCatalogue({})
