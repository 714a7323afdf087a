"""Amounts and limits that change by year (parameters): dated values and tables, each with its source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from app.rules.documents import Day, Document, TextField

LARGEST_DENOMINATOR = 10**9


def read_rational(value: Any) -> Fraction:
    """Read an exact number: a whole number, or text such as ``"0.0264029"`` or ``"1/3"``. Floats are refused."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'found {value!r}; expected a whole number or an exact decimal as text, such as "0.0264029"')
    try:
        number = Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f'found {value!r}; expected a whole number or an exact decimal such as "0.0264029"') from None
    if number.denominator > LARGEST_DENOMINATOR:
        raise ValueError(f"found {value!r}; expected at most nine decimal places")
    return number


def _write_rational(number: Fraction) -> int | str:
    return int(number) if number.denominator == 1 else str(number)


Rational = Annotated[
    Fraction,
    BeforeValidator(read_rational),
    PlainSerializer(_write_rational),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
]


class Beyond(Document):
    """What holds past the last row: each further row adds ``step``."""

    step: Rational


class Source(Document):
    """Where a figure was read, and when."""

    url: str
    title: str | None = None
    checked_on: Day | None = None


class ParameterPeriod(Document):
    """The value in force from one day to another (both included).

    Either ``value``, or ``table``: rows by a whole number counted from 0 (dependants), with ``beyond``.
    """

    valid_from: Day
    valid_until: Day | None = None
    value: Rational | None = None
    table: tuple[Rational, ...] | None = None
    beyond: Beyond | Literal["same", "unknown"] | None = None
    source: Source | None = None
    note: TextField | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ParameterPeriod:
        if (self.value is None) == (self.table is None):
            raise ValueError("expected either value or table")
        if self.table is not None and (not self.table or self.beyond is None):
            raise ValueError("expected a table with at least one row and beyond: {step: …}, same or unknown")
        if self.value is not None and self.beyond is not None:
            raise ValueError("expected beyond only with a table")
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError(f"expected valid_until on or after valid_from, found {self.valid_until}")
        return self

    def row(self, number: int) -> Fraction | None:
        """The row for ``number`` dependants, None where the table says it is unknown."""
        if self.table is None:
            return self.value
        if number < len(self.table):
            return self.table[number]
        if isinstance(self.beyond, Beyond):
            return self.table[-1] + self.beyond.step * (number - len(self.table) + 1)
        return self.table[-1] if self.beyond == "same" else None


class Parameter(Document):
    """One named amount or limit with its periods, in order and without overlap."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    unit: Literal["yen", "int", "ratio"] = "yen"
    label: TextField
    periods: tuple[ParameterPeriod, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Parameter:
        for earlier, later in zip(self.periods, self.periods[1:], strict=False):
            if later.valid_from <= earlier.valid_from or (
                earlier.valid_until and later.valid_from <= earlier.valid_until
            ):
                raise ValueError(
                    f"expected periods in order without overlap, found {earlier.valid_from}, {later.valid_from}"
                )
        if len({period.table is None for period in self.periods}) > 1:
            raise ValueError("expected all periods to be values, or all to be tables")
        return self

    @property
    def is_table(self) -> bool:
        """True when the value depends on a number of dependants."""
        return self.periods[0].table is not None

    def in_force(self) -> list[tuple[dt.date, dt.date | None, ParameterPeriod]]:
        """(first day, last day or None, period): a period without an end runs to the day before the next one."""
        spans = []
        for position, period in enumerate(self.periods):
            until = period.valid_until
            if until is None and position + 1 < len(self.periods):
                until = self.periods[position + 1].valid_from - dt.timedelta(days=1)
            spans.append((period.valid_from, until, period))
        return spans

    def on(self, day: dt.date) -> ParameterPeriod | None:
        """The period in force on a day, None outside all of them."""
        for valid_from, valid_until, period in self.in_force():
            if valid_from <= day and (valid_until is None or day <= valid_until):
                return period
        return None


class Parameters:
    """All parameters by id."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._by_id: Mapping[str, Parameter] = {parameter.id: parameter for parameter in parameters}

    def get(self, parameter_id: str) -> Parameter | None:
        """The parameter, or None when there is none of that id."""
        return self._by_id.get(parameter_id)

    def __getitem__(self, parameter_id: str) -> Parameter:
        return self._by_id[parameter_id]

    def __contains__(self, parameter_id: object) -> bool:
        return parameter_id in self._by_id

    def __len__(self) -> int:
        return len(self._by_id)
