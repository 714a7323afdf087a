"""Getting in: by a single-use link; opening it consumes nothing, the button does."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.web import sign_in_links
from app.web.access import Anyone
from app.web.pages import page

router = APIRouter(prefix="/staff")


@router.get("/sign-in", dependencies=[Anyone])
def how_to_sign_in(request: Request) -> Response:
    """Say how one gets a link."""
    return page(request, "staff/sign_in.html")


@router.get("/sign-in/{token}", dependencies=[Anyone])
def show_link(request: Request, token: str) -> Response:
    """Show the button of a link."""
    return sign_in_links.show_link(request, "staff", token, "components/sign_in_link.html")


@router.post("/sign-in/{token}", dependencies=[Anyone])
def use_link(request: Request, token: str) -> Response:
    """Sign in with a link."""
    return sign_in_links.follow_link(request, "staff", token, "/staff")


@router.post("/sign-out", dependencies=[Anyone])
def sign_out(request: Request) -> Response:
    """End this browser's session."""
    return sign_in_links.sign_out(request, "/staff/sign-in")
