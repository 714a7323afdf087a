"""Bulletins: one person writes what everybody in an area should know, another one approves, and it is sent once.

Sending makes a notice of kind `information` for each enrolled household with consent whose municipality is covered;
`bulletin_rounds` goes from family to family.
"""

import datetime as dt
import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlmodel import Session, col, select

from app.notices.bulletin_rounds import CORRECTED, work_off
from app.notices.message_lint import findings
from app.notices.tables import Bulletin
from app.platform import bell, clock
from app.platform.database import worker_session
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.registry.public_bodies import is_public_body
from app.registry.versions import published_now
from app.rules.municipality_code import NATIONAL, MunicipalityCode, covers
from app.rules.my_number import holds_my_number

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
