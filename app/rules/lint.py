"""Lint: what a rule says that its author can hardly have meant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from app.rules.amounts import AmountCase
from app.rules.application import Deadline
from app.rules.evaluate import CompiledRule, walk
from app.rules.nodes import Between, Equals, Group, Negation, Node, Open, Season


@dataclass(frozen=True)
class Remark:
    """``level`` is ``error`` (must not be published) or ``warning``; ``code`` names the kind; ``path`` the place."""

    level: str
    code: str
    path: str
    found: str


def lint(rule: CompiledRule, today: dt.date) -> list[Remark]:
    """Everything remarkable about one version."""
    return [
        *_contradictions(rule.criteria),
        *_undecidable(rule.criteria),
        *_out_of_reach(rule),
        *_amounts(rule),
        *_application(rule),
        *_dates(rule, today),
    ]


def _contradictions(root: Node) -> Iterator[Remark]:
    """Tests in an ``all`` that no value meets (never true), a test and its opposite in an ``any`` (always true)."""
    for node in walk(root):
        if not isinstance(node, Group):
            continue
        keys = {part.key for part in node.members}
        opposed = [part for part in node.members if isinstance(part, Negation) and part.inner.key in keys]
        if opposed:
            code = "always_true" if node.largest else "never_true"
            yield Remark("error", code, node.path, opposed[0].path)
        if len(keys) < len(node.members):
            yield Remark("warning", "repeated", node.path, f"{len(node.members) - len(keys)}")
        if not node.largest:
            yield from _empty_ranges(node)


def _empty_ranges(node: Group) -> Iterator[Remark]:
    allowed: dict[str, set[int]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for part in node.members:
        if isinstance(part, Equals):
            allowed[part.fact] = allowed.get(part.fact, set(part.values)) & set(part.values)
        elif isinstance(part, Between):
            low, high = ranges.get(part.fact, (float("-inf"), float("inf")))
            ranges[part.fact] = (
                max(low, part.low if part.low is not None else low),
                min(high, part.high if part.high is not None else high),
            )
    for fact, values in allowed.items():
        low, high = ranges.get(fact, (float("-inf"), float("inf")))
        if not any(low <= value <= high for value in values):
            yield Remark("error", "never_true", node.path, fact)
    for fact, (low, high) in ranges.items():
        if low > high:
            yield Remark("error", "never_true", node.path, fact)


def _undecidable(root: Node) -> Iterator[Remark]:
    """A rule made of judgements alone says nothing."""
    leaves = [node for node in walk(root) if not node.parts]
    if leaves and all(isinstance(leaf, Open) for leaf in leaves):
        yield Remark("warning", "only_judgements", root.path, str(len(leaves)))


def _out_of_reach(rule: CompiledRule) -> Iterator[Remark]:
    """Fixed days that lie wholly outside the days of the version."""
    for node in walk(rule.criteria):
        if isinstance(node, Season) and node.yearly is None:
            starts_after = node.first_day is not None and node.first_day > rule.last
            ends_before = node.last_day is not None and node.last_day < rule.first
            if starts_after or ends_before:
                yield Remark("error", "outside_validity", node.path, rule.rule.version)


def _amounts(rule: CompiledRule) -> Iterator[Remark]:
    """Cases after one that always holds, and a list that may end without a figure."""
    cases: tuple[AmountCase, ...] = rule.rule.amount or ()
    for position, case in enumerate(cases):
        if case.when is None and position + 1 < len(cases):
            yield Remark("error", "unreachable_case", f"amount[{position + 1}]", str(len(cases) - position - 1))
            break
    if cases and cases[-1].when is not None:
        yield Remark("warning", "no_last_case", "amount", str(len(cases)))


def _application(rule: CompiledRule) -> Iterator[Remark]:
    application = rule.rule.application
    if application is None:
        return
    if not application.deadlines and application.pays_from is None and rule.rule.kind == "cash":
        yield Remark("warning", "no_deadline", "application.deadlines", rule.rule.kind)
    occasions = [deadline.occasion for deadline in application.deadlines]
    for occasion in sorted({occasion for occasion in occasions if occasions.count(occasion) > 1}):
        yield Remark("warning", "repeated_occasion", "application.deadlines", occasion)
    for position, deadline in enumerate(application.deadlines):
        if _before_opening(deadline, rule):
            yield Remark("error", "deadline_before_opening", f"application.deadlines[{position}]", deadline.occasion)


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


def _dates(rule: CompiledRule, today: dt.date) -> Iterator[Remark]:
    if rule.rule.next_check_on is not None and today > rule.rule.next_check_on:
        yield Remark("warning", "overdue", "next_check_on", rule.rule.next_check_on.isoformat())
    if rule.rule.valid.until is not None and today > rule.rule.valid.until:
        yield Remark("warning", "expired", "valid.until", rule.rule.valid.until.isoformat())
