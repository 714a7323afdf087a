"""What everybody may open: 困ったとき, and the page behind the unsubscribe address of a mail."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.households.contacts import read_unsubscribe_token
from app.platform import clock
from app.platform.database import app_session
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.versions import published_now
from app.rules.municipality_code import NATIONAL
from app.safeguards.withdrawal import unsubscribe
from app.web.access import Anyone, signed_in, without_form
from app.web.pages import page

router = APIRouter()


@router.get("/help", dependencies=[Anyone])
def help_desks(request: Request) -> Response:
    """Show whom to call, for parents and for pupils, without signing in.

    National desks always; those of a town for who lives there or asks with `?town=CODE`.
    """
    actor = signed_in(request)
    lived = actor.municipality_code if actor is not None and actor.kind == "household" else NATIONAL
    with app_session() as session:
        registry = published_now(session).registry
    asked = request.query_params.get("town", "")
    town = asked if asked in registry.municipalities else lived
    return page(
        request,
        "parent/help.html",
        desks=_desks(registry, town),
        homes=registry.municipalities.where_people_live(),
        town=town,
    )


def _desks(registry: Registry, town: str) -> list[Programme]:
    """Return the consultation desks for people of a town, the nation's first; drafts are left out."""
    today = clock.today()
    found = (registry.version_on(key, today) for key in sorted(registry.offered_in(town, today)))
    return [one for one in found if one is not None and one.kind == "consultation" and one.certainty == "verified"]


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
