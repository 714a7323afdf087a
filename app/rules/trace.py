"""The trace of one verdict: the same nodes, evaluated on one household, with every part kept.

From it come the facts that would decide (most decisive first), the explanation, and whether only a human's judgement
is left open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from app.rules.amounts import PaidElsewhere
from app.rules.columns import NO, UNKNOWN, YES, Verdicts
from app.rules.money import TermNode
from app.rules.nodes import Group, Negation, Node, Open, Uncontradicted, bounded
from app.rules.people_nodes import Answered, Quantifier, Ranked, Totalled, paid_elsewhere
from app.rules.reading import CLAIMANT_INCOME, Reading
from app.rules.residence_nodes import Everywhere, Stay

LISTS = {"guardian": "guardians", "child": "children", "pregnancy": "pregnancies", "co_resident": "co_residents"}


@dataclass(frozen=True)
class Missing:
    """A fact that is not known.

    ``fact`` is its path (or household.municipality, residence.from, household.children …); ``subject`` is whose it
    is, such as ``child:c1`` or ``household``.
    """

    fact: str
    subject: str
    declined: bool = False


@dataclass(frozen=True, eq=False)
class Trace:
    """One node's verdict for one subject. ``person`` is set on the parts of a quantifier or a rank."""

    node: Node
    verdict: int
    kind: str
    row: int
    parts: tuple[Trace, ...] = ()
    missing: tuple[Missing, ...] = ()
    join: Callable[[list[int]], int] | None = None
    person: str | None = None

    def leaves(self) -> Iterator[Trace]:
        """Traces without parts."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def verdict_with(self, suppose: Callable[[Trace], int | None]) -> int:
        """The verdict if some nodes had another one; ``suppose`` gives None where a node stays."""
        supposed = suppose(self)
        if supposed is not None or self.join is None:
            return self.verdict if supposed is None else supposed
        return self.join([part.verdict_with(suppose) for part in self.parts])


def subject_name(reading: Reading, kind: str, row: int) -> str:
    """``household``, or ``child:c1``."""
    return kind if kind == "household" else f"{kind}:{reading.population.people[kind].ids[row]}"


def verdicts_of(node: Node, reading: Reading) -> Verdicts:
    """A node's verdicts, worked out once for all rows that are traced on a moment."""
    key = ("traced", reading.rule.key, reading.rule.version, node)
    if key not in reading.moment.cache:
        reading.moment.cache[key] = node.verdicts(reading)
    found: Verdicts = reading.moment.cache[key]
    return found


def trace(node: Node, reading: Reading, kind: str, row: int) -> Trace:
    """Trace a node for one row of a kind, in a population of any size (one household is quickest)."""
    household = int(reading.population.people[kind].household[row])
    own_row = row if node.scope == kind else household
    scope = kind if node.scope == kind else node.scope
    verdict = int(verdicts_of(node, reading)[own_row])
    if isinstance(node, Group):
        parts = tuple(trace(part, reading, kind, row) for part in node.members)
        return Trace(node, verdict, scope, own_row, parts, (), max if node.largest else min)
    if isinstance(node, Negation | Uncontradicted):
        inner = (trace(node.inner, reading, kind, row),)
        turned = (YES, UNKNOWN, NO) if isinstance(node, Negation) else (YES, YES, NO)
        return Trace(node, verdict, scope, own_row, inner, (), lambda verdicts: turned[verdicts[0]])
    if isinstance(node, Quantifier):
        return _quantifier(node, reading, verdict, household)
    if isinstance(node, Ranked):
        return _ranked(node, reading, verdict, own_row)
    missing = tuple(_missing(node, reading, scope, own_row)) if verdict == UNKNOWN else ()
    return Trace(node, verdict, scope, own_row, (), missing)


def _people(kind: str, inner: Node | None, reading: Reading, rows: Iterable[int]) -> tuple[Trace, ...]:
    """The traces of a test for some people of a kind, each with its person's name."""
    if inner is None:
        return ()
    return tuple(replace(trace(inner, reading, kind, row), person=subject_name(reading, kind, row)) for row in rows)


def _rows_of(reading: Reading, kind: str, household: int) -> range:
    offsets = reading.population.people[kind].offsets
    return range(int(offsets[household]), int(offsets[household + 1]))


def _quantifier(node: Quantifier, reading: Reading, verdict: int, household: int) -> Trace:
    listed = bool(reading.population.people[node.kind].listed[household])
    missing = () if listed else (Missing(f"household.{LISTS[node.kind]}", "household"),)
    parts = _people(node.kind, node.where, reading, _rows_of(reading, node.kind, household))

    def join(verdicts: list[int]) -> int:
        if node.quantifier == "count":
            found = np.asarray(verdicts)
            sure, possible = np.asarray([(found == YES).sum()]), np.asarray([(found >= UNKNOWN).sum()])
            return int(bounded(sure, possible, node.low, node.high)[0])
        return max(verdicts) if node.quantifier == "some" else min(verdicts)

    return Trace(
        node, verdict, "household", household, parts, missing if verdict == UNKNOWN else (), join if parts else None
    )


def _ranked(node: Ranked, reading: Reading, verdict: int, row: int) -> Trace:
    people = reading.population.people["child"]
    household = int(people.household[row])
    births = reading.column("child.birth_date")
    siblings, ahead = [], []
    for other in _rows_of(reading, "child", household):
        mine, theirs = (births.values[row], people.id_rank[row]), (births.values[other], people.id_rank[other])
        known = births.known[row] and births.known[other]
        if other != row and (not known or theirs < mine):
            siblings.append(other)
            ahead.append(YES if known else UNKNOWN)
    parts = _people("child", node.among, reading, siblings)

    def join(verdicts: list[int]) -> int:
        counted = np.minimum(np.asarray(ahead), np.asarray(verdicts))
        sure, possible = np.asarray([1 + (counted == YES).sum()]), np.asarray([1 + (counted >= UNKNOWN).sum()])
        return int(bounded(sure, possible, node.low, node.high)[0])

    unknown_births = [other for other in (row, *siblings) if not births.known[other]]
    missing = tuple(_fact_missing("child.birth_date", reading, "child", other) for other in unknown_births)
    return Trace(node, verdict, "child", row, parts, missing if verdict == UNKNOWN else (), join if parts else None)


def _missing(node: Node, reading: Reading, kind: str, row: int) -> Iterator[Missing]:
    """What an undetermined leaf lacks."""
    if isinstance(node, Everywhere):
        yield Missing("household.municipality", "household")
    elif isinstance(node, Answered):
        fact = f"household.{node.question}.{node.programme}"
        declined = reading.population.declined(fact, int(reading.population.people[kind].household[row]))
        yield Missing(fact, "household", declined)
    elif isinstance(node, Totalled):
        yield from missing_of_total(node, reading, row)
        return
    for path in node.reads:
        yield from _missing_fact(path, reading, kind, row)
    if isinstance(node, Stay) and all(reading.at(path, kind).known[row] for path in node.reads):
        yield Missing("residence.from", "household")


def missing_of_total(node: Totalled, reading: Reading, household: int) -> Iterator[Missing]:
    """What a household's total lacks: lists left out, people's figures, and what chooses its limit."""
    for path in node.facts:
        kind = path.split(".", 1)[0]
        if not reading.population.people[kind].listed[household]:
            yield Missing(f"household.{LISTS[kind]}", "household")
        column = reading.column(path)
        for row in _rows_of(reading, kind, household):
            if not column.known[row]:
                yield _fact_missing(path, reading, kind, row)
    for path in node.reads[len(node.facts) :]:
        yield from _missing_fact(path, reading, "household", household)


def missing_of_term(term: TermNode, reading: Reading, kind: str, row: int) -> tuple[Missing, ...]:
    """The facts a figure lacks."""
    own = () if term.fact is None else (term.fact,)
    found = [missing for path in own for missing in _missing_fact(path, reading, kind, row)]
    if term.total is not None:
        household = int(reading.population.people[kind].household[row])
        found += missing_of_total(term.total, reading, household)
    if isinstance(term.source, PaidElsewhere) and not paid_elsewhere(term.source, reading, kind).known[row]:
        programme = term.source.paid_elsewhere.rsplit("/", 1)[-1]
        found.append(Missing(f"household.received_elsewhere.{programme}", "household"))
    if term.where is not None:
        household = int(reading.population.people[kind].household[row])
        for child in _rows_of(reading, "child", household):
            found += decisive(trace(term.where, reading, "child", child))
    for part in term.inner:
        found += missing_of_term(part, reading, kind, row)
    return tuple(dict.fromkeys(found))


def _missing_fact(path: str, reading: Reading, kind: str, row: int) -> Iterator[Missing]:
    owner = path.split(".", 1)[0]
    if reading.at(path, kind).known[row]:
        return
    if path in ("child.school_grade", "child.class_age"):
        path = "child.birth_date"
    if owner == kind:
        yield _fact_missing(path, reading, kind, row)
        return
    household = int(reading.population.people[kind].household[row])
    if owner == "household":
        yield _fact_missing(path, reading, "household", household)
    else:
        yield from _claimant_missing(path, reading, household)


def _claimant_missing(path: str, reading: Reading, household: int) -> Iterator[Missing]:
    people = reading.population.people["guardian"]
    if not people.listed[household] or people.offsets[household] == people.offsets[household + 1]:
        yield Missing("household.guardians", "household")
        return
    claimant = int(reading.claimant_rows()[household])
    if claimant >= 0:
        yield _fact_missing(path, reading, "guardian", claimant)
        return
    income, candidates = reading.column(CLAIMANT_INCOME), reading.candidates()
    for row in _rows_of(reading, "guardian", household):
        if candidates[row] and not income.known[row]:
            yield _fact_missing(CLAIMANT_INCOME, reading, "guardian", row)


def _fact_missing(path: str, reading: Reading, kind: str, row: int) -> Missing:
    return Missing(path, subject_name(reading, kind, row), reading.population.declined(path, row))


def decisive(root: Trace) -> tuple[Missing, ...]:
    """The facts an undetermined verdict lacks, the most decisive first.

    A fact is the more decisive the more of its two outcomes would settle the verdict on their own; then by place.
    """
    found: dict[Missing, list[Trace]] = {}
    for node in _with_missing(root):
        for missing in node.missing:
            found.setdefault(missing, []).append(node)
    scored = []
    for place, (missing, nodes) in enumerate(found.items()):
        mine = {id(node) for node in nodes}
        outcomes = [
            root.verdict_with(lambda part, mine=mine, to=to: to if id(part) in mine else None)  # type: ignore[misc]
            for to in (NO, YES)
        ]
        scored.append((missing.declined, -sum(outcome != UNKNOWN for outcome in outcomes), place, missing))
    return tuple(missing for _, _, _, missing in sorted(scored, key=lambda entry: entry[:3]))


def _with_missing(root: Trace) -> Iterator[Trace]:
    """Undetermined nodes that lack something; below a settled node nothing can matter any more."""
    if root.verdict == UNKNOWN:
        if root.missing:
            yield root
        for part in root.parts:
            yield from _with_missing(part)


def only_by_judgement(root: Trace) -> bool:
    """Say whether the verdict is open through a human's judgement alone."""
    if root.verdict != UNKNOWN or not any(isinstance(leaf.node, Open) for leaf in root.leaves()):
        return False
    for to in (NO, YES):
        if root.verdict_with(lambda part, to=to: to if isinstance(part.node, Open) else None) == UNKNOWN:  # type: ignore[misc]
            return False
    return True
