"""Going the rounds with bulletins: everybody in an area is told, or called back, by as many workers as there are.

A worker takes the next families by moving the cursor in the bulletin's row, which takes a moment, and then plans and
releases for up to five hundred of one municipality in one short transaction; meanwhile others take the families after
them. Everybody is gone through until nobody without the notice is found: so whom a worker that died had taken hears,
and who moved meanwhile. Who enrols while a bulletin is in force is told it then.
"""

import datetime as dt
import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, func, literal
from sqlmodel import Session, col, or_, select

from app.delivery.outbox import enqueue_all
from app.households.tables import Consent, Household
from app.notices import information
from app.notices.app_events import ended_events
from app.notices.holding import holds_in
from app.notices.recall import call_back
from app.notices.release import Message, release
from app.notices.setting_aside import forgive, is_not_set_aside, one_by_one_if_need_be
from app.notices.situation import Situation, read_messages_again, read_situations
from app.notices.tables import Bulletin, Notice
from app.platform import bell, clock
from app.platform.database import Context, enter, worker_session
from app.platform.identifiers import earliest_id
from app.registry.loading import Registry
from app.registry.versions import published_now
from app.rules.municipality_code import NATIONAL, is_prefecture

HOUSEHOLDS_AT_ONCE: Final = 500
WITHDRAWN: Final = "bulletin withdrawn"
CORRECTED: Final = "bulletin corrected"
_LIVE: Final = ("planned", "released")
_ENROLLING: Final = dt.timedelta(days=1)
"""How long a family may take from its first page to its consent."""


def work_off(window_seconds: float | None = None) -> int:
    """Tell, or call back, what bulletins leave to do; return how many households were looked at.

    Args:
        window_seconds: how long to go on; where work is left then, another call is rung for. None = to the end.
    """
    give_up_at = float("inf") if window_seconds is None else time.monotonic() + window_seconds
    households = 0
    while (looked_at := _work_chunk()) is not None:
        households += looked_at
        if time.monotonic() >= give_up_at:
            bell.ring(bell.BULLETINS)
            break
    if households:
        bell.ring_dispatch()
    return households


def tell_newcomers() -> int:
    """Tell families that enrolled since what is in force where they live; return how many were looked at."""
    now, households = clock.now(), 0
    today = clock.japan_date(now)
    with worker_session() as session:
        in_force = select(Bulletin).where(
            Bulletin.state == "sent", col(Bulletin.valid_from) <= today, col(Bulletin.valid_until) >= today
        )
        found = session.exec(in_force.order_by(col(Bulletin.urgent).desc(), col(Bulletin.sent_at))).all()
    for bulletin in found:
        assert bulletin.finished_at is not None  # it was sent
        since, at = earliest_id(bulletin.finished_at - _ENROLLING), ("", _NOBODY)
        while True:
            with worker_session() as session:
                code, ids = _next_households(session, bulletin, now, at, since)
            if not ids:
                break
            one_by_one_if_need_be(code, ids, partial(_tell, bulletin.id, code, now))
            households, at = households + len(ids), (code, ids[-1])
    if households:
        bell.ring_dispatch()
    return households


def _work_chunk() -> int | None:
    """Do the next piece of work, what is withdrawn first, then what is urgent; None: there is nothing to do."""
    now = clock.now()
    with worker_session() as session:
        begun = or_(Bulletin.state == "cancelled", col(Bulletin.valid_from) <= clock.japan_date(now))
        statement = (
            select(Bulletin)
            .where(col(Bulletin.work_left), begun)
            .order_by((col(Bulletin.state) == "cancelled").desc(), col(Bulletin.urgent).desc(), col(Bulletin.sent_at))
            .limit(1)
            .with_for_update(skip_locked=True, key_share=True)  # beside whoever tells, but not whoever ends it
        )
        bulletin = session.exec(statement).first()
        if bulletin is None:
            return None
        bulletin_id, code, taken = bulletin.id, "", list[uuid.UUID]()
        if bulletin.state == "cancelled":
            called_back = _call_back_chunk(session, bulletin, now)
        else:
            called_back = 0
            code, taken = _take_households(session, bulletin, now)
        session.add(bulletin)
        session.commit()
    if taken:
        one_by_one_if_need_be(code, taken, partial(_tell, bulletin_id, code, now))
    return called_back + len(taken)


def _take_households(session: Session, bulletin: Bulletin, now: dt.datetime) -> tuple[str, list[uuid.UUID]]:
    """Take the next households of one municipality, and move the cursor; at the end begin anew, or end it."""
    over = bulletin.valid_until < clock.japan_date(now)
    from_the_beginning = bulletin.at_household is None
    at = (bulletin.at_municipality, bulletin.at_household or _NOBODY)
    code, ids = ("", []) if over else _next_households(session, bulletin, now, at)
    bulletin.at_municipality, bulletin.at_household = code, ids[-1] if ids else None
    bulletin.rounds += not ids
    if not ids and (over or from_the_beginning):
        bulletin.state, bulletin.work_left, bulletin.finished_at = "sent", False, clock.real_now()
    return code, ids


def _tell(bulletin_id: uuid.UUID, municipality_code: str, now: dt.datetime, ids: Sequence[uuid.UUID]) -> None:
    """Plan and release a bulletin for some households of one municipality, in a transaction of its own."""
    with worker_session(Context(municipality=municipality_code)) as session:
        # Who cancels or corrects it waits for this chunk, and finds its notices; after that there is nothing to tell.
        statement = select(Bulletin).where(Bulletin.id == bulletin_id).with_for_update(read=True, key_share=True)
        bulletin = session.exec(statement).one()
        if bulletin.state not in ("sending", "sent"):
            return
        content = _content(published_now(session).registry, bulletin)
        holds = holds_in(session, municipality_code)
        messages: list[Message] = []
        for situation in read_situations(session, ids, holds):
            here = situation.household.municipality_code == municipality_code
            if not here or _told_by(situation, bulletin_id) or not situation.agrees_to("matching:basic", now):
                continue
            notice = information.notice_of(situation, bulletin, content, now)
            session.add(notice)
            _take_the_place_of_earlier(session, situation, bulletin, notice)
            situation.notices.append(notice)
            if not holds.everything:
                due = [one for one in situation.notices if one.state == "planned" and one.release_at <= now]
                released = release(situation, due, now)
                session.add_all(released.pushes)
                messages += released.messages
        session.flush()
        enqueue_all(session, messages)
        forgive(session, ids)
        session.commit()


_Cursor = tuple[str, uuid.UUID]
_NOBODY: Final = uuid.UUID(int=0)


def _next_households(
    session: Session, bulletin: Bulletin, now: dt.datetime, at: _Cursor, since: uuid.UUID = _NOBODY
) -> tuple[str, list[uuid.UUID]]:
    """Return the next households after a cursor that agreed and are without the notice, all of one municipality.

    Whom telling would leave out is left out here already: else a round that finds nobody would never come.

    Args:
        session: of the worker; it enters municipalities on the way.
        bulletin: which one.
        now: the clock's instant, for the consents.
        at: (municipality, household) after which to look.
        since: only households of this id or later.
    """
    area = bulletin.municipality_code
    pattern = "%" if area == NATIONAL else f"{area[:2]}%" if is_prefecture(area) else area
    code, after = at
    town = select(func.min(Household.municipality_code)).where(
        col(Household.municipality_code).like(pattern), Household.id >= since
    )
    while True:
        if code:
            enter(session, Context(municipality=code))
            mine = Household.municipality_code == code, Household.id > after, Household.id >= since
            statement = select(Household.id).where(*mine, *_to_be_told(bulletin, now)).order_by(col(Household.id))
            if ids := session.exec(statement.limit(HOUSEHOLDS_AT_ONCE)).all():
                return code, list(ids)
        code, after = session.exec(town.where(Household.municipality_code > code)).one() or "", _NOBODY
        if not code:
            return "", []


def _to_be_told(bulletin: Bulletin, now: dt.datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which a household in context still hears of a bulletin."""
    told = exists(literal(1)).where(
        col(Notice.household_id) == Household.id,
        col(Notice.kind) == information.INFORMATION,
        col(Notice.occasion) == str(bulletin.id),
    )
    agreed = exists(literal(1)).where(
        col(Consent.household_id) == Household.id,
        col(Consent.purpose) == "matching:basic",
        col(Consent.state) == "given",
        col(Consent.starts_at) <= now,
        or_(col(Consent.expires_at).is_(None), col(Consent.expires_at) > now),
    )
    return ~told, agreed, is_not_set_aside(col(Household.id))


def _take_the_place_of_earlier(session: Session, situation: Situation, bulletin: Bulletin, notice: Notice) -> None:
    """Let a correction stand in the place of what it corrects; what is still queued of that is called back."""
    if bulletin.corrects is None:
        return
    earlier = [one for one in _told_by(situation, bulletin.corrects) if one.state in _LIVE]
    for one in earlier:
        one.state, one.superseded_by, one.closed_reason = "superseded", notice.id, CORRECTED
    _call_back(session, situation, earlier)


def _call_back_chunk(session: Session, bulletin: Bulletin, now: dt.datetime) -> int:
    """Withdraw a bulletin from the next households; who was withdrawn is not found again, so no cursor is needed."""
    rows = session.exec(
        select(Notice.municipality_code, Notice.household_id)
        .where(Notice.kind == information.INFORMATION, Notice.occasion == str(bulletin.id))
        .where(col(Notice.state).in_(_LIVE))
        .order_by(col(Notice.municipality_code), col(Notice.household_id))
        .limit(HOUSEHOLDS_AT_ONCE)
    ).all()
    if not rows:
        bulletin.work_left, bulletin.finished_at = False, clock.real_now()
        return 0
    code = rows[0][0]
    enter(session, Context(municipality=code))
    ids = [household_id for found, household_id in rows if found == code]
    messages: list[Message] = []
    for situation in read_situations(session, ids, holds_in(session, code)):
        ended = [one for one in _told_by(situation, bulletin.id) if one.state in _LIVE]
        for one in ended:
            one.state, one.closed_reason = "cancelled", WITHDRAWN
        _call_back(session, situation, ended)
        if situation.household.protected_at is None and situation.agrees_to("matching:basic", now):
            messages += ended_events(situation, [one for one in ended if one.released_at is not None], now)
    session.flush()
    enqueue_all(session, messages)
    return len(ids)


def _call_back(session: Session, situation: Situation, notices: Sequence[Notice]) -> None:
    waiting = [notice.id for notice in notices if notice.id in situation.waiting]
    session.flush()
    if call_back(session, situation.household.id, waiting, "superseded"):
        read_messages_again(session, situation)


def _told_by(situation: Situation, bulletin_id: uuid.UUID) -> list[Notice]:
    told = filter(information.is_information, situation.notices)
    return [notice for notice in told if notice.occasion == str(bulletin_id)]


def _content(registry: Registry, bulletin: Bulletin) -> dict[str, Any]:
    area = registry.municipalities.get(bulletin.municipality_code)
    programme = registry.version_on(bulletin.programme_key, clock.today()) if bulletin.programme_key else None
    name = area.name if area is not None and bulletin.municipality_code != NATIONAL else None
    return information.content_of(bulletin, name, sensitive=programme is not None and programme.sensitive)
