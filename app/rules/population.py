"""A population: columns of facts. One household is a population of one; there is no other representation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    people: dict[str, People]

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

    def subset(self, households: Any) -> Population:
        """Some households (row numbers), in the order given; columns are gathered when they are first read."""
        return _Subset(self, np.asarray(households, dtype=np.int64))

    def stated(self, path: str) -> Mapping[StatedKey, Column]:
        """Values as stated: by (programme or ``ANY_PROGRAMME``, income year or ``NO_YEAR``)."""
        return self._stored.stated.get(path, {})

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


class _Subset(Population):
    """Some households of another population, read through it."""

    def __init__(self, parent: Population, households: Rows) -> None:
        self.catalogue = parent.catalogue
        self._parent = parent
        self._households = households
        self._rows = {kind: people.rows_of(households) for kind, people in parent.people.items()}
        self._thresholds = {}
        self._gathered: dict[str, Mapping[StatedKey, Column]] = {}
        sets = {kind: people.residence_sets[self._rows[kind]] for kind, people in parent.people.items()}
        self._own = np.unique(np.concatenate([mine[mine >= parent.size] for mine in sets.values()]))
        self.people = {kind: self._people(kind, mine) for kind, mine in sets.items()}

    def _people(self, kind: str, sets: Rows) -> People:
        people, rows = self._parent.people[kind], self._rows[kind]
        counts = np.diff(people.offsets)[self._households]
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        household = np.repeat(np.arange(len(self._households)), counts)
        if self._own.size:
            own = sets >= self._parent.size
            sets = np.where(own, len(self._households) + np.searchsorted(self._own, sets), household)
        else:
            sets = household
        return People(
            _Picked(people.ids, rows), offsets, household, people.listed[self._households], people.id_rank[rows], sets
        )

    @override
    def stated(self, path: str) -> Mapping[StatedKey, Column]:
        if path not in self._gathered:
            rows = self._rows[path.split(".", 1)[0]]
            self._gathered[path] = {key: column.take(rows) for key, column in self._parent.stated(path).items()}
        return self._gathered[path]

    @override
    def answers(self, kind: str, question: str, programme: str) -> Column | None:
        column = self._parent.answers(kind, question, programme)
        return None if column is None else column.take(self._rows[kind])

    @cached_property
    def residence(self) -> ResidenceTable:
        return self._parent.residence.take(np.concatenate((self._households, self._own)))

    @override
    def _threshold(self, path: str, edge: Edge) -> Days:
        thresholds: Days = self._parent.threshold(path, edge)[self._rows[path.split(".", 1)[0]]]
        return thresholds

    @override
    def declined(self, path: str, row: int) -> bool:
        return self._parent.declined(path, int(self._rows[path.split(".", 1)[0]][row]))

    @override
    def declined_rows(self, path: str) -> NDArray[np.bool_]:
        declined: NDArray[np.bool_] = self._parent.declined_rows(path)[self._rows[path.split(".", 1)[0]]]
        return declined

    @override
    def provenance(self, path: str, row: int) -> Provenance | None:
        return self._parent.provenance(path, int(self._rows[path.split(".", 1)[0]][row]))
