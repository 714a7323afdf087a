"""Boundaries: for every edge of a rule on a day, two households, one just inside and one just outside.

Each starts from a household that the rule says yes to (or one put together from the tree) in which one thing is
moved; what comes out is what the evaluator gives, never what was meant. Used for a programme's examples, in tests, and
by the staff editor.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.calendar.day_numbers import as_days, date_of, number_of
from app.rules.columns import UNKNOWN, YES
from app.rules.drafts import Draft
from app.rules.edges import EdgePair, edge_pairs, within_reach
from app.rules.evaluate import CompiledRule, walk
from app.rules.explain import VERDICT_NAMES
from app.rules.facts import FactCatalogue
from app.rules.household import PEOPLE_FIELDS
from app.rules.nodes import Node, Open
from app.rules.people_nodes import Quantifier, Ranked
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.satisfying import WAYS, Satisfying, built_bases

_ALWAYS = frozenset({"guardian.claimant", "child.birth_date"})
"""Facts that are kept whatever the rule reads: who claims, and a child's birth date."""
_BASES = 3
"""Households that an edge is tried from, at most."""


@dataclass(frozen=True)
class Outcome:
    """What the evaluator gives: the verdict by name, and yen where a figure is certain."""

    verdict: str
    amount: int | None = None


@dataclass(frozen=True)
class BoundaryHousehold:
    """A household document on a day, whose right is looked at, and what comes out."""

    document: dict[str, Any]
    on: dt.date
    subject: str
    outcome: Outcome


@dataclass(frozen=True)
class BoundaryPair:
    """Two households on either side of one edge of the test at ``path``; what comes out differs with it.

    The test holds for ``inside``. ``edge`` names the kind of edge: opens, closes, limit, value …
    """

    path: str
    fact: str | None
    edge: str
    inside: BoundaryHousehold
    outside: BoundaryHousehold


@dataclass(frozen=True)
class Boundaries:
    """All pairs of a version on a day; ``without`` are the tests for which no deciding pair was found."""

    pairs: tuple[BoundaryPair, ...]
    without: tuple[Node, ...]

    def of(self, path: str) -> tuple[BoundaryPair, ...]:
        """The pairs of one test."""
        return tuple(pair for pair in self.pairs if pair.path == path)


@dataclass(frozen=True)
class _Try:
    node: Node
    pair: EdgePair


def deciding_tests(rule: CompiledRule) -> tuple[Node, ...]:
    """Every test that can decide the right or its amount, each once, in the order of the document; no judgements."""
    roots = [rule.criteria, *rule.contradictions, *(case.when for case in rule.cases if case.when is not None)]
    found: dict[str, Node] = {}
    for root in roots:
        for node in walk(root):
            counted = isinstance(node, Quantifier) and node.quantifier == "count"
            edge = not node.parts or isinstance(node, Ranked) or counted
            if edge and not isinstance(node, Open):
                found.setdefault(f"{node.path} {node.key}", node)
    return tuple(found.values())


def boundaries(
    rule: CompiledRule, catalogue: FactCatalogue, on: dt.date, households: Iterable[Mapping[str, Any]] = ()
) -> Boundaries:
    """Pairs around every edge of a version on a day.

    ``households``: checked documents to start from (such as the programme's examples); those the rule says yes to are
    used first, then ones put together from the tree. Days outside the version's validity give no pairs.
    """
    day = min(max(number_of(on), rule.first), rule.last)
    last = _last_day(rule, day)
    bases = _bases(rule, catalogue, day, list(households))
    open_tests = deciding_tests(rule)
    pairs: list[BoundaryPair] = []
    for branch in range(WAYS):
        satisfying = Satisfying(catalogue, branch)
        tried = [
            _Try(node, pair)
            for node in open_tests
            for start in _starts(rule, satisfying, node, bases)
            for pair in edge_pairs(node, start, catalogue)
            if within_reach(pair, rule.first, last)
        ]
        pairs += _judged(rule, catalogue, tried).values()
        found = {pair.path for pair in pairs}
        open_tests = tuple(node for node in open_tests if node.path not in found)
    return Boundaries(tuple(sorted(pairs, key=lambda pair: _place(rule, pair.path))), open_tests)


def _last_day(rule: CompiledRule, day: int) -> int:
    """Past the day of the next check nothing is certain, so that no edge could show."""
    check = rule.rule.next_check_on
    return rule.last if check is None or number_of(check) < day else min(rule.last, number_of(check))


def _place(rule: CompiledRule, path: str) -> int:
    return next(position for position, node in enumerate(deciding_tests(rule)) if node.path == path)


def _bases(
    rule: CompiledRule, catalogue: FactCatalogue, day: int, households: Sequence[Mapping[str, Any]]
) -> list[Draft]:
    """Drafts the rule says yes to, then those it does not exclude; small given households first, built ones last."""
    small_first = sorted((_slim(rule, document) for document in households), key=lambda document: len(str(document)))
    drafts = [draft for document in small_first for draft in _drafts_of(rule, document, day)]
    drafts += built_bases(rule, catalogue, day)
    outcomes = _outcomes(rule, catalogue, drafts)
    ranked = sorted(
        (position for position, outcome in enumerate(outcomes) if outcome.verdict != "ineligible"),
        key=lambda position: (outcomes[position].verdict != "eligible", position),
    )
    best = [drafts[position] for position in ranked[:_BASES]]
    built = [drafts[position] for position in ranked if position >= len(drafts) - WAYS]
    return best + [draft for draft in built[:1] if draft not in best] or drafts[-1:]


def _slim(rule: CompiledRule, document: Mapping[str, Any]) -> dict[str, Any]:
    """A household without the facts that the rule does not read, so that what matters can be seen."""
    read = rule.reads | {path for node in deciding_tests(rule) for path in node.reads} | _ALWAYS
    slim = {name: part for name, part in document.items() if name not in ("id", "facts") and name not in PEOPLE_FIELDS}
    for name, kind in PEOPLE_FIELDS.items():
        if name in document:
            slim[name] = [_slim_owner(kind, person, read) for person in document[name] or ()]
    facts = _slim_owner("household", {"facts": document.get("facts", {})}, read)
    return {**slim, **facts}


def _slim_owner(kind: str, owner: Mapping[str, Any], read: Iterable[str]) -> dict[str, Any]:
    slim = {name: part for name, part in owner.items() if name not in ("facts", "birth_date")}
    facts = {name: _undated(value) for name, value in owner.get("facts", {}).items() if f"{kind}.{name}" in read}
    if f"{kind}.birth_date" in read and "birth_date" in owner:
        slim["birth_date"] = owner["birth_date"]
    return {**slim, **({"facts": facts} if facts else {})}


def _undated(value: Any) -> Any:
    """A value without its income year, so that it counts on every day that is tried; of several the newest."""
    if isinstance(value, list | tuple):
        return _undated(max(value, key=lambda part: part.get("income_year") or 0 if isinstance(part, Mapping) else 0))
    return value["value"] if isinstance(value, Mapping) and "value" in value else value


def _drafts_of(rule: CompiledRule, document: Mapping[str, Any], day: int) -> Iterator[Draft]:
    kind = rule.subject
    if kind == "household":
        yield Draft(document, day, ("household", 0))
        return
    whole = Draft(document, day, (kind, 0))
    for position in range(len(whole.people(kind))):
        yield Draft(document, day, (kind, position), {kind: position})


def _starts(rule: CompiledRule, satisfying: Satisfying, node: Node, bases: list[Draft]) -> Iterator[Draft]:
    """Each base as it is, and changed so that the outcome hangs on the one test."""
    roots = [(rule.criteria, -1), *((part, -1) for part in rule.contradictions)]
    roots += [(case.when, number) for number, case in enumerate(rule.cases) if case.when is not None]
    for base in bases:
        if node.scope in ("household", base.subject[0]):
            yield base
        for root, number in roots:
            if any(part is node for part in walk(root)):
                draft = base
                for case in rule.cases[: max(number, 0)]:
                    if case.when is not None:
                        draft = satisfying.holding(case.when, False, draft)
                yield satisfying.hanging_on(root, node, draft)


def _judged(rule: CompiledRule, catalogue: FactCatalogue, tried: list[_Try]) -> dict[tuple[Any, ...], BoundaryPair]:
    """The pairs whose outcomes differ while the test itself goes from yes to something else, the first of its kind."""
    drafts = [draft for one in tried for draft in (one.pair.inside, one.pair.outside)]
    found: dict[tuple[Any, ...], BoundaryPair] = {}
    if not drafts:
        return found
    moment = _moment(rule, catalogue, drafts)
    outcomes = _read_outcomes(rule, moment, drafts)
    reading = Reading(moment, rule.rule)
    verdicts: dict[int, Any] = {}
    for number, one in enumerate(tried):
        judged = verdicts.setdefault(id(one.node), one.node.verdicts(reading))
        inside, outside = (
            int(judged[_row(moment.population, one.node.scope, 2 * number + side, drafts)]) for side in (0, 1)
        )
        first, second = outcomes[2 * number], outcomes[2 * number + 1]
        if inside == YES and outside != YES and _differ(one.node, first, second):
            found.setdefault(_kind_of(one), _pair(one, first, second))
    return found


def _differ(node: Node, first: Outcome, second: Outcome) -> bool:
    """A test of the right changes the verdict; one of an amount changes the amount of a right."""
    if node.path.startswith("amount"):
        return first.verdict == second.verdict != "ineligible" and first.amount != second.amount
    return first.verdict != second.verdict


def _kind_of(one: _Try) -> tuple[Any, ...]:
    """What makes two pairs of one test say the same: the edge and the values moved, whatever the household."""
    inside, outside = one.pair.inside, one.pair.outside
    values = tuple(str(side.fact(path)) for side in (inside, outside) for path in one.node.reads)
    days = (inside.day - outside.day, inside.document.get("residence") != outside.document.get("residence"))
    return (one.node.path, one.pair.edge, values, days)


def _pair(one: _Try, first: Outcome, second: Outcome) -> BoundaryPair:
    inside, outside = (
        BoundaryHousehold(dict(draft.document), draft.on, draft.subject_name, outcome)
        for draft, outcome in ((one.pair.inside, first), (one.pair.outside, second))
    )
    return BoundaryPair(one.node.path, next(iter(one.node.reads), None), one.pair.edge, inside, outside)


def _row(population: Population, scope: str, household: int, drafts: list[Draft]) -> int:
    if scope == "household":
        return household
    draft = drafts[household]
    position = draft.persons.get(scope, draft.subject[1] if draft.subject[0] == scope else 0)
    first, last = (int(population.people[scope].offsets[household + step]) for step in (0, 1))
    return min(first + position, max(last - 1, 0))


def _outcomes(rule: CompiledRule, catalogue: FactCatalogue, drafts: list[Draft]) -> list[Outcome]:
    return _read_outcomes(rule, _moment(rule, catalogue, drafts), drafts) if drafts else []


def _moment(rule: CompiledRule, catalogue: FactCatalogue, drafts: list[Draft]) -> Moment:
    population = Population.from_documents([draft.document for draft in drafts], catalogue)
    days = as_days([draft.day for draft in drafts])
    return Moment.on(population, days, as_of=date_of(int(days.min())))


def _read_outcomes(rule: CompiledRule, moment: Moment, drafts: list[Draft]) -> list[Outcome]:
    verdicts = rule.verdicts(moment)
    amounts = rule.amounts(moment)
    rows = [_subject_row(moment.population, household, draft) for household, draft in enumerate(drafts)]
    found = []
    for row in rows:
        verdict = int(verdicts[row])
        figure = None
        if amounts is not None and verdict >= UNKNOWN and amounts.known[row] and amounts.case[row] >= 0:
            figure = int(amounts.yen[row])
        found.append(Outcome(VERDICT_NAMES[verdict], figure))
    return found


def _subject_row(population: Population, household: int, draft: Draft) -> int:
    kind, position = draft.subject
    return household if kind == "household" else int(np.asarray(population.people[kind].offsets)[household]) + position
