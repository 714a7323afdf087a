"""ご家庭: what a family told us, and changing it. A form filled in beside another one loses nothing."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Actor
from app.faces.parent import questions
from app.faces.parent.forms import MOST_PEOPLE, FamilyForm, family_form_of, read_family_form
from app.households.profiles import read_document, save_document
from app.platform import bell, clock
from app.platform.database import app_session
from app.platform.errors import Conflict
from app.registry.loading import Registry
from app.registry.versions import published_now
from app.rules.municipality_code import municipality_of_ward
from app.web.access import Household
from app.web.dates import DateParts
from app.web.forms import Submitted
from app.web.pages import page, phrase, see_other

router = APIRouter()
_CORRECTION = "correction"
"""What the form says of a town that was entered wrongly: the family lived in the other one all along."""


@router.get("/family")
def family(request: Request, actor: Household) -> Response:
    """Show the facts that the family told, each with the way to change it."""
    with app_session(actor.context) as session:
        stored = read_document(session, actor.household_id)
        registry = published_now(session).registry
        everything = questions.all_questions(session, actor, registry, stored.document)
    return page(
        request,
        "parent/family.html",
        document=stored.document,
        municipality=_municipality_name(registry, stored.document),
        told=questions.told(everything, stored.document),
        saved=request.query_params.get("done") == "saved",
    )


@router.get("/family/edit")
def edit_family(request: Request, actor: Household) -> Response:
    """Show the form with what is stored."""
    with app_session(actor.context) as session:
        known = published_now(session).registry.municipalities
        stored = read_document(session, actor.household_id)
    return _form_page(request, actor, family_form_of(stored.document, known), stored.version)


@router.post("/family/edit")
def save_family(request: Request, actor: Household, form: Submitted) -> Response:
    """Save the form, unless another one was saved since it was opened: then show both.

    Another town is a move, which has its own page, unless the family says that the town was entered wrongly.
    """
    given, version = read_family_form(form), str(form.get("version", ""))
    if form.get("step") == "more" and len(given.births) < MOST_PEOPLE:
        given.births.append(DateParts())
        return _form_page(request, actor, given, version)
    with app_session(actor.context) as session:
        known = published_now(session).registry.municipalities
        if not given.check(known, clock.today()):
            return _form_page(request, actor, given, version, status=422)
        stored = read_document(session, actor.household_id)
        wanted = given.document(stored.document, known)
        if _same_answers(wanted, stored.document):
            return see_other(request, "/family?done=saved")
        is_read = str(stored.version) == version
        if is_read and form.get("home") != _CORRECTION and _is_another_town(stored.document, wanted):
            given.errors["municipality"] = phrase("error.another_town")
            return _form_page(request, actor, given, version, status=422, another_town=True)
        if is_read and _save(session, actor, wanted, stored.version):
            bell.ring(bell.MATCH)
            return see_other(request, "/family?done=saved")
        stored = read_document(session, actor.household_id)
    newer = family_form_of(stored.document, known)
    return _form_page(request, actor, given, stored.version, status=409, newer=newer)


def _save(session: Session, actor: Actor, wanted: dict[str, Any], version: int) -> bool:
    """Save and commit; False where somebody saved another version in this very moment."""
    try:
        save_document(session, actor.household_id, wanted, expected_version=version, source="parent", by=actor.name)
    except Conflict:
        session.rollback()
        return False
    session.commit()
    return True


def _form_page(
    request: Request,
    actor: Actor,
    family: FamilyForm,
    version: int | str,
    status: int = 200,
    newer: FamilyForm | None = None,
    another_town: bool = False,
) -> Response:
    with app_session(actor.context) as session:
        registry = published_now(session).registry
    return page(
        request,
        "parent/family_edit.html",
        status=status,
        family=family,
        version=version,
        newer=newer,
        another_town=another_town,
        homes=registry.municipalities.where_people_live(),
        names={one.code: one.name for one in registry.municipalities},
    )


def _is_another_town(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a family that said where it lives would live elsewhere; a ward is in the town of its city."""
    before, after = (municipality_of_ward(str(one.get("municipality", ""))) for one in (stored, wanted))
    return bool(before) and before != after


def _same_answers(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Compare what the form asks for; a second press of the same button wants what is stored already."""

    def asked(document: Mapping[str, Any]) -> Any:
        births = sorted(person.get("birth_date", "") for person in document.get("children") or [])
        dues = sorted(person.get("due_date", "") for person in document.get("pregnancies") or [])
        return document.get("municipality"), births, dues

    return asked(wanted) == asked(stored)


def _municipality_name(registry: Registry, document: Mapping[str, Any]) -> str:
    known = registry.municipalities.get(document.get("municipality", ""))
    return known.name if known else ""
