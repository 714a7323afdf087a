"""Draining the change queue: what changed is evaluated, and nobody else.

Changed households are evaluated together, one transaction for up to two thousand of one municipality: take the
changes, evaluate, store, note the run, commit. A publication becomes a sweep (`sweeps`), which goes on in chunks of one
municipality between the changed households. A worker that dies leaves the changes and the cursor where they were. Two
workers never match in the same municipality at once.
"""

import datetime as dt
import gc
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import text
from sqlmodel import Session

from app.matching import campaigns, quarantine, sweeps
from app.matching.entitlements import Differences, LeftAlone, store
from app.matching.evaluating import EVERY_PROGRAMME, evaluate
from app.matching.evaluation import Engine
from app.matching.snapshot import Snapshot, read_chunk, read_snapshot
from app.matching.tables import EvaluationRun
from app.matching.watch import beat
from app.platform import bell, clock
from app.platform.change_queue import NOTICES, household_changed
from app.platform.database import Context, enter, worker_session
from app.registry.versions import published_now

HOUSEHOLDS_AT_ONCE = 2_000
CHUNK = 4_000
"""Households of a sweep in one transaction; a worker that dies loses the work on so many."""
WINDOW_SECONDS = 10.0
"""How long a worker goes on with sweeps before it makes room for other work and rings for another call."""
_engines: dict[str, Engine] = {}


def drain(window_seconds: float | None = None) -> list[EvaluationRun]:
    """Evaluate what the change queue names; ring for the announcement of each municipality that changed.

    Changed households come first, whatever a sweep still has to do. Where sweeps do not end within the window, another
    call is rung for, which goes on where this one stopped.

    Args:
        window_seconds: how long to go on with sweeps; None = to their end.
    """
    give_up_at = float("inf") if window_seconds is None else time.monotonic() + window_seconds
    with _uncollected():
        runs = _drain_changed_households()
        _begin_sweep()
        while (swept := _sweep_chunk()) is not None:
            runs += swept
            if time.monotonic() >= give_up_at:
                bell.ring(bell.MATCH)
                break
            runs += _drain_changed_households()
        _settle_sweeps()
    return runs


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from looking through a chunk's rights again and again; half of all time was that, measured.

    They hold no circles and go with their last reference. What few circles there are is collected after the window.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def engine(session: Session) -> Engine:
    """Return the evaluator of what is published now, compiled once for each publication."""
    current = published_now(session)
    if current.fingerprint not in _engines:
        _engines.clear()
        _engines[current.fingerprint] = Engine.of(current.registry)
    return _engines[current.fingerprint]


def queue_reviews() -> int:
    """Queue the households one of whose rights has come to its review; return how many.

    Time alone makes their stored answers old: an income year ends, a month's deadline passes, a check is due.
    """
    queued = 0
    for code in municipalities_with_households():
        with worker_session(Context(municipality=code)) as session:
            due = session.execute(
                text("UPDATE entitlements SET review_on = NULL WHERE review_on <= :today RETURNING household_id"),
                {"today": clock.today()},
            ).scalars()
            households = sorted(set(due))
            for household_id in households:
                household_changed(session, household_id, code, "review")
            session.commit()
        queued += len(households)
    if queued:
        bell.ring(bell.MATCH)
    return queued


def municipalities_with_households() -> list[str]:
    """Return the codes of all municipalities in which somebody lives who enrolled."""
    with worker_session() as session:
        return list(session.execute(text("SELECT DISTINCT municipality_code FROM households ORDER BY 1")).scalars())


def _drain_changed_households() -> list[EvaluationRun]:
    runs = []
    for code in _municipalities_with_changes():
        while (run := _drain_households(code)) is not None:
            runs.append(run)
            bell.ring(bell.ANNOUNCE, code)
    return runs


def _municipalities_with_changes() -> list[str]:
    with worker_session() as session:
        rows = session.execute(
            text(
                "SELECT DISTINCT municipality_code FROM changes"
                " WHERE reader = 'matching' AND household_id IS NOT NULL ORDER BY 1"
            )
        )
        return list(rows.scalars())


def _drain_households(municipality_code: str) -> EvaluationRun | None:
    """Evaluate the changed households of one municipality; None when there is nothing (left) to do here."""
    with worker_session(Context(municipality=municipality_code)) as session:
        if not _try_lock(session, municipality_code):
            return None
        ids = set(
            session.execute(
                text(
                    "DELETE FROM changes WHERE id IN (SELECT id FROM changes WHERE municipality_code = :code"
                    " AND reader = 'matching' AND household_id IS NOT NULL"
                    " ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED) RETURNING household_id"
                ),
                {"code": municipality_code, "most": HOUSEHOLDS_AT_ONCE},
            ).scalars()
        )
        if not ids:
            return None
        evaluator = engine(session)
        if sweeps.waits_to_begin(session):
            # The households would be evaluated by what was published before its sweep says that nothing may be told.
            session.rollback()
            _begin_sweep()
            return _drain_households(municipality_code)
        snapshot = read_snapshot(session, evaluator.registry.facts, ids)
        # A running sweep will find nothing to change here any more, so the look that it owes is queued now.
        readers = [NOTICES, *map(sweeps.reader_of, sweeps.running(session))]
        run, _ = _evaluate(session, municipality_code, "changed", snapshot, None, readers)
        session.commit()
        return run


def _begin_sweep() -> None:
    with worker_session() as session:
        began = sweeps.begin(session) is not None
        session.commit()
    if began:
        bell.ring(bell.MATCH)  # for another worker to join


def _settle_sweeps() -> None:
    with worker_session() as session:
        released = sweeps.settle(session)
        session.commit()
    for code in released:
        bell.ring(bell.ANNOUNCE, code)


def _sweep_chunk() -> list[EvaluationRun] | None:
    """Evaluate the next chunk of a sweep, if anybody is left in it; None where this worker finds nothing to do."""
    busy: list[str] = []
    with worker_session() as session:
        while (place := sweeps.next_place(session, busy)) is not None:
            code = place.shard.municipality_code
            enter(session, Context(municipality=code))
            if _try_lock(session, code):
                break
            session.rollback()
            enter(session, Context())
            busy.append(code)
        if place is None:
            return None
        evaluator = engine(session)
        after = place.shard.last_household_id
        snapshot = read_chunk(session, evaluator.registry.facts, code, after, CHUNK if place.programme_keys else 0)
        reader = sweeps.reader_of(place.shard.sweep_id)
        runs, written = [], Differences()
        if snapshot.asked_for:
            run, written = _evaluate(session, code, "published", snapshot, place.programme_keys, [reader])
            runs.append(run)
        last = max(snapshot.asked_for) if len(snapshot.asked_for) == CHUNK else None
        sweeps.move_on(session, place, last, len(snapshot.asked_for), written)
        session.commit()
    beat("shard")
    _settle_sweeps()
    return runs


def _evaluate(
    session: Session,
    municipality_code: str,
    reason: str,
    snapshot: Snapshot,
    programmes: Sequence[str] | None,
    readers: Collection[str],
) -> tuple[EvaluationRun, Differences]:
    """Evaluate a snapshot, store what differs and note the run, in the caller's transaction."""
    started_at: dt.datetime = clock.real_now()
    evaluator, fingerprint = engine(session), published_now(session).fingerprint
    quarantine.put_in(session, evaluator.broken, fingerprint)
    skipped = quarantine.quarantined_keys(session)
    found = evaluate(evaluator, snapshot, municipality_code, clock.today(), programmes, skipped)
    unreadable = {household_id for household_id, key in found.set_aside if key == EVERY_PROGRAMME}
    looked_at = snapshot.asked_for - unreadable
    left_alone = LeftAlone({*skipped, *found.broken}, list(found.set_aside))
    with campaigns.counted(session, municipality_code, looked_at):
        written = store(
            session, municipality_code, looked_at, found.rights, programmes, left_alone=left_alone, readers=readers
        )
    quarantine.record(session, found, snapshot.asked_for, programmes, fingerprint)
    run = EvaluationRun(
        municipality_code=municipality_code,
        programme_key=programmes[0] if programmes and len(programmes) == 1 else None,
        reason=reason,
        households=len(snapshot.ids),
        entitlements_added=written.added,
        entitlements_changed=written.changed,
        entitlements_removed=written.removed,
        started_at=started_at,
        finished_at=clock.real_now(),
    )
    session.add(run)
    session.flush()
    return run, written


def lock_municipality(session: Session, municipality_code: str) -> None:
    """Wait for everybody who matches or plans in a municipality, and keep them waiting until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"matching:{municipality_code}"})


def _try_lock(session: Session, municipality_code: str) -> bool:
    """Take the municipality for this transaction; False when another worker has it."""
    statement = text("SELECT pg_try_advisory_xact_lock(hashtext(:name))")
    return bool(session.execute(statement, {"name": f"matching:{municipality_code}"}).scalar())
