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
from app.delivery.channels.mail_wire import Wire
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
        self._idle: list[tuple[Wire, float]] = []
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
        for wire, _ in idle:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await wire.command(b"QUIT")
            wire.close()

    def _envelope(self, outgoing: OutgoingEmail) -> "_Envelope":
        paths = self._writer.sender.return_paths
        return _Envelope(
            sender=self._writer.envelope_sender(outgoing.delivery_id),
            recipient=envelope_address(outgoing.recipient),
            envelope_id=paths.token(outgoing.delivery_id) if paths is not None else None,
        )

    async def _transact(self, envelope: "_Envelope", message: bytes, watch: Stopwatch) -> AttemptResult:
        wire, answers = await self._begin(envelope)
        reusable = False
        try:
            result, last = await self._finish(wire, answers, envelope.recipient, message, watch)
            reusable = last.code != 421
            if reusable and result.outcome is not Outcome.ACCEPTED:
                reusable = await _reset(wire)
            return result
        finally:
            # A connection that was cut short in the middle of a transaction is never used again.
            if reusable and wire.is_connected:
                self._idle.append((wire, asyncio.get_running_loop().time()))
            else:
                wire.close()

    async def _finish(
        self, wire: Wire, answers: list[aiosmtplib.SMTPResponse], recipient: str, message: bytes, watch: Stopwatch
    ) -> tuple[AttemptResult, aiosmtplib.SMTPResponse]:
        """Send the message if the relay takes its recipient; return the result and the relay's last word on it."""
        to_recipient, to_data = answers[1], answers[2] if len(answers) > 2 else None
        if to_recipient.code // 100 != 2:
            if to_data is not None and to_data.code == 354:
                await wire.send_nothing()
            return _refused(to_recipient, watch, recipient=recipient, at_recipient=True), to_recipient
        last = to_data if to_data is not None else to_recipient
        if last.code == 354:
            last = await wire.send(message)
        if last.code // 100 != 2:
            return _refused(last, watch, recipient=recipient, at_recipient=False), last
        said = excerpt(last.message, without=recipient)
        result = watch.result(
            Outcome.ACCEPTED, status_code=last.code, response_excerpt=said, reference=said[:200] or None
        )
        return result, last

    async def _begin(self, envelope: "_Envelope") -> tuple[Wire, list[aiosmtplib.SMTPResponse]]:
        """Return a connection that has taken the sender, and its answers; one that died while idle is replaced unseen.

        Nothing of the message has gone out before that, so trying on another connection cannot send it twice.
        """
        while self._idle:
            wire, since = self._idle.pop()
            if wire.is_connected and asyncio.get_running_loop().time() - since < self._idle_seconds:
                try:
                    answers = await wire.begin(*envelope.commands(wire.reports_returns))
                    if answers[0].code == 250:
                        return wire, answers
                except (aiosmtplib.SMTPServerDisconnected, OSError):
                    pass
                except BaseException:
                    wire.close()
                    raise
            wire.close()
        wire = await self._connect()
        try:
            answers = await wire.begin(*envelope.commands(wire.reports_returns))
            if answers[0].code != 250:
                raise aiosmtplib.SMTPSenderRefused(answers[0].code, answers[0].message, envelope.sender)
        except BaseException:
            wire.close()
            raise
        return wire, answers

    async def _connect(self) -> Wire:
        relay = self._relay
        client = aiosmtplib.SMTP(
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
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            return Wire(client)
        except BaseException:
            client.close()
            raise


@dataclass(frozen=True, slots=True)
class _Envelope:
    """From whom, to whom, and under which name reports about it come back (RFC 3461)."""

    sender: str
    recipient: str
    envelope_id: str | None

    def commands(self, reports_returns: bool) -> tuple[bytes, bytes]:
        """Return MAIL and RCPT; a relay that reports what comes back is asked for failure and delay, and headers."""
        mail, recipient = f"MAIL FROM:<{self.sender}>", f"RCPT TO:<{self.recipient}>"
        if reports_returns and self.envelope_id is not None:
            mail += f" RET=HDRS ENVID={self.envelope_id}"
            recipient += " NOTIFY=FAILURE,DELAY"
        return mail.encode(), recipient.encode()


async def _reset(wire: Wire) -> bool:
    try:
        return (await wire.command(b"RSET")).code == 250
    except (aiosmtplib.SMTPException, OSError):
        return False


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
