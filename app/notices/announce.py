"""The use cases of notices: plan what is due, release what has come, each in its own transaction per batch.

Matching stores entitlements; `announce` finds those whose day has come by an index and evaluates nobody, so the nightly
job is the same call. What is releasable at once goes in the planning transaction.
"""

import datetime as dt
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import text
from sqlmodel import Session, and_, col, or_, select

from app.delivery.halting import let_go
from app.delivery.log import undeliverable_notices
from app.delivery.outbox import enqueue_all, take_called_back
from app.matching.recording import lock_municipality
from app.matching.sweep import municipalities_with_households
from app.matching.tables import Entitlement
from app.notices.app_events import ended_events
from app.notices.canary import advance
from app.notices.expiry import expire_due
from app.notices.holding import Holds, holds_in, look_again, pass_back
from app.notices.pace import keep
from app.notices.planning import Plan, plan
from app.notices.recall import call_back, compose_what_is_halted, tell_again
from app.notices.release import Message, release
from app.notices.rows import BEFORE_A_DAY
from app.notices.setting_aside import forgive, is_not_set_aside, one_by_one_if_need_be
from app.notices.situation import Situation, read_messages_again, read_situations
from app.notices.tables import Notice
from app.platform import bell, clock
from app.platform.change_queue import NOTICES, Change
from app.platform.database import Context, worker_session
from app.platform.halt_kinds import HaltKind
from app.platform.halts import halts_in_force
from app.registry.loading import Registry
from app.registry.versions import published_now

BATCH = 500
WINDOW_SECONDS = 60.0
"""How long one release goes on before it leaves the rest to the next tick."""


@dataclass(slots=True)
class Announced:
    """What a call did, for the log and the tests."""

    households: int = 0
    planned: int = 0
    released: int = 0
    queued: int = 0
    municipalities: set[str] = field(default_factory=set)

    def add(self, done: "Announced") -> None:
        """Add what one transaction did."""
        self.households += done.households
        self.planned += done.planned
        self.released += done.released
        self.queued += done.queued
        self.municipalities |= done.municipalities


def announce(municipality_code: str | None = None) -> Announced:
    """Plan and release for every entitlement whose day has come, and for every household whose rights changed.

    Args:
        municipality_code: only there; None = everywhere (the nightly job).
    """
    now = clock.now()
    if municipality_code is None:
        advance(now)
    with worker_session() as session:
        pass_back(session, municipality_code)
        session.commit()
    result = Announced()
    for code in [municipality_code] if municipality_code else municipalities_with_households():
        while ids := _households_to_look_at(code, now):
            one_by_one_if_need_be(code, ids, partial(_announce, code, now, result))
            if len(ids) < BATCH:
                break
    if result.queued:
        bell.ring_dispatch()
    return result


def release_due() -> Announced:
    """Release every planned notice whose moment has come, and end what is over: mornings, reminders, what was held."""
    now = clock.now()
    _settle_halts(now)
    result = Announced(queued=expire_due(now))
    give_up_at = time.monotonic() + WINDOW_SECONDS
    last = uuid.UUID(int=0)
    while households := _households_to_release(now, last):
        last = households[-1][0]
        by_municipality: dict[str, list[uuid.UUID]] = {}
        for household_id, code in households:
            by_municipality.setdefault(code, []).append(household_id)
        for code, ids in by_municipality.items():
            one_by_one_if_need_be(code, ids, partial(_release_in, code, now, result))
        if time.monotonic() > give_up_at:
            break  # what was released is out of the way; the next tick goes on with the rest
    if result.queued:
        bell.ring_dispatch()
    return result


def _settle_halts(now: dt.datetime) -> None:
    """Finish what beginning or ending a halt left to do: also what a claim held at the moment when one ended."""
    compose_what_is_halted()
    with worker_session() as session:
        if let_go(session, now):
            session.commit()
            bell.ring_dispatch()


def _households_to_look_at(municipality_code: str, now: dt.datetime) -> list[uuid.UUID]:
    """Return the next households of a municipality that changed or have a right whose day has come."""
    with worker_session(Context(municipality=municipality_code)) as session:
        holds = holds_in(session, municipality_code)
        if holds.everything:
            return []
        changed = _households_that_changed(session, municipality_code)
        return sorted(changed | _households_with_due_rights(session, now, holds))


def _announce(municipality_code: str, now: dt.datetime, result: Announced, ids: Sequence[uuid.UUID]) -> None:
    done = Announced(households=len(ids), municipalities={municipality_code})
    with worker_session(Context(municipality=municipality_code)) as session:
        lock_municipality(session, municipality_code)
        holds = holds_in(session, municipality_code)
        if holds.everything:
            return
        changed = _take_changes(session, municipality_code, ids)
        registry = published_now(session).registry
        situations = read_situations(session, ids, holds)
        for situation in situations:
            if situation.household.id in changed:
                _tell_what_did_not_arrive(session, situation, now)
                _look_again_at_what_is_held(session, situation)
        messages = _plan_and_release(session, situations, registry, now, done)
        done.queued += len(enqueue_all(session, messages))
        forgive(session, ids)
        session.commit()
    result.add(done)


def _look_again_at_what_is_held(session: Session, situation: Situation) -> None:
    """Queue another look for when a programme of which something was told, or is planned, is held no more."""
    told = {notice.programme_key for notice in situation.notices if notice.state in ("planned", "released")}
    if passed_over := told & situation.held:
        look_again(session, situation.household.id, situation.household.municipality_code, passed_over)


def _tell_what_did_not_arrive(session: Session, situation: Situation, now: dt.datetime) -> None:
    """Have release look again at what one address refused, if there is another, and what was called back on its way."""
    household_id = situation.household.id
    if situation.contacts:
        tell_again(session, household_id, undeliverable_notices(session, household_id))
    if situation.agrees_to("matching:basic", now):
        tell_again(session, household_id, take_called_back(session, household_id))


def _households_with_due_rights(session: Session, now: dt.datetime, holds: Holds) -> set[uuid.UUID]:
    """Return households with a right whose day has come, by the index of rows not announced yet."""
    statement = (
        select(col(Entitlement.household_id))
        .where(col(Entitlement.announced_at).is_(None), Entitlement.announce_on <= clock.japan_date(now))
        .where(holds.lets_through(col(Entitlement.programme_key), col(Entitlement.household_id)))
        .where(is_not_set_aside(col(Entitlement.household_id)))
        .distinct()
        .limit(BATCH)
    )
    return set(session.exec(statement))


def _households_that_changed(session: Session, municipality_code: str) -> set[uuid.UUID]:
    """Return households whose rights or messages changed, those that wait longest first."""
    statement = (
        select(Change.household_id)
        .where(Change.municipality_code == municipality_code, Change.reader == NOTICES)
        .where(is_not_set_aside(col(Change.household_id)))
        .order_by(col(Change.id))
        .limit(BATCH)
    )
    return {household_id for household_id in session.exec(statement) if household_id is not None}


def _take_changes(session: Session, municipality_code: str, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Take what the queue holds for these households; return whom it names."""
    statement = text(
        "DELETE FROM changes WHERE municipality_code = :code AND reader = 'notices' AND household_id = ANY(:ids)"
        " RETURNING household_id"
    )
    return set(session.execute(statement, {"code": municipality_code, "ids": list(ids)}).scalars())


def _plan_and_release(
    session: Session, situations: Sequence[Situation], registry: Registry, now: dt.datetime, result: Announced
) -> list[Message]:
    """Plan for a batch of households, write it at once, and release what may go now."""
    with session.no_autoflush:  # a told notice names its correction, which must be written before
        plans = [plan(situation, registry, now) for situation in situations]
        keep(session, [notice for planned in plans for notice in planned.notices])
    _write(session, situations, plans, now)
    messages: list[Message] = []
    for situation, planned in zip(situations, plans, strict=True):
        known = {notice.id for notice in situation.notices}
        situation.notices += [notice for notice in planned.notices if notice.id not in known]
        result.planned += len(planned.notices)
        over = [*planned.ended, *planned.superseded]
        waiting = [notice.id for notice in over if notice.id in situation.waiting]
        if call_back(session, situation.household.id, waiting, "superseded"):
            read_messages_again(session, situation)
        # Of a correction that was told to nobody apps may know what it was to correct.
        messages += [*_release(situation, now, result, session), *ended_events(situation, planned.ended, now)]
    session.flush()
    return messages


def _write(session: Session, situations: Sequence[Situation], plans: Sequence[Plan], now: dt.datetime) -> None:
    """Write the plans of a batch in few statements: rows that others name come first."""
    named = [notice for planned in plans for notice in planned.notices if notice.overview_id is None]
    new = {notice.id for notice in named}
    stored = [one for situation in situations for one in situation.notices if one.overview_id in new]
    under = [one.overview_id for one in stored]
    for one in stored:
        one.overview_id = None  # a flush changes rows before it adds those that they are to name
    session.add_all(named)
    session.flush()  # an overview is named by its items, a correction by what it corrects
    for one, overview_id in zip(stored, under, strict=True):
        one.overview_id = overview_id
    for planned in plans:
        session.add_all(planned.notices)
    announced = [row.id for planned in plans for row in planned.announced if row.id not in planned.asked_again_on]
    if announced:
        session.execute(
            text("UPDATE entitlements SET announced_at = :now WHERE id = ANY(:ids)"), {"now": now, "ids": announced}
        )
    again = [{"id": row_id, "day": day} for planned in plans for row_id, day in planned.asked_again_on.items()]
    if again:
        session.execute(text("UPDATE entitlements SET announce_on = :day, announced_at = NULL WHERE id = :id"), again)
    session.flush()


def _release(situation: Situation, now: dt.datetime, result: Announced, session: Session) -> list[Message]:
    due = [notice for notice in situation.notices if notice.state == "planned" and notice.release_at <= now]
    released = release(situation, due, now)
    session.add_all(released.pushes)
    result.released += sum(notice.state == "released" for notice in released.notices)
    return released.messages


def _households_to_release(now: dt.datetime, after: uuid.UUID) -> list[tuple[uuid.UUID, str]]:
    """Return the next households, by id, that have a planned notice whose moment has come and that nothing holds."""
    with worker_session() as session:
        halts, holds = halts_in_force(session), holds_in(session, "")
        may_go = holds.lets_through(col(Notice.programme_key), col(Notice.household_id))
        reminds = and_(col(Notice.kind).in_(BEFORE_A_DAY), col(Notice.programme_key).not_in(holds.programmes))
        rows = session.exec(
            select(Notice.household_id, Notice.municipality_code)
            .where(Notice.state == "planned", Notice.release_at <= now, Notice.household_id > after)
            .where(or_(may_go, reminds))
            .where(is_not_set_aside(col(Notice.household_id)))
            .where(col(Notice.municipality_code).not_in(halts.names(HaltKind.MUNICIPALITY)))
            .distinct()
            .order_by(col(Notice.household_id))
            .limit(BATCH)
        )
        return [(household_id, code) for household_id, code in rows]


def _release_in(municipality_code: str, now: dt.datetime, result: Announced, ids: Sequence[uuid.UUID]) -> None:
    done = Announced(households=len(ids), municipalities={municipality_code})
    with worker_session(Context(municipality=municipality_code)) as session:
        holds = holds_in(session, municipality_code)
        if holds.everything:
            return
        messages: list[Message] = []
        for situation in read_situations(session, ids, holds):
            messages += _release(situation, now, done, session)
        done.queued += len(enqueue_all(session, messages))
        forgive(session, ids)
        session.commit()
    result.add(done)
