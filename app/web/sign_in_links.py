"""The pages of a single-use sign-in link, shared by the faces.

Opening the address shows a page with a button and consumes nothing, so that a mail scanner which follows links signs
nobody in; pressing the button consumes the link.
"""

import uuid

from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Kind
from app.accounts.sign_in import end_session, find_link, use_link
from app.accounts.tables import SignInLink
from app.platform.database import app_session
from app.platform.errors import NotFound
from app.web.access import signed_in
from app.web.browser import sign_in_browser, sign_out_browser
from app.web.pages import page, see_other


def show_link(request: Request, kind: Kind, token: str, template: str) -> Response:
    """Show the page with the button, or the same page saying that the link cannot be used."""
    with app_session() as session:
        try:
            usable = _kind(find_link(session, token)) == kind
        except NotFound:
            usable = False
    return page(request, template, usable=usable, token=token, status=200 if usable else 404)


def follow_link(request: Request, kind: Kind, token: str, start: str) -> Response:
    """Consume the link, sign the browser in and go to the face's first page.

    Raises:
        NotFound, Conflict: the link cannot be used (any more).
    """
    with app_session() as session:
        link = find_link(session, token)
        if _kind(link) != kind:
            raise NotFound("this sign-in link belongs to another page")
        session_token = use_link(session, link)
        session.commit()
    response = see_other(request, start)
    sign_in_browser(response, session_token, long_lived=kind == "household")
    return response


def sign_out(request: Request, path: str) -> Response:
    """End the session of this browser and go to a page that anybody may see."""
    actor = signed_in(request)
    if actor is not None:
        with app_session(actor.context) as session:
            end_session(session, actor)
            session.commit()
    response = see_other(request, path)
    sign_out_browser(response)
    return response


def _kind(link: SignInLink) -> Kind:
    owner: dict[Kind, uuid.UUID | None] = {
        "household": link.household_id,
        "staff": link.staff_id,
        "partner": link.partner_id,
    }
    return next(kind for kind, id_ in owner.items() if id_ is not None)
