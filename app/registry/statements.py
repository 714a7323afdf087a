"""A version in words, field by field: what stands on each side of a 新旧対照 table.

Criteria, amounts and deadlines are the sentences of `rules.read_back`, from the tree that runs; limits are the
parameters that the rule names, as they are in force on the day looked at. The words around them come from
`templates/phrases/differences.yaml`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.calendar.spans import Span
from app.registry.inheritance import FieldPath, fields_of
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.references import parameters_named_in
from app.rules.evaluate import CompiledRule, compile_rule
from app.rules.parameters import Parameter, ParameterPeriod
from app.rules.phrases import Phrases
from app.rules.read_back import read_back
from app.rules.read_back_amounts import amounts_read_back
from app.rules.read_back_application import application_read_back
from app.rules.read_back_conditions import Shown

_UNSAID = ("id", "municipality")
_LIMIT = "(limits)"


@dataclass(frozen=True, slots=True)
class Statement:
    """One field in words: what it is called, what it says line by line, and the value behind it."""

    label: str
    lines: tuple[str, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language: those of rules, and those of `templates/phrases/differences.yaml`."""

    phrases: Phrases
    words: Mapping[str, Any]

    def say(self, key: str, **values: Any) -> str:
        """Return a phrase of the catalogue; `a.b` goes into a group."""
        phrase: Any = self.words
        for step in key.split("."):
            phrase = phrase[step]
        return str(phrase).format(**values)

    def label(self, path: FieldPath) -> str:
        """Return what a field is called: the label of its longest known beginning, with the language it is in."""
        labels, languages = self.words["labels"], self.words["languages"]
        for length in range(len(path), 0, -1):
            name = labels.get(".".join(path[:length]))
            if name is not None:
                rest = path[length:]
                inside = [languages.get(step, self.words["steps"].get(step, step)) for step in rest]
                return self.say("inside", label=name, inside=" ".join(inside)) if inside else str(name)
        return ".".join(path)

    def choice(self, name: str, value: str) -> str:
        """Return the word for one of a closed list of values; the value itself where the catalogue has none."""
        return str(self.words["choices"].get(name, {}).get(value, value))

    def day(self, day: dt.date) -> str:
        """Return a date in words."""
        return self.phrases.say("date", year=day.year, month=day.month, day=day.day)


def statements(
    registry: Registry, document: Mapping[str, Any], on: dt.date, wording: Wording
) -> dict[FieldPath, Statement]:
    """Say a whole document in words.

    Args:
        registry: facts and parameters that the document names.
        document: a whole document that loads.
        on: the day whose limits and amounts are shown.
        wording: the words.
    """
    programme = Programme.model_validate(document)
    compiled = compile_rule(programme, registry.facts, registry.parameters)
    voice = _Voice(registry, compiled, on, wording)
    said = {
        path: Statement(wording.label(path), tuple(voice.lines(path, value)), value)
        for path, value in fields_of(document).items()
        if path[0] not in _UNSAID
    }
    for name in dict.fromkeys(parameters_named_in(document)):
        parameter = registry.parameters[name]
        lines = tuple(voice.limit(parameter))
        said[_LIMIT, name] = Statement(parameter.label.in_language(wording.phrases.language), lines, lines)
    return said


class _Voice:
    """Says the fields of one version."""

    def __init__(self, registry: Registry, compiled: CompiledRule, on: dt.date, wording: Wording) -> None:
        self.registry, self.compiled, self.on, self.wording = registry, compiled, on, wording
        self.phrases, self.say = wording.phrases, wording.say
        self._sayings: dict[FieldPath, Callable[[Any], Iterator[str]]] = {
            ("criteria",): self._criteria,
            ("amount",): self._amounts,
            ("application", "deadlines"): self._deadlines,
            ("take_up",): self._take_up,
            ("sources",): self._sources,
            ("examples",): self._examples,
        }

    def lines(self, path: FieldPath, value: Any) -> Iterator[str]:
        """Say one field."""
        said = self._sayings.get(path)
        if said is not None and isinstance(value, list | dict | tuple):
            yield from said(value)
        elif isinstance(value, list | tuple):
            for part in value:
                yield self._plain(path, part)
        else:
            yield self._plain(path, value)

    def _plain(self, path: FieldPath, value: Any) -> str:
        if value is None:
            return self.say("nothing")
        if isinstance(value, bool):
            return self.phrases.say("yes_value" if value else "no_value")
        if isinstance(value, Mapping):
            text = value.get(self.phrases.language) or value.get("ja") or value.get("name")
            return str(text) if text else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        if isinstance(value, dt.date):
            return self.wording.day(value)
        if path[-1] in ("from", "until", "next_check_on"):
            return self.wording.day(dt.date.fromisoformat(str(value)))
        if path[0] == "notify":
            return self.phrases.span(Span.parse(str(value)))
        return self.wording.choice(path[-1], str(value))

    def _criteria(self, _criteria: Any) -> Iterator[str]:
        return _indented(read_back(self.compiled, self.phrases))

    def _amounts(self, _cases: Any) -> Iterator[str]:
        return _indented(amounts_read_back(self.compiled, self.phrases, Shown(None)))

    def _deadlines(self, _deadlines: Any) -> Iterator[str]:
        return self._of_application(deadlines=self.compiled.deadlines)

    def _take_up(self, _cases: Any) -> Iterator[str]:
        return self._of_application(take_up=self.compiled.take_up)

    def _of_application(self, **kept: Any) -> Iterator[str]:
        """Read back one part of applying: the rule without the other parts."""
        application = self.compiled.rule.application
        if application is not None:
            application = application.model_copy(update={"opens": None, "pays_from": None})
        rule = self.compiled.rule.model_copy(update={"form": None, "application": application})
        parts = {"take_up": (), "deadlines": (), "rule": rule, **kept}
        return _indented(application_read_back(replace(self.compiled, **parts), self.phrases, Shown(None)))

    def _sources(self, sources: list[dict[str, Any]]) -> Iterator[str]:
        for source in sources:
            checked = self.wording.day(dt.date.fromisoformat(str(source["checked_on"])))
            yield self.say("source", title=source["title"], url=source["url"], checked=checked)

    def _examples(self, examples: list[Any]) -> Iterator[str]:
        yield self.say("examples", number=len(examples))

    def limit(self, parameter: Parameter) -> Iterator[str]:
        """Say the value of a parameter on the day looked at."""
        period = parameter.on(self.on)
        if period is None:
            yield self.say("limit.none", day=self.wording.day(self.on))
        elif period.table is None:
            yield self._figure(parameter, period.row(0))
        else:
            yield from self._table(parameter, period)

    def _table(self, parameter: Parameter, period: ParameterPeriod) -> Iterator[str]:
        rows = len(period.table or ())
        for number in range(rows):
            yield self.say("limit.row", number=number, figure=self._figure(parameter, period.row(number)))
        beyond = period.row(rows)
        figure = self.say("limit.unknown") if beyond is None else self._figure(parameter, beyond)
        yield self.say("limit.beyond", number=rows, figure=figure)

    def _figure(self, parameter: Parameter, value: Any) -> str:
        number = _number(value)
        return self.phrases.say("yen", number=number) if parameter.unit == "yen" else number


def _indented(lines: Iterable[tuple[int, str]]) -> Iterator[str]:
    for depth, sentence in lines:
        yield "　" * depth + sentence


def _number(value: Any) -> str:
    """Write an exact number: whole ones with separators, others as decimals where they end, else as a fraction."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return f"{int(exact):,}"
    decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return f"{decimal:f}" if Fraction(decimal) == exact else str(exact)
