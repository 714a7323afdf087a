"""A population: columns of facts. One household is a population of one; there is no other representation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.calendar.day_numbers import Days
from app.calendar.windows import Edge
from app.rules.building import ANY_PROGRAMME, NO_YEAR, Provenance, StatedKey, Stored, store
from app.rules.columns import DTYPES, Column, People, Rows
from app.rules.facts import FactCatalogue
from app.rules.residence import ResidenceTable


class Population:
    """Households as columns: ``people[kind]`` for each kind of person, ``household`` included."""

    catalogue: FactCatalogue
    people: MutableMapping[str, People]

    def __init__(self, stored: Stored) -> None:
        self.catalogue = stored.catalogue
        self.people = stored.people
        self._stored = stored
        self._thresholds: dict[tuple[str, Edge], Days] = {}

    @classmethod
    def from_documents(cls, households: Iterable[Any], catalogue: FactCatalogue) -> Population:
        """Build from checked households, or from stored documents (mappings) that were checked when they were stored.

        The first come through ``read_household``; in the second, dates may be ISO text.
        """
        return cls(store(households, catalogue))

    @property
    def size(self) -> int:
        """Number of households."""
        return self.people["household"].size

    @property
    def ids(self) -> Sequence[str]:
        """The household's id by row."""
        return self.people["household"].ids

    def subset(self, households: Any) -> Subset:
        """Some households (row numbers), in the order given; columns are gathered when they are first read."""
        return Subset(self, np.asarray(households, dtype=np.int64))

    def stated(self, path: str) -> Mapping[StatedKey, Column]:
        """Values as stated: by (programme or ``ANY_PROGRAMME``, income year or ``NO_YEAR``)."""
        return self._stored.stated.get(path, {})

    @cached_property
    def reckoned(self) -> Mapping[str, tuple[frozenset[str], bool]]:
        """Facts stated for a programme or a year: (programmes that have a value of their own, is any of a year)."""
        found = {}
        for path, columns in self._stored.stated.items():
            programmes = frozenset(programme for programme, _ in columns if programme != ANY_PROGRAMME)
            dated = any(year != NO_YEAR for _, year in columns)
            if programmes or dated:
                found[path] = programmes, dated
        return found

    def column(self, path: str) -> Column:
        """A fact as stated for any programme and without a year; unknown where it is not stated so."""
        column = self.stated(path).get((ANY_PROGRAMME, NO_YEAR))
        return column if column is not None else self.nothing(path)

    def nothing(self, path: str) -> Column:
        """A column of unknowns for a fact."""
        fact = self.catalogue[path]
        return Column.unknown(self.people[fact.owner].size, DTYPES[fact.type])

    def answers(self, kind: str, question: str, programme: str) -> Column | None:
        """Answers to ``receives`` or ``received_elsewhere`` for a programme; None where nobody of the kind answered."""
        return self._stored.answers.get((kind, question, programme))

    @property
    def residence(self) -> ResidenceTable:
        """Residence intervals; the first ``size`` sets are the households'."""
        return self._stored.residence

    def threshold(self, path: str, edge: Edge) -> Days:
        """The day an edge falls on, counted from a date fact; computed once and shared by every programme."""
        key = (path, edge)
        if key not in self._thresholds:
            self._thresholds[key] = self._threshold(path, edge)
        return self._thresholds[key]

    def _threshold(self, path: str, edge: Edge) -> Days:
        return edge.days(self.column(path).values)

    def declined(self, path: str, row: int) -> bool:
        """Say whether this fact was asked and not answered."""
        return row in self._stored.declined.get(path, ())

    def declined_rows(self, path: str) -> NDArray[np.bool_]:
        """Which rows of the fact's owner were asked for it and did not answer."""
        rows = np.zeros(self.people[path.split(".", 1)[0]].size, dtype=np.bool_)
        rows[list(self._stored.declined.get(path, ()))] = True
        return rows

    def provenance(self, path: str, row: int) -> Provenance | None:
        """Where the value of a fact comes from, if the document says so."""
        return self._stored.provenance.get((path, row))


class _Picked(Sequence[str]):
    """Ids of some rows, looked up when they are asked for."""

    def __init__(self, ids: Sequence[str], rows: Rows) -> None:
        self._ids, self._rows = ids, rows

    @override
    def __len__(self) -> int:
        return len(self._rows)

    @override
    def __getitem__(self, position: Any) -> Any:
        return self._ids[self._rows[position]]


class _OnDemand(MutableMapping[str, Any]):
    """What belongs to each kind of people, worked out when a kind is first asked for."""

    def __init__(self, kinds: Iterable[str], work_out: Callable[[str], Any]) -> None:
        self._kinds, self._work_out = tuple(kinds), work_out
        self._found: dict[str, Any] = {}

    @override
    def __getitem__(self, kind: str) -> Any:
        if kind not in self._found:
            self._found[kind] = self._work_out(kind)
        return self._found[kind]

    @override
    def __setitem__(self, kind: str, value: Any) -> None:
        self._found[kind] = value

    @override
    def __delitem__(self, kind: str) -> None:
        del self._found[kind]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    @override
    def __len__(self) -> int:
        return len(self._kinds)


class Subset(Population):
    """Some households of another population, read through it; ``rows[kind]`` are its people's rows there."""

    rows: Mapping[str, Rows]

    def __init__(self, parent: Population, households: Rows) -> None:
        self.catalogue = parent.catalogue
        self._parent = parent
        self._households = households
        self.rows = _OnDemand(parent.people, self._rows_of)
        self.people = _OnDemand(parent.people, self._people)
        self._thresholds = {}
        self._gathered: dict[str, Mapping[StatedKey, Column]] = {}

    def _rows_of(self, kind: str) -> Rows:
        return self._households if kind == "household" else self._parent.people[kind].rows_of(self._households)

    @cached_property
    def _own(self) -> Rows:
        """Residence sets of the parent that belong to single persons of these households."""
        parent = self._parent
        if parent.residence.size == parent.size:
            return np.zeros(0, dtype=np.int64)
        sets = [people.residence_sets[self.rows[kind]] for kind, people in parent.people.items()]
        return np.unique(np.concatenate([mine[mine >= parent.size] for mine in sets]))

    def _people(self, kind: str) -> People:
        people, rows = self._parent.people[kind], self.rows[kind]
        if kind == "household":
            each = np.arange(len(rows))
            offsets = np.arange(len(rows) + 1)
            return People(_Picked(people.ids, rows), offsets, each, people.listed[rows], people.id_rank[rows], each)
        counts = people.counts[self._households]
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        household = np.repeat(np.arange(len(self._households)), counts)
        sets = household
        if self._own.size:
            sets = people.residence_sets[rows]
            own = sets >= self._parent.size
            sets = np.where(own, len(self._households) + np.searchsorted(self._own, sets), household)
        return People(
            _Picked(people.ids, rows), offsets, household, people.listed[self._households], people.id_rank[rows], sets
        )

    @override
    def stated(self, path: str) -> Mapping[StatedKey, Column]:
        if path not in self._gathered:
            rows = self.rows[path.split(".", 1)[0]]
            self._gathered[path] = {key: column.take(rows) for key, column in self._parent.stated(path).items()}
        return self._gathered[path]

    @cached_property
    @override
    def reckoned(self) -> Mapping[str, tuple[frozenset[str], bool]]:
        return self._parent.reckoned

    @override
    def answers(self, kind: str, question: str, programme: str) -> Column | None:
        column = self._parent.answers(kind, question, programme)
        return None if column is None else column.take(self.rows[kind])

    @cached_property
    def residence(self) -> ResidenceTable:
        """Residence intervals; the first ``size`` sets are the households'."""
        return self._parent.residence.take(np.concatenate((self._households, self._own)))

    @override
    def _threshold(self, path: str, edge: Edge) -> Days:
        thresholds: Days = self._parent.threshold(path, edge)[self.rows[path.split(".", 1)[0]]]
        return thresholds

    @override
    def declined(self, path: str, row: int) -> bool:
        return self._parent.declined(path, int(self.rows[path.split(".", 1)[0]][row]))

    @override
    def declined_rows(self, path: str) -> NDArray[np.bool_]:
        declined: NDArray[np.bool_] = self._parent.declined_rows(path)[self.rows[path.split(".", 1)[0]]]
        return declined

    @override
    def provenance(self, path: str, row: int) -> Provenance | None:
        return self._parent.provenance(path, int(self.rows[path.split(".", 1)[0]][row]))
