"""Lint: what a rule says that its author can hardly have meant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np

from app.calendar.day_counting import period_ends
from app.calendar.day_numbers import number_of
from app.rules.application import Deadline
from app.rules.day_nodes import Season, Window
from app.rules.evaluate import CompiledRule, walk
from app.rules.facts import FactCatalogue
from app.rules.leaves import ParameterRef
from app.rules.lint_by_trial import lint_by_trial
from app.rules.lint_units import lint_units
from app.rules.nodes import Compared, Equals, Group, Negation, Node, Open
from app.rules.parameters import Parameters
from app.rules.people_nodes import Quantifier
from app.rules.remarks import Remark, error, warning

_YEAR = 366
"""Days within which the end of a parameter is worth a word."""
_REVEALING = ("single_parent", "disability_health")
"""Consent categories of facts that a right may give away by its name."""


def lint(rule: CompiledRule, today: dt.date, catalogue: FactCatalogue, parameters: Parameters) -> list[Remark]:
    """Everything remarkable about one version, each place with each code once."""
    remarks = [
        *_contradictions(rule),
        *lint_by_trial(rule, catalogue, number_of(today)),
        *lint_units(rule, catalogue, parameters),
        *_undecidable(rule),
        *_out_of_reach(rule),
        *_after_the_last_case(rule),
        *_application(rule),
        *_sensitive(rule, catalogue),
        *_dates(rule, today),
        *_parameters(rule, today, parameters),
    ]
    return list({(remark.code, remark.path): remark for remark in remarks}.values())


def _contradictions(rule: CompiledRule) -> Iterator[Remark]:
    """A test and its opposite side by side, and the same test twice."""
    for node in rule.nodes:
        if not isinstance(node, Group) or node.source is None:
            continue
        keys = {part.key for part in node.members}
        opposed = [part for part in node.members if isinstance(part, Negation) and part.inner.key in keys]
        if opposed:
            yield error("always_true" if node.largest else "never_true", node.path, fact=_fact_of(opposed[0]))
        if len(keys) < len(node.members):
            yield warning("repeated", node.path, number=len(node.members) - len(keys))


def _fact_of(node: Node) -> str:
    return next((path for part in walk(node) for path in part.reads), "")


def _undecidable(rule: CompiledRule) -> Iterator[Remark]:
    """A rule that leaves (nearly) everything to people decides nothing."""
    leaves = [node for node in walk(rule.criteria) if not node.parts]
    if leaves and all(isinstance(leaf, Open) for leaf in leaves):
        yield warning("only_judgements", rule.criteria.path, number=len(leaves))
    elif len(rule.rule.unmodelled) > max(4, 2 * len(leaves)):
        yield warning("much_unmodelled", "unmodelled", number=len(rule.rule.unmodelled), tests=len(leaves))


def _out_of_reach(rule: CompiledRule) -> Iterator[Remark]:
    """Fixed days that lie wholly outside the days of the version."""
    for node in walk(rule.criteria):
        if isinstance(node, Season) and node.yearly is None:
            starts_after = node.first_day is not None and node.first_day > rule.last
            ends_before = node.last_day is not None and node.last_day < rule.first
            if starts_after or ends_before:
                yield error("outside_validity", node.path, version=rule.rule.version)


def _after_the_last_case(rule: CompiledRule) -> Iterator[Remark]:
    """Cases after one that always holds."""
    cases = rule.rule.amount or ()
    for position, case in enumerate(cases):
        if case.when is None and position + 1 < len(cases):
            yield error("unreachable_case", f"amount[{position + 1}]", number=position + 2)
            break


# ---- applying -------------------------------------------------------------------------------------------------------


def _application(rule: CompiledRule) -> Iterator[Remark]:
    application = rule.rule.application
    if application is None:
        return
    if not application.deadlines and application.pays_from is None and rule.rule.kind == "cash":
        yield warning("no_deadline", "application.deadlines")
    occasions = [deadline.occasion for deadline in application.deadlines if deadline.when is None]
    for occasion in sorted({occasion for occasion in occasions if occasions.count(occasion) > 1}):
        yield warning("repeated_occasion", "application.deadlines", occasion=occasion)
    for position, deadline in enumerate(application.deadlines):
        place = f"application.deadlines[{position}]"
        if _before_opening(deadline, rule):
            yield error("deadline_before_opening", place)
        yield from _beside_the_right(deadline, rule, place)


def _before_opening(deadline: Deadline, rule: CompiledRule) -> bool:
    opens = rule.rule.application.opens if rule.rule.application else None
    if opens is None:
        return False
    if opens.on is not None and deadline.on is not None:
        return deadline.on < opens.on
    if deadline.within is None or opens.anchor is None or opens.anchor != deadline.anchor:
        return False
    after = opens.after
    return after is not None and (deadline.within.months * 31 + deadline.within.days) < after.months * 28 + after.days


def _beside_the_right(deadline: Deadline, rule: CompiledRule, place: str) -> Iterator[Remark]:
    """A deadline counted from the date that the right's own window is counted from, and outside that window."""
    if deadline.on is not None and rule.rule.valid.until is not None and deadline.on > rule.rule.valid.until:
        yield warning("deadline_after_right", place)
    plain = deadline.within is not None and getattr(deadline, "after", None) is None
    for window in _always_needed(rule.criteria):
        if not plain or deadline.within is None or window.fact != deadline.anchor:
            continue
        dates = np.arange(number_of(dt.date(2024, 1, 1)), number_of(dt.date(2028, 1, 1)), 5, dtype=np.int32)
        ends = period_ends(dates, deadline.within, deadline.first_day)
        if window.closes is not None and (ends > window.closes.days(dates) + 1).all():
            yield warning("deadline_after_right", place)
        if window.opens is not None and (ends < window.opens.days(dates)).all():
            yield error("deadline_before_right", place)


def _always_needed(root: Node) -> list[Window]:
    """Windows that every right has to meet: the root, or parts of an ``all`` below it."""
    if isinstance(root, Group) and not root.largest:
        return [window for part in root.members for window in _always_needed(part)]
    return [root] if isinstance(root, Window) else []


# ---- upkeep ---------------------------------------------------------------------------------------------------------


def _sensitive(rule: CompiledRule, catalogue: FactCatalogue) -> Iterator[Remark]:
    """A right that only certain people have gives them away unless its title is kept to itself."""
    if rule.rule.sensitive:
        return
    for node in _wanted(rule.criteria):
        fact = catalogue[node.fact]
        assisted = fact.path == "household.public_assistance"
        if (assisted or fact.consent in _REVEALING) and fact.sensitive and _asks_for_it(node):
            yield warning("should_be_sensitive", node.path, fact=fact.path)


def _wanted(root: Node) -> Iterator[Equals]:
    """Tests of a fact that speak for the right, not against it; an alternative beside others gives nobody away."""
    if isinstance(root, Equals):
        yield root
    elif isinstance(root, Quantifier) or (isinstance(root, Group) and not root.largest):
        for part in root.parts:
            yield from _wanted(part)


def _asks_for_it(node: Equals) -> bool:
    source = node.source
    return source.is_ is not False and source.is_ != "none" and "none" not in (getattr(source, "in_", None) or ())


def _dates(rule: CompiledRule, today: dt.date) -> Iterator[Remark]:
    check = rule.rule.next_check_on
    if check is not None and today > check:
        yield warning("overdue", "next_check_on", day=check)
    if rule.rule.valid.until is not None and today > rule.rule.valid.until:
        yield warning("expired", "valid.until", day=rule.rule.valid.until)


def _parameters(rule: CompiledRule, today: dt.date, parameters: Parameters) -> Iterator[Remark]:
    """Figures that a rule in force uses and that end within the year, or have ended."""
    if rule.rule.valid.until is not None and rule.rule.valid.until < today:
        return
    for path, name in _named(rule):
        spans = parameters[name].in_force()
        ends = spans[-1][1]
        if ends is not None and ends < today + dt.timedelta(days=_YEAR):
            yield warning("parameter_ends", path, parameter=name, day=ends)


def _named(rule: CompiledRule) -> Iterator[tuple[str, str]]:
    for node in rule.nodes:
        if isinstance(node, Compared):
            limit = getattr(node.source, node.word, None)
            if isinstance(limit, ParameterRef):
                yield node.path, limit.parameter
    for number, case in enumerate(rule.rule.amount or ()):
        for name in _parameters_in(case.model_dump(by_alias=True)):
            yield f"amount[{number}]", name


def _parameters_in(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("parameter"), str):
            yield part["parameter"]
        for value in part.values():
            yield from _parameters_in(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _parameters_in(value)
