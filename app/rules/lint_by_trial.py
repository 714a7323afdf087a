"""Lint by trial: groups that are never or always true, gaps between bands, amount cases that shut one another out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.rules.columns import NO, UNKNOWN, YES
from app.rules.evaluate import CompiledRule, walk
from app.rules.facts import FactCatalogue
from app.rules.nodes import Group, Node
from app.rules.people_nodes import Quantifier, people_verdicts
from app.rules.remarks import Remark, error, warning
from app.rules.trial import Trial, roots_of, trials

Flags = NDArray[np.bool_]


def lint_by_trial(rule: CompiledRule, catalogue: FactCatalogue, today: int) -> Iterator[Remark]:
    """Everything that a trial of each fact shows."""
    reported: set[str] = set()
    tried = list(trials(rule, catalogue, today))
    for trial in tried:
        for remark in (*_constant(trial, reported), *_gaps(trial)):
            reported.add(remark.path)
            yield remark
    yield from _amounts(rule, tried)


def _constant(trial: Trial, reported: set[str]) -> Iterator[Remark]:
    """Groups that come out no (or yes) for every value of the fact; of nested ones the innermost."""
    found: list[Remark] = []
    for root in roots_of(trial.rule):
        for node in reversed(list(walk(root))):
            if not isinstance(node, Group) or not _reads(node, trial) or _counts_people(node):
                continue
            inner = [remark.path for remark in found] + list(reported)
            if any(path.startswith(node.path) for path in inner):
                continue
            verdicts = trial.verdicts(node)
            if (verdicts == NO).all():
                found.append(error("never_true", node.path, fact=trial.fact))
            elif (verdicts == YES).all() and all(part.reads or part.parts for part in walk(node)):
                found.append(error("always_true", node.path, fact=trial.fact))
    yield from found


def _reads(node: Node, trial: Trial) -> bool:
    return any(path in trial.paths for part in walk(node) for path in part.reads)


def _counts_people(node: Node) -> bool:
    """Say whether a group asks for people as such: a trial has to name some, so that it says nothing about that."""
    return any(isinstance(part, Quantifier) and part.where is None for part in walk(node))


def _only_reads(node: Node, trial: Trial) -> bool:
    paths = {path for part in walk(node) for path in part.reads}
    leaves = [part for part in walk(node) if not part.parts]
    return bool(paths) and paths <= trial.paths and all(leaf.reads for leaf in leaves)


# ---- gaps -----------------------------------------------------------------------------------------------------------


def _gaps(trial: Trial) -> Iterator[Remark]:
    """Bands of one fact in an ``any`` that leave out a single value between them."""
    for root in roots_of(trial.rule):
        for node in walk(root):
            if isinstance(node, Group) and node.largest and _only_reads(node, trial):
                for value in _left_out(trial, trial.verdicts(node) == YES):
                    yield warning("band_gap", node.path, fact=trial.fact, value=value)
                    break


def _left_out(trial: Trial, holds: Flags) -> Iterator[str]:
    """Values at which something fails while it holds one below and one above (on the same day, in the same row)."""
    by_place = _by_place(trial)
    for values in by_place.values():
        for value, position in values.items():
            below, above = values.get(value - 1), values.get(value + 1)
            if below is not None and above is not None and not holds[position] and holds[below] and holds[above]:
                yield str(trial.drafts[position].fact(trial.fact))


def _by_place(trial: Trial) -> dict[tuple[str, ...], dict[int, int]]:
    """Positions of the drafts by value, apart for each day and each row of a table."""
    path = trial.fact
    others = sorted(trial.paths - {path})
    places: dict[tuple[str, ...], dict[int, int]] = {}
    for position, draft in enumerate(trial.drafts):
        value = draft.fact(path)
        if isinstance(value, bool | str) or value is None:
            continue
        place = (str(draft.day), *(str(draft.fact(other)) for other in others))
        places.setdefault(place, {})[value if isinstance(value, int) else value.toordinal()] = position
    return places


# ---- amounts --------------------------------------------------------------------------------------------------------


def _amounts(rule: CompiledRule, tried: list[Trial]) -> Iterator[Remark]:
    cases = rule.cases
    if not cases:
        return
    open_ended = cases[-1].when is not None
    for trial in tried:
        verdicts = [
            np.full(len(trial.drafts), YES, dtype=np.int8) if case.when is None else trial.verdicts(case.when)
            for case in cases
        ]
        yield from _unreachable(verdicts)
        yield from _overlapping(rule, trial, verdicts)
        reads_one = all(case.when is not None and _only_reads(case.when, trial) for case in cases)
        if open_ended and reads_one:
            open_ended = False
            yield from _without_amount(rule, trial, verdicts)
    if open_ended:
        yield warning("no_last_case", "amount", number=len(cases))


def _unreachable(verdicts: list[NDArray[np.int8]]) -> Iterator[Remark]:
    """A case before which another one always holds."""
    earlier = np.zeros(len(verdicts[0]), dtype=bool)
    for number, found in enumerate(verdicts):
        possible = found >= UNKNOWN
        if number and possible.any() and (earlier[possible]).all():
            yield error("unreachable_case", f"amount[{number}]", number=number + 1)
        earlier |= found == YES


def _overlapping(rule: CompiledRule, trial: Trial, verdicts: list[NDArray[np.int8]]) -> Iterator[Remark]:
    """Two bands of the same fact that share values while each has values of its own."""
    bands = [
        (number, verdicts[number] == YES)
        for number, case in enumerate(rule.cases)
        if case.when is not None and _only_reads(case.when, trial)
    ]
    for position, (first, held) in enumerate(bands):
        for second, other in bands[position + 1 :]:
            if (held & other).any() and (held & ~other).any() and (other & ~held).any():
                yield warning(
                    "overlapping_cases", f"amount[{second}].when", first=first + 1, second=second + 1,
                    fact=trial.fact, value=_first_value(trial, held & other),
                )  # fmt: skip


def _without_amount(rule: CompiledRule, trial: Trial, verdicts: list[NDArray[np.int8]]) -> Iterator[Remark]:
    """Values for which there may be a right, and no case holds."""
    possible = people_verdicts(rule.criteria, rule.subject, trial.reading)
    offsets = trial.reading.population.people[rule.subject].offsets
    right = possible[np.asarray(offsets[:-1])] >= UNKNOWN if rule.subject != "household" else possible >= UNKNOWN
    gap = right & np.logical_and.reduce([found == NO for found in verdicts])
    if gap.any():
        yield warning("amount_gap", "amount", fact=trial.fact, value=_first_value(trial, gap))


def _first_value(trial: Trial, where: Flags) -> str:
    return str(trial.drafts[int(np.flatnonzero(where)[0])].fact(trial.fact))
