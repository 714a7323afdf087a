"""Reach (届く範囲): which households gain, lose or keep a right if a draft is published, asked before it is.

Staff ask about a draft of theirs; the worker evaluates the stored households of every municipality concerned under what
is published and under what would be, on one day, and writes how many. Counting stops and goes on by chunks of
households, each in its own transaction. Families are counted once, however many of their children it is about.
"""

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import insert, text
from sqlmodel import Session, col, select

from app.matching.oversight_tables import ReachCount, ReachRequest
from app.matching.snapshot import Snapshot, read_snapshot
from app.platform import clock
from app.platform.database import Context, worker_session
from app.platform.errors import InvalidInput
from app.platform.identifiers import new_id
from app.platform.small_counts import rounded
from app.registry.digests import storable
from app.registry.loading import Registry
from app.registry.readiness import as_published, as_retired
from app.registry.tables import ProgrammeDraft
from app.registry.versions import Published, published_now
from app.rules.columns import NO, UNKNOWN, YES, Verdicts
from app.rules.documents import DocumentError
from app.rules.evaluate import Rulebook
from app.rules.impact import Impact, impact
from app.rules.population import Population

HOUSEHOLDS_AT_ONCE: Final = 5_000
COUNTED: Final = ("gains", "loses", "stays", "becomes_open", "closes", "gets_more", "gets_less")
_ASKED: Final = (
    "id", "municipality_code", "programme_key", "draft_id", "sha256", "template_sha256", "document", "ends_on",
    "looked_at_on", "asked_by", "asked_at",
)  # fmt: skip
_NOBODY: Final = uuid.UUID(int=0)


def ask(session: Session, draft: ProgrammeDraft, asked_by: uuid.UUID, now: dt.datetime) -> ReachRequest:
    """Ask whom a draft would reach, in the caller's transaction; the caller rings afterwards.

    The same contents, asked about again on the same day, are the same question.

    Args:
        session: of the web role in the context of the draft's municipality.
        draft: a version, a roll-back or an end that is not published yet.
        asked_by: the staff account.
        now: the clock's instant; the day compared is today, or the first day on which the draft would count.
    """
    today = clock.japan_date(now)
    first = draft.valid_from if draft.ends_on is None else draft.ends_on + dt.timedelta(days=1)
    there = latest(session, draft)
    if there is not None and there.state != "failed" and clock.japan_date(there.asked_at) == today:
        return there
    asked = ReachRequest(
        id=new_id(),
        municipality_code=draft.municipality_code,
        programme_key=draft.programme_key,
        draft_id=draft.id,
        sha256=draft.sha256,
        template_sha256=draft.template_sha256,
        document=draft.document,
        ends_on=draft.ends_on,
        looked_at_on=max(today, first),
        asked_by=asked_by,
        asked_at=now,
    )
    # Only what may be asked: the web role has no right to write an answer.
    session.execute(insert(ReachRequest).values({name: getattr(asked, name) for name in _ASKED}))
    return session.get_one(ReachRequest, asked.id)


def latest(session: Session, draft: ProgrammeDraft) -> ReachRequest | None:
    """Return the last question about exactly what a draft says now; None where nobody asked."""
    statement = select(ReachRequest).where(
        ReachRequest.draft_id == draft.id,
        ReachRequest.sha256 == draft.sha256,
        col(ReachRequest.template_sha256).is_not_distinct_from(draft.template_sha256),
        col(ReachRequest.ends_on).is_not_distinct_from(draft.ends_on),
    )
    return session.exec(statement.order_by(col(ReachRequest.asked_at).desc()).limit(1)).first()


def count_asked(seconds: float = 60.0) -> int:
    """Count what was asked, the oldest question first, for about this long; return how many were answered.

    What is not finished is gone on with by the next call, at the household after the last one counted.
    """
    give_up_at = time.monotonic() + seconds
    answered = 0
    while (request := _next_asked()) is not None:
        try:
            if not _count(request, give_up_at):
                break
        except (InvalidInput, DocumentError) as error:
            _finish(request.id, "failed", problem=str(error))
        answered += 1
    return answered


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One programme under what is published and under what would be; versions that tell nobody are left out of both."""

    key: str
    now: Registry
    then: Registry
    before: Rulebook
    after: Rulebook
    published_sha256: str | None

    @classmethod
    def of(cls, published: Published, request: ReachRequest) -> "_Comparison":
        now, key = published.registry, request.programme_key
        if request.ends_on is not None:
            then, digest = as_retired(now, key, request.ends_on), None
        else:
            then, document = as_published(now, request.document)
            digest = storable(document)[1]
        return cls(key, now, then, _told(now, key), _told(then, key), digest)

    def concerns(self, municipality_code: str) -> bool:
        return any(self.key in registry.told_in(municipality_code) for registry in (self.now, self.then))

    def impact(self, snapshot: Snapshot, on: dt.date) -> Impact:
        population = Population.from_documents(snapshot.documents, self.now.facts)
        return impact(self.before, self.after, self.key, population, on)


def _told(registry: Registry, key: str) -> Rulebook:
    versions = (version for version in registry.programmes.get(key, ()) if version.notifies)
    return Rulebook.compile(versions, registry.facts, registry.parameters, registry.replacements)


def _count(request: ReachRequest, give_up_at: float) -> bool:
    """Count one request as far as the time lasts; True when it is answered.

    Raises:
        InvalidInput: what is published meanwhile no longer lets the draft be.
        DocumentError: a rule does not compile.
    """
    with worker_session() as session:
        comparison = _Comparison.of(published_now(session), request)
        codes = session.execute(text("SELECT DISTINCT municipality_code FROM households ORDER BY 1")).scalars().all()
    for code in codes:
        while comparison.concerns(code) and _count_some(request, comparison, code):
            if time.monotonic() > give_up_at:
                return False
    _finish(request.id, "counted", published_sha256=comparison.published_sha256)
    return True


def _count_some(request: ReachRequest, comparison: _Comparison, code: str) -> bool:
    """Count the next households of one municipality; False when there are none left."""
    with worker_session(Context(municipality=code)) as session:
        session.execute(
            text("INSERT INTO reach_counts (request_id, municipality_code, households, gains, loses, stays,"
                 " becomes_open, closes, gets_more, gets_less) VALUES (:id, :code, 0, 0, 0, 0, 0, 0, 0, 0)"
                 " ON CONFLICT DO NOTHING"),
            {"id": request.id, "code": code},
        )  # fmt: skip
        statement = select(ReachCount).where(ReachCount.request_id == request.id, ReachCount.municipality_code == code)
        counted = session.exec(statement.with_for_update()).one()
        if counted.finished_at is not None:
            return False
        ids = _next_households(session, code, counted.last_household_id or _NOBODY, HOUSEHOLDS_AT_ONCE)
        if ids:
            snapshot = read_snapshot(session, comparison.now.facts, ids)
            _add(counted, comparison.impact(snapshot, request.looked_at_on), len(snapshot.ids))
            counted.last_household_id = ids[-1]
        if len(ids) < HOUSEHOLDS_AT_ONCE:
            counted.finished_at = clock.real_now()
        session.add(counted)
        session.commit()
        return counted.finished_at is None


def _next_households(session: Session, code: str, after: uuid.UUID, most: int) -> list[uuid.UUID]:
    statement = text(
        "SELECT household_id FROM household_documents WHERE municipality_code = :code AND household_id > :after"
        " ORDER BY household_id LIMIT :most"
    )
    return list(session.execute(statement, {"code": code, "after": after, "most": most}).scalars())


def _add(counted: ReachCount, found: Impact, households: int) -> None:
    counted.households += households
    for name, count in households_by_change(found, households).items():
        setattr(counted, name, getattr(counted, name) + count)


def households_by_change(found: Impact, households: int) -> dict[str, int]:
    """Return how many households each word of `COUNTED` is true of; a household is as its best placed person is.

    A household loses where nobody in it is entitled any more, be it refused or open.
    """
    before, after = (_best(found, one.verdict, households) for one in (found.before, found.after))
    return {
        "gains": int(((before != YES) & (after == YES)).sum()),
        "loses": int(((before == YES) & (after != YES)).sum()),
        "stays": int(((before == YES) & (after == YES)).sum()),
        "becomes_open": int(((before != UNKNOWN) & (after == UNKNOWN)).sum()),
        "closes": int(((before == UNKNOWN) & (after == NO)).sum()),
        "gets_more": len(np.unique(found.households[found.gets_more])),
        "gets_less": len(np.unique(found.households[found.gets_less])),
    }


def _best(found: Impact, verdicts: Verdicts, households: int) -> Verdicts:
    best = np.full(households, NO, dtype=np.int8)
    np.maximum.at(best, found.households, verdicts)
    return best


def _next_asked() -> ReachRequest | None:
    with worker_session() as session:
        statement = select(ReachRequest).where(ReachRequest.state == "asked").order_by(col(ReachRequest.asked_at))
        return session.exec(statement.limit(1)).first()


def _finish(request_id: uuid.UUID, state: str, **answer: Any) -> None:
    with worker_session() as session:
        request = session.get_one(ReachRequest, request_id, with_for_update=True)
        if request.state != "asked":
            return  # another worker finished it first
        if state == "counted":
            rows = session.exec(select(ReachCount).where(ReachCount.request_id == request_id)).all()
            request.figures = list(_figures(rows))
        request.state, request.counted_at = state, clock.now()
        for name, value in answer.items():
            setattr(request, name, value)
        session.add(request)
        session.commit()


def _figures(rows: list[ReachCount] | Any) -> Iterator[dict[str, Any]]:
    """Yield what people may see: everywhere together first (no code), then each municipality."""
    together = {name: sum(getattr(row, name) for row in rows) for name in COUNTED}
    yield {"municipality": None, **{name: rounded(count) for name, count in together.items()}}
    for row in sorted(rows, key=lambda one: one.municipality_code):
        yield {
            "municipality": row.municipality_code, **{name: rounded(getattr(row, name)) for name in COUNTED}
        }  # fmt: skip
