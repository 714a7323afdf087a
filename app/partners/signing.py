"""Standard Webhooks 1.0 signatures: `v1` (HMAC-SHA256, a shared secret) and `v1a` (Ed25519, we alone can sign).

What is signed is `{webhook-id}.{webhook-timestamp}.{body}`, byte for byte as sent. During a rotation two keys are live
and both signatures travel in one header; so do those of both kinds, for an endpoint that changes from one to the other.
A key says by its beginning which kind it is: `whsec_` a shared secret, `whsk_` a private key, `whpk_` its public one.
"""

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.platform.errors import InvalidInput

PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
KEY_BYTES: Final = 32
TOLERANCE_SECONDS: Final = 300


class SignatureRefused(InvalidInput):
    """A body was not signed by a holder of the secret, or not now."""

    slug = "signature-refused"


def new_secret() -> str:
    """Return a fresh secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(randomness.token_bytes(KEY_BYTES)).decode()


def new_signing_key() -> str:
    """Return a fresh Ed25519 private key: `whsk_` and, in base64, its 32 bytes followed by the public key's 32."""
    key = Ed25519PrivateKey.generate()
    return PRIVATE_PREFIX + base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()


def public_key_of(signing_key: str) -> str:
    """Return the public half of a private key: `whpk_` and 32 bytes in base64. Anybody may read it.

    Raises:
        InvalidInput: the text is no private key. The message never repeats it.
    """
    public = _private_key(signing_key).public_key().public_bytes_raw()
    return PUBLIC_PREFIX + base64.b64encode(public).decode()


def key_of(secret: str) -> bytes:
    """Return the 24 to 64 bytes inside a secret.

    Raises:
        InvalidInput: the text is not a secret. The message never repeats it.
    """
    return _decoded(secret, PREFIX, range(24, 65), "secret")


def signature(keys: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one part for each live key, newest first, parted by spaces.

    Args:
        keys: shared secrets (`whsec_…`, giving `v1,…`) and private keys (`whsk_…`, giving `v1a,…`).
        webhook_id: without a full stop.
        timestamp: of the attempt, in Unix seconds.
        body: the exact bytes that are sent.

    Raises:
        InvalidInput: no key, a broken one, or a webhook id that could shift the parts of what is signed.
    """
    if not keys or not webhook_id or "." in webhook_id:
        raise InvalidInput(
            f"webhook signature: found {len(keys)} secrets and id {webhook_id!r}; expected at least one secret and "
            "an id without a full stop"
        )
    signed = _signed(webhook_id, timestamp, body)
    return " ".join(_part(key, signed) for key in keys)


def verify(keys: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: int) -> None:
    """Check that one of the keys signed this body within five minutes of `now` (Unix seconds).

    Args:
        keys: shared secrets (`whsec_…`) and public keys (`whpk_…`).
        headers: their names are lower case.
        body: the bytes as received.
        now: Unix seconds.

    Raises:
        SignatureRefused: saying which check failed, never what would have passed.
    """
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").encode().split(b" ")
    if not webhook_id or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        raise SignatureRefused("webhook: found no usable webhook-id and webhook-timestamp; expected both headers")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise SignatureRefused(f"webhook: found a timestamp more than {TOLERANCE_SECONDS} seconds away from now")
    signed = _signed(webhook_id, int(timestamp), body)
    if not any(_is_by(key, signed, candidate) for key in keys for candidate in given):
        raise SignatureRefused("webhook: found no signature made with this secret over this body")


def _signed(webhook_id: str, timestamp: int, body: bytes) -> bytes:
    return b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)


def _part(key: str, signed: bytes) -> str:
    if key.startswith(PRIVATE_PREFIX):
        return "v1a," + base64.b64encode(_private_key(key).sign(signed)).decode()
    return "v1," + base64.b64encode(hmac.digest(key_of(key), signed, hashlib.sha256)).decode()


def _is_by(key: str, signed: bytes, candidate: bytes) -> bool:
    if not key.startswith(PUBLIC_PREFIX):
        return hmac.compare_digest(_part(key, signed).encode(), candidate)
    label, _, encoded = candidate.partition(b",")
    if label != b"v1a":
        return False
    try:
        _public_key(key).verify(base64.b64decode(encoded, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _private_key(text: str) -> Ed25519PrivateKey:
    both = _decoded(text, PRIVATE_PREFIX, range(64, 65), "private key")
    return Ed25519PrivateKey.from_private_bytes(both[:32])


def _public_key(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_decoded(text, PUBLIC_PREFIX, range(32, 33), "public key"))


def _decoded(text: str, prefix: str, lengths: range, name: str) -> bytes:
    bounds = f"{lengths[0]} to {lengths[-1]}" if len(lengths) > 1 else f"{lengths[0]}"
    expected = f"expected {prefix} followed by {bounds} bytes in base64"
    if not text.startswith(prefix):
        raise InvalidInput(f"webhook {name}: found a text that does not begin with {prefix}; {expected}")
    try:
        key = base64.b64decode(text[len(prefix) :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"webhook {name}: found characters that are not base64; {expected}") from None
    if len(key) not in lengths:
        raise InvalidInput(f"webhook {name}: found {len(key)} bytes; {expected}")
    return key
