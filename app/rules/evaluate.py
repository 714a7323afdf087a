"""Evaluation: compiled rules on a population, all programmes on the same moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from app.calendar.day_numbers import OPEN_END, number_of
from app.rules.application import Deadline
from app.rules.columns import UNKNOWN, YES, Verdicts
from app.rules.compiling import Compiler
from app.rules.dependencies import circles
from app.rules.documents import DocumentError, Problem
from app.rules.facts import FactCatalogue
from app.rules.money import Amounts, CaseNode, compile_term, evaluate_cases
from app.rules.municipality_code import NATIONAL
from app.rules.nodes import Group, Node, Uncontradicted, verdicts_of_some
from app.rules.parameters import Parameters
from app.rules.people_nodes import people_verdicts
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.residence_nodes import Everywhere, Replacement
from app.rules.rule import Rule


@dataclass(frozen=True)
class CompiledRule:
    """One rule version, ready to run.

    ``inside`` is the criteria together with the ``contradictions`` that refuse the right; ``whole`` is that and the
    ``area`` (None for the whole country). ``first``/``last`` are the days it is law, the next version taken into
    account.
    """

    rule: Rule
    criteria: Node
    area: Everywhere | None
    contradictions: tuple[Uncontradicted, ...]
    inside: Node
    whole: Node
    cases: tuple[CaseNode, ...]
    take_up: tuple[tuple[Node | None, str], ...]
    deadlines: tuple[tuple[Deadline, Node | None], ...]
    first: int
    last: int

    @property
    def subject(self) -> str:
        """Whose right it is: child, guardian, pregnancy or household."""
        return self.rule.subject

    @property
    def national(self) -> bool:
        """True for a programme of the whole country."""
        return self.rule.municipality == NATIONAL

    def capped(self, as_of: int) -> bool:
        """Say whether the version is overdue for checking, so that nothing better than undetermined may be said."""
        return as_of > self._check_on and self.last >= as_of

    @cached_property
    def _check_on(self) -> int:
        """The day until which the version need not be checked again."""
        check = self.rule.next_check_on
        return OPEN_END if check is None else number_of(check)

    def verdicts(self, moment: Moment) -> Verdicts:
        """One verdict per row of the subject: criteria, area and contradictions, capped when the version is overdue."""
        verdicts = self._uncapped(moment)
        return np.minimum(verdicts, np.int8(UNKNOWN)) if self.capped(moment.as_of) else verdicts

    def _uncapped(self, moment: Moment) -> Verdicts:
        reading = Reading(moment, self.rule)
        if self.area is None:
            return people_verdicts(self.inside, self.subject, reading)
        few = self.area.few(reading, self.subject)
        if few is None:
            verdicts = people_verdicts(self.inside, self.subject, reading)
            if self.area.verdicts(reading).min(initial=YES) == YES:
                return verdicts
            return np.minimum(verdicts, people_verdicts(self.area, self.subject, reading))
        rows, covered = few
        verdicts = np.zeros(moment.population.people[self.subject].size, dtype=np.int8)
        if len(rows):
            verdicts[rows] = np.minimum(verdicts_of_some(self.inside, self.subject, reading, rows), covered)
        return verdicts

    def covered(self, moment: Moment) -> Verdicts:
        """Does the programme's area cover each household? The country covers those whose municipality is unknown."""
        if self.area is None:
            return np.full(moment.population.size, YES, dtype=np.int8)
        return self.area.verdicts(Reading(moment, self.rule))

    def amounts(self, moment: Moment) -> Amounts | None:
        """Amounts per row of the subject, whatever the verdict; None for a programme without amounts."""
        return evaluate_cases(self.cases, Reading(moment, self.rule), self.subject) if self.cases else None

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Criteria, area and contradictions with everything below them."""
        return tuple(walk(self.whole))

    @cached_property
    def memory(self) -> dict[Any, Any]:
        """What ``outlines`` has worked out about rows that look alike; every entry may be forgotten at any time."""
        return {}

    @cached_property
    def reads(self) -> frozenset[str]:
        """Paths of all facts the verdict and the amount depend on."""
        conditions = [node for case in self.cases if case.when is not None for node in walk(case.when)]
        paths = {path for node in (*self.nodes, *conditions) for path in node.reads}
        for case in self.cases:
            for term in (case.yen, case.least, case.most):
                paths |= set(term.reads) if term is not None else set()
        return frozenset(paths)


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it."""
    yield node
    for part in node.parts:
        yield from walk(part)


def compile_rule(
    rule: Rule, catalogue: FactCatalogue, parameters: Parameters, last: int = OPEN_END,
    replacements: Iterable[Replacement] = (),
) -> CompiledRule:
    """Compile one version. Raises ``DocumentError`` naming the path of whatever the catalogue or parameters lack.

    ``replacements``: where and when another programme takes its place.
    """
    compiler = Compiler(catalogue, parameters, rule.municipality, rule.key)
    scope = rule.subject
    cases = []
    for position, case in enumerate(rule.amount or ()):
        place = f"amount[{position}]"
        bounds = [
            None if term is None else compile_term(compiler, term, scope, f"{place}.{word}")
            for word, term in (("least", case.least), ("most", case.most))
        ]
        cases.append(
            CaseNode(
                None if case.when is None else compiler.node(case.when, scope, f"{place}.when"),
                compile_term(compiler, case.yen, scope, f"{place}.yen"),
                bounds[0],
                bounds[1],
                case.per,
                case.each,
            )
        )
    take_up = [
        (
            None if part.when is None else compiler.node(part.when, scope, f"take_up[{position}].when"),
            part.is_ or part.else_ or "application",
        )
        for position, part in enumerate(rule.take_up)
    ]
    criteria = compiler.node(rule.criteria, scope, "criteria")
    area = _area(rule, tuple(sorted(replacements)))
    contradictions = tuple(_contradictions(compiler, rule))
    return CompiledRule(
        rule,
        criteria,
        area,
        contradictions,
        _together(criteria, None, contradictions),
        _together(criteria, area, contradictions),
        tuple(cases),
        tuple(take_up),
        _deadlines(compiler, rule),
        number_of(rule.valid.from_),
        last if rule.valid.until is None else min(last, number_of(rule.valid.until)),
    )


def _area(rule: Rule, replacements: tuple[Replacement, ...]) -> Everywhere | None:
    if rule.municipality == NATIONAL and not replacements:
        return None
    left_within = None if rule.reaches is None else rule.reaches.left_within
    key = f"area {rule.municipality} {replacements} {left_within}"
    return Everywhere("household", "municipality", None, key, rule.municipality, replacements, left_within)


def _contradictions(compiler: Compiler, rule: Rule) -> Iterator[Uncontradicted]:
    for position, condition in enumerate(rule.unmodelled):
        if condition.contradicted_by is not None:
            place = f"unmodelled[{position}].contradicted_by"
            inner = compiler.node(condition.contradicted_by, rule.subject, place)
            yield Uncontradicted(inner.scope, place, condition, f"uncontradicted {inner.key}", inner)


def _together(criteria: Node, area: Node | None, contradictions: tuple[Node, ...]) -> Node:
    members = (*(() if area is None else (area,)), criteria, *contradictions)
    if len(members) == 1:
        return criteria
    own = next((member.scope for member in members if member.scope != "household"), "household")
    return Group(own, "", None, " ".join(member.key for member in members), members, False)


def _deadlines(compiler: Compiler, rule: Rule) -> tuple[tuple[Deadline, Node | None], ...]:
    if rule.application is None:
        return ()
    compiled = []
    for position, deadline in enumerate(rule.application.deadlines):
        place = f"application.deadlines[{position}]"
        check_anchor(compiler, deadline.anchor, rule.subject, f"{place}.anchor")
        when = None if deadline.when is None else compiler.node(deadline.when, rule.subject, f"{place}.when")
        compiled.append((deadline, when))
    if rule.application.opens is not None:
        check_anchor(compiler, rule.application.opens.anchor, rule.subject, "application.opens.anchor")
    return tuple(compiled)


def check_anchor(compiler: Compiler, anchor: object, scope: str, place: str) -> None:
    """Refuse an anchor that is not a date readable in the scope."""
    for single in getattr(anchor, "latest", (anchor,)):
        if isinstance(single, str) and single != "today" and not single.startswith("residence."):
            compiler.fact(single, place, "date")
            compiler.readable(single, scope, place)


class Rulebook:
    """All versions of all programmes, compiled once and kept."""

    def __init__(self, versions: Mapping[str, tuple[CompiledRule, ...]], catalogue: FactCatalogue) -> None:
        self.versions = dict(versions)
        self.catalogue = catalogue

    @classmethod
    def compile(
        cls,
        rules: Iterable[Rule],
        catalogue: FactCatalogue,
        parameters: Parameters,
        replacements: Mapping[str, Iterable[Replacement]] | None = None,
    ) -> Rulebook:
        """Compile rules; the versions of a programme follow one another, the later one ending the earlier.

        ``replacements``: key → where and when another programme takes its place.
        Raises ``DocumentError`` with the problems of every rule that does not compile.
        """
        grouped: dict[str, list[Rule]] = {}
        for rule in rules:
            grouped.setdefault(rule.key, []).append(rule)
        problems: list[Problem] = []
        versions: dict[str, tuple[CompiledRule, ...]] = {}
        for key in sorted(grouped):
            ordered = sorted(grouped[key], key=lambda rule: rule.valid.from_)
            ends = [number_of(later.valid.from_) - 1 for later in ordered[1:]] + [OPEN_END]
            compiled = []
            for rule, end in zip(ordered, ends, strict=True):
                try:
                    compiled.append(compile_rule(rule, catalogue, parameters, end, (replacements or {}).get(key, ())))
                except DocumentError as error:
                    problems += [
                        Problem(f"{key} {rule.version} {problem.path}", problem.found, problem.expected)
                        for problem in error.problems
                    ]
            versions[key] = tuple(compiled)
        problems += [
            Problem(f"{key} criteria", " → ".join(circle), "programmes that do not wait for each other")
            for key, circle in circles(rule for ordered in grouped.values() for rule in ordered).items()
        ]
        if problems:
            raise DocumentError(problems)
        return cls(versions, catalogue)

    def __iter__(self) -> Iterator[str]:
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self.versions)

    def on(self, key: str, day: dt.date | int) -> CompiledRule | None:
        """The version of a programme in force on a day; None where there is none."""
        number = number_of(day) if isinstance(day, dt.date) else day
        return next((rule for rule in self.versions[key] if rule.first <= number <= rule.last), None)


def evaluate(
    rulebook: Rulebook, population: Population, on: dt.date, programmes: Iterable[str] | None = None
) -> dict[str, Verdicts]:
    """Verdicts of all programmes (or some) in force on a day: key → one verdict per row of the subject."""
    moment = Moment.on(population, on)
    results = {}
    for key in rulebook if programmes is None else programmes:
        rule = rulebook.on(key, moment.as_of)
        if rule is not None:
            results[key] = rule.verdicts(moment)
    return results
