"""Draining the change queue: what changed is evaluated, and nobody else.

One transaction for each municipality: take its changes, evaluate, store, note the run, commit. A worker that dies
leaves the changes where they were. Two workers never take the same municipality at once.
"""

import datetime as dt
import uuid
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from app.matching.entitlements import store
from app.matching.evaluation import Engine, rights_of
from app.matching.snapshot import read_snapshot
from app.matching.tables import EvaluationRun
from app.platform import bell, clock
from app.platform.change_queue import household_changed
from app.platform.database import Context, enter, worker_session
from app.registry.versions import published_now
from app.rules.municipality_code import covers

HOUSEHOLDS_AT_ONCE = 2_000
_engines: dict[str, Engine] = {}


def drain() -> list[EvaluationRun]:
    """Evaluate everything that the change queue names; ring for the announcement of each municipality that changed."""
    runs = _drain_programmes()
    for code in _municipalities_with_changes():
        while (run := _drain_households(code)) is not None:
            runs.append(run)
            bell.ring(bell.ANNOUNCE, code)
    return runs


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
        run = _evaluate(session, municipality_code, "changed", household_ids=ids)
        session.commit()
        return run


def _drain_programmes() -> list[EvaluationRun]:
    """Evaluate published or changed programmes for their whole area, all of them in one pass over each municipality."""
    with worker_session() as session:
        rows = session.execute(
            text("DELETE FROM changes WHERE household_id IS NULL RETURNING programme_key, municipality_code")
        ).all()
        if not rows:
            return []
        changed = {(key, area) for key, area in rows if key is not None}
        areas = changed | _leaning_on(session, {key for key, _ in changed})
        runs = []
        for code in municipalities_with_households():
            keys = {key for key, area in areas if covers(area, code)}
            if keys:
                enter(session, Context(municipality=code))
                lock_municipality(session, code)
                runs.append(_evaluate(session, code, "published", programmes=keys))
        session.commit()
    for run in runs:
        bell.ring(bell.ANNOUNCE, run.municipality_code)
    return runs


def _leaning_on(session: Session, changed: Collection[str]) -> set[tuple[str, str]]:
    """Return the programmes whose answers change with others, and where: a variant with its original, and back.

    A local variant follows its original; the original is nobody's any more where a variant takes its place.
    """
    found: set[tuple[str, str]] = set()
    for key, versions in engine(session).registry.programmes.items():
        original, area = versions[-1].based_on, versions[-1].municipality
        if original is not None and (original in changed or key in changed):
            found |= {(key, area), (original, area)}
    return found


def _evaluate(
    session: Session,
    municipality_code: str,
    reason: str,
    *,
    household_ids: Collection[uuid.UUID] | None = None,
    programmes: Collection[str] | None = None,
) -> EvaluationRun:
    started_at: dt.datetime = clock.real_now()
    evaluator = engine(session)
    snapshot = read_snapshot(session, evaluator.registry.facts, household_ids)
    rights = rights_of(evaluator, snapshot, municipality_code, clock.today(), programmes)
    written = store(session, municipality_code, snapshot.asked_for, rights, programmes)
    run = EvaluationRun(
        municipality_code=municipality_code,
        programme_key=next(iter(programmes)) if programmes and len(programmes) == 1 else None,
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
    return run


def lock_municipality(session: Session, municipality_code: str) -> None:
    """Wait for everybody who matches or plans in a municipality, and keep them waiting until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"matching:{municipality_code}"})


def _try_lock(session: Session, municipality_code: str) -> bool:
    """Take the municipality for this transaction; False when another worker has it."""
    statement = text("SELECT pg_try_advisory_xact_lock(hashtext(:name))")
    return bool(session.execute(statement, {"name": f"matching:{municipality_code}"}).scalar())
