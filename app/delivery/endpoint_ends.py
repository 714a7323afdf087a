"""The end of an endpoint: it is disabled or removed, and the partner's other endpoints hear of it, in one transaction.

Whoever ends one commits, and then rings `app.platform.bell.ring_dispatch()`.
"""

import datetime as dt

from sqlmodel import Session

from app.delivery.outbox import WebhookMessage, enqueue_all
from app.partners import endpoints, events
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.identifiers import new_id

_EVENT_TYPE = "endpoint.disabled"


def disable(
    session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime, reason: str = endpoints.BY_PARTNER
) -> None:
    """Stop sending to an endpoint and tell the others. One that is disabled already stays as it is.

    Args:
        session: in the partner's context, or the worker's.
        endpoint: as stored; it is read anew and locked.
        at: the real instant.
        reason: `by_partner`, `gone` or `failing`.
    """
    if _locked_while_enabled(session, endpoint):
        endpoints.disable_endpoint(session, endpoint, at=at, reason=reason)
        _tell_the_others(session, endpoint, at, reason)


def remove(session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime) -> None:
    """Take an endpoint off the list for good; the others are told unless they know that it was disabled."""
    enabled = _locked_while_enabled(session, endpoint)
    endpoints.remove_endpoint(session, endpoint, at=at)
    if enabled:
        _tell_the_others(session, endpoint, at, endpoints.REMOVED)


def _locked_while_enabled(session: Session, endpoint: PartnerEndpoint) -> bool:
    """Lock the row, so that two who end it at the same time tell it once; say whether it is still enabled."""
    # Without the key: a message to another endpoint refers to that one's key, and two ends must not wait in a circle.
    session.refresh(endpoint, with_for_update={"key_share": True})
    return endpoint.disabled_at is None


def _tell_the_others(session: Session, endpoint: PartnerEndpoint, at: dt.datetime, reason: str) -> None:
    event_id = f"evt_{new_id().hex}"
    body = events.endpoint_disabled(endpoint_id=endpoint.id, reason=reason, at=at).decode()
    enqueue_all(
        session,
        [
            WebhookMessage(
                dedupe_key=f"{event_id}:{other.id}",
                event_id=event_id,
                event_type=_EVENT_TYPE,
                due_at=clock.now(),
                partner_id=endpoint.partner_id,
                endpoint_id=other.id,
                body=body,
            )
            for other in endpoints.endpoints_wanting(session, endpoint.partner_id, _EVENT_TYPE)
        ],
    )
