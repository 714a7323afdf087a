"""What every document of a rule has in common: closed, immutable models and errors that name their place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError, WithJsonSchema

from app.calendar.spans import Span

FAULTS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What broken rules and documents raise. A time limit, a full memory or a lost database is nobody's fault here."""


class Document(BaseModel):
    """A closed, immutable part of a document; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a document: where, what was found, what was expected."""

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path or '(document)'}: found {self.found}; expected {self.expected}"


class DocumentError(ValueError):
    """A document that cannot be used; ``problems`` lists every place, ``name`` the document."""

    def __init__(self, problems: Iterable[Problem], name: str | None = None) -> None:
        self.problems = tuple(problems)
        self.name = name
        lines = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"{name}: {lines}" if name else lines)


class Place(ValueError):
    """Raised inside a validator to point at a place below the field being validated."""

    def __init__(self, path: tuple[str | int, ...], found: object, expected: str) -> None:
        self.path, self.found, self.expected = path, found, expected
        super().__init__(f"found {found!r}; expected {expected}")


def render_path(location: Iterable[str | int]) -> str:
    """``("criteria", "<all>", "all", 0)`` → ``criteria.all[0]``; union tags stand in angle brackets and are dropped."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not (step.startswith("<") and step.endswith(">")):
            text += f".{step}" if text else step
    return text


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """The problems of a pydantic error in the words of this project, without those that only follow from others."""
    problems: list[Problem] = []
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    for detail in details:
        location: tuple[str | int, ...] = detail["loc"]
        follows = any(len(place) > len(location) and place[: len(location)] == location for place in places)
        if detail["type"] != "too_short" or not follows:
            problems.append(_problem(location, detail))
    return tuple(problems)


def _problem(location: tuple[str | int, ...], detail: Any) -> Problem:
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Place):
        return Problem(render_path((*location, *cause.path)), _shown(cause.found), cause.expected)
    if detail["type"] == "extra_forbidden":
        return Problem(render_path(location), f"the key {location[-1]!r}", "only the documented keys")
    message = str(cause or detail["msg"])
    found, _, expected = message.rpartition("; expected ")
    if found.startswith("found "):
        return Problem(render_path(location), found.removeprefix("found "), expected)
    return Problem(render_path(location), _shown(detail["input"]), message.removeprefix("expected "))


def _shown(found: object) -> str:
    text = f"the keys {sorted(map(str, found))}" if isinstance(found, Mapping) else repr(found)
    return text if len(text) <= 120 else text[:117] + "…"


def _read_span(value: Any) -> Span:
    if isinstance(value, Span):
        return value
    if not isinstance(value, str):
        raise ValueError(f"found {value!r}; expected a span such as 2m, 3y, 1y6m, 14w6d or -84d")
    return Span.parse(value)


def _read_month_day(value: Any) -> tuple[int, int]:
    if isinstance(value, tuple) and len(value) == 2:
        return value
    try:
        month, day = (int(part) for part in str(value).split("-"))
        dt.date(2024, month, day)
    except ValueError:
        raise ValueError(f"found {value!r}; expected a day of the year such as 04-01") from None
    return month, day


def _read_whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"found {value!r}; expected a whole number")
    return value


def _read_literal(value: Any) -> Any:
    if not isinstance(value, bool | int | str):
        raise ValueError(f"found {value!r}; expected true, false, a whole number or a text")
    return value


def _read_date(value: Any) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"found {value!r}; expected a date such as 2026-11-21") from None


SpanText = Annotated[
    Span,
    BeforeValidator(_read_span),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?(\d+y)?(\d+m)?(\d+w)?(\d+d)?$", "examples": ["1y6m", "-84d"]}),
]
"""A span written as text; see ``Span.parse``."""

MonthDay = Annotated[
    tuple[int, int],
    BeforeValidator(_read_month_day),
    PlainSerializer(lambda value: f"{value[0]:02d}-{value[1]:02d}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{2}-\d{2}$", "examples": ["04-01"]}),
]
"""A day of the year written ``04-01``; a value of (month, day)."""

Day = Annotated[dt.date, BeforeValidator(_read_date)]
"""A calendar date; nothing else (no numbers, no instants) is taken for one."""


Whole = Annotated[int, BeforeValidator(_read_whole)]
"""A whole number; no decimal and no true or false is taken for one."""

Literals = Annotated[bool | int | str, BeforeValidator(_read_literal)]
"""A value that a fact may have in a document."""


class Text(Document):
    """One text in the languages a person may read; Japanese always."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, alias_generator=lambda name: name.replace("_", "-")
    )

    ja: str
    ja_easy: str | None = None
    en: str | None = None

    def in_language(self, language: str) -> str:
        """The text in ``ja``, ``ja-easy`` or ``en``; Japanese where that one is missing."""
        return getattr(self, language.replace("-", "_"), None) or self.ja


def read_text(value: Any) -> Any:
    """Accept a bare string for a text in Japanese only."""
    return {"ja": value} if isinstance(value, str) else value


TextField = Annotated[Text, BeforeValidator(read_text)]
