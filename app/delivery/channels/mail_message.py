"""A whole mail as bytes.

All bodies are base64, so no line is long and no server has to know 8BITMIME. What is the same in every mail is put
together once for each sender; what is left costs a fraction of what the standard library takes.
"""

import binascii
import hashlib
import re
import uuid
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Final

from app.delivery.channels.contract import OutgoingEmail
from app.delivery.channels.mail_headers import (
    encode_header_text,
    envelope_address,
    mailbox,
    refuse_control_characters,
)
from app.delivery.channels.mail_return_path import ReturnPaths
from app.delivery.channels.mail_signing import Signer
from app.platform.errors import InvalidInput

#: RFC 5322 section 2.1.1, without the line end.
_LINE_LIMIT: Final = 998
_BASE64_LINE: Final = 76
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")
# RFC 8058 wants https; this machine itself (the demo) is reached without.
_UNSUBSCRIBE_URL: Final = re.compile(r"(?:https://|http://127\.0\.0\.1:)[\x21\x23-\x3b\x3d\x3f-\x7e]{1,900}")


@dataclass(frozen=True, slots=True)
class MailSender:
    """Who we are in a mail.

    Attributes:
        address: the From address, and the envelope sender where there are no return paths.
        list_id: names the kind of mail for filters (RFC 2919), such as `notices.todoke.example`; None leaves it out.
        return_paths: give each mail an envelope sender of its own, and an address for unsubscribing by mail.
        signer: signs each mail (DKIM); None where the relay does.
    """

    name: str
    address: str
    list_id: str | None = None
    return_paths: ReturnPaths | None = None
    signer: Signer | None = None


def message_id(delivery_id: uuid.UUID, domain: str) -> str:
    """Return the Message-ID of a delivery: the same on every attempt."""
    return f"<dlv-{delivery_id.hex}@{domain}>"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the mails of one sender.

    Raises:
        InvalidInput: the sender's name, address or list id holds what no header can carry.
    """

    sender: MailSender
    address: str = field(init=False)
    _from: str = field(init=False)

    def __post_init__(self) -> None:
        """Put together what all mails of this sender have in common."""
        object.__setattr__(self, "address", envelope_address(self.sender.address))
        object.__setattr__(self, "_from", "From: " + mailbox(self.sender.name, self.address, already_on_line=6))
        refuse_control_characters(self.sender.list_id or "", "list id")

    def envelope_sender(self, delivery_id: uuid.UUID) -> str:
        """Return the address that a mail comes back to."""
        paths = self.sender.return_paths
        return paths.path(delivery_id) if paths is not None else self.address

    def write(self, outgoing: OutgoingEmail) -> bytes:
        """Return the whole message as it goes over the wire: CRLF lines, ASCII only, text before HTML, signed.

        The same delivery gives the same bytes on every attempt.

        Raises:
            AddressRefused: no mail can be sent to the recipient.
            InvalidInput: a text that is to become a header holds a line break, or the unsubscribe address is not https.
        """
        boundary = "=_todoke_" + hashlib.blake2s(outgoing.delivery_id.bytes, digest_size=12).hexdigest()
        headers = [
            self._from,
            "To: " + envelope_address(outgoing.recipient),
            "Subject: " + encode_header_text(outgoing.subject, already_on_line=9),
            "Date: " + format_datetime(outgoing.composed_at),
            "Message-ID: " + message_id(outgoing.delivery_id, self.address.rpartition("@")[2]),
            "Auto-Submitted: auto-generated",
            *self._list_headers(outgoing),
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
        ]
        body = b"%s%s--%s--\r\n" % (
            _part(b"plain", outgoing.text, boundary.encode()),
            _part(b"html", outgoing.html, boundary.encode()),
            boundary.encode(),
        )
        if self.sender.signer is not None:
            headers = [*self.sender.signer.signatures(headers, body), *headers]
        head = "\r\n".join(headers)
        if any(len(line) > _LINE_LIMIT for line in head.split("\r\n")):
            raise InvalidInput(
                f"mail header: found a line of more than {_LINE_LIMIT} characters; expected shorter ones"
            )
        return head.encode() + b"\r\n\r\n" + body

    def _list_headers(self, outgoing: OutgoingEmail) -> list[str]:
        url, paths = outgoing.unsubscribe_url, self.sender.return_paths
        if url is None:
            return []
        if not _UNSUBSCRIBE_URL.fullmatch(url):
            raise InvalidInput("unsubscribe address: found something else; expected https://… of up to 900 characters")
        ways = f"<{url}>"
        if paths is not None:
            ways += f",\r\n <mailto:{paths.path(outgoing.delivery_id)}?subject=unsubscribe>"
        headers = [f"List-Unsubscribe: {ways}", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
        return [*headers, f"List-Id: <{self.sender.list_id}>"] if self.sender.list_id is not None else headers


def _part(subtype: bytes, text: str, boundary: bytes) -> bytes:
    # A text part has CRLF line ends before it is encoded (RFC 2046 section 4.1.1).
    encoded = base64_lines(_LINE_ENDS.sub("\r\n", text).encode("utf-8", "replace"))
    return (
        b"--%s\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n"
        % (boundary, subtype, encoded)
    )  # fmt: skip


def base64_lines(content: bytes) -> bytes:
    """Return base64 in lines of 76 characters, each ended by CRLF: what `base64.encodebytes` gives, but faster."""
    encoded = binascii.b2a_base64(content, newline=False)
    rows = [encoded[start : start + _BASE64_LINE] for start in range(0, len(encoded), _BASE64_LINE)]
    return b"\r\n".join([*rows, b""])
