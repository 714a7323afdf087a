"""What a developer may have sent: a test, a delivery once more, what failed, what is missing, a mail to a new contact.

For the API and the portal alike.
"""

import datetime as dt
import uuid

from sqlmodel import Session

from app.delivery.contact_mails import ask_for_contact
from app.delivery.endpoint_tests import send_ping
from app.delivery.log import delivery_by_id, resend
from app.delivery.recovery import Recovered, ask_for_replay, recover
from app.delivery.tables import Delivery, EndpointReplay
from app.partners.endpoints import BY_PARTNER, enable_endpoint, endpoint_by_id
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.errors import Conflict, NotFound
from app.web.rate_limits import RateLimit

#: Mails to addresses that a partner typed, so that nobody is pestered in its name.
CONTACT_MAILS_AN_HOUR = RateLimit(5, 3600)


def resume(session: Session, endpoint: PartnerEndpoint) -> None:
    """Send to an endpoint again: at once if its partner had stopped it, else once a test was received.

    Raises:
        TargetBlocked: its address can no longer be called.
        Conflict: a test is under way.
    """
    if endpoint.disabled_at is None:
        return
    if endpoint.disabled_reason == BY_PARTNER:
        enable_endpoint(session, endpoint)
    else:
        send_ping(session, endpoint, at=clock.real_now())


def recover_since(session: Session, endpoint: PartnerEndpoint, since: dt.datetime) -> Recovered:
    """Queue again what an endpoint failed to take since an instant.

    Raises:
        Conflict: it is disabled.
        InvalidInput: `since` is in the future, or too long ago.
    """
    _refuse_disabled(endpoint)
    return recover(session, endpoint, since=since, at=clock.real_now(), now=clock.now())


def replay_since(session: Session, endpoint: PartnerEndpoint, since: dt.datetime) -> EndpointReplay:
    """Ask the workers to tell an endpoint what it was never told since an instant.

    Raises:
        Conflict: it is disabled, or another replay is under way.
        InvalidInput: `since` is in the future, or too long ago.
    """
    _refuse_disabled(endpoint)
    return ask_for_replay(session, endpoint, since=since, at=clock.real_now(), now=clock.now())


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


def ask_contact(session: Session, partner_id: uuid.UUID, address: str) -> str:
    """Send a new technical contact the link to agree by; return the address in its normal form.

    Raises:
        InvalidInput: this is no e-mail address.
        TooMany: the sixth of this partner in an hour.
    """
    CONTACT_MAILS_AN_HOUR.count(str(partner_id))
    return ask_for_contact(session, partner_id, address, at=clock.real_now())


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
