"""引っ越し: telling a move ahead or afterwards, seeing what was told, taking it back."""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from sqlmodel import Session, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Actor
from app.faces.parent.answers import about
from app.faces.parent.forms import OUTSIDE
from app.households import moves
from app.households.profiles import read_document
from app.households.tables import UNKNOWN_MUNICIPALITY, Move
from app.matching.tables import Entitlement
from app.notices.moving import MOVED
from app.notices.tables import Notice
from app.platform.database import app_session
from app.platform.errors import InvalidInput
from app.registry.loading import Registry
from app.registry.versions import published_now
from app.safeguards.moving import move, undo_move
from app.web.access import Household
from app.web.dates import DateParts, read_dates
from app.web.forms import Submitted
from app.web.pages import page, phrase, see_other

router = APIRouter()


@dataclass
class MoveForm:
    """Where to, since when, who: what was typed, and what is wrong with it."""

    municipality: str = ""
    who: str = moves.HOUSEHOLD
    days: list[DateParts] = field(default_factory=lambda: [DateParts(), DateParts()])
    received: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    moved_on: dt.date | None = None
    planned_on: dt.date | None = None

    def check(self, registry: Registry) -> bool:
        """Note every error at its field; return whether there are none."""
        if self.municipality != OUTSIDE and self.municipality not in registry.municipalities:
            self.errors["municipality"] = phrase("error.municipality")
        self.moved_on = self._day(0)
        self.planned_on = self._day(1)
        if self.days[0].blank:
            self.errors["date-0"] = phrase("error.required")
        return not self.errors

    def _day(self, index: int) -> dt.date | None:
        given = self.days[index]
        try:
            if given.my_number:
                self.errors[f"date-{index}"] = phrase("error.my_number")
            return None if given.blank or given.my_number else given.date()
        except (ValueError, OverflowError):
            self.errors[f"date-{index}"] = phrase("error.date")
            return None


@router.get("/move")
def ask(request: Request, actor: Household) -> Response:
    """Show the form and the moves that were told."""
    return _page(request, actor, MoveForm(), done=request.query_params.get("done", ""))


@router.post("/move")
def tell(request: Request, actor: Household, form: Submitted) -> Response:
    """Tell a move; the answer comes when nothing decided for the old town is on its way any more."""
    given = _read(form)
    with app_session(actor.context) as session:
        registry = published_now(session).registry
    if not given.check(registry) or given.moved_on is None:
        return _page(request, actor, given, status=422)
    assert actor.household_id is not None  # a page of a household
    try:
        told = move(
            actor.household_id,
            UNKNOWN_MUNICIPALITY if given.municipality == OUTSIDE else given.municipality,
            given.moved_on,
            by=actor.name,
            subject=given.who,
            planned_move_out_on=given.planned_on,
            received=dict.fromkeys(given.received, True),
        )
    except InvalidInput:
        given.errors["date-0"] = phrase("error.date_range")
        return _page(request, actor, given, status=422)
    if told.move_id is None:
        return see_other(request, "/move?done=same")
    return see_other(request, "/move?done=told" if told.ended else "/move?done=ending")


@router.post("/move/undo")
def take_back(request: Request, actor: Household, form: Submitted) -> Response:
    """Take a move back that does not happen, or was told wrongly."""
    try:
        move_id = uuid.UUID(str(form.get("move", "")))
    except ValueError:
        raise InvalidInput("expected the id of a move", field="move") from None
    assert actor.household_id is not None  # a page of a household
    undo_move(actor.household_id, move_id)
    return see_other(request, "/move?done=undone")


def _read(form: FormData) -> MoveForm:
    days = read_dates(form, "date")[:2]
    return MoveForm(
        municipality=str(form.get("municipality", "")),
        who=str(form.get("who", "")) or moves.HOUSEHOLD,
        days=[*days, *[DateParts()] * (2 - len(days))],
        received=[str(one) for one in form.getlist("received")],
    )


def _page(request: Request, actor: Actor, given: MoveForm, status: int = 200, done: str = "") -> Response:
    with app_session(actor.context) as session:
        registry = published_now(session).registry
        assert actor.household_id is not None  # a page of a household
        document = read_document(session, actor.household_id).document
        told = [_told(session, one, registry, document) for one in moves.moves_of(session, actor.household_id)]
        once = _paid_once(session, actor.household_id, registry)
    children = [f"child:{one['id']}" for one in document.get("children") or ()]
    return page(
        request,
        "parent/move.html",
        status=status,
        given=given,
        homes=registry.municipalities.where_people_live(),
        people=[(subject, about(document, subject)) for subject in children],
        told=[one for one in reversed(told) if one],
        once=once,
        done=done,
    )


def _told(session: Session, one: Move, registry: Registry, document: dict[str, Any]) -> dict[str, Any] | None:
    if one.state not in (moves.ANNOUNCED, moves.DONE):
        return None
    known = registry.municipalities.get(one.to_code)
    notice = session.exec(select(Notice.id).where(Notice.kind == MOVED, Notice.occasion == str(one.id))).first()
    return {
        "id": one.id,
        "to": known.name if known and one.to_code != UNKNOWN_MUNICIPALITY else "",
        "on": one.moved_on,
        "ahead": one.state == moves.ANNOUNCED,
        "who": "" if one.subject == moves.HOUSEHOLD else about(document, one.subject),
        "notice_id": notice,
    }


def _paid_once(session: Session, household_id: uuid.UUID, registry: Registry) -> list[tuple[str, str]]:
    """Return the one-off benefits that a family may have received where it lives: (programme id, name)."""
    rows = session.exec(select(Entitlement).where(Entitlement.household_id == household_id)).all()
    found = {}
    for row in rows:
        versions = registry.programmes.get(row.programme_key)
        if versions and row.verdict == "eligible" and (row.answer.get("amount") or {}).get("per") == "once":
            found[row.programme_key.partition("/")[2]] = versions[-1].name.ja
    return sorted(found.items())
