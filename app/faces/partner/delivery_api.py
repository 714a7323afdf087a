"""`/partner/v1/deliveries`: what was sent, how it went, and once more."""

import uuid
from itertools import dropwhile
from typing import Annotated

from fastapi import Query
from sqlmodel import Session
from starlette.responses import Response

from app.delivery.log import attempts_of, body_of, deliveries_of
from app.delivery.tables import Delivery, DeliveryAttempt
from app.faces.partner.answers import Once
from app.faces.partner.caller import Caller, api_router
from app.faces.partner.sending import send_again, webhook_by_id
from app.faces.partner.views import (
    CONFLICT,
    NOT_FOUND,
    AttemptPage,
    AttemptView,
    DeliveryMade,
    DeliveryPage,
    DeliveryView,
    DeliveryWithBody,
    State,
)
from app.platform.bell import ring_dispatch
from app.platform.database import app_session
from app.platform.errors import InvalidInput

router = api_router("deliveries")

Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
CursorGiven = Annotated[uuid.UUID | None, Query(description="`next_cursor` of the page before.")]


@router.get("/deliveries")
def list_deliveries(
    caller: Caller,
    state: Annotated[list[State] | None, Query(description="Only in one of these states.")] = None,
    endpoint_id: Annotated[uuid.UUID | None, Query(description="Only to this endpoint.")] = None,
    cursor: CursorGiven = None,
    limit: Limit = 50,
) -> DeliveryPage:
    """List deliveries, newest first. Their order is stable: a page never repeats or skips one that was there."""
    with app_session(caller.context) as session:
        rows = deliveries_of(
            session,
            caller.partner_id,
            states=state or (),
            endpoint_id=endpoint_id,
            before=cursor,
            limit=limit + 1,
        )
        return DeliveryPage(
            deliveries=[DeliveryView.of(row) for row in rows[:limit]],
            next_cursor=rows[limit - 1].id if len(rows) > limit else None,
        )


@router.get("/deliveries/{delivery_id}", responses=NOT_FOUND)
def show_delivery(caller: Caller, delivery_id: uuid.UUID) -> DeliveryWithBody:
    """Show one delivery with its body."""
    with app_session(caller.context) as session:
        row = webhook_by_id(session, caller.partner_id, delivery_id)
        return DeliveryWithBody(**DeliveryView.of(row).model_dump(), body=body_or_none(row))


@router.get("/deliveries/{delivery_id}/attempts", responses=NOT_FOUND)
def list_attempts(caller: Caller, delivery_id: uuid.UUID, cursor: CursorGiven = None, limit: Limit = 50) -> AttemptPage:
    """List the requests made for a delivery, oldest first."""
    with app_session(caller.context) as session:
        row = webhook_by_id(session, caller.partner_id, delivery_id)
        later = attempts_in_order(session, row)
        if cursor is not None:
            later = list(dropwhile(lambda attempt: attempt.id != cursor, later))[1:]
        return AttemptPage(
            attempts=[AttemptView.of(attempt) for attempt in later[:limit]],
            next_cursor=later[limit - 1].id if len(later) > limit else None,
        )


@router.post(
    "/deliveries/{delivery_id}/resend",
    status_code=202,
    response_model=DeliveryMade,
    responses={**NOT_FOUND, **CONFLICT},
)
def resend_delivery(caller: Caller, once: Once, delivery_id: uuid.UUID) -> Response:
    """Send a delivery once more, under the same webhook-id."""

    def work(session: Session) -> DeliveryMade:
        return DeliveryMade(delivery_id=send_again(session, caller.partner_id, delivery_id).id)

    answer = once.answer(202, work)
    ring_dispatch()
    return answer


def attempts_in_order(session: Session, row: Delivery) -> list[DeliveryAttempt]:
    """Return the requests made for a delivery, oldest first."""
    return attempts_of(session, [row.id]).get(row.id, [])


def body_or_none(row: Delivery) -> str | None:
    """Return what was sent; None for what was never sent or was stopped for the family's sake."""
    try:
        return body_of(row)
    except InvalidInput:
        return None
