"""The keys of endpoints: shared secrets (HMAC) and, for endpoints that ask for it, Ed25519 keys that we alone hold.

A secret is shown once, when it is made; a public key may be read at any time. During a rotation the old and the new key
both sign for 24 hours, so that a receiver can change over without losing an event.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from sqlmodel import Session

from app.partners.signing import new_secret, new_signing_key, public_key_of
from app.partners.tables import PartnerEndpoint
from app.platform.errors import Conflict, InvalidInput
from app.platform.sealing import seal, unseal

ROTATION_OVERLAP: Final = dt.timedelta(hours=24)

Signing = Literal["hmac", "ed25519", "both"]
SIGNINGS: Final[tuple[Signing, ...]] = ("hmac", "ed25519", "both")

_TABLE: Final = "partner_endpoints"
_Kind = Literal["secret", "signing_key"]


@dataclass(frozen=True, slots=True)
class SecretShown:
    """An endpoint and its new secret, in the only moment in which the secret can be read."""

    endpoint: PartnerEndpoint
    secret: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key (`whpk_…`) and until when it signs; None: until it is rotated."""

    key: str
    until: dt.datetime | None


def give_secret(endpoint: PartnerEndpoint) -> str:
    """Give an endpoint a new secret in the place of any other, and return it."""
    secret = new_secret()
    endpoint.secret_sealed = seal(secret, _TABLE, "secret_sealed", endpoint.id)
    return secret


def sign_with(endpoint: PartnerEndpoint, signing: str) -> None:
    """Choose what an endpoint's events are signed with; the first choice of Ed25519 makes its key.

    Raises:
        InvalidInput: an unknown choice.
    """
    if signing not in SIGNINGS:
        raise InvalidInput(f"signing: found {signing!r}; expected one of {', '.join(SIGNINGS)}", field="signing")
    if signing != "hmac" and endpoint.signing_key_sealed is None:
        endpoint.signing_key_sealed = seal(new_signing_key(), _TABLE, "signing_key_sealed", endpoint.id)
    endpoint.signing = signing


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
    secret = new_secret()
    _rotate(session, endpoint, "secret", secret, at, immediately)
    return SecretShown(endpoint, secret)


def rotate_signing_key(
    session: Session, endpoint: PartnerEndpoint, *, at: dt.datetime, immediately: bool = False
) -> PartnerEndpoint:
    """Make a new Ed25519 key, as `rotate_secret` does with secrets.

    Raises:
        Conflict: the endpoint has none, or an earlier rotation is still in its 24 hours.
    """
    if endpoint.signing_key_sealed is None:
        raise Conflict("found an endpoint that signs with hmac alone; choose signing ed25519 or both first")
    _rotate(session, endpoint, "signing_key", new_signing_key(), at, immediately)
    return endpoint


def forget_keys(endpoint: PartnerEndpoint) -> None:
    """Overwrite every key of an endpoint that is removed."""
    give_secret(endpoint)
    endpoint.previous_secret_sealed = endpoint.previous_secret_until = None
    endpoint.previous_signing_key_sealed = endpoint.previous_signing_key_until = None
    if endpoint.signing_key_sealed is not None:
        endpoint.signing_key_sealed = seal(new_signing_key(), _TABLE, "signing_key_sealed", endpoint.id)


def live_keys(endpoint: PartnerEndpoint, at: dt.datetime) -> tuple[str, ...]:
    """Return the keys that sign at this real instant: by the endpoint's choice, newest first, two in a rotation."""
    secrets = () if endpoint.signing == "ed25519" else _live(endpoint, "secret", at)
    return secrets if endpoint.signing == "hmac" else (*secrets, *_live(endpoint, "signing_key", at))


def live_secrets(endpoint: PartnerEndpoint, at: dt.datetime) -> tuple[str, ...]:
    """Return the shared secrets that are good at this real instant, newest first, whatever signs now."""
    return _live(endpoint, "secret", at)


def public_keys(endpoint: PartnerEndpoint, at: dt.datetime) -> list[PublicKey]:
    """Return the public keys that verify what is signed at this real instant, newest first; none for `hmac`."""
    if endpoint.signing == "hmac":
        return []
    newest, *older = _live(endpoint, "signing_key", at)
    return [
        PublicKey(public_key_of(newest), None),
        *[PublicKey(public_key_of(old), endpoint.previous_signing_key_until) for old in older],
    ]


def _rotate(
    session: Session, endpoint: PartnerEndpoint, kind: _Kind, new: str, at: dt.datetime, immediately: bool
) -> None:
    session.refresh(endpoint, with_for_update=True)
    until: dt.datetime | None = getattr(endpoint, f"previous_{kind}_until")
    if not immediately and until is not None and at < until:
        raise Conflict(
            f"found an earlier secret that still signs until {until.isoformat()}; "
            "wait until then, or end every old secret at once with immediately=true"
        )
    old = _opened(endpoint, f"{kind}_sealed")
    setattr(endpoint, f"{kind}_sealed", seal(new, _TABLE, f"{kind}_sealed", endpoint.id))
    previous = None if immediately else seal(old, _TABLE, f"previous_{kind}_sealed", endpoint.id)
    setattr(endpoint, f"previous_{kind}_sealed", previous)
    setattr(endpoint, f"previous_{kind}_until", None if immediately else at + ROTATION_OVERLAP)
    session.add(endpoint)
    session.flush()


def _live(endpoint: PartnerEndpoint, kind: _Kind, at: dt.datetime) -> tuple[str, ...]:
    current = _opened(endpoint, f"{kind}_sealed")
    until: dt.datetime | None = getattr(endpoint, f"previous_{kind}_until")
    if getattr(endpoint, f"previous_{kind}_sealed") is None or until is None or at >= until:
        return (current,)
    return (current, _opened(endpoint, f"previous_{kind}_sealed"))


def _opened(endpoint: PartnerEndpoint, column: str) -> str:
    return unseal(getattr(endpoint, column), _TABLE, column, endpoint.id)
