"""Bulletins: one person writes what everybody in an area should know, another one approves, and it is sent once.

Sending makes a notice of kind `information` for each enrolled household with consent whose municipality is covered, in
chunks: each is one short transaction that holds the bulletin's row, plans and releases for up to five hundred families
of one municipality and moves the cursor in the row. A worker that dies loses one chunk; two workers take two bulletins.
Everybody is gone through twice, the second time only those without the notice, so that who moved meanwhile hears too.
Who enrols later is not told: the notice would be news of another day.
"""

import datetime as dt
import time
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import text
from sqlmodel import Session, col, or_, select

from app.delivery.outbox import enqueue_all
from app.notices import information
from app.notices.app_events import ended_events
from app.notices.holding import holds_in
from app.notices.message_lint import findings
from app.notices.recall import call_back
from app.notices.release import Message, release
from app.notices.situation import Situation, read_messages_again, read_situations
from app.notices.tables import Bulletin, Notice
from app.platform import bell, clock
from app.platform.database import Context, enter, worker_session
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.registry.loading import Registry
from app.registry.public_bodies import is_public_body
from app.registry.versions import published_now
from app.rules.municipality_code import NATIONAL, MunicipalityCode, covers, is_prefecture
from app.rules.my_number import holds_my_number

HOUSEHOLDS_AT_ONCE: Final = 500
ROUNDS: Final = 2
WITHDRAWN: Final = "bulletin withdrawn"
CORRECTED: Final = "bulletin corrected"
_LIVE: Final = ("planned", "released")
_LINTED: Final = {
    "title": "bulletin_title", "body": "bulletin_body", "title_easy": "bulletin_title", "body_easy": "bulletin_body",
    "contact": "bulletin_contact", "source": "bulletin_source",
}  # fmt: skip


class BulletinDocument(BaseModel):
    """What the author of a bulletin writes; the fields are those of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: MunicipalityCode
    title: str
    body: str
    title_easy: str | None = None
    body_easy: str | None = None
    source: str
    contact: str
    link: str | None = None
    programme: str | None = None
    urgent: bool = False
    valid_from: dt.date
    valid_until: dt.date
    corrects: uuid.UUID | None = None


def write(document: Mapping[str, Any], by: str) -> Bulletin:
    """Write a bulletin that another person may approve; return it.

    Args:
        document: area, title, body, source, contact, valid_from, valid_until; title_easy, body_easy, link, programme,
            urgent and corrects may be left out.
        by: who writes it.

    Raises:
        InvalidInput: naming everything that is wrong with it, field by field; nothing is written.
    """
    author = _named(by)
    try:
        told = BulletinDocument.model_validate(dict(document))
    except ValidationError as error:
        raise InvalidInput("\n".join(_complaint(one) for one in error.errors())) from error
    with worker_session() as session:
        wrong = [*_wrong_words(told), *_wrong_facts(session, told)]
        if wrong:
            raise InvalidInput("\n".join(wrong))
        bulletin = Bulletin(
            municipality_code=told.area,
            programme_key=told.programme,
            written_by=author,
            written_at=clock.now(),
            **told.model_dump(exclude={"area", "programme"}),
        )
        session.add(bulletin)
        session.commit()
    return bulletin


def approve(bulletin_id: uuid.UUID, by: str) -> Bulletin:
    """Approve a bulletin as a second person; it may be sent then.

    Raises:
        NotFound: there is no such bulletin.
        Conflict: it is approved already, or was cancelled.
        InvalidInput: its author may not approve it.
    """
    person = _named(by)
    with worker_session() as session:
        bulletin = _locked(session, bulletin_id, "approve", "written")
        if _same_person(person, bulletin.written_by):
            raise InvalidInput(f"approve: found {person}, who wrote it; expected a second person", field="by")
        bulletin.state, bulletin.approved_by, bulletin.approved_at = "approved", person, clock.now()
        session.add(bulletin)
        session.commit()
    return bulletin


def send(bulletin_id: uuid.UUID, by: str) -> Bulletin:
    """Send an approved bulletin, from its first day on; what it corrects is taken back in the same moment.

    Raises:
        NotFound: there is no such bulletin.
        Conflict: it is not approved, was sent already, or is over.
    """
    person = _named(by)
    with worker_session() as session:
        bulletin = _locked(session, bulletin_id, "send", "approved")
        if bulletin.valid_until < clock.today():
            raise Conflict(f"send: found valid_until {bulletin.valid_until}, which is over; write a new one")
        bulletin.state, bulletin.sent_by, bulletin.sent_at, bulletin.work_left = "sending", person, clock.now(), True
        session.add(bulletin)
        if bulletin.corrects is not None:
            earlier = _locked(session, bulletin.corrects, "correct", "sending", "sent")
            _end(earlier, "corrected", person, CORRECTED)
            session.add(earlier)
        session.commit()
    bell.ring(bell.BULLETINS)
    return bulletin


def cancel(bulletin_id: uuid.UUID, by: str, reason: str) -> Bulletin:
    """Withdraw a bulletin: what is queued is called back, and the inbox shows it as withdrawn.

    Nobody is told of it; where families should hear that it was wrong, write one that `corrects` it.

    Raises:
        NotFound: there is no such bulletin.
        Conflict: it was cancelled or corrected already.
    """
    with worker_session() as session:
        bulletin = _locked(session, bulletin_id, "cancel", "written", "approved", "sending", "sent")
        was_sent = bulletin.sent_at is not None
        _end(bulletin, "cancelled", _named(by), reason)
        bulletin.work_left = was_sent
        session.add(bulletin)
        session.commit()
    work_off()
    return bulletin


def listed(*, area: str | None = None) -> list[Bulletin]:
    """Return the bulletins of an area, or all of them, the newest first."""
    with worker_session() as session:
        statement = select(Bulletin).order_by(col(Bulletin.written_at).desc(), col(Bulletin.id).desc())
        return list(session.exec(statement if area is None else statement.where(Bulletin.municipality_code == area)))


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
            .with_for_update(skip_locked=True)
        )
        bulletin = session.exec(statement).first()
        if bulletin is None:
            return None
        work = _call_back_chunk if bulletin.state == "cancelled" else _tell_chunk
        looked_at = work(session, bulletin, now)
        session.add(bulletin)
        session.commit()
    return looked_at


def _tell_chunk(session: Session, bulletin: Bulletin, now: dt.datetime) -> int:
    """Plan and release a bulletin for the next households of one municipality, and move the cursor."""
    over = bulletin.valid_until < clock.japan_date(now)
    code, ids = ("", []) if over else _next_households(session, bulletin)
    if not ids:
        bulletin.at_municipality, bulletin.at_household = "", None
        bulletin.rounds += 1
        if over or bulletin.rounds == ROUNDS:
            bulletin.state, bulletin.work_left, bulletin.finished_at = "sent", False, clock.real_now()
        return 0
    content = _content(published_now(session).registry, bulletin)
    enter(session, Context(municipality=code))
    holds = holds_in(session, code)
    messages: list[Message] = []
    for situation in read_situations(session, ids, holds):
        if situation.household.municipality_code != code or not situation.agrees_to("matching:basic", now):
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
    bulletin.at_municipality, bulletin.at_household = code, ids[-1]
    return len(ids)


def _next_households(session: Session, bulletin: Bulletin) -> tuple[str, list[uuid.UUID]]:
    """Return the next households after the cursor without the notice, all of one municipality."""
    area = bulletin.municipality_code
    rows = session.execute(
        text(
            "SELECT h.municipality_code, h.id FROM households h WHERE h.municipality_code LIKE :area"
            " AND (h.municipality_code, h.id) > (:code, CAST(:after AS uuid))"
            " AND NOT EXISTS (SELECT FROM notices n WHERE n.kind = 'information' AND n.occasion = :occasion"
            " AND n.household_id = h.id) ORDER BY h.municipality_code, h.id LIMIT :most"
        ),
        {
            "area": "%" if area == NATIONAL else f"{area[:2]}%" if is_prefecture(area) else area,
            "code": bulletin.at_municipality,
            "after": bulletin.at_household or uuid.UUID(int=0),
            "occasion": str(bulletin.id),
            "most": HOUSEHOLDS_AT_ONCE,
        },
    ).all()
    code = rows[0][0] if rows else ""
    return code, [household_id for found, household_id in rows if found == code]


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


def _wrong_words(told: BulletinDocument) -> list[str]:
    """Return what the lint has to say of the texts, and half a version in easy Japanese."""
    wrong = []
    for field, kind in _LINTED.items():
        written = getattr(told, field)
        wrong += [f"{field}: {one.sentence()}" for one in findings(kind, written)] if written is not None else []
        if written is not None and holds_my_number(written):
            wrong.append(f"{field}: found what may be a 個人番号; expected text without one")
    if told.title_easy is not None and told.body_easy is None:
        wrong.append("body_easy: found nothing beside title_easy; expected the whole text in easy Japanese, or neither")
    return wrong


def _wrong_facts(session: Session, told: BulletinDocument) -> list[str]:
    """Return what is wrong with the area, the days, the link, the programme and what it corrects."""
    registry = published_now(session).registry
    wrong = []
    if told.area != NATIONAL and told.area not in registry.municipalities:
        wrong.append(f"area: found {told.area}, which the registry does not know; expected a code it lists, or 000000")
    if told.valid_until < max(told.valid_from, clock.today()):
        wrong.append(f"valid_until: found {told.valid_until}; expected today or later, and not before valid_from")
    if told.link is not None and not (told.link.startswith("https://") and is_public_body(told.link)):
        wrong.append(f"link: found {told.link}; expected https:// on the host of a public body")
    if told.programme is not None:
        owner = told.programme.partition("/")[0]
        if told.programme not in registry.programmes or not (covers(owner, told.area) or covers(told.area, owner)):
            wrong.append(f"programme: found {told.programme}; expected CODE/ID of a published programme in this area")
    if told.corrects is not None:
        earlier = session.get(Bulletin, told.corrects)
        if earlier is None or earlier.sent_at is None or earlier.municipality_code != told.area:
            wrong.append(f"corrects: found {told.corrects}; expected the id of a bulletin that was sent to this area")
    return wrong


def _locked(session: Session, bulletin_id: uuid.UUID, wish: str, *states: str) -> Bulletin:
    """Return a bulletin in one of some states, locked."""
    bulletin = session.exec(select(Bulletin).where(Bulletin.id == bulletin_id).with_for_update()).first()
    if bulletin is None:
        raise NotFound(f"{wish}: there is no bulletin {bulletin_id}; see: todoke bulletin list")
    if bulletin.state not in states:
        raise Conflict(f"{wish}: bulletin {bulletin_id} is {bulletin.state}; expected {' or '.join(states)}")
    return bulletin


def _end(bulletin: Bulletin, state: str, by: str, reason: str) -> None:
    bulletin.state, bulletin.work_left = state, False
    bulletin.ended_by, bulletin.ended_reason, bulletin.ended_at = by, reason, clock.now()


def _named(by: str) -> str:
    person = unicodedata.normalize("NFKC", by).strip()
    if not person:
        raise InvalidInput("by: found nobody; expected who does it, such as staff:防災課 1番", field="by")
    return person


def _same_person(one: str, other: str) -> bool:
    return "".join(one.casefold().split()) == "".join(other.casefold().split())


def _complaint(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"]) or "document"
    found = "nothing" if error["type"] == "missing" else repr(error["input"])
    return f"{path}: found {found}; expected: {error['msg']}"
