"""Lint of a version's examples: both sides of every test, and rights for which no amount can be told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from app.calendar.day_numbers import as_days, number_of
from app.registry.boundary_examples import as_example, as_line, boundaries_of
from app.registry.example_coverage import Seen, coverage_of
from app.registry.examples import example_household
from app.registry.loading import Registry
from app.registry.programme import Example, Programme
from app.rules.columns import NO, YES
from app.rules.day_nodes import Season
from app.rules.documents import DocumentError
from app.rules.evaluate import CompiledRule, walk
from app.rules.nodes import Open
from app.rules.people_nodes import people_verdicts
from app.rules.phrases import Phrases, condition
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.remarks import Remark, error, warning

SAYS_THE_AMOUNT = "額"
"""What a condition left to families speaks of where it says how they learn an amount that is not worked out."""


def lint_examples(
    registry: Registry, version: Programme, on: dt.date, phrases: Phrases, words: Mapping[str, Any]
) -> Iterator[Remark]:
    """Everything remarkable about the examples; a verified programme that shows too little must not be published."""
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    if compiled is None:
        return
    remark = error if version.certainty == "verified" else warning
    verdicts = {expected.verdict for example in version.examples for expected in example.expect.values()}
    if "ineligible" not in verdicts or not verdicts & _best(compiled):
        yield remark("examples_one_sided", "examples")
    yield from _unseen(registry, version, compiled, on, phrases, words)
    yield from _without_amount(registry, version, compiled)


def _best(compiled: CompiledRule) -> set[str]:
    """The verdicts that show a right: where a person decides in the end, nobody is more than undetermined."""
    judged = any(isinstance(node, Open) for node in walk(compiled.criteria))
    return {"eligible", "undetermined"} if judged else {"eligible"}


def _unseen(
    registry: Registry, version: Programme, compiled: CompiledRule, on: dt.date, phrases: Phrases,
    words: Mapping[str, Any],
) -> Iterator[Remark]:  # fmt: skip
    remark = error if version.certainty == "verified" else warning
    unseen = [seen for seen in coverage_of(registry, version) if not _shown(seen, compiled)]
    if not unseen:
        return
    found = boundaries_of(registry, version, on)
    for seen in unseen:
        pair = next(iter(found.of(seen.node.path)), None)
        for shown, code, side in (
            (seen.true, "leaf_never_true", "inside"),
            (seen.false, "leaf_never_false", "outside"),
        ):
            if not shown:
                example = words["no_example"]
                if pair is not None:
                    example = words["one_example"].format(example=as_line(as_example(getattr(pair, side))))
                yield remark(code, seen.node.path, condition=condition(seen.node, phrases), example=example)


def _shown(seen: Seen, compiled: CompiledRule) -> bool:
    """Say whether both sides are shown; days that cover the whole version have no other side to show."""
    node = seen.node
    if isinstance(node, Season) and node.yearly is None and seen.true:
        begins = node.first_day is None or node.first_day <= compiled.first
        ends = node.last_day is None or node.last_day >= compiled.last
        return begins and ends
    return seen.true and seen.false


# ---- amounts --------------------------------------------------------------------------------------------------------


def _without_amount(registry: Registry, version: Programme, compiled: CompiledRule) -> Iterator[Remark]:
    """Households of the examples that have the right while none of the amount's cases can hold for them.

    Accepted where a condition left to families says how they learn the amount.
    """
    if not version.amount or version.amount[-1].when is None:
        return
    if any(SAYS_THE_AMOUNT in left.ja for left in version.unmodelled):
        return
    shown = list(_households(registry, version))
    if not shown:
        return
    population = Population.from_documents([household for household, _ in shown], registry.facts)
    days = as_days([number_of(example.on) for _, example in shown])
    reading = Reading(Moment.on(population, days, as_of=int(days.min())), compiled.rule)
    possible = people_verdicts(compiled.criteria, compiled.subject, reading) == YES
    for case in compiled.cases:
        possible = possible & (people_verdicts(case.when, compiled.subject, reading) == NO)
    rows = np.flatnonzero(possible)
    if len(rows):
        people = population.people[compiled.subject]
        example = int(people.household[rows[0]])
        yield (error if version.certainty == "verified" else warning)(
            "eligible_without_amount", "amount", number=example + 1, subject=str(people.ids[rows[0]])
        )


def _households(registry: Registry, version: Programme) -> Iterator[tuple[Any, Example]]:
    for example in version.examples:
        try:
            yield example_household(registry, example), example
        except (DocumentError, ValueError):
            continue  # `todoke registry check` says what is wrong with it
