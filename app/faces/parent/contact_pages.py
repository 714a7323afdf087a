"""The address that notices go to: given by a guardian, confirmed by a code before anything personal is sent."""

import uuid
from typing import Any

from fastapi import APIRouter
from sqlmodel import select
from starlette.requests import Request
from starlette.responses import Response

from app.faces.parent.forms import CodeForm, EmailForm
from app.households import consent
from app.households.contacts import (
    add_email,
    address_of,
    confirm,
    is_own,
    known_to_come_back,
    mail_came_back,
    usable_contacts,
)
from app.households.tables import ContactPoint
from app.households.tables import Household as HouseholdRow
from app.platform import bell
from app.platform.database import app_session
from app.platform.errors import Conflict, NotFound
from app.platform.settings import settings
from app.safeguards.confirmation import send_code, tell_what_protection_held_back
from app.web.access import Household
from app.web.browser import browser_token
from app.web.forms import Filled, Submitted, fill
from app.web.pages import page, see_other
from app.web.rate_limits import RateLimit

router = APIRouter()
_sending = RateLimit(times=5, seconds=1800)
_trying = RateLimit(times=15, seconds=1800)


@router.get("/contact")
def contacts(request: Request, actor: Household) -> Response:
    """Show this guardian's own addresses and the form for a new one."""
    with app_session(actor.context) as session:
        query = select(ContactPoint).where(
            ContactPoint.household_id == actor.household_id, ContactPoint.guardian == actor.guardian
        )
        household = session.get_one(HouseholdRow, actor.household_id)
        usable = {row.id for row in usable_contacts(session, household)}
        known = [
            {"address": address_of(row), "confirmed": row.id in usable, "came_back": mail_came_back(row)}
            for row in session.exec(query)
            if row.kind == "email" and (household.protected_at is None or is_own(row, household))
        ]
    return _address_page(request, Filled(), known=known)


@router.post("/contact")
def add(request: Request, actor: Household, form: Submitted) -> Response:
    """Store the address, unconfirmed, and send a code to it. Under protection it must be one that nobody knew."""
    filled = fill(EmailForm, form)
    if filled.value is None:
        return _address_page(request, filled, status=422)
    _sending.count(str(actor.household_id))
    with app_session(actor.context) as session:
        try:
            contact = add_email(session, actor.household_id, actor.guardian, filled.value.email)
        except Conflict:
            return _address_page(request, filled.refuse("email", "error.email_known_before"), status=422)
        send_code(session, contact, browser_token(request))
        session.commit()
    bell.ring_dispatch()
    return see_other(request, f"/contact/{contact.id}")


@router.get("/contact/{contact_id}")
def ask_code(request: Request, actor: Household, contact_id: uuid.UUID) -> Response:
    """Ask for the code."""
    return _code_page(request, contact_id, _address(actor, contact_id), Filled())


@router.post("/contact/{contact_id}")
def take_code(request: Request, actor: Household, contact_id: uuid.UUID, form: Submitted) -> Response:
    """Confirm the address; from now on notices may go to it."""
    filled = fill(CodeForm, form)
    address = _address(actor, contact_id)
    if filled.value is not None:
        _trying.count(str(actor.household_id))
        with app_session(actor.context) as session:
            confirmed = confirm(session, contact_id, filled.value.code, browser_token(request))
            if confirmed:
                consent.give(
                    session,
                    actor.household_id,
                    ["channel:email"],
                    language="ja",
                    by=actor.name,
                    source="contact page",
                )
                tell_what_protection_held_back(session, actor.household_id)
            session.commit()  # a wrong code counts as an attempt
        if confirmed:
            bell.ring(bell.RELEASE)
            return see_other(request, "/home?done=email")
        filled.refuse("code", "error.code")
    return _code_page(request, contact_id, address, filled, status=422)


def _address(actor: Household, contact_id: uuid.UUID) -> str:
    with app_session(actor.context) as session:
        contact = session.get(ContactPoint, contact_id)
        if contact is None or contact.guardian != actor.guardian:
            raise NotFound("this address is not stored, or belongs to another guardian")
        return address_of(contact)


def _address_page(
    request: Request, filled: Filled[EmailForm], status: int = 200, known: list[dict[str, Any]] | None = None
) -> Response:
    text = consent.texts()["purposes"]["channel:email"]
    domain = settings().email.sender_domain
    return page(
        request, "parent/contact.html", filled=filled, status=status, known=known or [], text=text, domain=domain
    )


def _code_page(
    request: Request, contact_id: uuid.UUID, address: str, filled: Filled[CodeForm], status: int = 200
) -> Response:
    with app_session() as session:
        came_back = known_to_come_back(session, address)
    return page(
        request,
        "parent/contact_code.html",
        status=status,
        contact_id=contact_id,
        address=address,
        filled=filled,
        came_back=came_back,
        domain=settings().email.sender_domain,
    )
