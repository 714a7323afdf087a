"""Amounts evaluated: exact rational arithmetic on columns, the first case that holds, bounds where that is open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.rules import amounts
from app.rules.columns import NO, UNKNOWN, YES, Column
from app.rules.compiling import Compiler, write_out
from app.rules.criteria import ParameterRef, Total
from app.rules.nodes import LimitTable, Node, limits, table_edges
from app.rules.parameters import Beyond
from app.rules.people_nodes import Totalled, paid_elsewhere, people_verdicts
from app.rules.reading import Reading

_SAFE = 2**62


@dataclass(frozen=True)
class Exact:
    """One rational number per row: ``numerators`` over one ``denominator``; no floating point anywhere."""

    numerators: NDArray[Any]
    denominator: int
    known: NDArray[np.bool_]

    def scaled(self, denominator: int) -> NDArray[Any]:
        """The numerators over a multiple of the denominator."""
        return multiplied(self.numerators, denominator // self.denominator)

    def whole(self) -> Column:
        """Whole numbers; refuses what is not."""
        if self.denominator == 1:
            return Column.of(self.numerators, self.known)
        quotients, rests = np.divmod(self.numerators, self.denominator)
        if (rests[self.known] != 0).any():
            raise ValueError("found an amount that is not whole yen; expected round around it")
        return Column.of(quotients, self.known)


def multiplied(left: Any, right: Any) -> NDArray[Any]:
    """Product of whole numbers; goes over to Python's integers where 64 bits might not hold it."""
    left, right = np.asarray(left), np.asarray(right)
    largest = [max((abs(int(part.max())), abs(int(part.min())))) if part.size else 0 for part in (left, right)]
    if object in (left.dtype, right.dtype) or largest[0] * largest[1] > _SAFE:
        left, right = left.astype(object), right.astype(object)
    return np.asarray(left * right)


@dataclass(frozen=True)
class TermNode:
    """A compiled term: evaluated for the rows of the subject. ``tables`` belong to a parameter."""

    source: Any
    path: str
    inner: tuple[TermNode, ...] = ()
    fact: str | None = None
    tables: tuple[LimitTable, ...] = ()
    denominator: int = 1
    where: Node | None = None
    total: Totalled | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of all facts in the term."""
        own = () if self.total is None else self.total.facts
        own = own if self.fact is None else (self.fact,)
        return own + tuple(path for part in self.inner for path in part.reads)

    def changes(self, first: int, last: int) -> set[int]:
        """Days on which a parameter of the term changes."""
        days = set(table_edges(self.tables, first, last))
        return days.union(*(part.changes(first, last) for part in self.inner))

    def evaluate(self, reading: Reading, scope: str) -> Exact:
        """One exact number per row."""
        size = reading.population.people[scope].size
        if isinstance(self.source, Fraction):
            return Exact(
                np.full(size, self.source.numerator, dtype=np.int64),
                self.source.denominator,
                np.ones(size, dtype=np.bool_),
            )
        if isinstance(self.source, ParameterRef):
            column = limits(self.tables, self.fact, reading, scope)
            return Exact(column.values, self.denominator, column.known)
        if isinstance(self.source, amounts.FactTerm):
            assert self.fact is not None
            column = reading.at(self.fact, scope)
            return Exact(column.values.astype(np.int64), 1, column.known)
        if isinstance(self.source, amounts.CountTerm):
            return self._count(reading, scope)
        if self.total is not None:
            least, most = self.total.sums(reading)
            return Exact(reading.moment.lift(least, scope), 1, reading.moment.lift(least == most, scope))
        if isinstance(self.source, amounts.PaidElsewhere):
            paid = paid_elsewhere(self.source, reading, scope)
            return Exact(paid.values, 1, paid.known)
        return self._combined([part.evaluate(reading, scope) for part in self.inner])

    def _count(self, reading: Reading, scope: str) -> Exact:
        people = reading.population.people["child"]
        inner = people_verdicts(self.where, "child", reading)
        sure, possible = people.sums(inner == YES), people.sums(inner >= UNKNOWN)
        known = (sure == possible) & people.listed
        return Exact(reading.moment.lift(sure, scope), 1, reading.moment.lift(known, scope))

    def _combined(self, parts: list[Exact]) -> Exact:
        known = np.logical_and.reduce([part.known for part in parts])
        if isinstance(self.source, amounts.Round):
            return self._rounded(parts[0])
        if isinstance(self.source, amounts.Multiply):
            product, denominator = parts[0].numerators, parts[0].denominator
            for part in parts[1:]:
                product, denominator = multiplied(product, part.numerators), denominator * part.denominator
            return Exact(product, denominator, known)
        denominator = math.lcm(*(part.denominator for part in parts))
        result = parts[0].scaled(denominator)
        for part in parts[1:]:
            other = part.scaled(denominator)
            if isinstance(self.source, amounts.Add):
                result = result + other
            elif isinstance(self.source, amounts.Subtract):
                result = result - other
            else:
                result = (
                    np.minimum(result, other) if isinstance(self.source, amounts.Least) else np.maximum(result, other)
                )
        return Exact(result, denominator, known)

    def _rounded(self, part: Exact) -> Exact:
        unit = part.denominator * self.source.to
        shift = {"half_up": unit, "up": 2 * (unit - 1), "down": 0}[self.source.direction]
        doubled = multiplied(part.numerators, 2)
        return Exact(multiplied((doubled + shift) // (2 * unit), self.source.to), 1, part.known)


def compile_term(compiler: Compiler, source: Any, scope: str, path: str) -> TermNode:
    """Compile a term; facts must be numbers readable in the scope."""
    if isinstance(source, Fraction):
        return TermNode(source, path)
    if isinstance(source, ParameterRef):
        parameter = compiler.parameter(source, path)
        if source.by is not None:
            compiler.fact(source.by, f"{path}.by", "int")
            compiler.readable(source.by, scope, f"{path}.by")
        values = [row for _, _, period in parameter.in_force() for row in (period.table or (period.value,))]
        steps = [period.beyond.step for period in parameter.periods if isinstance(period.beyond, Beyond)]
        denominator = math.lcm(*(value.denominator for value in (*values, *steps) if value is not None))
        return TermNode(
            source,
            path,
            fact=source.by,
            denominator=denominator,
            tables=write_out(parameter, lambda value: int(value * denominator)),
        )
    if isinstance(source, amounts.FactTerm):
        compiler.fact(source.fact, f"{path}.fact", "int", "yen")
        compiler.readable(source.fact, scope, f"{path}.fact")
        return TermNode(source, path, fact=source.fact)
    if isinstance(source, amounts.CountTerm):
        where = None if source.where is None else compiler.node(source.where, "child", f"{path}.where")
        return TermNode(source, path, where=where)
    if isinstance(source, amounts.TotalTerm):
        node = compiler.node(Total(total=source.total, at_least=0), scope, path)
        assert isinstance(node, Totalled)
        return TermNode(source, path, total=node)
    if isinstance(source, amounts.PaidElsewhere):
        return TermNode(source, path)
    word = next(key for key in ("add", "subtract", "multiply", "min", "max", "round") if hasattr(source, key))
    found = getattr(source, word)
    parts = found if isinstance(found, tuple) else (found,)
    return TermNode(
        source,
        path,
        tuple(
            compile_term(compiler, part, scope, f"{path}.{word}" + (f"[{position}]" if len(parts) > 1 else ""))
            for position, part in enumerate(parts)
        ),
    )


@dataclass(frozen=True)
class CaseNode:
    """One compiled case."""

    when: Node | None
    yen: TermNode
    least: TermNode | None
    most: TermNode | None
    per: str
    each: str


@dataclass
class Amounts:
    """Amounts of a subject's rows. ``case`` is −1 where none holds for sure; bounds are known where their mask says so.

    ``open`` is True where an earlier case is unknown, or a fact of the figure is.
    """

    yen: NDArray[np.int64]
    known: NDArray[np.bool_]
    least: NDArray[np.int64]
    least_known: NDArray[np.bool_]
    most: NDArray[np.int64]
    most_known: NDArray[np.bool_]
    case: NDArray[np.int64]
    open: NDArray[np.bool_]

    @classmethod
    def of_nothing(cls, size: int) -> Amounts:
        """No case has been looked at yet."""
        whole, flags = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.bool_)
        highest = np.full(size, np.iinfo(np.int64).max, dtype=np.int64)
        return cls(whole, flags, highest, ~flags, whole.copy(), ~flags, np.full(size, -1, dtype=np.int64), flags.copy())


def evaluate_cases(cases: tuple[CaseNode, ...], reading: Reading, scope: str) -> Amounts:
    """The first case that holds; where an earlier case is unknown, the least and the most over all that may."""
    size = reading.population.people[scope].size
    result = Amounts.of_nothing(size)
    sure, possible = np.ones(size, dtype=bool), np.ones(size, dtype=bool)
    for position, case in enumerate(cases):
        verdicts = people_verdicts(case.when, scope, reading)
        value = case.yen.evaluate(reading, scope).whole()
        decided = sure & (verdicts == YES)
        may = possible & (verdicts >= UNKNOWN)
        result.yen[decided], result.known[decided] = value.values[decided], value.known[decided]
        result.case[decided] = position
        _widen(result, may, value, case, reading, scope)
        sure &= verdicts == NO
        possible &= verdicts != YES
    nothing = possible & ~sure
    result.least[nothing] = np.minimum(result.least[nothing], 0)
    none = sure
    result.least[none] = result.most[none] = 0
    result.open = ~none & ~result.known
    result.least_known &= ~none
    result.most_known &= ~none
    return result


def _widen(
    result: Amounts, may: NDArray[np.bool_], value: Column, case: CaseNode, reading: Reading, scope: str
) -> None:
    for bound, term in (("least", case.least), ("most", case.most)):
        limit = value if term is None else term.evaluate(reading, scope).whole()
        values = np.where(value.known, value.values, limit.values)
        known = value.known | limit.known
        join = np.minimum if bound == "least" else np.maximum
        current, current_known = getattr(result, bound), getattr(result, f"{bound}_known")
        current[may] = join(current[may], values[may])
        current_known[may] &= known[may]
