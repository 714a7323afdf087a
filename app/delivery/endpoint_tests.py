"""Test pings, and how one enables a disabled endpoint again: disabled → testing → enabled.

The ping to a disabled endpoint has a queue of its own, which outlives the endpoint's end; a 2xx enables the endpoint in
the transaction that records it. Whoever queues a ping commits, and then rings `app.platform.bell.ring_dispatch()`.
"""

import datetime as dt
import uuid

from sqlalchemy import text
from sqlmodel import Session

from app.delivery.outbox import WebhookMessage, enqueue_webhook
from app.partners import endpoints, events
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.errors import Conflict
from app.platform.identifiers import new_id


def send_ping(session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime) -> uuid.UUID:
    """Queue `test.ping` for an endpoint, whichever types it wants, and return its delivery's id.

    For a disabled endpoint this is the test that enables it again.

    Args:
        session: in the partner's context.
        endpoint: as stored.
        at: the real instant.

    Raises:
        Conflict: a test is under way.
        TargetBlocked: the endpoint is disabled and its address can no longer be called.
    """
    session.refresh(endpoint, with_for_update={"key_share": True})
    state = endpoints.state_of(endpoint, at)
    if state == "testing" and endpoint.testing_until is not None:
        raise Conflict(
            f"found a test of endpoint {endpoint.id} under way; wait for its result, until "
            f"{endpoint.testing_until.isoformat()} at most"
        )
    event_id = f"evt_{new_id().hex}"
    delivery_id = enqueue_webhook(
        session,
        WebhookMessage(
            dedupe_key=event_id,
            event_id=event_id,
            event_type="test.ping",
            due_at=clock.now(),
            expires_at=None if state == "enabled" else clock.now() + endpoints.TEST_LASTS,
            partner_id=endpoint.partner_id,
            endpoint_id=endpoint.id,
            body=events.ping(endpoint_id=endpoint.id, at=clock.now()).decode(),
            enables=state != "enabled",
        ),
    )
    if delivery_id is None:
        raise RuntimeError("a fresh event id was taken for an old one")
    if state != "enabled":
        endpoints.begin_test(session, endpoint, delivery_id, at=at)
    return delivery_id


def end_test(session: Session, endpoint_id: uuid.UUID | None, delivery_id: uuid.UUID, state: str) -> None:
    """Note what became of a ping to a disabled endpoint: received, it enables the endpoint.

    Args:
        session: of the worker.
        endpoint_id: the ping's.
        delivery_id: the ping; only the last one that was asked for counts.
        state: of its row now; `retrying` decides nothing yet.
    """
    endpoint = session.get(PartnerEndpoint, endpoint_id, with_for_update={"key_share": True})
    if endpoint is None or endpoint.test_delivery_id != delivery_id or endpoint.removed_at is not None:
        return
    if state == "delivered":
        endpoints.resume_endpoint(session, endpoint)
        session.execute(_CLEAN_SLATE, {"endpoint_id": endpoint_id})
    elif state != "retrying":
        endpoint.testing_until = None
        session.add(endpoint)


_CLEAN_SLATE = text(
    "UPDATE endpoint_health SET window_started_at = NULL, window_requests = 0, window_failures = 0,"
    " paused_until = NULL, breaker = 'closed', failing_since = NULL WHERE endpoint_id = :endpoint_id"
)
