"""Coming back: by a code sent to an address that is its guardian's own, or by a single-use link.

The answer never says who is known. Under protection an address confirmed before it opens nothing any more.
"""

from collections.abc import Iterator

from fastapi import APIRouter
from sqlmodel import Session
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.sign_in import open_session
from app.faces.parent.entering_pages import GUARDIAN
from app.faces.parent.forms import CodeForm, EmailForm
from app.households.contacts import find_by_email, is_own, prove
from app.households.tables import ContactPoint, Household
from app.platform import bell
from app.platform.database import Context, app_session, enter
from app.platform.sealing import blind_index
from app.safeguards.confirmation import send_code
from app.web import sign_in_links
from app.web.access import Anyone
from app.web.browser import browser_token, sign_in_browser
from app.web.forms import Filled, Submitted, fill
from app.web.pages import page, see_other
from app.web.rate_limits import RateLimit, client_address

router = APIRouter()
_sending_to_address = RateLimit(times=5, seconds=1800)
_asking_from_network = RateLimit(times=20, seconds=1800)
_trying_codes = RateLimit(times=20, seconds=1800)


@router.get("/sign-in", dependencies=[Anyone])
def ask_address(request: Request) -> Response:
    """Ask for the address."""
    return page(request, "parent/sign_in.html", filled=Filled())


@router.post("/sign-in", dependencies=[Anyone])
def send(request: Request, form: Submitted) -> Response:
    """Answer at once and the same for everybody; the mail, if any, is queued after the answer has left."""
    filled = fill(EmailForm, form)
    if filled.value is None:
        return page(request, "parent/sign_in.html", filled=filled, status=422)
    address = filled.value.email
    _asking_from_network.count(client_address(request))
    _sending_to_address.count(blind_index(address, "rate").hex())
    response = page(request, "parent/sign_in_code.html", email=address, filled=Filled())
    response.background = BackgroundTask(_send_to_known, address, browser_token(request))
    return response


@router.post("/sign-in/code", dependencies=[Anyone])
def take_code(request: Request, form: Submitted) -> Response:
    """Sign in with the code."""
    address, code = fill(EmailForm, form), fill(CodeForm, form)
    if address.value is None:
        return page(request, "parent/sign_in.html", filled=address, status=422)
    email = address.value.email
    if code.value is not None:
        _trying_codes.count(client_address(request))
        token = _open(email, code.value.code, browser_token(request))
        if token is not None:
            response = see_other(request, "/home")
            sign_in_browser(response, token, long_lived=True)
            return response
        code.refuse("code", "error.code")
    return page(request, "parent/sign_in_code.html", email=email, filled=code, status=422)


@router.get("/sign-in/{token}", dependencies=[Anyone])
def show_link(request: Request, token: str) -> Response:
    """Show the button of a single-use link; looking consumes nothing."""
    return sign_in_links.show_link(request, "household", token, "components/sign_in_link.html")


@router.post("/sign-in/{token}", dependencies=[Anyone])
def use_link(request: Request, token: str) -> Response:
    """Sign in with a single-use link."""
    return sign_in_links.follow_link(request, "household", token, "/home")


@router.post("/sign-out", dependencies=[Anyone])
def sign_out(request: Request) -> Response:
    """End this browser's session."""
    return sign_in_links.sign_out(request, "/")


def _send_to_known(address: str, token: str) -> None:
    with app_session() as session:
        for contact, _ in _owned(session, address):
            send_code(session, contact, token)
            session.commit()
            bell.ring_dispatch()


def _open(address: str, code: str, token: str) -> str | None:
    with app_session() as session:
        for contact, household in _owned(session, address):
            opened = None
            if prove(session, contact.id, code, token):
                opened = open_session(
                    session,
                    household_id=household.id,
                    guardian=contact.guardian or GUARDIAN,
                    municipality_code=household.municipality_code,
                )
            session.commit()  # a wrong code counts as an attempt
            if opened:
                return opened
    return None


def _owned(session: Session, address: str) -> Iterator[tuple[ContactPoint, Household]]:
    """Yield the contacts with this address that may open their inbox, each in the context of its household."""
    for known in find_by_email(session, address):
        enter(session, Context(household=known.household_id))
        contact = session.get_one(ContactPoint, known.id)
        household = session.get_one(Household, known.household_id)
        if is_own(contact, household):
            yield contact, household
