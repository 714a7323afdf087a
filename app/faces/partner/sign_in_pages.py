"""Getting into the portal, by a single-use link, and out of it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.web.access import Anyone
from app.web.pages import page
from app.web.sign_in_links import follow_link, show_link, sign_out

router = APIRouter(prefix="/partner", dependencies=[Anyone], include_in_schema=False)
_LINK = "partner/sign_in_link.html"


@router.get("/sign-in")
def sign_in_page(request: Request) -> Response:
    """Say how to get in."""
    return page(request, "partner/sign_in.html")


@router.get("/sign-in/{token}")
def link_page(request: Request, token: str) -> Response:
    """Show the button of a single-use link; opening it consumes nothing."""
    return show_link(request, "partner", token, _LINK)


@router.post("/sign-in/{token}")
def use_link(request: Request, token: str) -> Response:
    """Consume the link and open the portal."""
    return follow_link(request, "partner", token, "/partner")


@router.post("/sign-out")
def leave(request: Request) -> Response:
    """End the session of this browser."""
    return sign_out(request, "/partner/sign-in")
