"""Portal pages of the technical contact, and the link by which a new one agrees.

The link needs no session: whoever reads the mail may be another person than the one who asked. Opening it changes
nothing, the button on its page does.
"""

from typing import Annotated

from fastapi import APIRouter
from markupsafe import Markup
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from app.delivery.contact_mails import agree_to_contact
from app.faces.partner.sending import ask_contact
from app.partners.contact_change import read_contact_token
from app.partners.registration import contact_of, partner_by_id
from app.platform.bell import ring_dispatch
from app.platform.clock import real_now
from app.platform.database import app_session
from app.platform.errors import InvalidInput, NotFound
from app.web.access import Anyone, Partner
from app.web.forms import Filled, Form, Submitted, fill
from app.web.pages import page, render

router = APIRouter(prefix="/partner", include_in_schema=False)
_LINK = "partner/contact_link.html"


class ContactForm(Form):
    """A new technical contact."""

    email: Annotated[str, StringConstraints(min_length=1, max_length=254)]


@router.get("/contact")
def contact_page(request: Request, actor: Partner) -> Response:
    """Show the technical contact and the form for another one."""
    return _page(request, actor, Filled(given={"email": ""}))


@router.post("/contact")
def change_contact(request: Request, actor: Partner, form: Submitted) -> Response:
    """Ask a new address to agree."""
    filled = fill(ContactForm, form)
    if filled.value is None:
        return _page(request, actor, filled)
    with app_session(actor.context) as session:
        try:
            asked = ask_contact(session, actor.partner_id, filled.value.email)
        except InvalidInput as error:
            filled.errors["email"] = Markup(render(request, "partner/refusal.txt", error=error).strip())  # noqa: S704
            return _page(request, actor, filled)
        session.commit()
    ring_dispatch()
    return _page(request, actor, Filled(given={"email": ""}), asked=asked)


@router.get("/contact-link/{token}", dependencies=[Anyone])
def link_page(request: Request, token: str) -> Response:
    """Show the button of a link; opening it consumes nothing."""
    with app_session() as session:
        try:
            partner = read_contact_token(session, token, at=real_now()).partner
        except NotFound:
            return page(request, _LINK, status=404, partner=None, done=False)
        return page(request, _LINK, partner=partner, done=False)


@router.post("/contact-link/{token}", dependencies=[Anyone])
def agree(request: Request, token: str) -> Response:
    """Make the address of the link the technical contact."""
    with app_session() as session:
        try:
            agree_to_contact(session, token, at=real_now())
        except NotFound:
            return page(request, _LINK, status=404, partner=None, done=False)
        session.commit()
    ring_dispatch()
    return page(request, _LINK, partner=None, done=True)


def _page(request: Request, actor: Partner, filled: Filled[ContactForm], *, asked: str = "") -> Response:
    with app_session(actor.context) as session:
        contact = contact_of(partner_by_id(session, actor.partner_id))
    status = 422 if filled.errors else 200
    return page(request, "partner/contact.html", status=status, contact=contact, filled=filled, asked=asked)
