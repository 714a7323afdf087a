"""A mail sink: an SMTP server that keeps what it is given, and pages and JSON to look at it.

It is as strict as real relays about line length, and answers 4yz or 5yz for an address when told to.
"""

import asyncio
import re
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from app.sandbox.hosting import LOOPBACK, HttpListener, answer_json, answer_page, read_json

LINE_LIMIT = 998
_MODES = ("ok", "refuse_recipient", "refuse_message", "hang", "close")


@dataclass(slots=True)
class SinkBehaviour:
    """What the sink does instead of taking a mail.

    Attributes:
        mode: one of `_MODES`.
        reply: the SMTP answer of the two refusing modes, such as `550 5.1.1 no such user`.
        times: this many mails are treated so, then all is well again; None for ever.
    """

    mode: str
    reply: str = "451 4.3.0 try again later"
    times: int | None = None


@dataclass(slots=True)
class StoredMail:
    """One mail as it came over the wire."""

    number: int
    sender: str
    recipients: list[str]
    raw: bytes
    received_at: float = field(default_factory=time.time)
    report_options: list[str] = field(default_factory=list)

    def message(self) -> EmailMessage:
        """Return the mail as the standard library reads it."""
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    def summary(self) -> dict[str, Any]:
        """Return what a list of mails shows."""
        message = self.message()
        headers = {name.lower(): str(value) for name, value in message.items()}
        return {
            "number": self.number,
            "sender": self.sender,
            "recipients": self.recipients,
            "received_at": self.received_at,
            "size": len(self.raw),
            **{name: headers.get(name, "") for name in ("subject", "from", "to", "date")},
            "message_id": headers.get("message-id", ""),
        }

    def full(self) -> dict[str, Any]:
        """Return everything about the mail."""
        message = self.message()
        return {
            **self.summary(),
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": _body(message, "plain"),
            "html": _body(message, "html"),
            "raw": self.raw.decode("utf-8", "replace"),
        }


class MailSink:
    """The sink. Behaviour is set for one address, or for all with the empty one."""

    def __init__(self, *, smtp_port: int = 0, http_port: int = 0) -> None:
        self.mails: list[StoredMail] = []
        self.behaviours: dict[str, SinkBehaviour] = {}
        self.connections = 0
        self._wanted_port = smtp_port
        self._server: asyncio.Server | None = None
        self._http = HttpListener(self._answer, http_port)
        self.smtp_port = 0

    @property
    def smtp_host(self) -> str:
        """Where mail is taken."""
        return LOOPBACK

    @property
    def url(self) -> str:
        """The address of the pages."""
        return self._http.url

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        handler = _Handler(self)
        self._server = await loop.create_server(
            lambda: _ReportingSmtp(
                handler, hostname="mail-sink.invalid", ident="Todoke mail sink", enable_SMTPUTF8=True, loop=loop
            ),
            LOOPBACK,
            self._wanted_port,
        )
        self.smtp_port = self._server.sockets[0].getsockname()[1]
        await self._http.start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        await self._http.stop()

    def behave(self, mode: str, *, address: str = "", **options: Any) -> None:
        """Treat mail like this from now on.

        Raises:
            ValueError: there is no such mode or option, or the reply is no SMTP answer.
        """
        if mode not in _MODES:
            raise ValueError(f"behaviour: found mode {mode!r}; expected one of {', '.join(_MODES)}")
        try:
            behaviour = SinkBehaviour(mode, **options)
        except TypeError as error:
            raise ValueError(f"behaviour: {error}; expected reply or times") from error
        if not re.fullmatch(r"[45][0-9]{2} [\x20-\x7e]+", behaviour.reply):
            raise ValueError(f"behaviour: found reply {behaviour.reply!r}; expected such as '550 5.1.1 no such user'")
        self.behaviours[address.lower()] = behaviour

    def forget(self) -> None:
        """Begin anew: no mail, good manners."""
        self.mails.clear()
        self.behaviours.clear()
        self.connections = 0

    def next_behaviour(self, address: str, modes: tuple[str, ...]) -> SinkBehaviour | None:
        """Return what to do to a mail for this address now, if it is one of these modes."""
        behaviour = self.behaviours.get(address.lower()) or self.behaviours.get("")
        if behaviour is None or behaviour.mode not in modes or behaviour.times == 0:
            return None
        if behaviour.times is not None:
            behaviour.times -= 1
        return behaviour

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path.strip("/").split("/"):
            case "GET", [""]:
                newest = [mail.summary() for mail in reversed(self.mails[-100:])]
                return answer_page("mail_list.html", mails=newest, total=len(self.mails))
            case "GET", ["mails.json"]:
                return answer_json({"mails": [mail.summary() for mail in list(self.mails)]})
            case "GET", ["mails", name] if (mail := self._mail(name.removesuffix(".json"))) is not None:
                return (
                    answer_json(mail.full()) if name.endswith(".json") else answer_page("mail.html", mail=mail.full())
                )
            case "POST", ["behaviour"]:
                return await self._set_behaviour(request)
            case "POST", ["forget"]:
                self.forget()
                return answer_json({"ok": True})
        return web.Response(status=404, text="not found")

    def _mail(self, number: str) -> StoredMail | None:
        return self.mails[int(number) - 1] if number.isdecimal() and 0 < int(number) <= len(self.mails) else None

    async def _set_behaviour(self, request: web.BaseRequest) -> web.Response:
        try:
            options = await read_json(request)
            self.behave(str(options.pop("mode", "")), address=str(options.pop("address", "")), **options)
        except (ValueError, web.HTTPBadRequest) as error:
            return answer_json({"message": str(error)}, status=400)
        return answer_json({"ok": True})


class _ReportingSmtp(SMTP):
    """Takes what a sender asks about reports (RFC 3461), which aiosmtpd does not know, and keeps it for looking at."""

    _OPTION = re.compile(r" (RET|ENVID|NOTIFY|ORCPT)=\S+", re.IGNORECASE)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.report_options: list[str] = []

    @syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        self.report_options = []
        await super().smtp_MAIL(self._without_options(arg))

    @syntax("RCPT TO: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        await super().smtp_RCPT(self._without_options(arg))

    def _without_options(self, arg: str | None) -> str | None:
        found = [match[0].strip() for match in self._OPTION.finditer(arg or "")]
        self.report_options += found
        return self._OPTION.sub("", arg) if arg is not None else None


class _Handler:
    """What aiosmtpd asks at each step; the names of the methods are its own."""

    def __init__(self, sink: MailSink) -> None:
        self._sink = sink

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self._sink.connections += 1
        return [*responses[:-1], "250-PIPELINING", "250-DSN", *responses[-1:]]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        behaviour = self._sink.next_behaviour(address, ("refuse_recipient",))
        if behaviour is not None:
            return behaviour.reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _ReportingSmtp, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.original_content or b""
        behaviour = self._sink.next_behaviour(envelope.rcpt_tos[0], ("refuse_message", "hang", "close"))
        if behaviour is not None and behaviour.mode == "refuse_message":
            return behaviour.reply
        if behaviour is not None and behaviour.mode == "hang":
            await asyncio.sleep(3600)
        if behaviour is not None and behaviour.mode == "close":
            if server.transport is not None:
                server.transport.close()
            return "421 4.3.0 closing"
        if any(len(line) > LINE_LIMIT for line in raw.split(b"\r\n")):
            return f"554 5.6.0 a line is longer than {LINE_LIMIT} octets"
        sink = self._sink
        mail = StoredMail(len(sink.mails) + 1, envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        mail.report_options, server.report_options = server.report_options, []
        sink.mails.append(mail)
        return f"250 2.0.0 OK queued as {len(sink.mails)}"


def _body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""
