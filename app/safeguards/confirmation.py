"""Confirming a contact: the code goes out as transactional mail in the transaction that made it.

Under protection a newly confirmed contact hears, in neutral words, of what the protection had called back.
"""

import uuid

from sqlalchemy import text
from sqlmodel import Session

from app.delivery.outbox import EmailMessage, Gate, Lane, enqueue_email
from app.households.contacts import CODE_LIFETIME, address_of, start_confirmation
from app.households.tables import ContactPoint, Household
from app.notices.recall import tell_again
from app.platform import clock
from app.platform.identifiers import new_id
from app.platform.rendering import render

_TEMPLATES = "notices/transactional/confirmation_code"


def send_code(session: Session, contact: ContactPoint, browser_token: str) -> None:
    """Make a code and queue the mail that carries it. The caller commits and rings `bell.ring_dispatch()`."""
    code = start_confirmation(session, contact, browser_token)
    asked_at = clock.now()
    message_id = new_id().hex
    enqueue_email(
        session,
        EmailMessage(
            dedupe_key=f"confirmation:{message_id}",
            event_id=f"confirmation_{message_id}",
            event_type="contact.confirmation",
            lane=Lane.TRANSACTIONAL,
            due_at=asked_at,
            expires_at=asked_at + CODE_LIFETIME,
            gate=Gate(household_id=contact.household_id, municipality_code=contact.municipality_code),
            address=address_of(contact),
            contact_point_id=contact.id,
            contact_confirmed_at=contact.confirmed_at or asked_at,
            subject=render(f"{_TEMPLATES}/subject.txt"),
            text=render(f"{_TEMPLATES}/email.txt", code=code),
            html=render(f"{_TEMPLATES}/email.html", code=code),
            composed_at=asked_at,
        ),
    )


def tell_what_protection_held_back(session: Session, household_id: uuid.UUID) -> None:
    """Plan again what protection called back, now that there is a contact of the protected guardian's own.

    The caller has confirmed the contact, commits, and rings `bell.RELEASE`. Elsewhere this changes nothing.
    """
    household = session.get_one(Household, household_id)
    if household.protected_at is None:
        return
    called_back = session.execute(
        text(
            "SELECT DISTINCT unnest(notice_ids) FROM deliveries WHERE household_id = :household_id"
            " AND state = 'cancelled' AND last_error = 'protected'"
        ),
        {"household_id": household_id},
    )
    tell_again(session, household_id, set(called_back.scalars()))
