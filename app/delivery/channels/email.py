"""E-mail: one SMTP transaction per mail over a few kept connections to our own relay.

A relay that takes a mail has not delivered it: success is `accepted`, never `delivered`; what comes back later is read
by `mail_reports`.

SMTP cannot say whether a mail was taken when the connection ends between the final dot and the answer (RFC 1047). Such
an attempt is tried again, so a mail may arrive twice: with the same Message-ID and to the byte the same.
"""

import asyncio
import contextlib
import re
import ssl
from dataclasses import dataclass, field
from typing import Final

import aiosmtplib

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingEmail, Stopwatch, excerpt
from app.delivery.channels.mail_headers import AddressRefused, envelope_address
from app.delivery.channels.mail_message import MailSender, Writer
from app.platform.errors import InvalidInput

_ENHANCED_STATUS: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
#: Bad address of the sender (RFC 3463): nothing against the recipient.
_ABOUT_US: Final = ("5.1.7", "5.1.8")
#: Greylisting wants an honest sender to come back, but not at once.
_PATIENCE_SECONDS: Final = 300.0


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
        self._writer = Writer(sender)
        self._connections = connections
        self._total_seconds = total_seconds
        self._idle_seconds = idle_seconds
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._slots: asyncio.Semaphore | None = None

    async def send(self, outgoing: OutgoingEmail, /) -> AttemptResult:
        """Make one attempt; see `contract`."""
        watch = Stopwatch()
        try:
            envelope = self._envelope(outgoing)
            message = self._writer.write(outgoing)
        except AddressRefused as error:
            return watch.result(Outcome.UNDELIVERABLE, error="address_invalid", response_excerpt=excerpt(str(error)))
        except InvalidInput as error:
            return watch.result(
                Outcome.PERMANENT_FAILURE, error="message_invalid", response_excerpt=excerpt(str(error))
            )
        self._slots = self._slots or asyncio.Semaphore(self._connections)
        try:
            async with asyncio.timeout(self._total_seconds), self._slots:
                return await self._transact(envelope, message, watch)
        except TimeoutError:
            return watch.result(Outcome.RETRY, error="timeout", retry_after_seconds=_PATIENCE_SECONDS)
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

    def _envelope(self, outgoing: OutgoingEmail) -> "_Envelope":
        paths = self._writer.sender.return_paths
        return _Envelope(
            sender=self._writer.envelope_sender(outgoing.delivery_id),
            recipient=envelope_address(outgoing.recipient),
            envelope_id=paths.token(outgoing.delivery_id) if paths is not None else None,
        )

    async def _transact(self, envelope: "_Envelope", message: bytes, watch: Stopwatch) -> AttemptResult:
        connection = await self._connection_with_sender(envelope)
        recipient = envelope.recipient
        reusable = False
        try:
            response = await connection.execute_command(*envelope.rcpt(_reports_returns(connection)))
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

    async def _connection_with_sender(self, envelope: "_Envelope") -> aiosmtplib.SMTP:
        """Return a connection that has taken MAIL FROM; one that had died while idle is replaced unseen."""
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_connected and asyncio.get_running_loop().time() - since < self._idle_seconds:
                try:
                    command = envelope.mail(_reports_returns(connection))
                    if (await connection.execute_command(*command)).code == 250:
                        return connection
                except (aiosmtplib.SMTPServerDisconnected, OSError):
                    pass
            connection.close()
        connection = await self._connect()
        try:
            response = await connection.execute_command(*envelope.mail(_reports_returns(connection)))
            if response.code != 250:
                raise aiosmtplib.SMTPSenderRefused(response.code, response.message, envelope.sender)
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


@dataclass(frozen=True, slots=True)
class _Envelope:
    """From whom, to whom, and under which name reports about it come back (RFC 3461)."""

    sender: str
    recipient: str
    envelope_id: str | None

    def mail(self, reports_returns: bool) -> tuple[bytes, ...]:
        """Return the MAIL command; where the relay reports what comes back, only headers are wanted."""
        command = (b"MAIL", b"FROM:<" + self.sender.encode() + b">")
        if not reports_returns or self.envelope_id is None:
            return command
        return (*command, b"RET=HDRS", b"ENVID=" + self.envelope_id.encode())

    def rcpt(self, reports_returns: bool) -> tuple[bytes, ...]:
        """Return the RCPT command: told of failure and delay, not of success."""
        command = (b"RCPT", b"TO:<" + self.recipient.encode() + b">")
        return (*command, b"NOTIFY=FAILURE,DELAY") if reports_returns and self.envelope_id is not None else command


def _reports_returns(connection: aiosmtplib.SMTP) -> bool:
    return connection.supports_extension("dsn")


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
    elif (status.startswith("5.1.") and status not in _ABOUT_US) or (
        at_recipient and not status and response.code in (550, 551, 553)
    ):
        outcome = Outcome.UNDELIVERABLE
    else:
        outcome = Outcome.PERMANENT_FAILURE
    return watch.result(
        outcome,
        status_code=response.code,
        error=f"smtp_{status or response.code}",
        retry_after_seconds=_PATIENCE_SECONDS if outcome is Outcome.RETRY else None,
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
