"""Standard Webhooks 1.0 signatures with a shared secret (`v1`, HMAC-SHA256).

What is signed is `{webhook-id}.{webhook-timestamp}.{body}`, byte for byte as sent. During a rotation two secrets are
live and both signatures travel in one header.
"""

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Mapping, Sequence
from typing import Final

from app.platform.errors import InvalidInput

PREFIX: Final = "whsec_"
KEY_BYTES: Final = 32
TOLERANCE_SECONDS: Final = 300


class SignatureRefused(InvalidInput):
    """A body was not signed by a holder of the secret, or not now."""

    slug = "signature-refused"


def new_secret() -> str:
    """Return a fresh secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(randomness.token_bytes(KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the 24 to 64 bytes inside a secret.

    Raises:
        InvalidInput: the text is not a secret. The message never repeats it.
    """
    expected = f"expected {PREFIX} followed by 24 to 64 bytes in base64"
    if not secret.startswith(PREFIX):
        raise InvalidInput(f"webhook secret: found a text that does not begin with {PREFIX}; {expected}")
    try:
        key = base64.b64decode(secret[len(PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"webhook secret: found characters that are not base64; {expected}") from None
    if not 24 <= len(key) <= 64:
        raise InvalidInput(f"webhook secret: found {len(key)} bytes; {expected}")
    return key


def signature(secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one `v1,…` for each live secret, newest first, parted by spaces.

    Raises:
        InvalidInput: no secret, a broken one, or a webhook id that could shift the parts of what is signed.
    """
    if not secrets or not webhook_id or "." in webhook_id:
        raise InvalidInput(
            f"webhook signature: found {len(secrets)} secrets and id {webhook_id!r}; expected at least one secret and "
            "an id without a full stop"
        )
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode() for secret in secrets
    )


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: int) -> None:
    """Check that one of the secrets signed this body within five minutes of `now` (Unix seconds).

    The names in `headers` are lower case.

    Raises:
        SignatureRefused: saying which check failed, never what would have passed.
    """
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").encode().split(b" ")
    if not webhook_id or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        raise SignatureRefused("webhook: found no usable webhook-id and webhook-timestamp; expected both headers")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise SignatureRefused(f"webhook: found a timestamp more than {TOLERANCE_SECONDS} seconds away from now")
    for wanted in signature(secrets, webhook_id, int(timestamp), body).encode().split(b" "):
        if any(hmac.compare_digest(wanted, candidate) for candidate in given):
            return
    raise SignatureRefused("webhook: found no signature made with this secret over this body")
