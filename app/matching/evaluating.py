"""Evaluating although something is broken: the culprit is found and set aside, everybody else is evaluated.

A programme that fails for nearly anybody is broken and goes into quarantine: it is evaluated for nobody until it is
published anew or an operator lifts it, and its stored rights stay as they are. A household that fails alone is set
aside, for one programme or for all, and tried again whenever it is looked at.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.matching.evaluation import Engine, Right, population_of, programmes_told, rights_in
from app.matching.faults import Fault
from app.matching.snapshot import Snapshot
from app.rules.documents import FAULTS
from app.rules.population import Population

EVERY_PROGRAMME: Final = "*"
MOST_SET_ASIDE: Final = 10
"""When a programme fails for more households than this, it is the programme that is broken."""
_THREE_YEARS = dt.timedelta(days=1096)


@dataclass(slots=True)
class Evaluated:
    """The rights that could be evaluated, and what could not.

    Attributes:
        rights: of everybody and everything that is not named below.
        broken: programmes that failed, by key; none of their rights is in `rights`.
        set_aside: (household, programme or `EVERY_PROGRAMME`) that failed alone.
    """

    rights: list[Right]
    broken: dict[str, Fault] = field(default_factory=dict)
    set_aside: dict[tuple[uuid.UUID, str], Fault] = field(default_factory=dict)

    def only(self, household_ids: Collection[uuid.UUID]) -> "Evaluated":
        """Return what was found about some of the households."""
        return Evaluated(
            [right for right in self.rights if right.household_id in household_ids],
            self.broken,
            {key: fault for key, fault in self.set_aside.items() if key[0] in household_ids},
        )


def evaluate(
    engine: Engine,
    snapshot: Snapshot,
    municipality_code: str,
    today: dt.date,
    programmes: Collection[str] | None = None,
    quarantined: Collection[str] = (),
) -> Evaluated:
    """Evaluate a snapshot as `evaluation.rights_of` does, whatever is broken in it or in the rules.

    Args:
        engine: the compiled registry.
        snapshot: households of one municipality.
        municipality_code: theirs.
        today: the day asked.
        programmes: only these (`CODE/id`); None = all that are told there.
        quarantined: programmes that are not evaluated.
    """
    wanted = programmes_told(engine, municipality_code, programmes, quarantined)
    try:
        return Evaluated(rights_in(engine, snapshot, population_of(engine, snapshot), today, wanted))
    except FAULTS:
        return _Search(engine, municipality_code, today).evaluated(snapshot, wanted)


def evaluate_together(
    engine: Engine, snapshots: Mapping[str, Snapshot], today: dt.date, quarantined: Collection[str] = ()
) -> dict[str, Evaluated]:
    """Evaluate households of several municipalities as one population; each town's as `evaluate` finds them.

    Where something is broken, each town is evaluated alone, so that the search for it stays small.

    Args:
        engine: the compiled registry.
        snapshots: by municipality.
        today: the day asked.
        quarantined: programmes that are not evaluated.
    """
    told = {code: programmes_told(engine, code, None, quarantined) for code in snapshots}
    everybody = Snapshot.together(snapshots.values())
    towns = [code for code, snapshot in snapshots.items() for _ in snapshot.ids]
    try:
        rights = rights_in(engine, everybody, population_of(engine, everybody), today, _told_to(told, towns))
    except FAULTS:
        return {code: evaluate(engine, one, code, today, None, quarantined) for code, one in snapshots.items()}
    found = {code: Evaluated([]) for code in snapshots}
    home = dict(zip(everybody.ids, towns, strict=True))
    for right in rights:
        found[home[right.household_id]].rights.append(right)
    return found


def _told_to(told: Mapping[str, Sequence[str]], towns: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return which households are told of each programme, by row, from the programmes told in each town."""
    places = {code: np.asarray([town == code for town in towns], dtype=np.bool_) for code in told}
    found: dict[str, NDArray[np.bool_]] = {}
    for code, keys in told.items():
        for key in keys:
            found[key] = found[key] | places[code] if key in found else places[code]
    return found


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for what is broken, after something was."""

    engine: Engine
    municipality_code: str
    today: dt.date

    def evaluated(self, snapshot: Snapshot, wanted: Sequence[str]) -> Evaluated:
        unreadable = _failing(snapshot, self._reading_fails, len(snapshot.ids))
        result = Evaluated([], set_aside={(snapshot.ids[at], EVERY_PROGRAMME): why for at, why in unreadable.items()})
        readable = snapshot.part(at for at in range(len(snapshot.ids)) if at not in unreadable)
        population = population_of(self.engine, readable)
        for key in wanted:
            fault = self._evaluating_fails(readable, population, key)
            if isinstance(fault, Fault):
                self._find(readable, key, fault, result)
            else:
                result.rights += fault
        return result

    def _find(self, snapshot: Snapshot, key: str, fault: Fault, result: Evaluated) -> None:
        """Say whether a programme is broken or only meets some households that it cannot judge."""

        def fails(part: Snapshot) -> Fault | None:
            found = self._evaluating_fails(part, population_of(self.engine, part), key)
            return found if isinstance(found, Fault) else None

        if fails(self._plain_family()) is not None:
            result.broken[key] = fault
            return
        alone = _failing(snapshot, fails, MOST_SET_ASIDE + 1)
        if len(alone) > MOST_SET_ASIDE or not alone:
            result.broken[key] = fault
            return
        others = snapshot.part(at for at in range(len(snapshot.ids)) if at not in alone)
        rights = self._evaluating_fails(others, population_of(self.engine, others), key)
        if isinstance(rights, Fault):
            result.broken[key] = rights
            return
        result.rights += rights
        result.set_aside |= {(snapshot.ids[at], key): why for at, why in alone.items()}

    def _reading_fails(self, part: Snapshot) -> Fault | None:
        try:
            population_of(self.engine, part)
        except FAULTS as error:
            return Fault.of(error)
        return None

    def _evaluating_fails(self, part: Snapshot, population: Population, key: str) -> list[Right] | Fault:
        try:
            return rights_in(self.engine, part, population, self.today, [key])
        except FAULTS as error:
            return Fault.of(error)

    def _plain_family(self) -> Snapshot:
        """A family that nothing is wrong with: a rule that fails for it fails for anybody."""
        household_id = uuid.UUID(int=0)
        document = {
            "id": str(household_id),
            "municipality": self.municipality_code,
            "guardians": [{"id": "g1"}],
            "children": [{"id": "c1", "birth_date": (self.today - _THREE_YEARS).isoformat()}],
        }
        return Snapshot([household_id], [document], frozenset({household_id}))


def _failing(snapshot: Snapshot, fails: Callable[[Snapshot], Fault | None], most: int) -> dict[int, Fault]:
    """Return the households that fail on their own, by position, found by halving; no more than about `most`."""
    found: dict[int, Fault] = {}
    waiting = [range(len(snapshot.ids))] if snapshot.ids else []
    while waiting and len(found) < most:
        places = waiting.pop()
        fault = fails(snapshot.part(places))
        if fault is None:
            continue
        if len(places) == 1:
            found[places[0]] = fault
        else:
            middle = len(places) // 2
            waiting += [places[middle:], places[:middle]]
    return found
