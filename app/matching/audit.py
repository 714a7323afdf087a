"""The audit: everybody evaluated anew and compared with the stored rows, week by week.

Increments must leave what a full sweep would store. A difference is counted only where nothing explains it: not for
households with a change still to be evaluated, not for rights that are over, not for what a stored answer says of its
own day alone. What looks different is looked at once more under the municipality's lock, so that nobody who stores at
that moment is mistaken for an error. Chunks are short, hold no lock and leave pauses to other work.
"""

import datetime as dt
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.matching import quarantine
from app.matching.entitlements import Difference, LeftAlone, compare
from app.matching.evaluating import evaluate
from app.matching.oversight_tables import Audit, AuditCount, AuditDifference
from app.matching.recording import engine, lock_municipality
from app.matching.snapshot import read_snapshot
from app.matching.sweep import municipalities_with_households
from app.platform import clock
from app.platform.change_queue import household_changed
from app.platform.database import Context, worker_session

HOUSEHOLDS_AT_ONCE: Final = 500
EVERY: Final = dt.timedelta(days=7)
_NOBODY: Final = uuid.UUID(int=0)
_OF_ITS_DAY: Final = frozenset({"pays_from", "cost_of_delay", "amount", "steps"})
"""Parts of an answer that say something of the day asked: a claim made then, the amount of that month."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one audit of one municipality found. `differences` name programmes and households by id and nothing else."""

    municipality_code: str
    households: int
    skipped: int
    differences: tuple[Difference, ...]


def audit(municipality_code: str, *, repair: bool = False) -> Found:
    """Audit one municipality from beginning to end, or go on with an audit that stopped.

    Args:
        municipality_code: where.
        repair: queue the households with differences to be matched again.
    """
    while not go_on(municipality_code):
        pass
    return last_found(municipality_code, repair=repair)


def audit_due(seconds: float = 20.0) -> int:
    """Go on with audits that are due, for about this long; return how many municipalities were finished.

    An audit is due seven days after the last one began.
    """
    give_up_at = time.monotonic() + seconds
    finished = 0
    for code in municipalities_with_households():
        while _is_due(code):
            finished += go_on(code)
            if time.monotonic() > give_up_at:
                return finished
    return finished


def go_on(municipality_code: str) -> bool:
    """Look at the next households of a municipality's running audit, or of a new one; True when it is finished."""
    with worker_session(Context(municipality=municipality_code)) as session:
        running, counts = _running(session, municipality_code)
        ids = _next_households(session, municipality_code, counts.last_household_id or _NOBODY)
        suspects, skipped = _differences(session, municipality_code, ids)
        # Whatever is stored between the two looks was stored by somebody who held the lock.
        if suspects:
            session.commit()
            running, counts = _running(session, municipality_code)
            lock_municipality(session, municipality_code)
            again = sorted({one.household_id for one in suspects})
            suspects, _ = _differences(session, municipality_code, again)
        counts.households += len(ids)
        counts.skipped += skipped
        counts.differences += len(suspects)
        counts.last_household_id = ids[-1] if ids else counts.last_household_id
        session.add_all([*(_row(running.id, one) for one in suspects), counts])
        if len(ids) < HOUSEHOLDS_AT_ONCE:
            running.finished_at, running.is_clean = clock.now(), counts.differences == 0
            session.add(running)
        session.commit()
        return running.finished_at is not None


def last_found(municipality_code: str, *, repair: bool = False) -> Found:
    """Return what the last finished audit of a municipality found."""
    with worker_session(Context(municipality=municipality_code)) as session:
        last = session.exec(
            select(Audit)
            .where(Audit.municipality_code == municipality_code, col(Audit.finished_at).is_not(None))
            .order_by(col(Audit.finished_at).desc())
            .limit(1)
        ).one()
        counts = session.get_one(AuditCount, last.id)
        rows = session.exec(select(AuditDifference).where(AuditDifference.audit_id == last.id)).all()
        differences = tuple(
            Difference(row.household_id, row.programme_key, row.subject, row.kind, tuple(row.fields)) for row in rows
        )
        for household_id in sorted({one.household_id for one in differences}) if repair else ():
            household_changed(session, household_id, municipality_code, "audit")
        session.commit()
        return Found(municipality_code, counts.households, counts.skipped, differences)


def _is_due(municipality_code: str) -> bool:
    with worker_session(Context(municipality=municipality_code)) as session:
        began = text("SELECT max(started_at) FILTER (WHERE finished_at IS NOT NULL), bool_or(finished_at IS NULL)"
                     " FROM audits WHERE municipality_code = :code")  # fmt: skip
        last, is_running = session.execute(began, {"code": municipality_code}).one()
        return bool(is_running) or last is None or clock.now() - last >= EVERY


def _running(session: Session, municipality_code: str) -> tuple[Audit, AuditCount]:
    """Return the running audit of a municipality, locked; a new one where none runs."""
    statement = select(Audit).where(Audit.municipality_code == municipality_code, col(Audit.finished_at).is_(None))
    running = session.exec(statement.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if running is None:
        running = Audit(municipality_code=municipality_code, started_at=clock.now())
        session.add(running)
        session.flush()
        session.add(AuditCount(audit_id=running.id))
        session.flush()
    return running, session.get_one(AuditCount, running.id, populate_existing=True)


def _next_households(session: Session, municipality_code: str, after: uuid.UUID) -> list[uuid.UUID]:
    # From the gate, so that rows of a household that has no document any more are found as well.
    statement = text(
        "SELECT id FROM households WHERE municipality_code = :code AND id > :after ORDER BY id LIMIT :most"
    )
    values = {"code": municipality_code, "after": after, "most": HOUSEHOLDS_AT_ONCE}
    return list(session.execute(statement, values).scalars())


def _differences(session: Session, municipality_code: str, ids: list[uuid.UUID]) -> tuple[list[Difference], int]:
    """Evaluate some households and return where their stored rows differ, and how many were skipped."""
    if not ids:
        return [], 0
    changing = _changing(session, ids)
    wanted = [one for one in ids if one not in changing]
    evaluator, today = engine(session), clock.today()
    snapshot = read_snapshot(session, evaluator.registry.facts, wanted)
    broken = {*evaluator.broken, *quarantine.quarantined_keys(session), *_waiting(session)}
    found = evaluate(evaluator, snapshot, municipality_code, today, None, broken)
    left_alone = LeftAlone({*broken, *found.broken}, list(found.set_aside))
    differences = [
        one
        for one in compare(session, wanted, found.rights, left_alone, today)
        if not _same_today(one.answers, today) or set(one.fields) != {"answer"}
    ]
    return differences, len(changing)


def _changing(session: Session, ids: list[uuid.UUID]) -> set[uuid.UUID]:
    """Return the households that are to be matched again anyway: changed, or with a right whose review has come."""
    rows = session.execute(
        text(
            "SELECT household_id FROM changes WHERE reader = 'matching' AND household_id = ANY(:ids)"
            " UNION SELECT household_id FROM entitlements WHERE household_id = ANY(:ids) AND review_on <= :today"
            " UNION SELECT household_id FROM set_aside_households WHERE household_id = ANY(:ids)"
        ),
        {"ids": ids, "today": clock.today()},
    )
    return set(rows.scalars())


def _waiting(session: Session) -> set[str]:
    """Return the programmes whose publication is still being evaluated."""
    rows = session.execute(
        text(
            "SELECT unnest(programme_keys) FROM sweeps WHERE state = 'running'"
            " UNION SELECT programme_key FROM changes WHERE household_id IS NULL AND programme_key IS NOT NULL"
        )
    )
    return set(rows.scalars())


def _same_today(answers: tuple[Mapping[str, Any], Mapping[str, Any]] | None, today: dt.date) -> bool:
    """Say whether a stored answer, read today, says what was evaluated today."""
    if answers is None:
        return False
    stored, evaluated = answers
    names = (stored.keys() | evaluated.keys()) - _OF_ITS_DAY
    return _amounts(stored, today) == _amounts(evaluated, today) and all(
        stored.get(name) == evaluated.get(name) for name in names
    )


def _amounts(answer: Mapping[str, Any], today: dt.date) -> tuple[Any, list[Any]]:
    """Return the amount of a day and the steps after it."""
    steps = answer.get("steps") or []
    over = [step for step in steps if step["from"] <= today.isoformat()]
    amount = {name: value for name, value in over[-1].items() if name != "from"} if over else answer.get("amount")
    return amount, steps[len(over) :]


def _row(audit_id: uuid.UUID, one: Difference) -> AuditDifference:
    return AuditDifference(
        audit_id=audit_id,
        household_id=one.household_id,
        programme_key=one.programme_key,
        subject=one.subject,
        kind=one.kind,
        fields=list(one.fields),
    )
