"""Mails about a partner's technical contact: may it be this address? and, to the one before: it is another now."""

import datetime as dt
import uuid
from typing import Any, Final

from sqlmodel import Session, select

from app.delivery.outbox import enqueue_email
from app.delivery.partner_mail import partner_mail
from app.households.contacts import normalised_email
from app.partners.contact_change import LIFETIME, contact_token, read_contact_token
from app.partners.registration import contact_of, partner_by_id
from app.partners.tables import Partner
from app.platform import clock
from app.platform.database import Context, enter
from app.platform.sealing import blind_index, seal
from app.platform.settings import settings

CONFIRMATION: Final = "partner.contact_confirmation"
CHANGED: Final = "partner.contact_changed"


def ask_for_contact(session: Session, partner_id: uuid.UUID, address: str, *, at: dt.datetime) -> str:
    """Send a new technical contact the link to agree by; return the address in its normal form. The caller commits.

    One address gets one such mail a day at most.

    Args:
        session: in the partner's context.
        partner_id: whose contact it becomes.
        address: as typed.
        at: the real instant.

    Raises:
        InvalidInput: this is no e-mail address.
    """
    partner, address = partner_by_id(session, partner_id), normalised_email(address)
    link = f"{settings().public_url.rstrip('/')}/partner/contact-link/{contact_token(partner, address, at=at)}"
    _queue(session, partner, address, CONFIRMATION, link=link)
    return address


def agree_to_contact(session: Session, token: str, *, at: dt.datetime) -> None:
    """Make the address of a link the technical contact, and tell the one before. The caller commits.

    The session enters the partner's context here. Of two at once, one succeeds.

    Raises:
        NotFound: the link cannot be used (any more).
    """
    partner_id = read_contact_token(session, token, at=at).partner.id
    enter(session, Context(partner=partner_id))
    session.exec(
        select(Partner).where(Partner.id == partner_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    asked = read_contact_token(session, token, at=at)  # once more: it may have been used while we waited
    before = contact_of(asked.partner)
    asked.partner.contact_sealed = seal(asked.address, "partners", "contact_sealed", partner_id)
    session.add(asked.partner)
    session.flush()
    if before is not None and before != asked.address:
        _queue(session, asked.partner, before, CHANGED, portal=f"{settings().public_url.rstrip('/')}/partner/contact")


def _queue(session: Session, partner: Partner, address: str, event_type: str, **values: Any) -> None:
    folder = f"partner/mail/{event_type.removeprefix('partner.')}"
    values |= {"app_name": partner.app_name, "hours": int(LIFETIME.total_seconds() // 3600)}
    mark = blind_index(f"{partner.id}:{address}", event_type).hex()[:24]
    message = partner_mail(
        partner,
        address,
        folder,
        values,
        dedupe_key=f"{event_type}:{mark}:{clock.japan_date(clock.real_now()).isoformat()}",
        event_id=f"contact_{uuid.uuid4().hex}",
        event_type=event_type,
        life=LIFETIME,
    )
    enqueue_email(session, message)
