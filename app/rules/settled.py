"""Refusals that no day can change: found once, so that nothing is asked about them again.

Whatever some day may change counts as unknown for the households that have such a day. Where a rule still says no, it
says so on every one of the days: filling in what is unknown never overturns a definite verdict. A yes proves nothing,
because a contradiction that is not known counts as none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.rules.columns import NO, UNKNOWN
from app.rules.evaluate import CompiledRule
from app.rules.nodes import Candidates, Leaf, Node
from app.rules.people_nodes import people_verdicts
from app.rules.reading import CLAIMANT_FACTS, Moment, Reading


def changes_of(node: Node, reading: Reading, first: int, last: int) -> list[Candidates]:
    """The days on which a node's own verdict may change; kept with the moment for all programmes that ask the same."""
    if not isinstance(node, Leaf):
        return list(node.changes(reading, first, last))
    key = ("changes", reading.cache_key(node.depends, node.key), first, last)
    cache = reading.moment.cache
    if key not in cache:
        cache[key] = [(rows, days) for rows, days in node.changes(reading, first, last) if len(rows)]
    found: list[Candidates] = cache[key]
    return found


def refused_for_good(
    rule: CompiledRule, reading: Reading, first: int, last: int, incomes_move: bool
) -> NDArray[np.bool_]:
    """Which rows are refused on every day from ``first``, the day of the reading, to ``last``.

    ``incomes_move``: on some of these days another income year counts.
    """
    moment = reading.moment
    blurred = moment.cache.setdefault(("blurred", last), Moment(moment.population, moment.days, moment.as_of))
    ahead = Reading(blurred, rule.rule)
    for node in reversed(rule.nodes):  # what a quantifier asks of people comes before the quantifier
        if isinstance(node, Leaf):
            _blur(node, reading, ahead, (first, last), incomes_move)
    return np.asarray(people_verdicts(rule.whole, rule.subject, ahead) == NO)


def _blur(node: Leaf, reading: Reading, ahead: Reading, days: tuple[int, int], incomes_move: bool) -> None:
    """Put into the moment ahead what a leaf says there: unknown wherever a day may change it."""
    key, cache = ahead.cache_key(node.depends, node.key), ahead.moment.cache
    mark = ("is blurred", key)
    if mark in cache:
        return
    cache[mark] = True
    if incomes_move and _reckoned(node, ahead):
        cache[key] = np.full(ahead.population.people[node.scope].size, UNKNOWN, dtype=np.int8)
        return
    changes = changes_of(node, reading, *days)
    if changes:
        moving = np.zeros(ahead.population.size, dtype=np.bool_)
        for households, _ in changes:
            moving[households] = True
        cache[key] = np.where(ahead.moment.lift(moving, node.scope), np.int8(UNKNOWN), node.verdicts(ahead))


def _reckoned(node: Node, reading: Reading) -> bool:
    """Whether a node itself reads a figure that is stated by income year."""
    facts = (*node.reads, *(CLAIMANT_FACTS if node.asks_claimant else ()))
    key: Any = reading.cache_key(facts, "")
    return bool(key)
