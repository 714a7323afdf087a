"""`/partner/v1/endpoints/{id}/recoveries` and `/replays`: what failed once more, and what was never told."""

import datetime as dt
import uuid

from sqlmodel import Session
from starlette.responses import Response

from app.delivery.recovery import replay_by_id
from app.faces.partner.answers import Once
from app.faces.partner.caller import Caller, api_router
from app.faces.partner.sending import recover_since, replay_since
from app.faces.partner.views import CONFLICT, NO_JSON, NOT_FOUND, RecoveryView, ReplayView, SinceWanted
from app.partners.endpoints import endpoint_by_id
from app.platform import bell
from app.platform.database import app_session
from app.platform.errors import InvalidInput

router = api_router("recovery")


@router.post(
    "/endpoints/{endpoint_id}/recoveries",
    status_code=202,
    response_model=RecoveryView,
    responses={**NO_JSON, **NOT_FOUND, **CONFLICT},
)
def recover_failed(caller: Caller, once: Once, endpoint_id: uuid.UUID, wanted: SinceWanted) -> Response:
    """Send again what failed since an instant, under the same webhook-ids; 10,000 at most in one call.

    Never what the family or a protection measure stopped, what expired or no longer holds.
    """

    def work(session: Session) -> RecoveryView:
        row = endpoint_by_id(session, caller.partner_id, endpoint_id)
        return RecoveryView.of(recover_since(session, row, instant_of(wanted.since)))

    answer = once.answer(202, work)
    bell.ring_dispatch()
    return answer


@router.post(
    "/endpoints/{endpoint_id}/replays",
    status_code=202,
    response_model=ReplayView,
    responses={**NO_JSON, **NOT_FOUND, **CONFLICT},
)
def replay_missing(caller: Caller, once: Once, endpoint_id: uuid.UUID, wanted: SinceWanted) -> Response:
    """Send what exists since an instant and was never queued for this endpoint: it is new, or was disabled meanwhile.

    Events are made anew from what still holds. The answer is a replay to look at: it is worked off within minutes.
    """

    def work(session: Session) -> ReplayView:
        row = endpoint_by_id(session, caller.partner_id, endpoint_id)
        return ReplayView.of(replay_since(session, row, instant_of(wanted.since)))

    answer = once.answer(202, work)
    bell.ring(bell.REPLAY)
    return answer


@router.get("/endpoints/{endpoint_id}/replays/{replay_id}", responses=NOT_FOUND)
def show_replay(caller: Caller, endpoint_id: uuid.UUID, replay_id: uuid.UUID) -> ReplayView:
    """Show how far a replay is."""
    with app_session(caller.context) as session:
        row = endpoint_by_id(session, caller.partner_id, endpoint_id)
        return ReplayView.of(replay_by_id(session, row, replay_id))


def instant_of(text: str) -> dt.datetime:
    """Return the instant that a text of the right form means.

    Raises:
        InvalidInput: there is no such day or hour.
    """
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"since: found {text}; expected an instant that exists ({error})", field="since") from error
