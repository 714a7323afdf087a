"""Results as JSON, written straight from the columns of an answer table: no object for a row that is only printed.

The keys of a result are described in ``docs/check.md``; this is the only place that writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.cli.alike import Alike
from app.rules.answer_table import AnswerTable, Asked, answer_table, bounds
from app.rules.answers import AmountAnswer
from app.rules.columns import NO, Rows, Verdicts
from app.rules.evaluate import CompiledRule
from app.rules.explain import VERDICT_NAMES
from app.rules.outlines import OWN, Outline, Shared, person_at, person_rows
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading_out import amount_answers, day_of, month_of, words_of
from app.rules.told import named_days
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
    lines: list[bytes] = _lines(asked, phrases).tolist()
    return lines


def household_lines(
    every: Iterable[Asked], population: Population, phrases: Phrases
) -> tuple[Iterator[bytes], Iterator[bytes]]:
    """(the results, the refusals) of each household: what stands in its list of results, and among its ineligible."""
    told, refused = _ByHousehold(population.size), _ByHousehold(population.size)
    for asked in every:
        homes = population.people[asked.rule.subject].household[asked.row]
        for_good = _refused_for_good(asked)
        others = np.flatnonzero(~for_good)
        told.add(homes[others], _lines(asked.at(others), phrases))
        refused.add(*_refusals(asked, np.flatnonzero(for_good)))
    return told.joined(), refused.joined()


class _ByHousehold:
    """Pieces of JSON gathered programme by programme and read household by household."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._homes: list[Rows] = [np.zeros(0, dtype=np.int64)]
        self._pieces: list[NDArray[np.object_]] = [np.empty(0, dtype=object)]

    def add(self, homes: Rows, pieces: NDArray[np.object_]) -> None:
        """Pieces, each of a household."""
        self._homes.append(homes)
        self._pieces.append(pieces)

    def joined(self) -> Iterator[bytes]:
        """The pieces of each household with commas between them."""
        homes = np.concatenate(self._homes)
        order = np.argsort(homes, kind="stable")
        pieces: list[bytes] = np.concatenate(self._pieces)[order].tolist()
        offsets = np.searchsorted(homes[order], np.arange(self._size + 1)).tolist()
        for first, last in pairwise(offsets):
            yield b",".join(pieces[first:last])


def _refused_for_good(asked: Asked) -> NDArray[np.bool_]:
    """The rows that are refused and of which no later right is in sight."""
    refused = asked.verdict == NO
    places = np.flatnonzero(refused)
    refused[places] = bounds(asked.at(places)).begins_on == NO_DAY
    return refused


def _refusals(asked: Asked, places: Rows) -> tuple[Rows, NDArray[np.object_]]:
    """(households, ``"programme":["subject", …]`` for each): who is refused one programme."""
    people, kind = asked.population.people[asked.rule.subject], asked.rule.subject
    homes = people.household[asked.row[places]]
    new = np.ones(len(homes), dtype=np.bool_)
    new[1:] = homes[1:] != homes[:-1]
    starts = np.flatnonzero(new)
    offsets = np.append(starts, len(homes))
    names, of_each = _subjects(asked, asked.row[places])
    alike = Alike(len(starts))
    if kind != "household":
        alike.add_sequences(of_each, offsets)
    first, kinds = alike.numbered()
    programme = orjson.dumps(asked.rule.rule.key)
    pieces = np.empty(len(first), dtype=object)
    for number, start in enumerate(first.tolist()):
        subjects = [names[place] for place in of_each[offsets[start] : offsets[start + 1]].tolist()]
        pieces[number] = programme + b":" + orjson.dumps(subjects)
    return homes[starts], pieces[kinds]


def _lines(asked: Asked, phrases: Phrases) -> NDArray[np.object_]:
    lines = np.empty(len(asked.row), dtype=object)
    refused, open_to = np.flatnonzero(asked.verdict == NO), np.flatnonzero(asked.verdict != NO)
    if len(refused):
        lines[refused] = list(_refused(asked.at(refused)))
    if len(open_to):
        table = answer_table(asked.at(open_to))
        first, kinds = _alike(table)
        written = np.empty(len(first), dtype=object)
        written[:] = list(_told(table, first, phrases))
        lines[open_to] = written[kinds]
    return lines


def _refused(asked: Asked) -> Iterator[bytes]:
    known: dict[tuple[bytes, int], bytes] = {}
    for key in zip(_heads(asked, asked.row, asked.verdict), bounds(asked).begins_on.tolist(), strict=True):
        if key not in known:
            head, begins = key
            known[key] = head + (b"" if begins == NO_DAY else b',"begins_on":' + _DAYS[begins]) + b"}"
        yield known[key]


def _subjects(asked: Asked, rows: Rows) -> tuple[list[str], Rows]:
    """(the different subjects of some rows, which of them each row is)."""
    kind = asked.rule.subject
    if kind == "household":
        return [kind], np.zeros(len(rows), dtype=np.int64)
    ids, own = asked.population.people[kind].names
    return [f"{kind}:{name}" for name in ids], own[rows]


def _alike(table: AnswerTable) -> tuple[Rows, Rows]:
    """(places of rows that are written, which of them each row is written like)."""
    alike, claims, found = Alike(len(table)), table.claims, table.bounds
    alike.add(
        table.asked.verdict, table.outline.index, table.figure.index, table.grounds.index, found.since, found.until,
        found.begins_on, claims.occasion, claims.counted_on, claims.deadline, claims.lapsed_on, claims.opens_on,
        claims.pays_from, claims.take_up, claims.form, table.review_on, table.cost_of_delay,
    )  # fmt: skip
    people, kind = table.asked.population.people, table.rule.subject
    if kind != "household":
        alike.add(people[kind].names[1][table.asked.row])
    if table.amounts is not None:
        alike.add(*table.amounts.columns)
    if table.steps is not None:
        steps = Alike(len(table.steps.day))
        steps.add(table.steps.day, *table.steps.amount.columns)
        alike.add_sequences(steps.numbered()[1], table.steps.offsets)
    for shared in (table.outline, table.grounds):
        alike.add(*_apart(shared, lambda outline, places: _days_and_people(table, outline, places)))
    alike.add(*_apart(table.figure, lambda missing, places: _people(table, missing, places)))
    return alike.numbered()


def _apart(shared: Shared, columns_of: Callable[[Any, Rows], list[NDArray[Any]]]) -> list[NDArray[np.int64]]:
    """Columns that tell rows of one shared value apart."""
    columns: list[NDArray[np.int64]] = []
    order = np.argsort(shared.index, kind="stable")
    starts = np.searchsorted(shared.index[order], np.arange(len(shared.values) + 1)).tolist()
    for number, value in enumerate(shared.values):
        places = order[starts[number] : starts[number + 1]]
        for position, column in enumerate(columns_of(value, places)):
            if position == len(columns):
                columns.append(np.zeros(len(order), dtype=np.int64))
            columns[position][places] = column
    return columns


def _days_and_people(table: AnswerTable, outline: Outline, places: Rows) -> list[NDArray[Any]]:
    days = named_days(outline, table.rule, table.reading, table.place[places])
    return [*days, *_people(table, outline.missing, places)]


def _people(table: AnswerTable, missing: Iterable[Missing], places: Rows) -> list[NDArray[Any]]:
    """Who it is that lacks something, where it is not the subject itself."""
    people, rows = table.asked.population.people, table.asked.row[places]
    homes = people[table.rule.subject].household[rows]
    others = {lack.subject for lack in missing} - {"household", f"{table.rule.subject}:{OWN}"}
    found = [person_rows(place, people, rows, homes) for place in sorted(others)]
    return [people[kind].names[1][persons] for kind, persons in found]


def _heads(asked: Asked, rows: Rows, verdicts: Verdicts) -> list[bytes]:
    """How the object of each row begins; the last brace is left open."""
    subjects, own = _subjects(asked, rows)
    known: dict[tuple[int, int], bytes] = {}
    keys = list(zip(own.tolist(), verdicts.tolist(), strict=True))
    for subject, verdict in set(keys):
        document = {
            "programme": asked.rule.rule.key, "version": asked.rule.rule.version, "subject": subjects[subject],
            "verdict": VERDICT_NAMES[verdict],
        }  # fmt: skip
        known[subject, verdict] = orjson.dumps(document)[:-1]
    return [known[key] for key in keys]


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


def _told(table: AnswerTable, places: Rows, phrases: Phrases) -> Iterator[bytes]:
    rule, form = table.rule, table.rule.rule.form
    claims, found = table.claims, table.bounds
    judged = [
        FLAGS[outline is not None and outline.only_by_judgement and not table.stale]
        for outline in Shared(table.outline.values, table.outline.index[places]).by_row()
    ]
    size, stale, certainty = len(places), FLAGS[table.stale], orjson.dumps(rule.rule.certainty)
    days = (found.since, found.until, found.begins_on, claims.opens_on, claims.counted_on, claims.deadline,
            claims.lapsed_on, table.review_on)  # fmt: skip
    columns = (
        _heads(table.asked, table.asked.row[places], table.asked.verdict[places]),
        [NULL] * size if table.amounts is None else _amounts(rule, table.amounts.take(places)),
        *[_each(_DAYS, column[places]) for column in days],
        _choices([deadline.occasion for deadline, _ in rule.deadlines], claims.occasion[places]),
        _each(_MONTHS, claims.pays_from[places]), _each(_SUMS, table.cost_of_delay[places]),
        _choices([way for _, way in rule.take_up], claims.take_up[places]),
        _choices([] if form is None else [form.first, form.further or form.first], claims.form[places]),
        judged, [stale] * size, [certainty] * size, _courses(table, places), _lacks(table, places),
        [NULL if said is None else orjson.dumps(said.reason) for said in words_of(table, phrases, places)],
    )  # fmt: skip
    for values in zip(*columns, strict=True):
        yield _TOLD % values


def _amounts(rule: CompiledRule, amounts: Any) -> list[bytes]:
    return [_amount(amount) for amount in amount_answers(rule, amounts)]


@lru_cache(maxsize=50_000)
def _amount(amount: AmountAnswer | None) -> bytes:
    return NULL if amount is None else orjson.dumps(amount.as_document())


def _courses(table: AnswerTable, places: Rows) -> list[bytes]:
    """The steps of each row's amount."""
    if table.steps is None:
        return [b""] * len(places)
    starts, counts = table.steps.offsets[places], np.diff(table.steps.offsets)[places]
    ends = np.cumsum(counts)
    mine = np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())
    steps = [
        b'{"from":%b,"amount":%b}' % step
        for step in zip(
            _each(_DAYS, table.steps.day[mine]), _amounts(table.rule, table.steps.amount.take(mine)), strict=True
        )
    ]
    return [b",".join(steps[last - count : last]) for last, count in zip(ends.tolist(), counts.tolist(), strict=True)]


def _lacks(table: AnswerTable, asked: Rows) -> list[bytes]:
    """What each row lacks, as ``missing`` and as ``questions``; written once for the same facts of the same people."""
    people, kind = table.asked.population.people, table.rule.subject
    rows = table.asked.row[asked]
    homes = people[kind].household[rows].tolist()
    known: dict[Any, bytes] = {}
    places: dict[tuple[int, int], list[Missing]] = {}
    written = []
    for outline, figure, row, home in zip(
        table.outline.index[asked].tolist(), table.figure.index[asked].tolist(), rows.tolist(), homes, strict=True
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
