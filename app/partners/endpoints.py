"""Endpoints: the addresses that receive a partner's signed events, how fast, and while they are enabled.

What they are signed with is in `endpoint_keys`.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

from sqlmodel import Session, col, select

from app.partners.endpoint_keys import SecretShown, forget_keys, give_secret, sign_with
from app.partners.events import EVENT_TYPES
from app.partners.tables import PartnerEndpoint
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id
from app.platform.outbound import AllowedNetwork, TargetBlocked, addresses_of, check_endpoint_url
from app.platform.settings import settings

MOST_ENDPOINTS: Final = 20
#: Bounds of what a partner may set; nothing set is as fast as the endpoint answers.
MOST_REQUESTS_A_SECOND: Final = 1000
MOST_IN_FLIGHT: Final = 300
#: How long a test may take that is to enable an endpoint again.
TEST_LASTS: Final = dt.timedelta(minutes=2)

State = Literal["enabled", "testing", "disabled"]

#: Why an endpoint no longer receives anything. `failing` and `gone` are written by delivery.
BY_PARTNER, REMOVED, GONE, FAILING = "by_partner", "removed", "gone", "failing"

_LOOK_UP_SECONDS = 3.0
_LOOK_UPS = ThreadPoolExecutor(4, thread_name_prefix="endpoint-dns")

LookUp = Callable[[str, int], Sequence[str]]


def register_endpoint(
    session: Session,
    partner_id: uuid.UUID,
    url: str,
    event_types: Collection[str] = (),
    *,
    signing: str = "hmac",
    requests_a_second: int | None = None,
    most_in_flight: int | None = None,
    look_up: LookUp | None = None,
) -> SecretShown:
    """Write a new endpoint and make its secret.

    Args:
        session: in the partner's context.
        partner_id: whose endpoint it is.
        url: checked by `app.platform.outbound`: https, public address, no user name, no part after #.
        event_types: which events it wants; empty = all.
        signing: hmac, ed25519 or both.
        requests_a_second: its pace, 1 to 1,000; 0 or None = as fast as it answers.
        most_in_flight: requests open at once, 1 to 200; 0 or None = as many as it earns.
        look_up: resolves the host's name; the system's resolver, three seconds at most, unless given.

    Raises:
        TargetBlocked: the address cannot be called; the text says why and what would be accepted.
        InvalidInput: an unknown event type or signing, or a limit out of bounds.
        Conflict: the partner has 20 endpoints already, or this address is one of them.
    """
    known = endpoints_of(session, partner_id)
    if len(known) >= MOST_ENDPOINTS:
        raise Conflict(
            f"found {len(known)} endpoints; expected at most {MOST_ENDPOINTS}: remove one that is no longer used"
        )
    address = _checked_url(url, look_up)
    _refuse_twin(known, address)
    endpoint = PartnerEndpoint(
        id=new_id(), partner_id=partner_id, url=address, secret_sealed=b"", event_types=_checked_types(event_types)
    )
    secret = give_secret(endpoint)
    sign_with(endpoint, signing)
    _limit(endpoint, requests_a_second, most_in_flight)
    return SecretShown(_written(session, endpoint), secret)


def edit_endpoint(
    session: Session,
    endpoint: PartnerEndpoint,
    *,
    url: str | None = None,
    event_types: Collection[str] | None = None,
    signing: str | None = None,
    requests_a_second: int | None = None,
    most_in_flight: int | None = None,
    look_up: LookUp | None = None,
) -> PartnerEndpoint:
    """Change the address, the wanted event types, the signing or the limits; what is None stays.

    Raises:
        TargetBlocked, InvalidInput, Conflict: as in `register_endpoint`.
    """
    if url is not None:
        address = _checked_url(url, look_up)
        others = [other for other in endpoints_of(session, endpoint.partner_id) if other.id != endpoint.id]
        _refuse_twin(others, address)
        endpoint.url = address
    if event_types is not None:
        endpoint.event_types = _checked_types(event_types)
    if signing is not None:
        sign_with(endpoint, signing)
    _limit(endpoint, requests_a_second, most_in_flight)
    return _written(session, endpoint)


def disable_endpoint(
    session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime, reason: str = BY_PARTNER
) -> PartnerEndpoint:
    """Stop sending to an endpoint. One that is disabled already keeps its first reason."""
    if endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = at, reason
    return _written(session, endpoint)


def enable_endpoint(session: Session, endpoint: PartnerEndpoint, *, look_up: LookUp | None = None) -> PartnerEndpoint:
    """Send to an endpoint again, after a new look at its address.

    Raises:
        TargetBlocked: the address can no longer be called.
    """
    _checked_url(endpoint.url, look_up)
    return resume_endpoint(session, endpoint)


def begin_test(
    session: Session,
    endpoint: PartnerEndpoint,
    delivery_id: uuid.UUID,
    *,
    at: dt.datetime,
    look_up: LookUp | None = None,
) -> PartnerEndpoint:
    """Note that a test ping is on its way that enables a disabled endpoint if it is received.

    Args:
        session: in the partner's context.
        endpoint: disabled.
        delivery_id: of the ping; one that was on its way before enables nothing any more.
        at: the real instant.
        look_up: as in `register_endpoint`.

    Raises:
        TargetBlocked: the address can no longer be called.
    """
    _checked_url(endpoint.url, look_up)
    endpoint.test_delivery_id, endpoint.testing_until = delivery_id, at + TEST_LASTS
    return _written(session, endpoint)


def resume_endpoint(session: Session, endpoint: PartnerEndpoint) -> PartnerEndpoint:
    """Send to an endpoint again: its partner asked for it, or its test was received."""
    endpoint.disabled_at = endpoint.disabled_reason = endpoint.test_delivery_id = endpoint.testing_until = None
    return _written(session, endpoint)


def state_of(endpoint: PartnerEndpoint, at: dt.datetime) -> State:
    """Say whether an endpoint receives events at this real instant, or is being tested for it."""
    if endpoint.disabled_at is None:
        return "enabled"
    return "testing" if endpoint.testing_until is not None and at < endpoint.testing_until else "disabled"


def remove_endpoint(session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime) -> None:
    """Take an endpoint off the list for good. The row stays for the delivery log; its secrets are overwritten."""
    endpoint.disabled_at, endpoint.disabled_reason, endpoint.removed_at = at, REMOVED, at
    endpoint.test_delivery_id = endpoint.testing_until = None
    forget_keys(endpoint)
    _written(session, endpoint)


def endpoints_of(session: Session, partner_id: uuid.UUID) -> list[PartnerEndpoint]:
    """Return a partner's endpoints, oldest first; disabled ones too, removed ones not."""
    return list(
        session.exec(
            select(PartnerEndpoint)
            .where(PartnerEndpoint.partner_id == partner_id, col(PartnerEndpoint.removed_at).is_(None))
            .order_by(col(PartnerEndpoint.id))
        )
    )


def endpoint_by_id(session: Session, partner_id: uuid.UUID, endpoint_id: uuid.UUID) -> PartnerEndpoint:
    """Return one endpoint of a partner.

    Raises:
        NotFound: there is none, it was removed, or it is another partner's.
    """
    endpoint = session.get(PartnerEndpoint, endpoint_id)
    if endpoint is None or endpoint.partner_id != partner_id or endpoint.removed_at is not None:
        raise NotFound(f"found no endpoint {endpoint_id}; expected the id of one of your endpoints")
    return endpoint


def endpoints_wanting(session: Session, partner_id: uuid.UUID, event_type: str) -> list[PartnerEndpoint]:
    """Return a partner's enabled endpoints that want this type of event, oldest first."""
    return [
        endpoint
        for endpoint in endpoints_of(session, partner_id)
        if endpoint.disabled_at is None and (not endpoint.event_types or event_type in endpoint.event_types)
    ]


def _checked_url(url: str, look_up: LookUp | None) -> str:
    allowed = [AllowedNetwork.parse(text) for text in settings().outbound.allowed_private]
    return check_endpoint_url(url, allowed=allowed, look_up=look_up or _addresses_in_time)


def _addresses_in_time(host: str, port: int) -> Sequence[str]:
    """Resolve a name, but never let a name server hold the request of whoever typed it."""
    try:
        return _LOOK_UPS.submit(addresses_of, host, port).result(timeout=_LOOK_UP_SECONDS)
    except TimeoutError as error:
        raise TargetBlocked(
            "unresolvable", found=f"{host}, whose name server did not answer", expected="a host name known to the DNS"
        ) from error


def _checked_types(event_types: Collection[str]) -> list[str]:
    unknown = sorted(set(event_types) - set(EVENT_TYPES))
    if unknown:
        raise InvalidInput(
            f"event_types: found {', '.join(unknown)}; expected some of {', '.join(EVENT_TYPES)}, or none for all",
            field="event_types",
        )
    return [event_type for event_type in EVENT_TYPES if event_type in event_types]


def _limit(endpoint: PartnerEndpoint, requests_a_second: int | None, most_in_flight: int | None) -> None:
    """Set the limits that are given; 0 takes one away."""
    for name, wanted, most in (
        ("requests_a_second", requests_a_second, MOST_REQUESTS_A_SECOND),
        ("most_in_flight", most_in_flight, MOST_IN_FLIGHT),
    ):
        if wanted is not None and not 0 <= wanted <= most:
            raise InvalidInput(f"{name}: found {wanted}; expected 1 to {most}, or 0 for no limit", field=name)
        if wanted is not None:
            setattr(endpoint, name, wanted or None)


def _refuse_twin(known: Sequence[PartnerEndpoint], url: str) -> None:
    for other in known:
        if other.url == url:
            raise Conflict(f"found this address at your endpoint {other.id} already; expected a new one", field="url")


def _written(session: Session, endpoint: PartnerEndpoint) -> PartnerEndpoint:
    session.add(endpoint)
    session.flush()
    return endpoint
