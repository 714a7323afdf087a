"""What is open, shared by rows that look alike: one trace for all rows whose tests come out the same.

The outline of a row is everything a trace can say about it except the names of people: the verdict of every test that
may matter, which facts are known or declined, how many people there are. Rows of one outline lack the same facts in the
same order and are told the same reason up to names and days. Names go in as places within the household (``child:1``)
and come out again through ``Lacks.of``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from app.rules.amounts import PaidElsewhere
from app.rules.columns import NO, UNKNOWN, YES, People, Rows
from app.rules.evaluate import CompiledRule
from app.rules.money import TermNode
from app.rules.nodes import Node
from app.rules.people_nodes import Answered, Quantifier, Ranked, paid_elsewhere
from app.rules.population import Population
from app.rules.reading import CLAIMANT_INCOME, Moment, Reading
from app.rules.trace import Missing, Trace, decisive, missing_of_term, only_by_judgement, trace, verdicts_of

REMEMBERED = 2_000
"""How many outlines of one version are kept before they are forgotten and worked out anew."""
_IRRELEVANT = 3
_LARGEST = 100
"""Households with more people of a kind are never taken to look like another."""
_ALONE = count(1)
OWN = "own"
"""The place of the row asked about, where the rule looks at no other person of its kind."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Outline:
    """What one trace says of every row that looks like it. ``missing`` names places instead of people.

    ``origin`` says at which row of each kind the traced household begins. Where the rule looks at nobody else of the
    subject's kind, the row is ``alone``: the origin of its kind is the traced row itself.
    """

    trace: Trace
    origin: dict[str, int]
    alone: bool
    missing: tuple[Missing, ...]
    only_by_judgement: bool
    sentences: dict[Any, Any] = field(default_factory=dict)
    """Kept by ``told``: words by language, and which days they name."""


class _Places(Sequence[str]):
    """The place within its household instead of a person's id."""

    def __init__(self, people: People, own: bool) -> None:
        self._people, self._own = people, own

    @override
    def __len__(self) -> int:
        return self._people.size

    @override
    def __getitem__(self, row: Any) -> Any:
        return OWN if self._own else str(int(row) - int(self._people.offsets[self._people.household[row]]))


class _Features:
    """Codes gathered while a tree is walked: per row of each kind, one byte a feature."""

    def __init__(self, reading: Reading, subject: str, keep: tuple[int, ...] | None) -> None:
        self.reading, self.subject, self.keep = reading, subject, keep
        self.of: dict[str, list[NDArray[np.uint8]]] = {}
        self.layout: list[str] = []
        self.quantified: set[str] = set()
        self._seen: set[tuple[str, str]] = set()

    def add(self, kind: str, name: str, codes: Any) -> None:
        """Put a feature of a kind's rows in; its name keeps lines of different features apart."""
        self.layout.append(name)
        self.of.setdefault(kind, []).append(np.asarray(codes).astype(np.uint8))

    def node(self, node: Node, wanted: Flags) -> None:
        """A test and what is below it; ``wanted`` are the rows of its scope for which it may matter."""
        reading = self.reading
        verdicts = verdicts_of(node, reading)
        self.add(node.scope, node.path, np.where(wanted, verdicts, _IRRELEVANT))
        for path in node.reads:
            self._known(path, node.scope, wanted)
        if getattr(node, "whose", None) == "claimant":
            self._claimant()
        if isinstance(node, Answered):
            path = f"household.{node.question}.{node.programme}"
            self.add("household", path, reading.population.declined_rows(path))
        if isinstance(node, Quantifier):
            self._people(node.kind)
        if isinstance(node, Ranked):
            self._ranked(wanted)
        below = wanted if self.keep is None else wanted & np.isin(verdicts, self.keep)
        for part in node.parts:
            beside = isinstance(node, Ranked)
            self.node(part, _spread(reading.population, below, node.scope, part.scope, beside))

    def term(self, term: TermNode, wanted: Flags) -> None:
        """Which of a figure's facts are known."""
        if term.fact is not None:
            self.add(self.subject, term.fact, self.reading.at(term.fact, self.subject).known)
            self._declined(term.fact, self.subject)
        for path in () if term.total is None else term.total.facts:
            self._known(path, "household", np.ones(self.reading.population.size, dtype=np.bool_))
        if isinstance(term.source, PaidElsewhere):
            self.add(self.subject, term.path, paid_elsewhere(term.source, self.reading, self.subject).known)
        if term.where is not None:
            self._people("child")
            self.node(term.where, _spread(self.reading.population, wanted, self.subject, term.where.scope, True))
        for part in term.inner:
            self.term(part, wanted)

    def _people(self, kind: str) -> None:
        """Other people of a kind are looked at."""
        if kind not in self.quantified:
            self.quantified.add(kind)
            self.add("household", kind, self.reading.population.people[kind].listed)

    def _ranked(self, wanted: Flags) -> None:
        self._people("child")
        if ("rank", "child") in self._seen:
            return
        self._seen.add(("rank", "child"))
        people, births = self.reading.population.people["child"], self.reading.column("child.birth_date")
        order = np.lexsort((people.id_rank, births.values, people.household))
        place = np.empty(people.size, dtype=np.int64)
        place[order] = np.arange(people.size)
        self.add("child", "rank", np.minimum(place - people.offsets[people.household], 127) * 2 + births.known)
        self.add("child", "rank declined", self.reading.population.declined_rows("child.birth_date"))

    def _known(self, path: str, scope: str, wanted: Flags) -> None:
        """Whether a fact is known where it is read: of the row, of its household, of the claimant, or of everybody."""
        owner = path.split(".", 1)[0]
        if owner in (scope, "household", "guardian"):
            column = self.reading.at(path, scope)
            if not column.all_known:
                self.add(scope, path, wanted & column.known)
        if owner not in (scope, "household"):
            self._people(owner)
            column = self.reading.column(path)
            if not column.all_known:
                self.add(owner, f"{path} of each", column.known)
        self._declined(path, scope)

    def _declined(self, path: str, scope: str) -> None:
        """Whether the fact was asked and not answered, of whoever would be asked for it."""
        path = "child.birth_date" if path in ("child.school_grade", "child.class_age") else path
        owner = path.split(".", 1)[0]
        if (path, owner) in self._seen:
            return
        self._seen.add((path, owner))
        population = self.reading.population
        declined = population.declined_rows(path)
        if declined.any():
            self.add(owner, f"{path} declined", declined)
        if owner == "guardian" and scope != "guardian":
            self._claimant()

    def _claimant(self) -> None:
        """Who claims, and what is known of those who might."""
        self._people("guardian")
        if ("claimant", "") in self._seen:
            return
        self._seen.add(("claimant", ""))
        people, rows = self.reading.population.people["guardian"], self.reading.claimant_rows()
        self.add("household", "claimant", np.where(rows < 0, 255, np.clip(rows - people.offsets[:-1], 0, 254)))
        self.add("guardian", "candidate", self.reading.candidates())
        if CLAIMANT_INCOME in self.reading.population.catalogue:
            self.add("guardian", "income", self.reading.column(CLAIMANT_INCOME).known)
            self.add("guardian", "income declined", self.reading.population.declined_rows(CLAIMANT_INCOME))

    def matrix(self, rows: Rows) -> tuple[NDArray[np.uint8], bytes]:
        """One line of bytes per asked row, and how the line is laid out."""
        people = self.reading.population.people
        households = people[self.subject].household[rows]
        blocks = [np.stack(self.of["household"], axis=1)[households]] if "household" in self.of else []
        own = self.subject not in self.quantified and self.subject != "household"
        if own and self.subject in self.of:
            blocks.append(np.stack(self.of[self.subject], axis=1)[rows])
        widths = []
        for kind in sorted((self.quantified | set(self.of)) - {"household"} - ({self.subject} if own else set())):
            block, width = self._padded(kind, households)
            blocks.append(block)
            widths.append(width)
        if not own and self.subject != "household":
            place = rows - people[self.subject].offsets[households]
            blocks.append(np.minimum(place, 255).astype(np.uint8)[:, None])
        crowded = self._crowded(households)
        if crowded is not None:
            blocks.append(crowded)
        layout = ",".join([*self.layout, *map(str, widths), str(len(blocks))])
        return np.ascontiguousarray(np.concatenate(blocks, axis=1)), layout.encode() + b"|"

    def _crowded(self, households: Rows) -> NDArray[np.uint8] | None:
        """A number of its own for each row of a household too large to be compared; None where there is none."""
        people = self.reading.population.people
        large = [np.diff(people[kind].offsets)[households] > _LARGEST for kind in self.quantified]
        crowded = np.logical_or.reduce(large) if large else np.zeros(len(households), dtype=np.bool_)
        if not crowded.any():
            return None
        numbers = np.asarray([next(_ALONE) if alone else 0 for alone in crowded], dtype=np.int64)
        return numbers.view(np.uint8).reshape(len(households), 8)

    def _padded(self, kind: str, households: Rows) -> tuple[NDArray[np.uint8], int]:
        """The features of every person of a kind side by side, and how many there are, per asked row."""
        people = self.reading.population.people[kind]
        counts = np.diff(people.offsets)[households]
        width = min(int(counts.max(initial=0)), _LARGEST)
        features = self.of.get(kind, [])
        block = np.zeros((len(households), 1 + width * len(features)), dtype=np.uint8)
        block[:, 0] = np.minimum(counts, 255)
        for position in range(width):
            has = np.flatnonzero(counts > position)
            persons = people.offsets[households[has]] + position
            for number, codes in enumerate(features):
                block[has, 1 + position * len(features) + number] = codes[persons]
        return block, width


def _spread(population: Population, wanted: Flags, scope: str, to: str, everybody: bool) -> Flags:
    """The rows of another scope that matter where these do; with ``everybody`` the whole household's."""
    if scope == to and not everybody:
        return wanted
    if scope != "household":
        wanted = population.people[scope].reduced(wanted.view(np.int8), largest=True, empty=0).astype(np.bool_)
    return wanted if to == "household" else wanted[population.people[to].household]


@dataclass(frozen=True)
class Shared:
    """Values worked out once per outline: row i has ``values[index[i]]``, nothing where the index is −1."""

    values: list[Any]
    index: Rows

    @classmethod
    def nothing(cls, size: int) -> Shared:
        """Nothing for any row."""
        return cls([], np.full(size, -1, dtype=np.int64))

    def by_row(self) -> list[Any]:
        """The value of each row, None where there is none."""
        values = [*self.values, None]
        return [values[place] for place in self.index.tolist()]


def _alike(features: _Features, rows: Rows, work: Callable[[Rows], list[Any]], memory: dict[bytes, Any]) -> Shared:
    """Values of rows that look alike: remembered ones, and the rest worked out for one row of each outline."""
    matrix, layout = features.matrix(rows)
    lines = matrix.view(np.dtype((np.void, matrix.shape[1]))).ravel()
    _, first, index = np.unique(lines, return_index=True, return_inverse=True)
    keys = [layout + matrix[place].tobytes() for place in first]
    values = [memory.get(key) for key in keys]
    new = [number for number, value in enumerate(values) if value is None]
    if new:
        for number, value in zip(new, work(rows[first[new]]), strict=True):
            values[number] = value
        if len(memory) + len(new) > REMEMBERED:
            memory.clear()
        memory.update((keys[number], values[number]) for number in new)
    return Shared(values, index.reshape(-1))


_KEPT = {NO: None, UNKNOWN: (UNKNOWN,), YES: (UNKNOWN, YES)}
"""Below which verdicts a tree still matters; a refusal may rest on anything."""


def outlines(rule: CompiledRule, reading: Reading, rows: Rows, verdict: int) -> Shared:
    """The outline of each row; all rows have the same verdict before capping."""
    features = _Features(reading, rule.subject, _KEPT[verdict])
    wanted = np.zeros(reading.population.people[rule.subject].size, dtype=np.bool_)
    wanted[rows] = True
    features.node(rule.whole, _spread(reading.population, wanted, rule.subject, rule.whole.scope, False))
    alone = rule.subject not in features.quantified

    def work(some: Rows) -> list[Outline]:
        sample, placed = _sample(rule, reading, some, alone)
        return [_outlined(rule, sample, int(row), alone) for row in placed]

    return _alike(features, rows, work, rule.memory.setdefault(("outline", verdict), {}))


def _outlined(rule: CompiledRule, sample: Reading, row: int, alone: bool) -> Outline:
    root = trace(rule.whole, sample, rule.subject, row)
    people = sample.population.people
    household = int(people[rule.subject].household[row])
    origin = {kind: int(part.offsets[household]) for kind, part in people.items()}
    if alone:
        origin[rule.subject] = row
    missing = decisive(root) if root.verdict == UNKNOWN else ()
    return Outline(root, origin, alone, missing, only_by_judgement(root))


def open_figures(rule: CompiledRule, reading: Reading, rows: Rows) -> Shared:
    """For rows whose amount is open: the facts that the amount's cases lack, as places."""
    features = _Features(reading, rule.subject, (UNKNOWN,))
    wanted = np.zeros(reading.population.people[rule.subject].size, dtype=np.bool_)
    wanted[rows] = True
    for case in rule.cases:
        if case.when is not None:
            features.node(case.when, _spread(reading.population, wanted, rule.subject, case.when.scope, False))
        features.add(rule.subject, "figure", case.yen.evaluate(reading, rule.subject).known)
        features.term(case.yen, wanted)
    alone = rule.subject not in features.quantified

    def work(some: Rows) -> list[tuple[Missing, ...]]:
        sample, placed = _sample(rule, reading, some, alone)
        return [lacking(rule, sample, int(row)) for row in placed]

    return _alike(features, rows, work, rule.memory.setdefault("figures", {}))


def lacking(rule: CompiledRule, reading: Reading, row: int) -> tuple[Missing, ...]:
    """What the cases of an open amount lack: the condition, else the facts of the figure."""
    found: list[Missing] = []
    for case in rule.cases:
        found += _lacking(case, reading, rule.subject, row)
    return tuple(dict.fromkeys(found))


def _lacking(case: Any, reading: Reading, scope: str, row: int) -> Iterable[Missing]:
    if case.when is not None:
        condition = trace(case.when, reading, scope, row)
        if condition.verdict != YES:
            return decisive(condition) if condition.verdict == UNKNOWN else ()
    figure = case.yen.evaluate(reading, scope)
    return () if figure.known[row] else missing_of_term(case.yen, reading, scope, row)


def _sample(rule: CompiledRule, reading: Reading, rows: Rows, alone: bool) -> tuple[Reading, Rows]:
    """The households of some rows by themselves, people named by their places, and where the rows are now."""
    population = reading.population
    people = population.people[rule.subject]
    households = people.household[rows]
    part = population.subset(households)
    part.people = {
        kind: replace(part.people[kind], ids=_Places(part.people[kind], alone and kind == rule.subject))
        for kind in population.people
    }
    days = reading.moment.days
    moment = Moment.on(part, days[households] if days.ndim else days, reading.moment.as_of)
    placed = part.people[rule.subject].offsets[:-1] + rows - people.offsets[households]
    return Reading(moment, rule.rule), placed


def named(missing: Iterable[Missing], people: Mapping[str, People], kind: str, row: int) -> tuple[Missing, ...]:
    """Missing facts with the names of one row's people in the place of their places."""
    household = int(people[kind].household[row])
    return tuple(
        lack if lack.subject == "household" else replace(lack, subject=person_at(lack.subject, people, row, household))
        for lack in missing
    )


def person_rows(place: str, people: Mapping[str, People], rows: Rows, households: Rows) -> tuple[str, Rows]:
    """(kind, row) of whoever has a place (``child:1``, ``child:own``) in the households of some rows."""
    kind, _, position = place.partition(":")
    return kind, rows if position == OWN else people[kind].offsets[households] + int(position)


def person_at(place: str, people: Mapping[str, People], row: int, household: int) -> str:
    """The name of whoever has a place (``child:1``, ``child:own``) in a household, asked about one row of it."""
    if place == "household":
        return place
    kind, _, position = place.partition(":")
    who = row if position == OWN else int(people[kind].offsets[household]) + int(position)
    return f"{kind}:{people[kind].ids[who]}"
