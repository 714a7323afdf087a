"""Draining the change queue: what changed is evaluated, and nobody else.

Changed households come first (`changed`), those of many towns together. A publication becomes a sweep (`sweeps`), which
goes on in chunks of one municipality between them, each in one transaction. A worker that dies leaves the changes and
the cursor where they were. Two workers never store in the same municipality at once.
"""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from app.matching import changed, quarantine, sweeps
from app.matching.entitlements import Differences
from app.matching.evaluating import evaluate
from app.matching.evaluation import Engine
from app.matching.faults import OF_ONE, Fault
from app.matching.recording import Began, Looked, engine, log_failure, record, still_here, try_lock
from app.matching.snapshot import Snapshot, read_chunk
from app.matching.tables import EvaluationRun
from app.matching.watch import beat
from app.platform import bell, clock
from app.platform.change_queue import household_changed
from app.platform.database import Context, enter, worker_session
from app.registry.versions import published_now

CHUNK = 4_000
"""Households of a sweep in one transaction; a worker that dies loses the work on so many."""
WINDOW_SECONDS = 10.0
"""How long a worker goes on with sweeps before it makes room for other work and rings for another call."""
SIGN_SECONDS = 1.0
"""How often a sweep's progress is noted: small towns take milliseconds each."""


def drain(window_seconds: float | None = None) -> list[EvaluationRun]:
    """Evaluate what the change queue names; ring for the announcement of each municipality that changed.

    Changed households come first, whatever a sweep still has to do. Where sweeps do not end within the window, another
    call is rung for, which goes on where this one stopped.

    Args:
        window_seconds: how long to go on with sweeps; None = to their end.
    """
    give_up_at = float("inf") if window_seconds is None else time.monotonic() + window_seconds
    with _uncollected():
        _note_what_cannot_be_read()
        runs = changed.drain(_begin_sweep)
        _begin_sweep()
        noted_at = time.monotonic()
        failed: set[str] = set()
        while (swept := _sweep_chunk(failed)) is not None:
            runs += swept
            now = time.monotonic()
            if now >= min(noted_at + SIGN_SECONDS, give_up_at):
                beat("shard")
                _settle_sweeps()
                noted_at = now
            if now >= give_up_at:
                bell.ring(bell.MATCH)
                break
            runs += changed.drain(_begin_sweep)
        _settle_sweeps()
    return runs


def _note_what_cannot_be_read() -> None:
    """Put published programmes that today's models refuse into quarantine, whether anybody waits to be matched or not.

    It may be a new release of the program that no longer takes them: then nobody published anything.
    """
    with worker_session() as session:
        current = published_now(session)
        unreadable = {key: Fault.of_rule(one.error) for key, one in current.registry.unreadable.items()}
        quarantine.put_in(session, unreadable, current.fingerprint)
        session.commit()


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


_REVIEWED = text("UPDATE entitlements SET review_on = NULL WHERE review_on <= :today RETURNING household_id")
_OVERTAKEN = text(
    "SELECT household_id FROM entitlements WHERE announced_at IS NULL AND announce_on <= :today"
    " AND programme_key <> ALL(:quarantined) AND (deadline_on < :today OR answer->>'pays_from' < :month"
    "  OR answer->>'pays_from' = :month AND deadline_on IS NULL AND programme_key = ANY(:month_after_claim))"
)


def queue_reviews() -> int:
    """Queue the households one of whose rights has come to its review; return how many.

    Time alone makes their stored answers old: an income year ends, a month's deadline passes, a check is due. What is
    due and was not told yet, because a campaign or a quarantine held it, is also looked at again once its deadline or
    the month from which it would be paid is over: nobody is told of a day that has gone by. A town that fails is left
    for the next call; the others are queued.
    """
    queued = 0
    for code in municipalities_with_households():
        try:
            queued += _queue_reviews_in(code)
        except OF_ONE as error:
            log_failure(code, error)
    if queued:
        bell.ring(bell.MATCH)
    return queued


def _queue_reviews_in(municipality_code: str) -> int:
    with worker_session(Context(municipality=municipality_code)) as session:
        due = session.scalars(_REVIEWED, {"today": clock.today()}).all()
        overtaken = session.scalars(_OVERTAKEN, _today(session)).all()
        households = sorted({*due, *overtaken})
        for household_id in households:
            household_changed(session, household_id, municipality_code, "review")
        session.commit()
    return len(households)


def _today(session: Session) -> dict[str, Any]:
    programmes = published_now(session).registry.programmes
    month_after_claim = [
        key
        for key, versions in programmes.items()
        if any(one.application is not None and one.application.pays_from == "month_after_claim" for one in versions)
    ]
    return {
        "today": clock.today(),
        "month": clock.today().isoformat()[:7],
        "month_after_claim": month_after_claim,
        "quarantined": list(quarantine.quarantined_keys(session)),
    }


def municipalities_with_households() -> list[str]:
    """Return the codes of all municipalities in which somebody lives who enrolled."""
    with worker_session() as session:
        return list(session.execute(text("SELECT DISTINCT municipality_code FROM households ORDER BY 1")).scalars())


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


def _sweep_chunk(failed: set[str]) -> list[EvaluationRun] | None:
    """Evaluate the next chunk of a sweep, if anybody is left in it; None where this worker finds nothing to do.

    Args:
        failed: towns whose chunk failed in this call, left for the next one; another one joins them.
    """
    busy = sorted(failed)
    with worker_session() as session:
        # A crash of the server may lose the last chunks with their cursors, in their order: they are looked at again.
        session.execute(text("SET LOCAL synchronous_commit = off"))
        while (place := sweeps.next_place(session, busy)) is not None:
            code = place.shard.municipality_code
            enter(session, Context(municipality=code))
            if try_lock(session, code):
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
            try:
                run, written = _evaluated(session, evaluator, code, snapshot, place.programme_keys, reader)
            except OF_ONE as error:
                log_failure(code, error)
                failed.add(code)
                return []
            runs.append(run)
        last = max(snapshot.asked_for) if len(snapshot.asked_for) == CHUNK else None
        sweeps.move_on(session, place, last, len(snapshot.asked_for), written)
        session.commit()
    return runs


def _evaluated(
    session: Session, evaluator: Engine, code: str, snapshot: Snapshot, programmes: Sequence[str], reader: str
) -> tuple[EvaluationRun, Differences]:
    """Evaluate a chunk and store what differs, in the caller's transaction."""
    began = Began.now(session, evaluator)
    found = evaluate(evaluator, snapshot, code, began.today, programmes, began.skipped)
    here = still_here(session, code, snapshot.asked_for)  # who moved meanwhile is in the queue under the new town
    looked = Looked("published", snapshot.only(here), found.only(here), programmes)
    return record(session, code, looked, began, [reader])
