"""Portal pages of the delivery log: list, one delivery with its attempts and body, send again."""

import json
import uuid
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.delivery.log import STATES, deliveries_of
from app.delivery.tables import Delivery
from app.faces.partner.delivery_api import attempts_in_order, body_or_none
from app.faces.partner.sending import send_again, webhook_by_id
from app.partners.endpoints import endpoints_of
from app.partners.tables import PartnerEndpoint
from app.platform.bell import ring_dispatch
from app.platform.database import app_session
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.web.access import Partner
from app.web.pages import page, see_other

router = APIRouter(prefix="/partner/deliveries", include_in_schema=False)
_ON_A_PAGE = 30


@router.get("")
def log_page(
    request: Request,
    actor: Partner,
    state: str = "",
    endpoint_id: str = "",
    cursor: Annotated[uuid.UUID | None, Query()] = None,
) -> Response:
    """List deliveries, newest first. A filter that means nothing is left out: it may come from an old bookmark."""
    wanted, endpoint = state if state in STATES else "", _uuid(endpoint_id)
    with app_session(actor.context) as session:
        rows = deliveries_of(
            session,
            actor.partner_id,
            states=[wanted] if wanted else (),
            endpoint_id=endpoint,
            before=cursor,
            limit=_ON_A_PAGE + 1,
        )
        more = (
            {"state": wanted, "endpoint_id": endpoint or "", "cursor": rows[_ON_A_PAGE - 1].id}
            if rows[_ON_A_PAGE:]
            else {}
        )
        return page(
            request,
            "partner/deliveries.html",
            deliveries=rows[:_ON_A_PAGE],
            endpoints=endpoints_of(session, actor.partner_id),
            state=wanted,
            endpoint_id=endpoint,
            next_page=f"/partner/deliveries?{urlencode(more)}" if more else "",
        )


@router.get("/{delivery_id}")
def delivery_page(request: Request, actor: Partner, delivery_id: uuid.UUID) -> Response:
    """Show one delivery."""
    return _page(request, actor, delivery_id)


@router.post("/{delivery_id}/resend")
def resend_delivery(request: Request, actor: Partner, delivery_id: uuid.UUID) -> Response:
    """Send a delivery once more and show it; what cannot be sent again says so on its page."""
    with app_session(actor.context) as session:
        try:
            send_again(session, actor.partner_id, delivery_id)
        except (Conflict, InvalidInput):
            return _page(request, actor, delivery_id, refused=True)
        except NotFound:
            webhook_by_id(session, actor.partner_id, delivery_id)  # not its endpoint, but the delivery itself?
            return _page(request, actor, delivery_id, refused=True)
        session.commit()
    ring_dispatch()
    return see_other(request, f"/partner/deliveries/{delivery_id}")


def _page(request: Request, actor: Partner, delivery_id: uuid.UUID, *, refused: bool = False) -> Response:
    with app_session(actor.context) as session:
        row = webhook_by_id(session, actor.partner_id, delivery_id)
        return page(
            request,
            "partner/delivery.html",
            status=409 if refused else 200,
            delivery=row,
            endpoint=session.get(PartnerEndpoint, row.endpoint_id),
            body=_pretty(row),
            attempts=attempts_in_order(session, row),
            refused=refused,
            resendable=row.state in ("delivered", "failed", "retrying") and not refused,
        )


def _pretty(row: Delivery) -> str | None:
    body = body_or_none(row)
    return None if body is None else json.dumps(json.loads(body), ensure_ascii=False, indent=2)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
