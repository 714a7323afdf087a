"""Return paths: every mail has one of its own, so that what comes back names its delivery and nobody can make one up.

The token is the delivery's id and a keyed mark, in letters that survive being written in capitals. It stands in the
envelope sender (VERP) and, where the relay offers DSN (RFC 3461), in ENVID.
"""

import base64
import hmac
import re
import uuid
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from app.delivery.channels.mail_headers import envelope_address
from app.platform.errors import InvalidInput

_MARK_BYTES: Final = 9
_TOKEN: Final = re.compile(r"(?<![a-z0-9])[a-z2-7]{40}(?![a-z0-9])", re.IGNORECASE)
#: RFC 5321 section 4.5.3.1.1.
_LONGEST_LOCAL_PART: Final = 64


@dataclass(frozen=True, slots=True)
class ReturnPaths:
    """Makes and reads return paths.

    Args:
        address: where bounces are taken, such as `bounces@mail.todoke.example`; tokens follow a `+`.
        key: 32 secret bytes.
    """

    address: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an address that a token does not fit into.

        Raises:
            InvalidInput: naming what is wrong.
        """
        local = envelope_address(self.address).rpartition("@")[0]
        if '"' in local or len(local) + 1 + 40 > _LONGEST_LOCAL_PART:
            raise InvalidInput(
                f"return address: found {self.address!r}; expected a plain name of at most 23 characters before @"
            )

    def token(self, delivery_id: uuid.UUID) -> str:
        """Return the 40 letters and digits that stand for a delivery."""
        return base64.b32encode(delivery_id.bytes + self._mark(delivery_id)).decode().lower()

    def path(self, delivery_id: uuid.UUID) -> str:
        """Return the envelope sender of a delivery."""
        local, _, domain = self.address.rpartition("@")
        return f"{local}+{self.token(delivery_id)}@{domain}"

    def delivery_in(self, text: str) -> uuid.UUID | None:
        """Return the delivery whose token stands in a text; None if there is none that we made."""
        for found in _TOKEN.finditer(text):
            raw = base64.b32decode(found[0].upper())
            delivery_id, mark = uuid.UUID(bytes=raw[:-_MARK_BYTES]), raw[-_MARK_BYTES:]
            if hmac.compare_digest(mark, self._mark(delivery_id)):
                return delivery_id
        return None

    def _mark(self, delivery_id: uuid.UUID) -> bytes:
        return hmac.digest(self.key, delivery_id.bytes, sha256)[:_MARK_BYTES]
