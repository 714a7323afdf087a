"""Changed households, of many towns at once: evaluated together, stored town by town.

Evaluating thirty families costs nearly what evaluating two thousand does, because every programme is gone through
once. So the documents of several towns are read, one context after the other, and evaluated as one population; each
town's rights are then stored in a short transaction of its own, under its own lock.

Nothing is locked between reading and storing but the right to this work in these towns. Whatever changes a household
leaves a row in the queue, and the rows are read before the documents: where a household's rows are still the very ones
that were read, so are its facts, and its rights are stored and the rows go. Any other household keeps its rows and is
evaluated again. So is everybody, where something was published in between.
"""

import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from app.matching import sweeps
from app.matching.evaluating import Evaluated, evaluate_together
from app.matching.evaluation import Engine
from app.matching.faults import OF_ONE
from app.matching.recording import (
    Began,
    Looked,
    engine,
    lock_municipality,
    log_failure,
    record,
    still_here,
    try_lock,
)
from app.matching.snapshot import Snapshot, read_snapshot
from app.matching.tables import EvaluationRun
from app.platform import bell
from app.platform.change_queue import NOTICES
from app.platform.database import Context, enter, worker_session
from app.registry.versions import published_now

HOUSEHOLDS_AT_ONCE: Final = 2_000
_WORK: Final = "changed"

Row = tuple[int, str]
"""A change in the queue: (id, municipality). Moving carries a household's rows over to the new municipality."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What was read of one municipality; `rows` are all that the queue held about each household then."""

    municipality_code: str
    rows: dict[uuid.UUID, frozenset[Row]]
    snapshot: Snapshot


def drain(begin_sweep: Callable[[], None]) -> list[EvaluationRun]:
    """Evaluate the households in the queue; ring for the announcement of each municipality where something was stored.

    Towns that another worker evaluates at this moment are left to it.

    Args:
        begin_sweep: called where something was published that no sweep has taken up. The households would otherwise be
            evaluated by what was published before its sweep says that nothing may be told.
    """
    runs: list[EvaluationRun] = []
    failed: set[str] = set()
    some_are_left = True
    while some_are_left:
        some_are_left = False
        waiting = deque(_municipalities_with_changes())
        while waiting:
            stored, left = _drain_some(waiting, begin_sweep, failed)
            runs += stored
            some_are_left |= left
    return runs


def _drain_some(
    waiting: deque[str], begin_sweep: Callable[[], None], failed: set[str]
) -> tuple[list[EvaluationRun], bool]:
    """Evaluate as many towns as are looked at together; return the runs, and whether somebody changed meanwhile.

    A town whose rights cannot be stored joins those that failed: its changes wait for the next call.
    """
    with worker_session() as reading:
        evaluator = engine(reading)
        if sweeps.waits_to_begin(reading):
            reading.rollback()
            begin_sweep()
            return [], False
        began = Began.now(reading, evaluator)
        reading.commit()
        parts = _read(reading, evaluator, waiting, failed)
        # The transaction stays open: it holds this work of these towns until everything is stored.
        snapshots = {part.municipality_code: part.snapshot for part in parts}
        found = evaluate_together(evaluator, snapshots, began.today, began.skipped)
        runs, some_are_left = [], False
        for part in parts:
            try:
                run, taken = _store(part, found[part.municipality_code], began)
            except OF_ONE as error:
                log_failure(part.municipality_code, error)
                failed.add(part.municipality_code)
                continue
            if run is not None:
                runs.append(run)
                bell.ring(bell.ANNOUNCE, part.municipality_code)
            some_are_left |= taken < len(part.rows)
        return runs, some_are_left


def _municipalities_with_changes() -> list[str]:
    with worker_session() as session:
        rows = session.execute(
            text(
                "SELECT DISTINCT municipality_code FROM changes"
                " WHERE reader = 'matching' AND household_id IS NOT NULL ORDER BY 1"
            )
        )
        return list(rows.scalars())


def _read(session: Session, evaluator: Engine, waiting: deque[str], failed: set[str]) -> list[_Part]:
    """Read changed households of the towns that wait, until they are many enough; the rest goes on waiting."""
    parts: list[_Part] = []
    room = HOUSEHOLDS_AT_ONCE
    while waiting and room > 0:
        code = waiting.popleft()
        enter(session, Context(municipality=code))
        if code in failed or not try_lock(session, code, _WORK):
            continue
        rows = _changes(session, code, room)
        if not rows:
            continue
        if len(rows) == room:
            waiting.appendleft(code)
        room -= len(rows)
        parts.append(_Part(code, rows, read_snapshot(session, evaluator.registry.facts, rows.keys())))
    return parts


_CHANGES = text(
    "SELECT household_id, id, municipality_code FROM changes WHERE reader = 'matching' AND household_id IN"
    " (SELECT household_id FROM changes WHERE municipality_code = :code AND reader = 'matching'"
    " AND household_id IS NOT NULL GROUP BY 1 ORDER BY min(id) LIMIT :most)"
)
_CHANGES_OF = text(
    "SELECT household_id, id, municipality_code FROM changes WHERE reader = 'matching' AND household_id = ANY(:ids)"
)


def _changes(session: Session, municipality_code: str, most: int) -> dict[uuid.UUID, frozenset[Row]]:
    return _by_household(session.execute(_CHANGES, {"code": municipality_code, "most": most}))


def _by_household(rows: Iterable[Any]) -> dict[uuid.UUID, frozenset[Row]]:
    found: dict[uuid.UUID, set[Row]] = {}
    for household_id, change_id, code in rows:
        found.setdefault(household_id, set()).add((change_id, code))
    return {household_id: frozenset(mine) for household_id, mine in found.items()}


def _store(part: _Part, found: Evaluated, began: Began) -> tuple[EvaluationRun | None, int]:
    """Store what was found about the households that did not change since; return the run and how many they are."""
    with worker_session(Context(municipality=part.municipality_code)) as session:
        lock_municipality(session, part.municipality_code)
        if published_now(session).fingerprint != began.fingerprint or sweeps.waits_to_begin(session):
            return None, 0
        unchanged = _take(session, part)
        if not unchanged:
            session.commit()  # who moved away has left this town's queue for good
            return None, 0
        looked = Looked("changed", part.snapshot.only(unchanged), found.only(unchanged))
        # A running sweep will find nothing to change here any more, so the look that it owes is queued now.
        readers = [NOTICES, *map(sweeps.reader_of, sweeps.running(session))]
        run, _ = record(session, part.municipality_code, looked, began, readers)
        session.commit()
        return run, len(unchanged)


def _take(session: Session, part: _Part) -> frozenset[uuid.UUID]:
    """Take the changes that were read out of the queue, of the households of which it holds no others."""
    here = still_here(session, part.municipality_code, part.rows)  # the gates first, in the order of whoever moves
    now = _by_household(session.execute(_CHANGES_OF, {"ids": list(part.rows)}))
    unchanged, taken = set(), []
    for household_id, known in part.rows.items():
        if household_id not in here:  # it is in the queue of its new town as well
            taken += [row_id for row_id, code in now.get(household_id, ()) if code == part.municipality_code]
            continue
        mine = {row for row in known if row[1] == part.municipality_code}
        if mine <= now.get(household_id, frozenset()) <= known:
            unchanged.add(household_id)
            taken += [change_id for change_id, _ in mine]
    session.execute(text("DELETE FROM changes WHERE id = ANY(:ids)"), {"ids": taken})
    return frozenset(unchanged)
