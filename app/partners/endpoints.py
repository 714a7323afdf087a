"""Endpoints: the addresses that receive a partner's signed events, and their secrets.

A secret is shown once, when it is made. During a rotation the old and the new one both sign for 24 hours, so that a
receiver can change over without losing an event.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlmodel import Session, col, select

from app.partners.events import EVENT_TYPES
from app.partners.signing import new_secret
from app.partners.tables import PartnerEndpoint
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id
from app.platform.outbound import AllowedNetwork, TargetBlocked, addresses_of, check_endpoint_url
from app.platform.sealing import seal, unseal
from app.platform.settings import settings

ROTATION_OVERLAP = dt.timedelta(hours=24)
MOST_ENDPOINTS = 20

#: Why an endpoint no longer receives anything. `failing` and `gone` are written by delivery.
BY_PARTNER, REMOVED, GONE, FAILING = "by_partner", "removed", "gone", "failing"

_TABLE = "partner_endpoints"
_LOOK_UP_SECONDS = 3.0
_LOOK_UPS = ThreadPoolExecutor(4, thread_name_prefix="endpoint-dns")

LookUp = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class SecretShown:
    """An endpoint and its new secret, in the only moment in which the secret can be read."""

    endpoint: PartnerEndpoint
    secret: str


def register_endpoint(
    session: Session,
    partner_id: uuid.UUID,
    url: str,
    event_types: Collection[str] = (),
    *,
    look_up: LookUp | None = None,
) -> SecretShown:
    """Write a new endpoint and make its secret.

    Args:
        session: in the partner's context.
        partner_id: whose endpoint it is.
        url: checked by `app.platform.outbound`: https, public address, no user name, no part after #.
        event_types: which events it wants; empty = all.
        look_up: resolves the host's name; the system's resolver, three seconds at most, unless given.

    Raises:
        TargetBlocked: the address cannot be called; the text says why and what would be accepted.
        InvalidInput: an unknown event type.
        Conflict: the partner has 20 endpoints already, or this address is one of them.
    """
    known = endpoints_of(session, partner_id)
    if len(known) >= MOST_ENDPOINTS:
        raise Conflict(
            f"found {len(known)} endpoints; expected at most {MOST_ENDPOINTS}: remove one that is no longer used"
        )
    address = _checked_url(url, look_up)
    _refuse_twin(known, address)
    endpoint_id, secret = new_id(), new_secret()
    endpoint = PartnerEndpoint(
        id=endpoint_id,
        partner_id=partner_id,
        url=address,
        secret_sealed=seal(secret, _TABLE, "secret_sealed", endpoint_id),
        event_types=_checked_types(event_types),
    )
    session.add(endpoint)
    session.flush()
    return SecretShown(endpoint, secret)


def edit_endpoint(
    session: Session,
    endpoint: PartnerEndpoint,
    *,
    url: str | None = None,
    event_types: Collection[str] | None = None,
    look_up: LookUp | None = None,
) -> PartnerEndpoint:
    """Change the address or the wanted event types; what is None stays.

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
    endpoint.disabled_at = endpoint.disabled_reason = None
    return _written(session, endpoint)


def remove_endpoint(session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime) -> None:
    """Take an endpoint off the list for good. The row stays for the delivery log; its secrets are overwritten."""
    endpoint.disabled_at, endpoint.disabled_reason, endpoint.removed_at = at, REMOVED, at
    endpoint.secret_sealed = seal(new_secret(), _TABLE, "secret_sealed", endpoint.id)
    endpoint.previous_secret_sealed = endpoint.previous_secret_until = None
    _written(session, endpoint)


def rotate_secret(
    session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime, immediately: bool = False
) -> SecretShown:
    """Make a new secret. The old one goes on signing for 24 hours, unless it leaked and must end now.

    Args:
        session: in the partner's context.
        endpoint: whose secret it is.
        at: the real instant (secrets, like signatures, live in real time).
        immediately: every old secret ends at once.

    Raises:
        Conflict: an earlier rotation is still in its 24 hours and `immediately` is not asked for.
    """
    session.refresh(endpoint, with_for_update=True)
    if not immediately and endpoint.previous_secret_until is not None and at < endpoint.previous_secret_until:
        raise Conflict(
            f"found an earlier secret that still signs until {endpoint.previous_secret_until.isoformat()}; "
            "wait until then, or end every old secret at once with immediately=true"
        )
    old, new = _opened(endpoint, "secret_sealed"), new_secret()
    endpoint.secret_sealed = seal(new, _TABLE, "secret_sealed", endpoint.id)
    if immediately:
        endpoint.previous_secret_sealed = endpoint.previous_secret_until = None
    else:
        endpoint.previous_secret_sealed = seal(old, _TABLE, "previous_secret_sealed", endpoint.id)
        endpoint.previous_secret_until = at + ROTATION_OVERLAP
    return SecretShown(_written(session, endpoint), new)


def live_secrets(endpoint: PartnerEndpoint, at: dt.datetime) -> tuple[str, ...]:
    """Return the secrets that sign at this real instant, newest first: one, or two during a rotation."""
    current = _opened(endpoint, "secret_sealed")
    until = endpoint.previous_secret_until
    if endpoint.previous_secret_sealed is None or until is None or at >= until:
        return (current,)
    return (current, _opened(endpoint, "previous_secret_sealed"))


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


def _refuse_twin(known: Sequence[PartnerEndpoint], url: str) -> None:
    for other in known:
        if other.url == url:
            raise Conflict(f"found this address at your endpoint {other.id} already; expected a new one", field="url")


def _opened(endpoint: PartnerEndpoint, column: str) -> str:
    return unseal(getattr(endpoint, column), _TABLE, column, endpoint.id)


def _written(session: Session, endpoint: PartnerEndpoint) -> PartnerEndpoint:
    session.add(endpoint)
    session.flush()
    return endpoint
