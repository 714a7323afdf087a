"""同意と停止: what was agreed to, what stops without it, and stopping it with one press."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.households import consent
from app.households.contacts import usable_contacts
from app.households.tables import Household as HouseholdRow
from app.platform import bell
from app.platform.database import app_session
from app.safeguards.withdrawal import withdraw
from app.web.access import Household
from app.web.forms import Submitted
from app.web.pages import page, see_other

router = APIRouter()
_KNOWN = tuple(purpose.id for purpose in consent.PURPOSES)
_GIVEN_ELSEWHERE = {"channel:email": "/contact", "channel:line": "", "share:partner": ""}
"""Purposes that need an address or a linked app first: the page on which they are given, if there is one yet."""


@router.get("/consent")
def overview(request: Request, actor: Household) -> Response:
    """Show every purpose with its state, what it is for and what stops without it."""
    with app_session(actor.context) as session:
        answers = consent.current(session, actor.household_id)
        household = session.get_one(HouseholdRow, actor.household_id)
        contacts = usable_contacts(session, household)
    return page(
        request,
        "parent/consent.html",
        purposes=_KNOWN,
        texts=consent.texts()["purposes"],
        answers=answers,
        elsewhere=_GIVEN_ELSEWHERE,
        reachable=bool(contacts),
        done=request.query_params.get("done", ""),
    )


@router.post("/consent/give")
def give(request: Request, actor: Household, form: Submitted) -> Response:
    """Agree to one purpose of matching, or to mail where an address is confirmed."""
    purpose = str(form.get("purpose", ""))
    with app_session(actor.context) as session:
        household = session.get_one(HouseholdRow, actor.household_id)
        if purpose == "channel:email" and not usable_contacts(session, household):
            return see_other(request, "/contact")
        consent.give(session, actor.household_id, [purpose], language="ja", by=actor.name, source="consent page")
        session.commit()
    bell.ring(bell.MATCH)
    return see_other(request, "/consent?done=given")


@router.post("/consent/withdraw")
def stop(request: Request, actor: Household, form: Submitted) -> Response:
    """Stop one purpose, or everything; when the answer comes, nothing new goes out under it any more.

    What was being sent at that very moment and is still open after three seconds is named on the page.
    """
    purpose = str(form.get("purpose", ""))
    ended = withdraw(actor.household_id, None if purpose == "all" else [purpose], by=actor.name)
    return see_other(request, "/consent?done=withdrawn" if ended else "/consent?done=ending")
