"""What everybody may open: 困ったとき, and the page behind the unsubscribe address of a mail."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.households.contacts import read_unsubscribe_token
from app.safeguards.withdrawal import unsubscribe
from app.web.access import Anyone, without_form
from app.web.pages import page

router = APIRouter()


@router.get("/help", dependencies=[Anyone])
def help_desks(request: Request) -> Response:
    """Show whom to call, for parents and for pupils, without signing in."""
    return page(request, "parent/help.html")


@router.get("/unsubscribe/{token}", dependencies=[Anyone])
def show_unsubscribe(request: Request, token: str) -> Response:
    """Show the button; opening the address stops nothing, because scanners open it too."""
    read_unsubscribe_token(token)
    return page(request, "parent/unsubscribe.html", done=False)


@router.post("/unsubscribe/{token}", dependencies=[without_form("unsubscribe_token")])
def one_click_unsubscribe(request: Request, token: str) -> Response:
    """Stop the mails of one contact: by the button, or by a mail program's one click (RFC 8058)."""
    unsubscribe(token)
    return page(request, "parent/unsubscribe.html", done=True)
