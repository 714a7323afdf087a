"""Read back of amounts: each case with its condition, the arithmetic in words, the figures in force on a day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from app.calendar.day_numbers import date_of
from app.rules import amounts
from app.rules.evaluate import CompiledRule
from app.rules.leaves import ParameterRef
from app.rules.money import TermNode
from app.rules.phrases import Phrases
from app.rules.read_back_conditions import Line, Shown, amount_in_words, exact, tree_read_back

_WORDS = ("add", "subtract", "multiply", "min", "max")
_MANY = 3
"""From so many calculations inside one another on, an amount is said in steps."""
_MARKS = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"


@dataclass
class _Steps:
    """The calculations inside an amount, in the order in which they are made."""

    said: list[str] = field(default_factory=list)

    def add(self, text: str, phrases: Phrases) -> str:
        """Say one more step; its mark."""
        mark = _MARKS[len(self.said)] if len(self.said) < len(_MARKS) else f"({len(self.said) + 1})"
        self.said.append(phrases.say("read_back.amount.step", n=mark, text=text))
        return mark


def amounts_read_back(rule: CompiledRule, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    """The cases in their order: the first that holds counts."""
    if not rule.cases:
        return
    yield 0, phrases.say("read_back.amount.head" if len(rule.cases) > 1 else "read_back.amount.head_one")
    for number, case in enumerate(rule.cases):
        steps = _Steps()
        result = term_in_words(case.yen, phrases, shown, steps=steps)
        in_steps = len(steps.said) >= _MANY
        figure = phrases.say("read_back.amount.calculated") if in_steps else term_in_words(case.yen, phrases, shown)
        per = phrases.say(f"read_back.amount.per_{case.per}", figure=figure)
        if case.each == "household":
            per = phrases.say("read_back.amount.each_household", amount=per)
        key = "only" if len(rule.cases) == 1 and case.when is None else "when" if case.when is not None else "else"
        yield 1, phrases.say(f"read_back.amount.{key}", n=number + 1, amount=per)
        if case.when is not None:
            yield from tree_read_back(case.when, 2, phrases, shown)
        if in_steps:
            yield 2, phrases.say("read_back.amount.steps")
            yield from ((3, step) for step in (*steps.said, phrases.say("read_back.amount.result", text=result)))
        yield from _counted(case.yen, phrases, shown)
        for word, term in (("least", case.least), ("most", case.most)):
            if term is not None:
                yield 2, phrases.say(f"read_back.amount.{word}", figure=term_in_words(term, phrases, shown))


def _counted(term: TermNode, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    """Which children a figure counts."""
    if term.where is not None:
        yield 2, phrases.say("read_back.amount.counted")
        yield from tree_read_back(term.where, 3, phrases, shown)
    for part in term.inner:
        yield from _counted(part, phrases, shown)


def term_in_words(
    term: TermNode, phrases: Phrases, shown: Shown, inner: bool = False, steps: _Steps | None = None
) -> str:
    """A figure in words: 「…の月額」(48,050円)から…を引いた額.

    Parts of a calculation stand in brackets; where ``steps`` are kept, each becomes one and its mark stands instead.
    """
    source = term.source
    if isinstance(source, Fraction):
        number = exact(source)
        return number if inner and abs(source) < 10 and source.denominator == 1 else phrases.say("yen", number=number)
    if isinstance(source, ParameterRef):
        return _parameter(source, phrases, shown)
    if isinstance(source, amounts.FactTerm):
        return phrases.label(source.fact)
    if isinstance(source, amounts.CountTerm):
        return phrases.say("read_back.amount.count" if term.where is not None else "read_back.amount.count_all")
    if isinstance(source, amounts.TotalTerm):
        return phrases.say("total", facts=phrases.join([phrases.label(path) for path in source.total]))
    if isinstance(source, amounts.PaidElsewhere):
        return _paid_elsewhere(source, phrases)
    text = _calculated(source, [_part(source, part, phrases, shown, steps) for part in term.inner], phrases)
    if inner and steps is not None:
        return steps.add(text, phrases)
    return phrases.say("read_back.amount.bracketed", text=text) if inner else text


def _paid_elsewhere(source: amounts.PaidElsewhere, phrases: Phrases) -> str:
    programme = phrases.programme(source.paid_elsewhere)
    if source.assumed is None:
        return phrases.say("read_back.amount.paid_elsewhere", programme=programme)
    figure = phrases.say("yen", number=exact(source.assumed))
    return phrases.say("read_back.amount.paid_elsewhere_assumed", programme=programme, figure=figure)


def _part(source: Any, part: TermNode, phrases: Phrases, shown: Shown, steps: _Steps | None) -> str:
    """One operand; a bare number is yen unless it multiplies."""
    if isinstance(part.source, Fraction):
        number = exact(part.source)
        return number if isinstance(source, amounts.Multiply) else phrases.say("yen", number=number)
    return term_in_words(part, phrases, shown, inner=True, steps=steps)


def _calculated(source: Any, parts: list[str], phrases: Phrases) -> str:
    if isinstance(source, amounts.Round):
        return phrases.say(f"read_back.amount.round_{source.direction}", figure=parts[0], to=f"{source.to:,}")
    word = next(word for word in _WORDS if hasattr(source, word))
    text = parts[0]
    if word in ("min", "max"):
        return phrases.say(f"read_back.amount.{word}", parts=phrases.join(parts, "and_separator"))
    for part in parts[1:]:
        text = phrases.say(f"read_back.amount.{word}", one=text, other=part)
    return text


def _parameter(source: ParameterRef, phrases: Phrases, shown: Shown) -> str:
    parameter = phrases.parameters[source.parameter]
    name = phrases.quoted(parameter.label.in_language(phrases.language))
    if source.by is not None:
        return phrases.say(
            "parameter_by", parameter=parameter.label.in_language(phrases.language), by=phrases.label(source.by)
        )
    period = None if shown.day is None else parameter.on(date_of(shown.day))
    if period is None or period.value is None:
        return name
    return phrases.say(
        "read_back.amount.parameter", parameter=name, figure=amount_in_words(parameter, period.value, phrases)
    )
