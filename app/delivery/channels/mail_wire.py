"""SMTP on a kept connection: what one mail needs in two round trips instead of four (RFC 2920).

aiosmtplib opens the connection, secures it, signs in and greets; from then on this protocol speaks, because a library
that waits for each answer before the next command spends most of a mail's time waiting.
"""

import asyncio
from collections import deque
from typing import Final

import aiosmtplib

#: An answer longer than this is no answer.
_LONGEST_ANSWER: Final = 65_536


class Wire(asyncio.Protocol):
    """One connection on which mails go one after the other.

    Args:
        client: connected and greeted; not used by anybody else from now on.
    """

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        transport = client.transport
        if not isinstance(transport, asyncio.Transport):
            raise aiosmtplib.SMTPServerDisconnected("the relay closed the connection after its greeting")
        self.transport: asyncio.Transport = transport
        self.reports_returns = client.supports_extension("dsn")
        self._pipelining = client.supports_extension("pipelining")
        self._client = client
        self._buffer = bytearray()
        self._lines: list[str] = []
        self._answers: deque[aiosmtplib.SMTPResponse] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        transport.set_protocol(self)

    @property
    def is_connected(self) -> bool:
        """Whether it can still be spoken on, as far as we have noticed."""
        return not self.transport.is_closing() and self._failure is None

    def close(self) -> None:
        """Hang up."""
        self.transport.close()

    async def begin(self, mail: bytes, recipient: bytes) -> list[aiosmtplib.SMTPResponse]:
        """Name sender and recipient and ask to send: up to three answers, fewer where one of them was a refusal."""
        return await self._say(mail, recipient, b"DATA")

    async def send(self, message: bytes) -> aiosmtplib.SMTPResponse:
        """Send a message with CRLF lines after the relay said 354; return its answer."""
        # A line that begins with a full stop gets a second one (RFC 5321 section 4.5.2).
        return (await self._say(message.removesuffix(b"\r\n").replace(b"\r\n.", b"\r\n..") + b"\r\n."))[0]

    async def send_nothing(self) -> None:
        """End a message that has no recipient, where the relay waits for it all the same."""
        await self._say(b".")

    async def command(self, command: bytes) -> aiosmtplib.SMTPResponse:
        """Say one thing and return the answer."""
        return (await self._say(command))[0]

    async def _say(self, *commands: bytes) -> list[aiosmtplib.SMTPResponse]:
        self._answers.clear()  # what came unasked belongs to nothing
        if self._pipelining:
            self._write(b"\r\n".join(commands))
            return [await self._answer() for _ in commands]
        answers = []
        for command in commands:
            self._write(command)
            answers.append(await self._answer())
            if answers[-1].code >= 400:
                break
        return answers

    def _write(self, text: bytes) -> None:
        if not self.is_connected:
            raise self._failure or aiosmtplib.SMTPServerDisconnected("the connection is closed")
        self.transport.write(text + b"\r\n")

    async def _answer(self) -> aiosmtplib.SMTPResponse:
        while not self._answers:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._answers.popleft()

    # what asyncio calls

    def data_received(self, data: bytes) -> None:
        """Take in what the relay says."""
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in lines:
            self._take(line.rstrip(b"\r").decode("utf-8", "replace"))
        if len(rest) > _LONGEST_ANSWER or len(self._lines) > 1000:
            self._fail(aiosmtplib.SMTPServerDisconnected("the relay's answer has no end"))
        elif self._answers:
            self._wake()

    def _take(self, line: str) -> None:
        if not line[:3].isdecimal() or len(line[:3]) != 3:
            self._fail(aiosmtplib.SMTPServerDisconnected("the relay answered with something that is no SMTP"))
            return
        self._lines.append(line[4:])
        if line[3:4] != "-":
            self._answers.append(aiosmtplib.SMTPResponse(int(line[:3]), "\n".join(self._lines)))
            self._lines = []

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._fail(aiosmtplib.SMTPServerDisconnected("the relay closed the connection"))

    def _fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        self.transport.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
