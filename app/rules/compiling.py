"""From documents to nodes: one compile step per rule version; errors name the path in the document."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from app.calendar.day_numbers import EARLIEST, OPEN_END, number_of
from app.calendar.fiscal_year import CLASS_AGE_AT_ENTRY
from app.calendar.spans import Span
from app.calendar.windows import age_fiscal_year_end, closing, opening
from app.rules import criteria
from app.rules.day_nodes import BIRTH, Born, Season, Window
from app.rules.documents import DocumentError, Problem
from app.rules.facts import DERIVED_FACTS, Fact, FactCatalogue
from app.rules.nodes import Between, Compared, Equals, Group, LimitTable, Negation, Node, Open, Uncontradicted
from app.rules.parameters import Parameter, Parameters
from app.rules.people_nodes import Answered, DatedLimit, Quantifier, Ranked, Totalled
from app.rules.residence_nodes import LivedOn, Resided, ResidedSince

ROWS_OF_A_TABLE = 64
"""Rows a table is written out to; a household with more dependants than that is unknown."""
_BOUNDS = ("at_least", "over", "at_most", "under")


@dataclass(frozen=True)
class Compiler:
    """Compiles the trees of one rule version. ``area`` is the programme's municipality code."""

    catalogue: FactCatalogue
    parameters: Parameters
    area: str
    name: str

    def fail(self, path: str, found: str, expected: str) -> DocumentError:
        """An error at a path of this rule."""
        return DocumentError([Problem(path, found, expected)], self.name)

    def node(self, source: Any, scope: str, path: str) -> Node:
        """Compile one tree in a scope."""
        if isinstance(source, criteria.AllOf):
            return self._group(source, source.all, scope, f"{path}.all", largest=False)
        if isinstance(source, criteria.AnyOf):
            return self._group(source, source.any, scope, f"{path}.any", largest=True)
        if isinstance(source, criteria.Not):
            inner = self.node(source.not_, scope, f"{path}.not")
            return Negation(inner.scope, path, source, f"not {inner.key}", inner)
        if isinstance(source, criteria.Some | criteria.Every | criteria.Count):
            return self._quantifier(source, path)
        leaf = _LEAVES[type(source).__pydantic_generic_metadata__["origin"] or type(source)]
        return leaf(self, source, scope, path)

    def _group(self, source: Any, parts: Any, scope: str, path: str, largest: bool) -> Node:
        members = tuple(self.node(part, scope, f"{path}[{position}]") for position, part in enumerate(parts))
        own = scope if any(member.scope == scope for member in members) else "household"
        word = "any" if largest else "all"
        key = f"{own}:{word}({' '.join(member.key for member in members)})"
        return Group(own, path.rpartition(".")[0], source, key, members, largest)

    def _quantifier(self, source: Any, path: str) -> Node:
        quantifier: Literal["some", "every", "count"] = next(
            word for word in ("some", "every", "count") if hasattr(source, word)
        )
        kind = getattr(source, quantifier)
        where = None if source.where is None else self.node(source.where, kind, f"{path}.where")
        low, high = _number_bounds(source) if quantifier == "count" else (None, None)
        key = f"{quantifier} {kind} {low} {high} ({'' if where is None else where.key})"
        return Quantifier("household", path, source, key, kind, quantifier, where, low, high)

    def _rank(self, source: Any, scope: str, path: str) -> Node:
        among = self._counting(source, path)
        low, high = _number_bounds(source)
        return Ranked(
            "child", path, source, f"rank {low} {high} ({'' if among is None else among.key})", among, low, high
        )

    def _counting(self, source: Any, path: str) -> Node | None:
        """Which children count in a rank; None where all do."""
        parts = [] if source.among is None else [self.node(source.among, "child", f"{path}.among")]
        if source.unless is not None:
            inner = self.node(source.unless, "child", f"{path}.unless")
            parts.append(Uncontradicted(inner.scope, inner.path, source.unless, f"uncontradicted {inner.key}", inner))
        if len(parts) < 2:
            return parts[0] if parts else None
        own = "child" if any(part.scope == "child" for part in parts) else "household"
        return Group(own, path, source, f"{own}:all({' '.join(part.key for part in parts)})", tuple(parts))

    def fact(self, path: str, place: str, *types: str) -> Fact:
        """A fact of the catalogue, of one of the types."""
        fact = self.catalogue.get(path)
        if fact is None:
            raise self.fail(place, f"the fact {path!r}", "a fact of the catalogue")
        if types and fact.type not in types:
            raise self.fail(place, f"{path} of type {fact.type}", f"a fact of type {' or '.join(types)}")
        return fact

    def _test(self, source: Any, scope: str, path: str) -> Node:
        fact = self.fact(source.fact, f"{path}.fact")
        own = _natural(scope, source.fact)
        if fact.path in DERIVED_FACTS:
            return self._grades(source, path)
        if source.is_ is not None or source.in_ is not None:
            place = f"{path}.{'is' if source.is_ is not None else 'in'}"
            wanted = (source.is_,) if source.is_ is not None else source.in_
            values = tuple(self._stored(fact, value, place) for value in wanted)
            return Equals(own, path, source, _key(own, source), fact.path, values)
        if source.from_ is not None or source.until is not None:
            self.fact(source.fact, f"{path}.fact", "date")
            low, high = (None if day is None else number_of(day) for day in (source.from_, source.until))
            kind = Born if fact.path.endswith(BIRTH) else Between
            return kind(own, path, source, _key(own, source), fact.path, low, high)
        self.fact(source.fact, f"{path}.fact", "int", "yen", "choice")
        if fact.type == "choice" and not all(isinstance(choice, int) for choice in fact.choices):
            raise self.fail(f"{path}.fact", f"{fact.path}, whose choices have no order", "is or in")
        return self._compared(source, fact, scope, path)

    def _grades(self, source: Any, path: str) -> Node:
        """A test of a school grade or class age, as the school years in which it holds."""
        shift = 0 if source.fact == "child.school_grade" else CLASS_AGE_AT_ENTRY
        bounds = {word: bound for word in _BOUNDS if (bound := getattr(source, word)) is not None}
        if source.is_ is not None or source.in_ is not None:
            wanted = (source.is_,) if source.is_ is not None else source.in_
            ranges = [(value, value) for value in sorted(set(wanted))]
        else:
            wanted = tuple(bounds.values())
            ranges = [_whole_bounds(bounds)] if all(isinstance(bound, int) for bound in wanted) else []
        if not ranges or any(isinstance(value, bool) or not isinstance(value, int) for value in wanted):
            raise self.fail(path, repr(wanted), "whole numbers (school grades and class ages take no parameter)")
        nodes = tuple(self._grade_window(source, path, low, high, shift) for low, high in ranges)
        return nodes[0] if len(nodes) == 1 else Group("child", path, source, _key("child", source), nodes, True)

    @staticmethod
    def _grade_window(source: Any, path: str, low: int | None, high: int | None, shift: int) -> Node:
        """Grade g runs from the day after the fiscal year end of age 5 + g to that of age 6 + g."""
        ages = [None if grade is None else max(grade - shift + 5, 0) for grade in (low, high)]
        opens = opening(Span()) if ages[0] is None else age_fiscal_year_end(ages[0]).next_day()
        closes = None if ages[1] is None else age_fiscal_year_end(ages[1] + 1)
        return Window("child", path, source, f"{_key('child', source)} {low} {high}", "child.birth_date", opens, closes)

    def _stored(self, fact: Fact, value: Any, place: str) -> int:
        """A literal as columns store it."""
        if fact.type == "bool" and isinstance(value, bool):
            return int(value)
        if fact.type == "choice" and not isinstance(value, bool) and value in fact.choices:
            return list(fact.choices).index(value)
        if fact.type in ("int", "yen") and isinstance(value, int) and not isinstance(value, bool):
            return value
        choices = f"one of {', '.join(map(repr, fact.choices))}" if fact.type == "choice" else f"a {fact.type}"
        raise self.fail(place, repr(value), choices if fact.type != "date" else "from and until for a date")

    def _compared(self, source: Any, fact: Fact, scope: str, path: str) -> Node:
        own = _natural(scope, source.fact)
        literals = {word: bound for word in _BOUNDS if isinstance(bound := getattr(source, word), int)}
        references = {
            word: bound for word in _BOUNDS if isinstance(bound := getattr(source, word), criteria.ParameterRef)
        }
        nodes: list[Node] = []
        if literals:
            low, high = _whole_bounds(literals)
            if fact.type == "choice":
                return self._ordered_choices(source, fact, own, path, low, high)
            nodes.append(Between(own, path, source, _key(own, source, "literals"), fact.path, low, high))
        for word, reference in references.items():
            nodes.append(self._limit(source, fact, scope, f"{path}.{word}", word, reference))
        if len(nodes) == 1:
            return nodes[0]
        widest = scope if any(node.scope == scope for node in nodes) else "household"
        return Group(widest, path, source, _key(widest, source), tuple(nodes), False)

    def _ordered_choices(self, source: Any, fact: Fact, own: str, path: str, low: Any, high: Any) -> Node:
        wanted = [
            position
            for position, choice in enumerate(fact.choices)
            if (low is None or choice >= low) and (high is None or choice <= high)
        ]
        if not wanted:
            raise self.fail(path, f"{low} … {high}", f"a range that holds one of {', '.join(map(str, fact.choices))}")
        return Equals(own, path, source, _key(own, source), fact.path, tuple(wanted))

    def _limit(self, source: Any, fact: Fact, scope: str, path: str, word: str, reference: Any) -> Node:
        own = _natural(scope, fact.path)
        if reference.by is not None:
            own = scope if _natural(scope, reference.by) == scope else own
        tables = self.limit(reference, fact, scope, path, word)
        key = _key(own, source, word)
        return Compared(own, path.rpartition(".")[0], source, key, fact.path, reference.by, word, tables)

    def limit(self, reference: Any, fact: Fact, scope: str, path: str, word: str) -> tuple[LimitTable, ...]:
        """A parameter's periods as the whole numbers that just hold: over 100 is 101 or more."""
        parameter = self.parameter(reference, path)
        if reference.by is not None:
            self.fact(reference.by, f"{path}.by", "int")
            self.readable(reference.by, scope, f"{path}.by")
        if fact.type != parameter.unit:
            found, expected = f"{parameter.id} in {parameter.unit}", f"a parameter in {fact.type}, like {fact.path}"
            raise self.fail(path, found, expected)
        whole: Callable[[Fraction], int] = {
            "at_least": math.ceil,
            "over": lambda limit: math.floor(limit) + 1,
            "at_most": math.floor,
            "under": lambda limit: math.ceil(limit) - 1,
        }[word]
        return write_out(parameter, whole)

    def parameter(self, reference: Any, path: str) -> Parameter:
        """The parameter a reference names, with its table used by number or its value without."""
        parameter = self.parameters.get(reference.parameter)
        if parameter is None:
            raise self.fail(f"{path}.parameter", repr(reference.parameter), "the id of a parameter")
        if parameter.is_table != (reference.by is not None):
            raise self.fail(path, f"by: {reference.by}", "by exactly where the parameter is a table")
        return parameter

    def readable(self, fact_path: str, scope: str, place: str) -> None:
        """Refuse a person's fact outside that person's scope."""
        owner = fact_path.split(".", 1)[0]
        if owner not in ("household", "guardian", scope):
            raise self.fail(
                place, f"{fact_path} in the scope of a {scope}", f"a fact of household, guardian or {scope}"
            )

    def _within(self, source: Any, scope: str, path: str) -> Node:
        self.fact(source.within, f"{path}.within", "date")
        own = _natural(scope, source.within)
        opens, closes, base = None, None, source.after or Span()
        if source.from_ is not None:
            opens = opening(source.from_, source.from_reckoning, source.from_start_of, base)
        elif source.within.endswith(BIRTH):
            opens = opening(Span())
        if source.until is not None:
            closes = closing(source.until, source.until_reckoning, source.until_end_of, base)
        return Window(own, path, source, _key(own, source), source.within, opens, closes)

    def _fiscal_year_end(self, source: Any, scope: str, path: str) -> Node:
        self.fact(source.fiscal_year_end, f"{path}.fiscal_year_end", "date")
        own = _natural(scope, source.fiscal_year_end)
        opens = opening(Span()) if source.from_age is None else age_fiscal_year_end(source.from_age).next_day()
        return Window(
            own, path, source, _key(own, source), source.fiscal_year_end, opens, age_fiscal_year_end(source.of_age)
        )

    def _on(self, source: Any, scope: str, path: str) -> Node:
        first, last = (None if day is None else number_of(day) for day in (source.on.from_, source.on.until))
        return Season("household", path, source, _key("household", source), first, last)

    def _each_year(self, source: Any, scope: str, path: str) -> Node:
        yearly = source.each_year
        days = (yearly.from_[0] * 100 + yearly.from_[1], yearly.until[0] * 100 + yearly.until[1])
        return Season("household", path, source, _key("household", source), None, None, days)

    def _judgement(self, source: Any, scope: str, path: str) -> Node:
        return Open(scope, path, source, f"{scope}:judgement")

    def _resided(self, source: Any, scope: str, path: str) -> Node:
        common = self._stay(source, source.by, scope, path, "by")
        return Resided(**common, span=source.resided)

    def _resided_since(self, source: Any, scope: str, path: str) -> Node:
        return ResidedSince(**self._stay(source, source.resided_since, scope, path, "resided_since"))

    def _resident_on(self, source: Any, scope: str, path: str) -> Node:
        date = None if source.resident_on in ("month_start", "today") else source.resident_on
        edge = None
        if source.after is not None or source.start_of is not None:
            edge = opening(source.after or Span(), from_start_of=source.start_of)
        common = self._stay(source, date, scope, path, "resident_on")
        return LivedOn(**common, edge=edge, month_start=source.resident_on == "month_start")

    def _stay(self, source: Any, date: str | None, scope: str, path: str, word: str) -> dict[str, Any]:
        """What every test of residence has: whose rows, where, and the date fact or the fixed day."""
        own = scope if source.whose is None else "household"
        area = source.area or self.area
        fixed = None
        if date is not None and date[0].isdigit():
            fixed, date = self._fixed(date, f"{path}.{word}"), None
        if date is not None:
            self.fact(date, f"{path}.{word}", "date")
            self.readable(date, own, f"{path}.{word}")
        return {
            "scope": own,
            "path": path,
            "source": source,
            "key": f"{_key(own, source)} {area}",
            "area": area,
            "date_fact": date,
            "fixed": fixed,
            "whose": source.whose,
        }

    def _fixed(self, text: str, path: str) -> int:
        try:
            return number_of(dt.date.fromisoformat(text))
        except ValueError:
            raise self.fail(path, repr(text), "a date such as 2026-05-01") from None

    def _total(self, source: Any, scope: str, path: str) -> Node:
        facts = [self.fact(fact, f"{path}.total", "int", "yen") for fact in source.total]
        if len({fact.type for fact in facts}) > 1:
            raise self.fail(f"{path}.total", "yen and other numbers together", "facts of one type")
        for fact in facts:
            if (fact.at_least or 0) < 0:
                found = f"{fact.path}, which may be below zero"
                raise self.fail(f"{path}.total", found, "a fact that is never negative")
        literals = {word: bound for word in _BOUNDS if isinstance(bound := getattr(source, word), int)}
        nodes: list[Node] = []
        if literals:
            low, high = _whole_bounds(literals)
            key = _key("household", source, "literals")
            nodes.append(Totalled("household", path, source, key, source.total, low, high))
        for word in _BOUNDS:
            if isinstance(reference := getattr(source, word), criteria.ParameterRef):
                place = f"{path}.{word}"
                limit = DatedLimit(word, reference.by, self.limit(reference, facts[0], "household", place, word))
                key = _key("household", source, word)
                nodes.append(Totalled("household", path, source, key, source.total, limit=limit))
        if len(nodes) == 1:
            return nodes[0]
        return Group("household", path, source, _key("household", source), tuple(nodes))

    def _answered(self, source: Any, scope: str, path: str) -> Node:
        question = "receives" if isinstance(source, criteria.Receives) else "received_elsewhere"
        programme = getattr(source, question).rsplit("/", 1)[-1]
        return Answered(scope, path, source, _key(scope, source), question, programme)


_LEAVES: dict[type, Callable[[Compiler, Any, str, str], Node]] = {
    criteria.FactTest: Compiler._test,
    criteria.Within: Compiler._within,
    criteria.FiscalYearEnd: Compiler._fiscal_year_end,
    criteria.On: Compiler._on,
    criteria.EachYear: Compiler._each_year,
    criteria.Judgement: Compiler._judgement,
    criteria.Resided: Compiler._resided,
    criteria.ResidedSince: Compiler._resided_since,
    criteria.ResidentOn: Compiler._resident_on,
    criteria.Total: Compiler._total,
    criteria.Receives: Compiler._answered,
    criteria.ReceivedElsewhere: Compiler._answered,
    criteria.Rank: Compiler._rank,
}


def write_out(parameter: Parameter, whole: Callable[[Fraction], int]) -> tuple[LimitTable, ...]:
    """A parameter's periods as arrays of whole numbers; a row that is unknown, and one past the last, is masked."""
    tables = []
    for valid_from, valid_until, period in parameter.in_force():
        size = ROWS_OF_A_TABLE if parameter.is_table else 1
        rows = [period.row(number) for number in range(size)]
        values = [0 if row is None else whole(row) for row in rows]
        known = [row is not None for row in rows]
        if parameter.is_table:
            values, known = [*values, 0], [*known, False]
        tables.append(
            LimitTable(
                max(number_of(valid_from), EARLIEST),
                OPEN_END if valid_until is None else number_of(valid_until),
                np.asarray(values, dtype=np.int64),
                np.asarray(known, dtype=np.bool_),
            )
        )
    return tuple(tables)


def _natural(scope: str, fact_path: str) -> str:
    """Whose rows a fact is compared in: the bound person's, else the household's (the claimant's too)."""
    return scope if fact_path.split(".", 1)[0] == scope else "household"


def _key(scope: str, source: Any, more: str = "") -> str:
    return f"{scope}:{more}" + json.dumps(
        source.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"because"}),
        sort_keys=True,
        ensure_ascii=False,
    )


def _number_bounds(source: Any) -> tuple[int | None, int | None]:
    return (source.is_, source.is_) if source.is_ is not None else (source.at_least, source.at_most)


def _whole_bounds(literals: dict[str, int]) -> tuple[int | None, int | None]:
    low = literals.get("at_least", literals["over"] + 1 if "over" in literals else None)
    high = literals.get("at_most", literals["under"] - 1 if "under" in literals else None)
    return low, high
