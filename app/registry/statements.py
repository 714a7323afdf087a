"""A version in words, field by field: what stands on each side of a 新旧対照 table.

Criteria are the sentences of `rules.read_back`, from the tree that runs; limits are the parameters that the rule names,
as they are in force on the day looked at. The words around them come from `templates/phrases/differences.yaml`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.calendar.spans import Span
from app.registry.inheritance import FieldPath, fields_of
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.references import parameters_named_in
from app.rules.evaluate import CompiledRule, compile_rule
from app.rules.nodes import Node
from app.rules.parameters import Parameter, ParameterPeriod
from app.rules.phrases import Phrases, condition
from app.rules.read_back import read_back

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
        for depth, sentence in read_back(self.compiled, self.phrases):
            yield "　" * depth + sentence

    def _amounts(self, cases: list[dict[str, Any]]) -> Iterator[str]:
        for case, compiled in zip(cases, self.compiled.cases, strict=True):
            otherwise = self.say("amount.otherwise") if len(cases) > 1 else ""
            when = otherwise if compiled.when is None else self._condition(compiled.when)
            when = when and self.say("amount.when", when=when)
            yen = self._term(case["yen"])
            each = self.wording.choice("each", case.get("each", "subject"))
            yield self.say("amount.case", when=when, yen=yen, per=self.wording.choice("per", case["per"]), each=each)
            for bound in ("least", "most"):
                if case.get(bound) is not None:
                    yield self.say(f"amount.{bound}", yen=self._term(case[bound]))

    def _condition(self, node: Node) -> str:
        said = condition(node, self.phrases)
        parts = [self._condition(part) for part in node.parts]
        return self.say("condition", condition=said, parts="、".join(parts)) if parts else said

    def _term(self, term: Any) -> str:
        if not isinstance(term, Mapping):
            return self.phrases.say("yen", number=_number(term))
        if "parameter" in term:
            parameter = self.registry.parameters[term["parameter"]]
            return self.phrases.quoted(parameter.label.in_language(self.phrases.language))
        if "fact" in term:
            return self.phrases.label(term["fact"])
        for word, joint in self.words_of("joints").items():
            if word in term:
                return "(" + str(joint).join(self._factor(one) for one in term[word]) + ")"
        for word in ("min", "max"):
            if word in term:
                return self.say(f"terms.{word}", terms="、".join(self._factor(one) for one in term[word]))
        if "round" in term:
            way = self.wording.choice("round", term.get("direction", "half_up"))
            return self.say("terms.round", term=self._term(term["round"]), to=term.get("to", 1), way=way)
        return json.dumps(term, ensure_ascii=False, sort_keys=True)

    def _factor(self, term: Any) -> str:
        return _number(term) if not isinstance(term, Mapping) else self._term(term)

    def words_of(self, group: str) -> Mapping[str, Any]:
        """Return one group of the catalogue."""
        found: Mapping[str, Any] = self.wording.words[group]
        return found

    def _deadlines(self, deadlines: list[dict[str, Any]]) -> Iterator[str]:
        for deadline in deadlines:
            until = self._until(deadline)
            office = self.wording.choice("holiday", deadline.get("holiday", "as_is"))
            no_loss = self.say("deadline.no_loss") if deadline.get("no_loss") else ""
            occasion = self.wording.choice("occasion", deadline["occasion"])
            yield self.say("deadline.line", occasion=occasion, until=until, office=office, no_loss=no_loss)

    def _until(self, deadline: Mapping[str, Any]) -> str:
        if deadline.get("on") is not None:
            return self.say("deadline.on", day=self.wording.day(dt.date.fromisoformat(str(deadline["on"]))))
        if deadline.get("each_year") is not None:
            month, day = str(deadline["each_year"]).split("-")
            return self.say("deadline.each_year", day=self.phrases.say("month_day", month=int(month), day=int(day)))
        anchor = self._anchor(deadline["anchor"])
        if deadline.get("after") is not None:
            anchor = self.say("deadline.after", anchor=anchor, span=self.phrases.span(Span.parse(deadline["after"])))
        if deadline.get("end_of") is not None:
            return self.say(f"deadline.end_of_{deadline['end_of']}", anchor=anchor)
        if deadline.get("within") is None:
            return self.say("deadline.itself", anchor=anchor)
        first = deadline.get("first_day", "excluded")
        span = self.phrases.span(Span.parse(deadline["within"]))
        return self.say(f"deadline.within_{first}", anchor=anchor, span=span)

    def _anchor(self, anchor: Any) -> str:
        if isinstance(anchor, Mapping):
            return self.say("deadline.latest", anchors="、".join(self._anchor(one) for one in anchor["latest"]))
        known = self.words_of("anchors").get(anchor)
        return str(known) if known is not None else self.phrases.label(anchor)

    def _take_up(self, cases: list[dict[str, Any]]) -> Iterator[str]:
        for case, (when, _) in zip(cases, self.compiled.take_up, strict=True):
            way = self.wording.choice("take_up", case.get("is") or case.get("else") or "application")
            yield way if when is None else self.say("take_up_case", when=self._condition(when), way=way)

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


def _number(value: Any) -> str:
    """Write an exact number: whole ones with separators, others as decimals where they end, else as a fraction."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return f"{int(exact):,}"
    decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return f"{decimal:f}" if Fraction(decimal) == exact else str(exact)
