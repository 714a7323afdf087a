"""Lint of units: yen added to what is no yen, spans of months beside spans of days.

What is compared with a parameter of another unit does not compile.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from app.rules import amounts
from app.rules.day_nodes import Window
from app.rules.evaluate import CompiledRule
from app.rules.facts import FactCatalogue
from app.rules.leaves import ParameterRef, Within
from app.rules.parameters import Parameters
from app.rules.remarks import Remark, error, warning

ANY = "any"
"""The unit of a bare number: whatever stands beside it."""


def lint_units(rule: CompiledRule, catalogue: FactCatalogue, parameters: Parameters) -> Iterator[Remark]:
    """Every place where two units meet that do not belong together."""
    for node in rule.nodes:
        if isinstance(node, Window) and isinstance(node.source, Within):
            opens, closes = node.source.from_, node.source.until
            if opens is None or closes is None or opens.in_days == closes.in_days:
                continue
            # Before a date there are only days and weeks, so that a window around it may well end in months.
            if opens.days >= 0 and (opens.months or opens.days) and (closes.months or closes.days):
                yield warning("span_mix", node.path, opens=opens, closes=closes)
    for number, case in enumerate(rule.rule.amount or ()):
        for word in ("yen", "least", "most"):
            term = getattr(case, word)
            if term is not None:
                unit = _unit(term, catalogue, parameters)
                if unit not in ("yen", ANY):
                    yield error("unit_mix", f"amount[{number}].{word}", one="yen", other=unit)


def _unit(term: Any, catalogue: FactCatalogue, parameters: Parameters) -> str:
    """The unit of a term; ``mixed`` where its parts do not fit."""
    if isinstance(term, Fraction):
        return ANY
    if isinstance(term, ParameterRef):
        return parameters[term.parameter].unit
    if isinstance(term, amounts.FactTerm):
        return catalogue[term.fact].type
    if isinstance(term, amounts.TotalTerm):
        return catalogue[term.total[0]].type
    if isinstance(term, amounts.CountTerm | amounts.PaidElsewhere):
        return "int" if isinstance(term, amounts.CountTerm) else "yen"
    word = next(word for word in ("add", "subtract", "multiply", "min", "max", "round") if hasattr(term, word))
    found = getattr(term, word)
    parts = [_unit(part, catalogue, parameters) for part in (found if isinstance(found, tuple) else (found,))]
    if "mixed" in parts:
        return "mixed"
    if word == "multiply":
        return "mixed" if parts.count("yen") > 1 else "yen" if "yen" in parts else parts[0]
    units = {part for part in parts if part != ANY}
    return units.pop() if len(units) == 1 else "mixed" if units else ANY
