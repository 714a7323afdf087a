"""E-mail: one SMTP transaction per mail over a few kept connections to our own relay.

The message is put together as bytes by hand: the standard library builds only some hundred a second and folds
Japanese subjects wrongly (encoded words of 76 characters, lost spaces). All bodies are base64, so no line is long and
no server has to know 8BITMIME.

A relay that takes a mail has not delivered it: success is `accepted`, never `delivered`.
"""

import asyncio
import base64
import contextlib
import hashlib
import re
import ssl
import unicodedata
import uuid
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Final

import aiosmtplib

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingEmail, Stopwatch, excerpt
from app.platform.errors import InvalidInput

#: RFC 2047 section 2: an encoded word is at most 75 characters, a line with one at most 76.
_ENCODED_WORD_LIMIT: Final = 75
_ENCODED_LINE_LIMIT: Final = 76
#: RFC 5322 section 2.1.1, without the line end.
_LINE_LIMIT: Final = 998
_WORD_START, _WORD_END = "=?utf-8?b?", "?="
_PLAIN: Final = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_ATOMS: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.IGNORECASE)
_LOCAL_PART: Final = re.compile(r"[\x21-\x3b\x3d\x3f\x41-\x7e]{1,64}")
_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)
_ENHANCED_STATUS: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
# RFC 8058 wants https; this machine itself (the demo) is reached without.
_UNSUBSCRIBE_URL: Final = re.compile(r"(?:https://|http://127\.0\.0\.1:)[\x21\x23-\x3b\x3d\x3f-\x7e]{1,900}")


@dataclass(frozen=True, slots=True)
class MailSender:
    """Who we are in a mail.

    Attributes:
        address: the From address and the envelope sender.
        list_id: names the kind of mail for filters (RFC 2919), such as `notices.todoke.example`; None leaves it out.
    """

    name: str
    address: str
    list_id: str | None = None


@dataclass(frozen=True, slots=True)
class MailRelay:
    """The SMTP server that takes our mail. `start_tls=None` upgrades where the relay offers it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    use_tls: bool = False
    start_tls: bool | None = None
    local_hostname: str = "localhost"


class AddressRefused(InvalidInput):
    """No mail can be sent to this text."""

    slug = "address-refused"


def encode_header_text(text: str, *, already_on_line: int) -> str:
    """Return the value of an unstructured header or a display name, folded, in ASCII (RFC 2047).

    Text that is plain and short stays as it is; everything else becomes base64 encoded words, the whole of it, because
    the blank between an encoded word and a plain one is where clients disagree.

    Args:
        text: any text without control characters.
        already_on_line: characters before the value on its first line (`Subject: ` is 9).

    Raises:
        InvalidInput: the text holds a line break or another control character, or half of a character.
    """
    refuse_control_characters(text, "header")
    if already_on_line + len(text) <= 78 and "=?" not in text and (not text or _PLAIN.fullmatch(text)):
        return text
    words: list[str] = []
    chunk = bytearray()
    room = _bytes_in_word(already_on_line)
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > room:
            words.append(_encoded_word(chunk))
            chunk = bytearray()
            room = _bytes_in_word(1)
        chunk += encoded
    words.append(_encoded_word(chunk))
    return "\r\n ".join(words)


def _bytes_in_word(already_on_line: int) -> int:
    characters = min(_ENCODED_WORD_LIMIT, _ENCODED_LINE_LIMIT - already_on_line)
    return (characters - len(_WORD_START) - len(_WORD_END)) // 4 * 3


def _encoded_word(chunk: bytes | bytearray) -> str:
    return _WORD_START + base64.b64encode(chunk).decode() + _WORD_END


def refuse_control_characters(text: str, what: str) -> None:
    """Refuse a text that could end a header line and begin another.

    Raises:
        InvalidInput: naming the character, never the text.
    """
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise InvalidInput(f"mail {what}: found the character U+{ord(character):04X}; expected one line of text")


def envelope_address(text: str) -> str:
    """Return an address as SMTP takes it: domain in ASCII, a local part of old carrier style in quotes.

    Japanese carriers once gave out local parts such as `foo..bar` and `foo.`; they work only in quotes.

    Raises:
        AddressRefused: naming what is wrong, never the address.
    """
    refuse_control_characters(text, "address")
    local, _, domain = text.strip().rpartition("@")
    quoted = len(local) > 2 and local[0] == local[-1] == '"'
    local = local[1:-1] if quoted else local
    if not _LOCAL_PART.fullmatch(local) or '"' in local or "\\" in local:
        raise AddressRefused("mail address: found a part before @ that mail cannot carry; expected name@example.jp")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        domain = ""
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise AddressRefused("mail address: found no usable domain after @; expected name@example.jp")
    return f"{local}@{domain}" if _ATOMS.fullmatch(local) else f'"{local}"@{domain}'


def message_id(delivery_id: uuid.UUID, domain: str) -> str:
    """Return the Message-ID of a delivery: the same on every attempt."""
    return f"<dlv-{delivery_id.hex}@{domain}>"


def build_message(outgoing: OutgoingEmail, sender: MailSender) -> bytes:
    """Return the whole message as it goes over the wire: CRLF lines, ASCII only, text before HTML.

    Raises:
        InvalidInput: a text that is to become a header holds a line break, or the unsubscribe address is not https.
    """
    from_address, to_address = envelope_address(sender.address), envelope_address(outgoing.recipient)
    boundary = "=_todoke_" + hashlib.blake2s(outgoing.delivery_id.bytes, digest_size=12).hexdigest()
    headers = [
        "From: " + _mailbox(sender.name, from_address, already_on_line=6),
        "To: " + to_address,
        "Subject: " + encode_header_text(outgoing.subject, already_on_line=9),
        "Date: " + format_datetime(outgoing.composed_at),
        "Message-ID: " + message_id(outgoing.delivery_id, from_address.rpartition("@")[2]),
        "Auto-Submitted: auto-generated",
        *_list_headers(outgoing.unsubscribe_url, sender.list_id),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
    ]
    parts = (_part("plain", outgoing.text, boundary), _part("html", outgoing.html, boundary))
    message = "\r\n".join(headers).encode() + b"\r\n\r\n" + b"".join(parts) + f"--{boundary}--\r\n".encode()
    if any(len(line) > _LINE_LIMIT for header in headers for line in header.split("\r\n")):
        raise InvalidInput(f"mail header: found a line of more than {_LINE_LIMIT} characters; expected a shorter one")
    return message


def _mailbox(name: str, address: str, *, already_on_line: int) -> str:
    name = name.strip()
    if not name:
        return address
    encoded = encode_header_text(name, already_on_line=already_on_line)
    if encoded == name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"\r\n <{address}>'
    return f"{encoded}\r\n <{address}>"


def _list_headers(unsubscribe_url: str | None, list_id: str | None) -> list[str]:
    if unsubscribe_url is None:
        return []
    if not _UNSUBSCRIBE_URL.fullmatch(unsubscribe_url):
        raise InvalidInput("unsubscribe address: found something else; expected https://… of at most 900 characters")
    headers = [f"List-Unsubscribe: <{unsubscribe_url}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    if list_id is not None:
        refuse_control_characters(list_id, "list id")
        headers.append(f"List-Id: <{list_id}>")
    return headers


def _part(subtype: str, text: str, boundary: str) -> bytes:
    head = (
        f"--{boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode()
    # A text part has CRLF line ends before it is encoded (RFC 2046 section 4.1.1).
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return head + base64.encodebytes(lines.encode("utf-8", "replace")).replace(b"\n", b"\r\n") + b"\r\n"


class EmailChannel:
    """Sends mail.

    Args:
        relay: where to; sender: as whom.
        connections: kept open and used by one mail at a time; more mails than that wait.
        total_seconds: nothing about one attempt takes longer than this, waiting included.
        idle_seconds: a connection unused for longer is replaced, before the relay closes it under our hands.
    """

    def __init__(
        self,
        relay: MailRelay,
        sender: MailSender,
        *,
        connections: int = 8,
        total_seconds: float = 30.0,
        idle_seconds: float = 20.0,
    ) -> None:
        self._relay = relay
        self._sender = sender
        self._envelope_sender = envelope_address(sender.address)
        self._connections = connections
        self._total_seconds = total_seconds
        self._idle_seconds = idle_seconds
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._slots: asyncio.Semaphore | None = None

    async def send(self, outgoing: OutgoingEmail, /) -> AttemptResult:
        """Make one attempt; see `contract`."""
        watch = Stopwatch()
        try:
            recipient = envelope_address(outgoing.recipient)
            message = build_message(outgoing, self._sender)
        except AddressRefused as error:
            return watch.result(Outcome.UNDELIVERABLE, error="address_invalid", response_excerpt=excerpt(str(error)))
        except InvalidInput as error:
            return watch.result(
                Outcome.PERMANENT_FAILURE, error="message_invalid", response_excerpt=excerpt(str(error))
            )
        self._slots = self._slots or asyncio.Semaphore(self._connections)
        try:
            async with asyncio.timeout(self._total_seconds), self._slots:
                return await self._transact(recipient, message, watch)
        except TimeoutError:
            return watch.result(Outcome.RETRY, error="timeout")
        except aiosmtplib.SMTPResponseException as error:
            return _refused_at_greeting(error, watch)
        except ssl.SSLError as error:
            return watch.result(Outcome.RETRY, error="tls", response_excerpt=excerpt(str(error)))
        except (aiosmtplib.SMTPException, OSError) as error:
            name = "connect" if isinstance(error, aiosmtplib.SMTPConnectError) else "disconnected"
            return watch.result(Outcome.RETRY, error=name, response_excerpt=excerpt(str(error)))

    async def close(self) -> None:
        """Say goodbye on every idle connection and close it."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await connection.quit()
            connection.close()

    async def _transact(self, recipient: str, message: bytes, watch: Stopwatch) -> AttemptResult:
        connection = await self._connection_with_envelope()
        reusable = False
        try:
            response = await connection.execute_command(b"RCPT", b"TO:<" + recipient.encode() + b">")
            if response.code // 100 != 2:
                result = _refused(response, watch, recipient=recipient, at_recipient=True)
            else:
                response = await _data(connection, message)
                if response.code // 100 == 2:
                    result = watch.result(
                        Outcome.ACCEPTED,
                        status_code=response.code,
                        response_excerpt=excerpt(response.message, without=recipient),
                        reference=excerpt(response.message, without=recipient)[:200] or None,
                    )
                else:
                    result = _refused(response, watch, recipient=recipient, at_recipient=False)
            reusable = response.code != 421
            if reusable and result.outcome is not Outcome.ACCEPTED:
                reusable = await _reset(connection)
            return result
        finally:
            # A connection that was cut short in the middle of a transaction is never used again.
            if reusable and connection.is_connected:
                self._idle.append((connection, asyncio.get_running_loop().time()))
            else:
                connection.close()

    async def _connection_with_envelope(self) -> aiosmtplib.SMTP:
        """Return a connection that has taken MAIL FROM; one that had died while idle is replaced unseen."""
        command = (b"MAIL", b"FROM:<" + self._envelope_sender.encode() + b">")
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_connected and asyncio.get_running_loop().time() - since < self._idle_seconds:
                try:
                    if (await connection.execute_command(*command)).code == 250:
                        return connection
                except (aiosmtplib.SMTPServerDisconnected, OSError):
                    pass
            connection.close()
        connection = await self._connect()
        try:
            response = await connection.execute_command(*command)
            if response.code != 250:
                raise aiosmtplib.SMTPSenderRefused(response.code, response.message, self._envelope_sender)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connect(self) -> aiosmtplib.SMTP:
        relay = self._relay
        connection = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.use_tls,
            start_tls=relay.start_tls,
            local_hostname=relay.local_hostname,
            timeout=self._total_seconds,
        )
        try:
            await connection.connect()
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()
        except BaseException:
            connection.close()
            raise
        return connection


async def _reset(connection: aiosmtplib.SMTP) -> bool:
    try:
        return (await connection.execute_command(b"RSET")).code == 250
    except (aiosmtplib.SMTPException, OSError):
        return False


async def _data(connection: aiosmtplib.SMTP, message: bytes) -> aiosmtplib.SMTPResponse:
    try:
        return await connection.data(message)
    except aiosmtplib.SMTPDataError as error:
        return aiosmtplib.SMTPResponse(error.code, error.message)


def _refused(
    response: aiosmtplib.SMTPResponse, watch: Stopwatch, *, recipient: str, at_recipient: bool
) -> AttemptResult:
    """Read a 4yz or 5yz answer (RFC 5321, RFC 3463): the time, the address or we ourselves are the cause."""
    found = _ENHANCED_STATUS.search(response.message)
    status = found[1] if found else ""
    if response.code // 100 != 5 or status.startswith("4.") or status == "5.2.2":
        outcome = Outcome.RETRY  # a full mailbox empties, however final the code sounds
    elif status.startswith("5.1.") or (at_recipient and not status and response.code in (550, 551, 553)):
        outcome = Outcome.UNDELIVERABLE
    else:
        outcome = Outcome.PERMANENT_FAILURE
    return watch.result(
        outcome,
        status_code=response.code,
        error=f"smtp_{status or response.code}",
        response_excerpt=excerpt(response.message, without=recipient),
    )


def _refused_at_greeting(error: aiosmtplib.SMTPResponseException, watch: Stopwatch) -> AttemptResult:
    """Before the recipient is named every refusal is about us: wait for an operator instead of losing mail."""
    name = "smtp_sender" if isinstance(error, aiosmtplib.SMTPSenderRefused) else "smtp_login"
    sender_refused = name == "smtp_sender" and error.code // 100 == 5
    return watch.result(
        Outcome.PERMANENT_FAILURE if sender_refused else Outcome.RETRY,
        status_code=error.code,
        error=name,
        response_excerpt=excerpt(error.message),
    )
