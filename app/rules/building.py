"""Building columns from household documents: one pass over the documents, then arrays."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import EARLIEST, OPEN_END, UNKNOWN, number_of
from app.rules.columns import DTYPES, Column, People, Ranges
from app.rules.facts import DECLINED, Fact, FactCatalogue
from app.rules.household import PEOPLE_FIELDS, STATED_KEYS, Household
from app.rules.residence import ResidenceTable

ANY_PROGRAMME = ""
"""A value stated for every programme."""
NO_YEAR = 0
"""A value stated without an income year: assumed to continue."""
PAID_ELSEWHERE = "paid_elsewhere"
"""Answers in yen: what other municipalities paid, as far as ``received_elsewhere`` says how much."""
StatedKey = tuple[str, int]
"""(programme id or ``CODE/id`` or ``ANY_PROGRAMME``, income year or ``NO_YEAR``)."""
_BARE = (bool, int)
_ATTRIBUTE = {"child": "birth_date", "guardian": "birth_date", "co_resident": "birth_date", "pregnancy": "due_date"}


@dataclass(frozen=True)
class Provenance:
    """Where a stated value comes from and when it was recorded, as far as the document says."""

    source: str | None = None
    recorded_on: str | None = None


@dataclass
class Stored:
    """What a population holds: columns as stated, people, answers, residence, and what was declined."""

    catalogue: FactCatalogue
    ids: list[str]
    people: dict[str, People]
    stated: dict[str, dict[StatedKey, Column]]
    answers: dict[tuple[str, str, str], Column]
    residence: ResidenceTable
    declined: dict[str, set[int]]
    provenance: dict[tuple[str, int], Provenance]


@dataclass
class _Gathering:
    """Rows and values while the documents are read."""

    catalogue: FactCatalogue
    values: dict[tuple[str, StatedKey], tuple[list[int], list[Any]]] = field(
        default_factory=lambda: defaultdict(lambda: ([], []))
    )
    answers: dict[tuple[str, str, str], tuple[list[int], list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: ([], []))
    )
    ranges: dict[tuple[str, StatedKey], list[tuple[int, int | None, int | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    declined: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    provenance: dict[tuple[str, int], Provenance] = field(default_factory=dict)
    plainly: dict[str, dict[str, tuple[list[int], list[Any]]]] = field(default_factory=lambda: defaultdict(dict))
    """By kind and name, the rows and values of facts that somebody stated without anything around them."""

    def owner(self, kind: str, row: int, document: Mapping[str, Any]) -> None:
        known, plainly = self.catalogue.by_owner[kind], self.plainly[kind]
        for name, value in document.get("facts", {}).items():
            # Most values are bare: what they are put into is found once.
            if name in plainly and (type(value) in _BARE or (type(value) is str and value != DECLINED)):
                rows, values = plainly[name]
                rows.append(row)
                values.append(value)
                continue
            fact = known.get(name)
            if fact is not None and value is not None:
                self.fact(fact, row, value)
                plain = (fact.path, (ANY_PROGRAMME, NO_YEAR))
                if plain in self.values:
                    plainly[name] = self.values[plain]
        attribute = _ATTRIBUTE.get(kind)
        value = document.get(attribute) if attribute else None
        if value is not None and attribute in known:
            self.plain(known[attribute], row, value, (ANY_PROGRAMME, NO_YEAR))
        for question in ("receives", "received_elsewhere"):
            for programme, answer in document.get(question, {}).items():
                if isinstance(answer, int):
                    self.answer(kind, question, programme.rsplit("/", 1)[-1], row, answer)
                elif answer == DECLINED:
                    self.declined[f"{kind}.{question}.{programme.rsplit('/', 1)[-1]}"].add(row)

    def answer(self, kind: str, question: str, programme: str, row: int, answer: int) -> None:
        """Yes or no; or the yen that were paid, where 0 is no. Yes alone leaves the sum open."""
        rows, values = self.answers[(kind, question, programme)]
        rows.append(row)
        values.append(int(answer > 0))
        if question == "received_elsewhere" and answer is not True:
            rows, values = self.answers[(kind, PAID_ELSEWHERE, programme)]
            rows.append(row)
            values.append(int(answer))

    def fact(self, fact: Fact, row: int, value: Any, programme: str = ANY_PROGRAMME) -> None:
        if isinstance(value, list | tuple):
            for part in value:
                self.fact(fact, row, part, programme)
        elif not isinstance(value, Mapping):
            self.plain(fact, row, value, (programme, NO_YEAR))
        elif not STATED_KEYS.isdisjoint(value):
            if "source" in value or "recorded_on" in value:
                recorded_on = value.get("recorded_on")
                self.provenance[(fact.path, row)] = Provenance(value.get("source"), recorded_on and str(recorded_on))
            key = (programme, value.get("income_year") or NO_YEAR)
            if "value" in value:
                self.plain(fact, row, value["value"], key)
            else:
                self.ranges[(fact.path, key)].append((row, value.get("at_least"), value.get("at_most")))
        else:
            for name, part in value.items():
                self.fact(fact, row, part, name)

    def plain(self, fact: Fact, row: int, value: Any, key: StatedKey) -> None:
        if value is None:
            return
        if value == DECLINED:
            self.declined[fact.path].add(row)
            return
        rows, values = self.values[(fact.path, key)]
        rows.append(row)
        values.append(value)


def store(households: Iterable[Any], catalogue: FactCatalogue) -> Stored:
    """Read every document once; what the catalogue does not know is left out (a checked document has none)."""
    gathering = _Gathering(catalogue)
    ids: list[str] = []
    lists: dict[str, _PeopleList] = {kind: _PeopleList() for kind in PEOPLE_FIELDS.values()}
    residence = _ResidenceList()
    for row, household in enumerate(households):
        document: Mapping[str, Any] = household.document() if isinstance(household, Household) else household
        ids.append(str(document.get("id") or row + 1))
        gathering.owner("household", row, document)
        places: dict[str, tuple[str, int]] = {}
        for name, kind in PEOPLE_FIELDS.items():
            for identifier, person_row in lists[kind].add(row, kind, document.get(name), gathering):
                places[identifier] = (kind, person_row)
        residence.add(row, document, places)
    people = {kind: listing.close(len(ids)) for kind, listing in lists.items()}
    size = len(ids)
    table = residence.close(size, people)
    people["household"] = People(
        ids,
        np.arange(size + 1),
        np.arange(size),
        np.ones(size, dtype=np.bool_),
        np.zeros(size, dtype=np.int32),
        np.arange(size),
    )
    sizes = {kind: part.size for kind, part in people.items()}
    stated: dict[str, dict[StatedKey, Column]] = defaultdict(dict)
    for path, key in sorted({*gathering.values, *gathering.ranges}):
        fact = catalogue[path]
        rows, values = gathering.values.get((path, key), ([], []))
        column = Column.sparse(sizes[fact.owner], rows, _encode(fact, values), DTYPES[fact.type])
        stated[path][key] = _with_ranges(column, gathering.ranges.get((path, key), ()))
    answers = {
        key: Column.sparse(sizes[key[0]], rows, values, np.int64 if key[1] == PAID_ELSEWHERE else np.int8)
        for key, (rows, values) in gathering.answers.items()
    }
    return Stored(catalogue, ids, people, dict(stated), answers, table, dict(gathering.declined), gathering.provenance)


def _with_ranges(column: Column, ranges: Iterable[tuple[int, int | None, int | None]]) -> Column:
    stated = list(ranges)
    if not stated:
        return column
    bounds = Ranges.nothing(len(column.values))
    for row, low, high in stated:
        if low is not None:
            bounds.low[row] = low
        if high is not None:
            bounds.high[row] = high
    return Column.of(column.values, column.known, bounds)


def _encode(fact: Fact, values: list[Any]) -> list[Any]:
    if fact.type == "date":
        return [_number(value) for value in values]
    if fact.type == "choice":
        positions = {choice: position for position, choice in enumerate(fact.choices)}
        return [positions[value] for value in values]
    return values


def _number(value: dt.date | str) -> int:
    return number_of(dt.date.fromisoformat(value) if isinstance(value, str) else value)


class _PeopleList:
    """The people of one kind while the documents are read."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.counts: list[int] = []
        self.listed: list[bool] = []
        self.ranks: list[int] = []
        self.residence_sets: dict[int, int] = {}

    def add(self, row: int, kind: str, documents: Any, gathering: _Gathering) -> list[tuple[str, int]]:
        self.listed.append(documents is not None)
        first = len(self.ids)
        for position, document in enumerate(documents or ()):
            gathering.owner(kind, first + position, document)
            self.ids.append(document.get("id") or f"{kind}-{position + 1}")
        mine = self.ids[first:]
        self.counts.append(len(mine))
        if len(mine) > 1:
            order = {identifier: rank for rank, identifier in enumerate(sorted(mine))}
            self.ranks += [order[identifier] for identifier in mine]
        else:
            self.ranks += [0] * len(mine)
        return [(identifier, first + position) for position, identifier in enumerate(mine)]

    def close(self, size: int) -> People:
        counts = np.asarray(self.counts, dtype=np.int64)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        household = np.repeat(np.arange(size), counts)
        return People(
            self.ids,
            offsets,
            household,
            np.asarray(self.listed, dtype=np.bool_),
            np.asarray(self.ranks, dtype=np.int32),
            household.copy(),
        )


class _ResidenceList:
    """Residence intervals while the documents are read; persons with entries of their own get sets of their own."""

    def __init__(self) -> None:
        self.sets: list[list[tuple[int, int, int, int, bool]]] = []
        self.own: list[tuple[str, int, list[tuple[int, int, int, int, bool]]]] = []

    def add(self, row: int, document: Mapping[str, Any], places: Mapping[str, tuple[str, int]]) -> None:
        entries = document.get("residence") or ()
        shared = [entry for entry in entries if entry.get("who") is None]
        municipality = document.get("municipality")
        if shared:
            self.sets.append(_intervals(shared))
        elif municipality is not None:
            self.sets.append([(int(municipality), EARLIEST, OPEN_END, UNKNOWN, True)])
        else:
            self.sets.append([])
        for who in sorted({entry["who"] for entry in entries if entry.get("who") is not None}):
            kind, person_row = places[who]
            self.own.append((kind, person_row, _intervals([entry for entry in entries if entry.get("who") == who])))

    def close(self, size: int, people: Mapping[str, People]) -> ResidenceTable:
        for position, (kind, row, _) in enumerate(self.own):
            people[kind].residence_sets[row] = size + position
        sets = self.sets + [intervals for _, _, intervals in self.own]
        counts = np.asarray([len(intervals) for intervals in sets], dtype=np.int64)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        flat = np.asarray([interval for intervals in sets for interval in intervals], dtype=np.int64).reshape(-1, 5)
        columns: list[NDArray[np.int32]] = [flat[:, column].astype(np.int32) for column in range(4)]
        return ResidenceTable(offsets, columns[0], columns[1], columns[2], columns[3], flat[:, 4].astype(np.bool_))


def _intervals(entries: list[Mapping[str, Any]]) -> list[tuple[int, int, int, int, bool]]:
    ordered = sorted(entries, key=lambda entry: str(entry.get("from") or ""))
    firsts = [EARLIEST if entry.get("from") is None else _number(entry["from"]) for entry in ordered]
    intervals = []
    for position, entry in enumerate(ordered):
        last = _number(entry["until"]) if entry.get("until") is not None else OPEN_END
        if position + 1 < len(ordered):
            last = min(last, firsts[position + 1] - 1)
        planned = entry.get("planned_move_out_on")
        intervals.append(
            (
                int(entry["municipality"]),
                firsts[position],
                last,
                UNKNOWN if planned is None else _number(planned),
                entry.get("from") is None,
            )
        )
    return intervals
