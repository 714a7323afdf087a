"""What the LINE-style account hears, and what it does about it: follow, block, linking, buttons, messages.

The webhook keeps rows and answers at once; a worker works them one by one, each in one transaction. Answers go through
the outbox as pushes and not by reply token: a token lives a minute, works once and takes no retry key, so an answer
whose fate is unknown could neither be repeated nor left alone. They cost quota, so there is one for each event and one
a day for chatter. An answer says nothing about a family: whoever is nobody's contact, or no longer, gets the same.
"""

import datetime as dt
import json
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, text
from sqlmodel import Session, and_, col, or_, select

from app.delivery import incoming_line as incoming
from app.delivery.channels.line import flex_message
from app.delivery.channels.line_api import LineApi, line_api_from_settings
from app.delivery.claim import wait_until_no_live_claim
from app.delivery.outbox import Gate, Lane, LineMessage, enqueue_line
from app.delivery.tables import LineEvent
from app.households.contacts import is_own
from app.households.line_linking import LIFETIME, contacts_of_user, keep_link_token
from app.households.outcomes import record_outcome
from app.households.tables import ContactPoint, Household
from app.notices.postbacks import LATER, STOP, Postback, outcome_of, postback_data, read_postback
from app.notices.recall import outcome_changed
from app.notices.tables import Notice
from app.platform import bell, clock
from app.platform.database import Context, app_session, enter, worker_session
from app.platform.errors import InvalidInput
from app.platform.rendering import phrases, render
from app.platform.settings import settings
from app.safeguards.line_account import BLOCKED, ELSEWHERE, LINKED, complete_linking
from app.safeguards.withdrawal import stop_contact

_logger = logging.getLogger(__name__)

LINK: Final = "link"
"""Data of the button that asks for a link token: it asks for nothing but one's own, so it needs no mark."""
_STOPPED: Final = "line_stopped"
#: How long after it came in an event is tried for the first time, the second time …: an outage of a day loses nobody's
#: wish. What fails after the last is given up, with an alarm.
TRY_AFTER: Final = tuple(
    dt.timedelta(seconds=seconds) for seconds in (0, 5, 60, 600, *(hours * 3600 for hours in (1, 3, 6, 12, 18, 24)))
)
_ANSWER_LIFETIME: Final = dt.timedelta(hours=1)
_NO_NOTICE: Final = uuid.UUID(int=0)


def receive(events: Sequence[incoming.IncomingEvent]) -> int:
    """Keep events that were not told before, in one transaction; return how many, and ring for them."""
    with app_session() as session:
        kept = incoming.keep(session, events)
        session.commit()
    if kept:
        bell.ring(bell.LINE_EVENTS)
    return kept


def work_events(most: int = 500, api: LineApi | None = None) -> int:
    """Work what was kept, the oldest first; return how many events were worked.

    An event that fails is tried again as `TRY_AFTER` says, and given up after a day with an error in the log.
    """
    worked, failed = 0, set[uuid.UUID]()
    for _ in range(most):
        event = _oldest(failed)
        if event is None:
            break
        try:
            worked += _work(event, api or line_api_from_settings())
        except Exception:
            _logger.exception("line event %s could not be worked", event.id)
            failed.add(event.id)
            _count_try(event.id)
    if worked:
        bell.ring_dispatch()
    return worked


def _oldest(failed: set[uuid.UUID]) -> LineEvent | None:
    with worker_session() as session:
        now = clock.real_now()
        again = (
            and_(LineEvent.tries == tries, LineEvent.received_at <= now - after)
            for tries, after in enumerate(TRY_AFTER)
            if tries
        )
        due = or_(LineEvent.tries == 0, *again)
        statement = select(LineEvent).where(col(LineEvent.worked_at).is_(None), col(LineEvent.id).not_in(failed), due)
        return session.exec(statement.order_by(col(LineEvent.occurred_at), col(LineEvent.id)).limit(1)).first()


def _count_try(event_id: uuid.UUID) -> None:
    with worker_session() as session:
        event = session.get_one(LineEvent, event_id, with_for_update=True)
        event.tries += 1
        if event.worked_at is None and event.tries >= len(TRY_AFTER):
            _finish(session, event, incoming.GIVEN_UP)
            _logger.error("line event %s (%s) is given up: what its user wanted was not done", event.id, event.kind)
        session.commit()


def _work(seen: LineEvent, api: LineApi) -> bool:
    """Work one event; False if somebody else did meanwhile."""
    content = incoming.content_of(seen)
    user_id = content["user_id"]
    link_token = _link_token(seen, content, user_id, api)  # asked for before the transaction, never inside
    stopped: list[uuid.UUID] = []
    with worker_session() as session:
        event = session.get_one(LineEvent, seen.id, with_for_update=True)
        if event.worked_at is not None:
            return False
        # One user's events one after the other, whatever process works them.
        session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:user, 0))"), {"user": seen.user_index.hex()}
        )
        outcome = _work_kind(session, event, content, link_token, stopped)
        _finish(session, event, outcome)
        session.commit()
    for household_id in stopped:
        wait_until_no_live_claim(household_id)
    if stopped or outcome in (LINKED, "following_again"):
        bell.ring(bell.RELEASE)
    if outcome.startswith("outcome_") or outcome == LINKED:
        bell.ring(bell.MATCH)
    return True


def _link_token(event: LineEvent, content: Mapping[str, str], user_id: str, api: LineApi) -> str | None:
    if event.kind != incoming.POSTBACK or content.get("data") != LINK or _is_old(event):
        return None
    return api.link_token(user_id)


def _is_old(event: LineEvent) -> bool:
    """Whether an answer would come too late to be understood."""
    return clock.real_now() - event.occurred_at > _ANSWER_LIFETIME


def _finish(session: Session, event: LineEvent, outcome: str) -> None:
    """Remember that the event was worked, and forget what it held."""
    event.worked_at, event.outcome, event.content_sealed = clock.real_now(), outcome, None
    session.add(event)


def _work_kind(
    session: Session, event: LineEvent, content: Mapping[str, str], link_token: str | None, stopped: list[uuid.UUID]
) -> str:
    user_id = content["user_id"]
    match event.kind:
        case incoming.FOLLOW:
            return _follow(session, event, user_id)
        case incoming.UNFOLLOW:
            return _unfollow(session, event, user_id, stopped)
        case incoming.ACCOUNT_LINK:
            return _account_link(session, event, content)
        case incoming.POSTBACK if content.get("data") == LINK:
            return _offer_link(session, event, user_id, link_token)
        case incoming.POSTBACK:
            return _button(session, event, content, stopped)
        case incoming.MESSAGE:
            return _chatter(session, event, user_id)
    return "ignored"


def _follow(session: Session, event: LineEvent, user_id: str) -> str:
    """Greet; who had blocked the account hears again what was agreed to before."""
    if _was_overtaken(session, event):
        return "overtaken"
    back = False
    for contact, household in _contacts(session, user_id):
        if contact.suspended_reason == BLOCKED and is_own(contact, household):
            contact.suspended_at = contact.suspended_reason = None
            session.add(contact)
            session.flush()
        back = back or (contact.suspended_at is None and is_own(contact, household))
    if back:
        _answer(session, event, user_id, "greeting_back", [])
        return "following_again"
    _answer(session, event, user_id, "greeting", [_link_button()])
    return "greeted"


def _unfollow(session: Session, event: LineEvent, user_id: str, stopped: list[uuid.UUID]) -> str:
    """Set the address aside; what was queued for it is told by the family's next channel."""
    if _was_overtaken(session, event):
        return "overtaken"
    for found in contacts_of_user(session, user_id):
        if _stop(session, found, BLOCKED):
            stopped.append(found.household_id)
    return "blocked" if stopped else "nobody"


def _stop(session: Session, found: ContactPoint, reason: str) -> bool:
    """Set one contact aside; its household's gate is held, so that neither claim nor planner sends behind our back."""
    enter(session, Context(municipality=found.municipality_code))
    session.exec(select(Household).where(Household.id == found.household_id).with_for_update()).one()
    stopped = stop_contact(session, found.household_id, found.id, reason)
    session.flush()
    return stopped


def _was_overtaken(session: Session, event: LineEvent) -> bool:
    """Whether the same user followed or blocked later: events may come late and in any order."""
    return _is_followed_by(session, event, col(LineEvent.kind).in_((incoming.FOLLOW, incoming.UNFOLLOW)))


def _is_followed_by(session: Session, event: LineEvent, *conditions: ColumnElement[bool]) -> bool:
    """Whether a later event of the same user was worked already."""
    later = select(LineEvent.id).where(
        LineEvent.user_index == event.user_index,
        LineEvent.occurred_at > event.occurred_at,
        col(LineEvent.worked_at).is_not(None),
        col(LineEvent.outcome).is_distinct_from(incoming.GIVEN_UP),
        *conditions,
    )
    return session.exec(later.limit(1)).first() is not None


def _account_link(session: Session, event: LineEvent, content: Mapping[str, str]) -> str:
    ok = content.get("result") == "ok"
    outcome, contact = complete_linking(
        session, content["user_id"], content.get("nonce", ""), ok=ok, at=event.occurred_at
    )
    buttons = [_link_button()]
    if contact is not None and outcome in (LINKED, ELSEWHERE):
        buttons = [_stop_button(contact)]
    own = contact if outcome == LINKED else None
    _answer(session, event, content["user_id"], outcome, buttons, contact=own)
    return outcome


def _offer_link(session: Session, event: LineEvent, user_id: str, link_token: str | None) -> str:
    if link_token is None:
        return "too_late"
    keep_link_token(session, link_token, user_id)
    url = f"{settings().public_url}/line/link?linkToken={link_token}"
    button = {"type": "uri", "label": _label("open_link"), "uri": url}
    _answer(session, event, user_id, "link_ready", [button], lifetime=LIFETIME)
    return "link_offered"


def _button(session: Session, event: LineEvent, content: Mapping[str, str], stopped: list[uuid.UUID]) -> str:
    """Do what a button says, for the contact's own user alone; stopping works for ever, all else for its time."""
    user_id = content["user_id"]
    try:
        pressed = read_postback(content.get("data", ""), clock.now())
    except InvalidInput:
        return "unknown_button"
    mine = [found for found in contacts_of_user(session, user_id) if found.id == pressed.contact_point_id]
    if mine and pressed.action == STOP:
        if _is_followed_by(session, event, col(LineEvent.outcome) == LINKED):
            return "overtaken"
        if _stop(session, mine[0], _STOPPED):
            stopped.append(mine[0].household_id)
        _answer(session, event, user_id, "stopped", [_link_button()])
        return "stopped"
    told = _pressed_notice(session, user_id, pressed)
    if told is None:
        _answer(session, event, user_id, "button_old", [_open_button()])
        return "old_button"
    contact, notice = told
    record_outcome(
        session,
        notice.household_id,
        notice.programme_key,
        notice.subject,
        outcome_of(pressed.action, notice),
        by=f"guardian:{contact.guardian}",
    )
    outcome_changed(session, notice.household_id, notice.programme_key, notice.subject)
    answer = "outcome_later" if pressed.action == LATER else "outcome_kept"
    _answer(session, event, user_id, answer, [_open_button()], contact=contact)
    return f"outcome_{pressed.action}"


def _pressed_notice(session: Session, user_id: str, pressed: Postback) -> tuple[ContactPoint, Notice] | None:
    """Return contact and notice of a button, if it may still be used by who pressed it."""
    if pressed.expired:
        return None
    for contact, household in _contacts(session, user_id):
        if contact.id == pressed.contact_point_id and contact.suspended_at is None and is_own(contact, household):
            notice = session.get(Notice, pressed.notice_id)
            belongs = notice is not None and notice.household_id == household.id
            if notice is not None and belongs and notice.guardian in (None, contact.guardian):
                return contact, notice
    return None


def _chatter(session: Session, event: LineEvent, user_id: str) -> str:
    """Say once a day that nobody reads here. What was written was never kept."""
    key = f"line-answer:{event.user_index.hex()}:{clock.today()}"
    answered = not _is_old(event) and _answer(session, event, user_id, incoming.MESSAGE, [_open_button()], key=key)
    return "answered" if answered else "quiet"


def _contacts(session: Session, user_id: str) -> Iterator[tuple[ContactPoint, Household]]:
    """Yield the user's contacts with their households, each in its municipality's context; flush before the next."""
    for place in contacts_of_user(session, user_id):
        enter(session, Context(municipality=place.municipality_code))
        household = session.exec(
            select(Household).where(Household.id == place.household_id).with_for_update(key_share=True)
        ).one_or_none()
        contact = session.get(ContactPoint, place.id)
        if household is not None and contact is not None:
            yield contact, household


def _answer(
    session: Session,
    event: LineEvent,
    user_id: str,
    name: str,
    buttons: Sequence[Mapping[str, Any]],
    *,
    contact: ContactPoint | None = None,
    lifetime: dt.timedelta = _ANSWER_LIFETIME,
    key: str = "",
) -> bool:
    """Queue an answer; with a contact it goes through that household's gate. False if it was there already."""
    words = str(phrases("notices/line_answers.ja")["answers"][name]).strip()
    now = clock.now()
    gate = Gate(household_id=contact.household_id, municipality_code=contact.municipality_code) if contact else None
    message = LineMessage(
        dedupe_key=key or f"line-answer:{event.id}",
        event_id=f"line_answer_{event.id.hex}",
        event_type="line.answer",
        lane=Lane.TRANSACTIONAL,
        due_at=now,
        expires_at=now + lifetime,
        gate=gate,
        address=user_id,
        contact_point_id=contact.id if contact else None,
        contact_confirmed_at=contact.confirmed_at if contact else None,
        messages=(flex_message(words, json.loads(_bubble(words, buttons))),),
        fallback_text=words,
    )
    return enqueue_line(session, message) is not None


def _bubble(words: str, buttons: Sequence[Mapping[str, Any]]) -> str:
    shown = buttons or [_open_button()]
    return render("notices/transactional/line/answer.json", text=words, buttons=shown)


def _label(name: str) -> str:
    return str(phrases("notices/line_answers.ja")["labels"][name])


def _link_button() -> dict[str, str]:
    return {"type": "postback", "label": _label("link"), "data": LINK, "displayText": _label("link")}


def _open_button() -> dict[str, str]:
    return {"type": "uri", "label": _label("open"), "uri": f"{settings().public_url}/home"}


def _stop_button(contact: ContactPoint) -> dict[str, str]:
    data = postback_data(STOP, contact.id, _NO_NOTICE, clock.now())
    return {"type": "postback", "label": _label("stop"), "data": data, "displayText": _label("stop")}
