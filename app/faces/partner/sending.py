"""What a developer may send: a test event, and a delivery once more. Shared by the API and the portal."""

import uuid

from sqlmodel import Session

from app.delivery.log import delivery_by_id, resend
from app.delivery.outbox import WebhookMessage, enqueue_webhook
from app.delivery.tables import Delivery
from app.partners import events
from app.partners.endpoints import endpoint_by_id
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.errors import Conflict, NotFound
from app.platform.identifiers import new_id


def send_ping(session: Session, endpoint: PartnerEndpoint) -> uuid.UUID:
    """Queue `test.ping` for an endpoint, whichever types it wants, and return its delivery's id.

    Raises:
        Conflict: the endpoint is disabled.
    """
    _refuse_disabled(endpoint)
    event_id = f"evt_{new_id().hex}"
    delivery_id = enqueue_webhook(
        session,
        WebhookMessage(
            dedupe_key=event_id,
            event_id=event_id,
            event_type="test.ping",
            due_at=clock.now(),
            partner_id=endpoint.partner_id,
            endpoint_id=endpoint.id,
            body=events.ping(endpoint_id=endpoint.id, at=clock.now()).decode(),
        ),
    )
    if delivery_id is None:
        raise RuntimeError("a fresh event id was taken for an old one")
    return delivery_id


def send_again(session: Session, partner_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Queue a webhook once more, under the same event id.

    Raises:
        NotFound: it is not a webhook of this partner, or its endpoint was removed.
        Conflict: it is being sent at this moment, or its endpoint is disabled.
        InvalidInput: it was stopped for the family's sake, or has lost its meaning.
    """
    delivery = webhook_by_id(session, partner_id, delivery_id)
    if delivery.endpoint_id is not None:
        _refuse_disabled(endpoint_by_id(session, partner_id, delivery.endpoint_id))
    return resend(session, delivery_id, clock.now())


def webhook_by_id(session: Session, partner_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Return one webhook of a partner.

    Raises:
        NotFound: there is none with this id.
    """
    delivery = delivery_by_id(session, delivery_id)
    if delivery.partner_id != partner_id or delivery.endpoint_id is None:
        raise NotFound(f"found no delivery {delivery_id}; expected the id of one of your deliveries")
    return delivery


def _refuse_disabled(endpoint: PartnerEndpoint) -> None:
    if endpoint.disabled_at is not None:
        raise Conflict(f"found endpoint {endpoint.id} disabled; enable it before sending to it")
