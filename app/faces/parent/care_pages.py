"""大切な方を亡くされたとき・身を守る必要があるとき: what stops at one press, said before it is pressed."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.faces.parent.answers import PEOPLE, about
from app.households.profiles import read_document
from app.households.tables import Household as HouseholdRow
from app.platform.database import app_session
from app.platform.errors import InvalidInput
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.protection import protect
from app.web.access import Anyone, Household
from app.web.forms import Submitted
from app.web.pages import page, see_other

router = APIRouter()
_TOLD_BY_FAMILY = "loss, told by the family"
"""Nobody is asked what happened."""


@router.get("/care")
def care(request: Request, actor: Household) -> Response:
    """Show whose messages may be stopped, and what protection does."""
    people = _people(actor)
    return page(request, "parent/care.html", people=people, done=request.query_params.get("done", ""))


@router.post("/care/stop")
def stop(request: Request, actor: Household, form: Submitted) -> Response:
    """End every message about one person, and go where what is still due may be read."""
    assert actor.household_id is not None  # a page of a household
    subject = str(form.get("who", ""))
    if subject not in dict(_people(actor)):
        return see_other(request, "/care?done=choose")
    ended = stop_pushes_about(actor.household_id, subject, reason=_TOLD_BY_FAMILY, by=actor.name)
    return see_other(request, "/care?done=stopped" if ended else "/care?done=ending")


@router.post("/care/protect")
def begin_protection(request: Request, actor: Household, form: Submitted) -> Response:
    """Raise the protection flag. Every session of the household ends, this one too: who comes back is asked anew."""
    assert actor.household_id is not None  # a page of a household
    if form.get("sure") != "yes":
        raise InvalidInput("expected the button of the page that says what happens", field="sure")
    ended = protect(actor.household_id, by=actor.name, reason="asked for by the family")
    return see_other(request, "/care/protected" if ended else "/care/protected?done=ending")


@router.get("/care/protected", dependencies=[Anyone])
def protected(request: Request) -> Response:
    """Say how to come back. The page says nothing of anybody and may be opened by everybody."""
    return page(request, "parent/protected.html", ending=request.query_params.get("done") == "ending")


def _people(actor: Household) -> list[tuple[str, str]]:
    """Return whose messages are not stopped yet, in words that name nobody."""
    assert actor.household_id is not None  # a page of a household
    with app_session(actor.context) as session:
        document = read_document(session, actor.household_id).document
        stopped = session.get_one(HouseholdRow, actor.household_id).stopped_subjects
    found = [
        f"{kind}:{person['id']}"
        for kind in ("child", "pregnancy", "guardian")
        for person in document.get(PEOPLE[kind]) or ()
        if f"{kind}:{person['id']}" != f"guardian:{actor.guardian}"
    ]
    return [(subject, about(document, subject)) for subject in found if subject not in stopped]
