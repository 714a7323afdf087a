"""The demo's date: shown on every page, moved on with one button. Not there at all outside the demo."""

import datetime as dt
from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.platform import bell, clock
from app.platform.errors import NotFound
from app.platform.settings import settings
from app.web.access import Anyone
from app.web.forms import Form, Submitted, fill
from app.web.pages import see_other

router = APIRouter()
FACE_STARTS = {"parent": "/", "staff": "/staff", "partner": "/partner"}


class _Step(Form):
    days: Literal["1", "7", "30"] = "1"
    face: Literal["parent", "staff", "partner"] = "parent"


@router.post("/demo/clock", dependencies=[Anyone])
def move_clock(request: Request, form: Submitted) -> Response:
    """Move the demo's date on by some days, at nine in the morning when mail may go out."""
    if not settings().demo:
        raise NotFound("this installation lives in real time")
    step = fill(_Step, form).value or _Step()
    clock.shift_to(clock.at_japan_time(clock.today() + dt.timedelta(days=int(step.days)), 9))
    bell.ring(bell.ANNOUNCE)
    bell.ring(bell.RELEASE)
    return see_other(request, FACE_STARTS[step.face])
