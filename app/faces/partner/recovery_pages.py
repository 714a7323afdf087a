"""Portal forms of an endpoint's page that send what failed, and what it was never told."""

import datetime as dt
import uuid
from typing import Final, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.delivery.recovery import LONGEST_WINDOW
from app.faces.partner.sending import recover_since, replay_since
from app.partners.endpoints import endpoint_by_id
from app.platform import bell, clock
from app.platform.database import app_session
from app.platform.errors import Conflict
from app.web.access import Partner
from app.web.forms import Form, Submitted, fill
from app.web.pages import page, see_other

router = APIRouter(prefix="/partner/endpoints", include_in_schema=False)
#: The longest a minute short, because the window moves on while a request is worked on.
_BACK: Final = {
    "day": dt.timedelta(days=1),
    "week": dt.timedelta(days=7),
    "fortnight": LONGEST_WINDOW - dt.timedelta(minutes=1),
}


class SinceForm(Form):
    """How far back."""

    since: Literal["day", "week", "fortnight"] = "day"


@router.post("/{endpoint_id}/recovery")
def recover_failed(request: Request, actor: Partner, endpoint_id: uuid.UUID, form: Submitted) -> Response:
    """Send again what failed, and show what became of it."""
    with app_session(actor.context) as session:
        row = endpoint_by_id(session, actor.partner_id, endpoint_id)
        try:
            done = recover_since(session, row, _since(form, clock.real_now()))
        except Conflict:
            return page(request, "partner/recovered.html", status=409, endpoint=row, done=None)
        session.commit()
    bell.ring_dispatch()
    return page(request, "partner/recovered.html", endpoint=row, done=done)


@router.post("/{endpoint_id}/replay")
def replay_missing(request: Request, actor: Partner, endpoint_id: uuid.UUID, form: Submitted) -> Response:
    """Have the workers send what the endpoint was never told; its page shows how far they are."""
    with app_session(actor.context) as session:
        row = endpoint_by_id(session, actor.partner_id, endpoint_id)
        try:
            replay_since(session, row, _since(form, clock.now()))
        except Conflict:
            return page(request, "partner/recovered.html", status=409, endpoint=row, done=None)
        session.commit()
    bell.ring(bell.REPLAY)
    return see_other(request, f"/partner/endpoints/{endpoint_id}#recovery")


def _since(form: Submitted, now: dt.datetime) -> dt.datetime:
    wanted = fill(SinceForm, form).value or SinceForm()
    return now - _BACK[wanted.since]
