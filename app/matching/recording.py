"""One evaluation stored and noted: the rows of its households, the run as proof, and what could not be evaluated."""

import datetime as dt
import logging
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from app.matching import campaigns, quarantine
from app.matching.entitlements import Differences, LeftAlone, store
from app.matching.evaluating import EVERY_PROGRAMME, Evaluated
from app.matching.evaluation import Engine
from app.matching.faults import Fault
from app.matching.snapshot import Snapshot
from app.matching.tables import EvaluationRun
from app.platform import clock
from app.registry.versions import published_now

_logger = logging.getLogger(__name__)
_engines: dict[str, Engine] = {}


def engine(session: Session) -> Engine:
    """Return the evaluator of what is published now, compiled once for each publication."""
    current = published_now(session)
    if current.fingerprint not in _engines:
        _engines.clear()
        _engines[current.fingerprint] = Engine.of(current.registry)
    return _engines[current.fingerprint]


def log_failure(municipality_code: str, error: BaseException) -> None:
    """Note that one town's work failed and was left for later; the words of the error may carry somebody's values."""
    fault = Fault.of(error)
    _logger.error("matching: %s failed, left for later: %s at %s", municipality_code, fault.error_class, fault.text)


@dataclass(frozen=True, slots=True)
class Began:
    """What an evaluation began with.

    Attributes:
        at: the real instant.
        today: the day asked.
        fingerprint: of the registry.
        skipped: the programmes in quarantine, those that do not compile included.
    """

    at: dt.datetime
    today: dt.date
    fingerprint: str
    skipped: frozenset[str]

    @classmethod
    def now(cls, session: Session, evaluator: Engine) -> "Began":
        """Note the beginning; what does not compile goes into quarantine, in the caller's transaction."""
        fingerprint = published_now(session).fingerprint
        quarantine.put_in(session, evaluator.broken, fingerprint)
        return cls(clock.real_now(), clock.today(), fingerprint, quarantine.quarantined_keys(session))


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found about households of one municipality.

    Attributes:
        reason: changed or published.
        snapshot: the households.
        found: their rights, and what could not be evaluated.
        programmes: those that were looked at; None = all.
    """

    reason: str
    snapshot: Snapshot
    found: Evaluated
    programmes: Sequence[str] | None = None


def record(
    session: Session, municipality_code: str, looked: Looked, began: Began, readers: Collection[str]
) -> tuple[EvaluationRun, Differences]:
    """Store what differs and note the run, in the caller's transaction.

    Args:
        session: of the worker in the municipality's context, its lock taken.
        municipality_code: of the households.
        looked: what was found.
        began: when, and with what.
        readers: who is told, through the change queue, whose stored rights changed.
    """
    snapshot, found, programmes = looked.snapshot, looked.found, looked.programmes
    unreadable = {household_id for household_id, key in found.set_aside if key == EVERY_PROGRAMME}
    looked_at = snapshot.asked_for - unreadable
    broken = {*began.skipped, *quarantine.quarantined_keys(session), *found.broken}
    with campaigns.counted(session, municipality_code, looked_at):
        written = store(
            session,
            municipality_code,
            looked_at,
            found.rights,
            programmes,
            left_alone=LeftAlone(broken, list(found.set_aside)),
            readers=readers,
        )
    quarantine.record(session, found, snapshot.asked_for, programmes, began.fingerprint)
    run = EvaluationRun(
        municipality_code=municipality_code,
        programme_key=programmes[0] if programmes and len(programmes) == 1 else None,
        reason=looked.reason,
        households=len(snapshot.ids),
        entitlements_added=written.added,
        entitlements_changed=written.changed,
        entitlements_removed=written.removed,
        started_at=began.at,
        finished_at=clock.real_now(),
    )
    session.add(run)
    session.flush()
    return run, written


def lock_municipality(session: Session, municipality_code: str) -> None:
    """Wait for everybody who matches or plans in a municipality, and keep them waiting until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"matching:{municipality_code}"})


def still_here(session: Session, municipality_code: str, household_ids: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
    """Return which households still live in a municipality, and keep them there until this transaction ends.

    Called before anything of theirs is written: rights stored beside a move would stay in the old town, where the new
    one's context does not see them.
    """
    rows = session.execute(_KEEP_HERE, {"code": municipality_code, "ids": list(household_ids)})
    return frozenset(rows.scalars())


# SHARE and not KEY SHARE: a new town is no key, and whoever moves a household may lock no more than that.
_KEEP_HERE = text("SELECT id FROM households WHERE id = ANY(:ids) AND municipality_code = :code ORDER BY id FOR SHARE")


def try_lock(session: Session, municipality_code: str, work: str = "matching") -> bool:
    """Take one kind of work of a municipality for this transaction; False when another worker has it."""
    statement = text("SELECT pg_try_advisory_xact_lock(hashtext(:name))")
    return bool(session.execute(statement, {"name": f"{work}:{municipality_code}"}).scalar())
