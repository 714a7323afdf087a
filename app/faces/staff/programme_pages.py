"""Programmes of a municipality with those of its prefecture and the nation: what they say, whom they reached."""

from fastapi import APIRouter
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Actor, require
from app.accounts.tables import StaffAccount
from app.faces.staff.programme_views import ProgrammePage, page_of, views_for
from app.insight.funnel import FigureRow, programme_figures
from app.platform import clock
from app.platform.database import app_session
from app.platform.errors import NotFound
from app.registry.versions import published_now
from app.web.access import Staff
from app.web.pages import page

router = APIRouter(prefix="/staff")


@router.get("")
def programmes(request: Request, actor: Staff) -> Response:
    """List every programme that families of this municipality can get."""
    with app_session(actor.context) as session:
        account = _account(session, actor, "programmes:read")
        registry = published_now(session).registry
        figures = _figures(session, account)
    shown = views_for(registry, actor.municipality_code, clock.today())
    known = registry.municipalities.get(actor.municipality_code)
    return page(
        request,
        "staff/programmes.html",
        account=account,
        municipality=known.name if known else actor.municipality_code,
        programmes=shown,
        own=sum(1 for one in shown if one.level == "own"),
        figures=figures,
        counted_at=min((row.counted_at for row in figures.values()), default=None),
    )


@router.get("/programmes/{municipality}/{programme_id}")
def programme(request: Request, actor: Staff, municipality: str, programme_id: str) -> Response:
    """Show one programme: read-back, sources, versions, examples, figures."""
    key = f"{municipality}/{programme_id}"
    with app_session(actor.context) as session:
        account = _account(session, actor, "programmes:read")
        registry = published_now(session).registry
        figures = _figures(session, account)
    if key not in registry.covering(actor.municipality_code):
        raise NotFound(f"found no programme {key} for families of {actor.municipality_code}")
    view: ProgrammePage = page_of(registry, key, actor.municipality_code, clock.today())
    return page(
        request,
        "staff/programme.html",
        account=account,
        programme=view,
        figures=figures.get(key),
        today_on=clock.today(),
    )


def _account(session: Session, actor: Actor, right: str) -> StaffAccount:
    account = session.get_one(StaffAccount, actor.staff_id)
    require(account.role, right)
    return account


def _figures(session: Session, account: StaffAccount) -> dict[str, FigureRow]:
    require(account.role, "figures:read")
    return {row.programme_key: row for row in programme_figures(session, account.municipality_code)}
