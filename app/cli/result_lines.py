"""Results as JSON, written straight from the columns of an answer table: no object for a row that is only printed.

The keys of a result are described in ``docs/check.md``; this is the only place that writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.rules.answer_table import AnswerTable, Asked, answer_table, bounds
from app.rules.answers import AmountAnswer
from app.rules.columns import NO
from app.rules.evaluate import CompiledRule
from app.rules.explain import VERDICT_NAMES
from app.rules.outlines import person_at
from app.rules.phrases import Phrases
from app.rules.reading_out import amount_answers, day_of, month_of, words_of
from app.rules.trace import Missing

NULL = b"null"
FLAGS = (b"false", b"true")
_TOLD = (
    b'%b,"amount":%b,"eligible_from":%b,"eligible_until":%b,"begins_on":%b,"opens_on":%b,"counted_on":%b,'
    b'"deadline":%b,"lapsed_on":%b,"review_on":%b,"occasion":%b,"pays_from":%b,"cost_of_delay":%b,"take_up":%b,'
    b'"form":%b,"only_by_judgement":%b,"stale":%b,"certainty":%b,"steps":[%b],%b,"reason":{"ja":%b}}'
)


def result_lines(asked: Asked, phrases: Phrases) -> list[bytes]:
    """The JSON object of every asked row, in their order: short for what is refused, whole for everything else."""
    lines = np.empty(len(asked.row), dtype=object)
    for places, written in (
        (np.flatnonzero(asked.verdict == NO), _refused),
        (np.flatnonzero(asked.verdict != NO), _told),
    ):
        if len(places):
            lines[places] = list(written(asked.at(places), phrases))
    found: list[bytes] = lines.tolist()
    return found


def _refused(asked: Asked, _: Phrases) -> Iterator[bytes]:
    known: dict[tuple[str, int], bytes] = {}
    for key in zip(_subjects(asked), bounds(asked).begins_on.tolist(), strict=True):
        if key not in known:
            subject, begins = key
            later = b"" if begins == NO_DAY else b',"begins_on":' + _DAYS[begins]
            known[key] = _head(asked.rule, subject, NO) + later + b"}"
        yield known[key]


def _subjects(asked: Asked) -> list[str]:
    kind = asked.rule.subject
    if kind == "household":
        return [kind] * len(asked.row)
    ids = asked.population.people[kind].ids
    return [f"{kind}:{ids[row]}" for row in asked.row.tolist()]


def _head(rule: CompiledRule, subject: str, verdict: int) -> bytes:
    document = {
        "programme": rule.rule.key, "version": rule.rule.version, "subject": subject, "verdict": VERDICT_NAMES[verdict],
    }  # fmt: skip
    return orjson.dumps(document)[:-1]


class _Fragments(dict[int, bytes]):
    """JSON of small numbers, written once each."""

    def __init__(self, value_of: Any) -> None:
        super().__init__()
        self._value_of = value_of

    @override
    def __missing__(self, number: int) -> bytes:
        self[number] = orjson.dumps(self._value_of(number))
        return self[number]


_DAYS = _Fragments(day_of)
_MONTHS = _Fragments(month_of)
_SUMS = _Fragments(lambda yen: None if yen < 0 else yen)


def _each(fragments: dict[int, bytes], column: NDArray[Any]) -> list[bytes]:
    return [fragments[number] for number in column.tolist()]


def _choices(names: Sequence[str | None], column: NDArray[Any]) -> list[bytes]:
    """Positions in a list of names; null where the position is negative."""
    written = [*map(orjson.dumps, names), NULL]
    return [written[position] for position in column.tolist()]


def _told(asked: Asked, phrases: Phrases) -> Iterator[bytes]:
    table = answer_table(asked)
    rule, claims, form = table.rule, table.claims, table.rule.rule.form
    heads: dict[tuple[str, int], bytes] = {}
    keys = list(zip(_subjects(asked), asked.verdict.tolist(), strict=True))
    for key in set(keys):
        heads[key] = _head(rule, *key)
    judged = [
        FLAGS[outline is not None and outline.only_by_judgement and not table.stale]
        for outline in table.outline.by_row()
    ]
    size, stale, certainty = len(table), FLAGS[table.stale], orjson.dumps(rule.rule.certainty)
    columns = (
        [heads[key] for key in keys],
        [NULL] * size if table.amounts is None else _amounts(rule, table.amounts),
        _each(_DAYS, table.bounds.since), _each(_DAYS, table.bounds.until), _each(_DAYS, table.bounds.begins_on),
        _each(_DAYS, claims.opens_on), _each(_DAYS, claims.counted_on), _each(_DAYS, claims.deadline),
        _each(_DAYS, claims.lapsed_on), _each(_DAYS, table.review_on),
        _choices([deadline.occasion for deadline, _ in rule.deadlines], claims.occasion),
        _each(_MONTHS, claims.pays_from), _each(_SUMS, table.cost_of_delay),
        _choices([way for _, way in rule.take_up], claims.take_up),
        _choices([] if form is None else [form.first, form.further or form.first], claims.form),
        judged, [stale] * size, [certainty] * size, _courses(table), _lacks(table),
        [NULL if said is None else orjson.dumps(said.reason) for said in words_of(table, phrases)],
    )  # fmt: skip
    for values in zip(*columns, strict=True):
        yield _TOLD % values


def _amounts(rule: CompiledRule, amounts: Any) -> list[bytes]:
    return [_amount(amount) for amount in amount_answers(rule, amounts)]


@lru_cache(maxsize=50_000)
def _amount(amount: AmountAnswer | None) -> bytes:
    return NULL if amount is None else orjson.dumps(amount.as_document())


def _courses(table: AnswerTable) -> list[bytes]:
    """The steps of each row's amount."""
    if table.steps is None:
        return [b""] * len(table)
    steps = [
        b'{"from":%b,"amount":%b}' % step
        for step in zip(_each(_DAYS, table.steps.day), _amounts(table.rule, table.steps.amount), strict=True)
    ]
    return [b",".join(steps[first:last]) for first, last in pairwise(table.steps.offsets.tolist())]


def _lacks(table: AnswerTable) -> list[bytes]:
    """What each row lacks, as ``missing`` and as ``questions``; written once for the same facts of the same people."""
    people, kind = table.asked.population.people, table.rule.subject
    homes = people[kind].household[table.asked.row].tolist()
    known: dict[Any, bytes] = {}
    places: dict[tuple[int, int], list[Missing]] = {}
    written = []
    for outline, figure, row, home in zip(
        table.outline.index.tolist(), table.figure.index.tolist(), table.asked.row.tolist(), homes, strict=True
    ):
        open_for = (outline, figure)
        if open_for not in places:
            places[open_for] = _open_for(table, outline, figure)
        names = tuple([person_at(lack.subject, people, row, home) for lack in places[open_for]])
        key = (open_for, names)
        if key not in known:
            known[key] = _questions(zip(places[open_for], names, strict=True))
        written.append(known[key])
    return written


def _open_for(table: AnswerTable, outline: int, figure: int) -> list[Missing]:
    missing = [] if outline < 0 else list(table.outline.values[outline].missing)
    return missing + ([] if figure < 0 else list(table.figure.values[figure]))


def _questions(lacks: Iterator[tuple[Missing, str]]) -> bytes:
    once = dict.fromkeys((lack.fact, name, lack.declined) for lack, name in lacks)
    questions = [{"fact": fact, "subject": name, "declined": declined} for fact, name, declined in once]
    return orjson.dumps({"missing": [fact for fact, _, _ in once], "questions": questions})[1:-1]
