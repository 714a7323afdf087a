"""Linking a guardian with the LINE-style account: from the signed-in page to the contact that may be written to."""

import datetime as dt
import uuid
from urllib.parse import urlencode

from sqlmodel import Session, col, select

from app.accounts.tables import WebSession
from app.households import consent, contacts
from app.households.line_linking import contacts_of_user, make_nonce, take_nonce
from app.households.tables import Consent, ConsentEvent, ContactPoint, Household
from app.platform import clock
from app.platform.database import Context, app_session, enter
from app.platform.errors import Conflict
from app.platform.settings import settings

LINKED, FAILED, ELSEWHERE = "linked", "link_failed", "linked_elsewhere"
BLOCKED = "line_blocked"
"""Why a contact was set aside whose user blocked the account; the same user following again takes it back."""
LEFT = "line_linked_elsewhere"
_CHANNEL, _EVERYTHING = "channel:line", "matching:basic"


def begin_linking(household_id: uuid.UUID, guardian: str, session_id: uuid.UUID, link_token: str) -> str:
    """Return the platform's address to which the guardian's browser goes on; it sends us the nonce with the user.

    Call it only after the guardian pressed a button on our page: opening an address links nothing.

    Raises:
        NotFound: the link token is unknown or too old.
        Conflict: it was used before.
    """
    with app_session(Context(household=household_id)) as session:
        nonce = make_nonce(session, household_id, guardian, session_id, link_token)
        session.commit()
    return f"{settings().line.link_dialog_url}?{urlencode({'linkToken': link_token, 'nonce': nonce})}"


def complete_linking(
    session: Session, user_id: str, nonce: str, *, ok: bool, at: dt.datetime
) -> tuple[str, ContactPoint | None]:
    """Make the user of the platform a confirmed contact of the guardian behind the nonce. The caller commits.

    Under protection it is a new contact of the guardian who signed in after the flag; an address known before is
    refused, and so is a nonce made before it. One user belongs to one household at a time.

    Args:
        session: of the worker; left in the context of the household's municipality.
        user_id: whom the platform names.
        nonce: as the platform sent it back.
        ok: whether the platform found that the user owns the link token.
        at: when that was; we may hear of it later.

    Returns:
        what became of it, and the contact if it was linked or stands in the way.
    """
    made = take_nonce(session, nonce, user_id, at)
    if made is None or not ok:
        return FAILED, None
    # The gate first, and held: protection comes before, and is seen, or after, and ends what was made.
    household = session.exec(
        select(Household).where(Household.id == made.household_id).with_for_update(key_share=True)
    ).one()
    if household.protected_at is not None and made.made_at <= household.protected_at:
        return FAILED, None
    enter(session, Context(municipality=household.municipality_code))
    if not _session_lives(session, made.session_id) or _was_withdrawn_since(session, household.id, made.made_at):
        return FAILED, None
    theirs = [row for row in contacts_of_user(session, user_id) if row.household_id != household.id]
    other = _released(session, theirs)
    enter(session, Context(municipality=household.municipality_code))
    if other is not None:
        return ELSEWHERE, other
    try:
        contact = contacts.add_line(session, household.id, made.guardian, user_id)
    except Conflict:
        return FAILED, None
    contact.confirmed_at, contact.suspended_at, contact.suspended_reason = clock.now(), None, None
    contact.preference = _before_all(session, household.id, contact)
    session.add(contact)
    consent.give(
        session, household.id, [_CHANNEL], language="ja", by=f"guardian:{made.guardian}", source="line linking"
    )
    return LINKED, contact


def _session_lives(session: Session, session_id: uuid.UUID) -> bool:
    row = session.get(WebSession, session_id)
    return row is not None and row.ended_at is None and row.expires_at > clock.real_now()


def _was_withdrawn_since(session: Session, household_id: uuid.UUID, made_at: dt.datetime) -> bool:
    """Whether the family took back what linking would give: the platform's word of a link may have waited for hours."""
    taken_back = select(ConsentEvent.id).where(
        ConsentEvent.household_id == household_id,
        ConsentEvent.state == "withdrawn",
        ConsentEvent.at > made_at,
        col(ConsentEvent.consent_id).in_(select(Consent.id).where(col(Consent.purpose).in_((_CHANNEL, _EVERYTHING)))),
    )
    return session.exec(taken_back.limit(1)).first() is not None


def _released(session: Session, theirs: list[ContactPoint]) -> ContactPoint | None:
    """Return a contact of another household that is in use; those that are not lose the way back."""
    for found in theirs:
        enter(session, Context(municipality=found.municipality_code))
        contact = session.get(ContactPoint, found.id)
        if contact is None:
            continue
        if contact.suspended_at is None and contact.confirmed_at is not None:
            return contact
        if contact.suspended_reason == BLOCKED:
            contact.suspended_reason = LEFT
            session.add(contact)
            session.flush()
    return None


def _before_all(session: Session, household_id: uuid.UUID, contact: ContactPoint) -> int:
    """Return the preference that puts what was chosen last first."""
    lowest = session.exec(
        select(ContactPoint.preference)
        .where(ContactPoint.household_id == household_id, ContactPoint.id != contact.id)
        .order_by(col(ContactPoint.preference))
        .limit(1)
    ).first()
    return contact.preference if lowest is None else lowest - 1
