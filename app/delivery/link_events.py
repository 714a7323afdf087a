"""Events about a link itself: one message for an endpoint, the same one however often and by whomever it is planned."""

import datetime as dt

from app.delivery.outbox import Gate, WebhookMessage
from app.partners.links import pairwise_event_id
from app.partners.tables import PartnerEndpoint, PartnerLink


def link_message(
    link: PartnerLink,
    endpoint: PartnerEndpoint,
    event_type: str,
    body: bytes,
    *,
    due_at: dt.datetime,
    gate: Gate | None,
) -> WebhookMessage:
    """Return the event that tells an endpoint of a link.

    Args:
        link: the family's with this partner.
        endpoint: of the partner.
        event_type: `link.created` or `link.revoked`.
        body: made by `app.partners.events`.
        due_at: instant of `app.platform.clock`.
        gate: None for the end of a link, which must arrive after a withdrawal.
    """
    return WebhookMessage(
        dedupe_key=f"{event_type}:{endpoint.id}:{link.id}",
        event_id=pairwise_event_id(link.subject_id, event_type, str(link.id)),
        event_type=event_type,
        due_at=due_at,
        gate=gate,
        partner_id=link.partner_id,
        endpoint_id=endpoint.id,
        body=body.decode(),
    )
