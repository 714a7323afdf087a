"""Entering a household: the first page, the minimum of facts, consent purpose by purpose.

Nothing is stored before the consent step is answered: the facts travel in the form. The household's id follows from
the form and the browser, so that pressing the button twice makes one household.
"""

import secrets
import uuid

from fastapi import APIRouter
from sqlalchemy import text
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.sign_in import open_session
from app.faces.parent.forms import MOST_PEOPLE, OUTSIDE, FamilyForm, read_family_form
from app.households import consent
from app.households.profiles import create_household
from app.households.tables import UNKNOWN_MUNICIPALITY, Household
from app.platform import bell, clock
from app.platform.database import Context, app_session
from app.platform.errors import Conflict
from app.platform.sealing import blind_index
from app.registry.municipalities import Municipalities
from app.registry.versions import published_now
from app.web.access import Anyone, signed_in
from app.web.browser import browser_token, sign_in_browser
from app.web.dates import DateParts
from app.web.forms import Submitted
from app.web.pages import page, phrase, see_other
from app.web.rate_limits import RateLimit, client_address

router = APIRouter()
MATCHING_PURPOSES = tuple(purpose.id for purpose in consent.PURPOSES if purpose.category)
NEEDED = "matching:basic"
GUARDIAN = "g1"
_entering = RateLimit(times=30, seconds=3600)
_SAME_FORM_SECONDS = 600


@router.get("/", dependencies=[Anyone])
def welcome(request: Request) -> Response:
    """Show what Todoke does; a family that is signed in goes straight to what it has to do."""
    actor = signed_in(request)
    if actor is not None and actor.kind == "household":
        return see_other(request, "/home")
    return page(request, "parent/welcome.html")


@router.get("/start", dependencies=[Anyone])
def ask_family(request: Request) -> Response:
    """Ask where the family lives and for birth dates or a due date."""
    return _family_page(request, FamilyForm(), secrets.token_urlsafe(16))


@router.post("/start", dependencies=[Anyone])
def take_family(request: Request, form: Submitted) -> Response:
    """Check the facts and ask for consent; `more` adds a row for another child instead."""
    family, form_id = read_family_form(form), _form_id(form)
    if form.get("step") == "more" and len(family.births) < MOST_PEOPLE:
        family.births.append(DateParts())
        return _family_page(request, family, form_id)
    if form.get("step") == "back" or not family.check(_municipalities(), clock.today()):
        return _family_page(request, family, form_id, status=422 if family.errors else 200)
    return _consent_page(request, family, form_id, {}, {})


@router.post("/start/consent", dependencies=[Anyone])
def take_consent(request: Request, form: Submitted) -> Response:
    """Store the household with what it agreed to and what it refused, and sign its browser in."""
    family, form_id = read_family_form(form), _form_id(form)
    if form.get("step") == "back":
        return _family_page(request, family, form_id)
    if not family.check(_municipalities(), clock.today()):
        return _family_page(request, family, form_id, status=422)
    answers = {purpose: str(form.get(purpose, "")) for purpose in MATCHING_PURPOSES}
    errors = {purpose: phrase("error.choice") for purpose in (NEEDED,) if answers[purpose] not in ("given", "refused")}
    if errors:
        return _consent_page(request, family, form_id, answers, errors, status=422)
    if answers[NEEDED] == "refused":
        return page(request, "parent/start_refused.html")
    _entering.count(client_address(request))
    token = _store(request, family, form_id, answers)
    response = see_other(request, "/home")
    sign_in_browser(response, token, long_lived=True)
    return response


def _store(request: Request, family: FamilyForm, form_id: str, answers: dict[str, str]) -> str:
    household_id = _household_id(request, form_id)
    code = UNKNOWN_MUNICIPALITY if family.municipality == OUTSIDE else family.municipality
    by = f"guardian:{GUARDIAN}"
    with app_session(Context(municipality=code, household=household_id)) as session:
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": str(household_id)})
        known = session.get(Household, household_id)
        if known is None:
            create_household(
                session, family.document({}, _municipalities()), source="parent", by=by, household_id=household_id
            )
            for state, record in (("given", consent.give), ("refused", consent.refuse)):
                purposes = [purpose for purpose, answer in answers.items() if answer == state]
                record(session, household_id, purposes, language="ja", by=by, source="start page")
        elif (clock.real_now() - known.created_at).total_seconds() > _SAME_FORM_SECONDS:
            raise Conflict("this form was sent before; sign in to see the household it made")
        token = open_session(session, household_id=household_id, guardian=GUARDIAN, municipality_code=code)
        session.commit()
    bell.ring(bell.MATCH)
    return token


def _household_id(request: Request, form_id: str) -> uuid.UUID:
    return uuid.UUID(bytes=blind_index(f"{browser_token(request)}\x1f{form_id}", "entering")[:16], version=4)


def _form_id(form: FormData) -> str:
    return str(form.get("form_id") or secrets.token_urlsafe(16))[:64]


def _municipalities() -> Municipalities:
    with app_session() as session:
        return published_now(session).registry.municipalities


def _family_page(request: Request, family: FamilyForm, form_id: str, status: int = 200) -> Response:
    homes = _municipalities().where_people_live()
    return page(request, "parent/start.html", status=status, family=family, form_id=form_id, homes=homes)


def _consent_page(
    request: Request,
    family: FamilyForm,
    form_id: str,
    answers: dict[str, str],
    errors: dict[str, str],
    status: int = 200,
) -> Response:
    return page(
        request,
        "parent/start_consent.html",
        status=status,
        family=family,
        form_id=form_id,
        purposes=MATCHING_PURPOSES,
        needed=NEEDED,
        texts=consent.texts()["purposes"],
        answers=answers,
        errors=errors,
    )
