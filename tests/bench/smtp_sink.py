"""An SMTP server that only counts: so lean that it is never what a benchmark measures.

    python -m tests.bench.smtp_sink

prints its port as one line and serves until it is ended. It knows what senders of one mail at a time say, pipelined or
not, and counts distinct Message-IDs. `XCOUNT` answers `250 <mails> <distinct> <connections>`, `XFORGET` begins anew.
"""

import asyncio
import contextlib
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_END = b"\r\n.\r\n"
_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10485760\r\n"


class Counts:
    """What has come."""

    def __init__(self) -> None:
        self.mails = self.connections = 0
        self.message_ids: set[bytes] = set()


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._buffer = bytearray()
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._counts.connections += 1
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers: list[bytes] = []
        while True:
            end = self._buffer.find(_END if self._in_message else b"\r\n")
            if end < 0:
                break
            if self._in_message:
                answers.append(self._take(end))
            else:
                answers.append(self._command(bytes(self._buffer[:4]).upper(), end))
        if answers:
            self._transport.write(b"".join(answers))

    def _take(self, end: int) -> bytes:
        start = self._buffer.find(b"\r\nMessage-ID: ", 0, end)
        self._counts.message_ids.add(bytes(self._buffer[start + 14 : self._buffer.find(b"\r\n", start + 14)]))
        self._counts.mails += 1
        self._in_message = False
        del self._buffer[: end + len(_END)]
        return b"250 2.0.0 taken\r\n"

    def _command(self, verb: bytes, end: int) -> bytes:
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        match verb:
            case b"EHLO":
                return _EHLO
            case b"DATA":
                self._in_message = True
                return b"354 go on\r\n"
            case b"XCOU":
                counts = self._counts
                return b"250 %d %d %d\r\n" % (counts.mails, len(counts.message_ids), counts.connections)
            case b"XFOR":
                self._counts.__init__()  # type: ignore[misc]
                return b"250 forgotten\r\n"
            case b"QUIT":
                self._transport.write(b"221 bye\r\n")
                self._transport.close()
                return b""
        return b"250 OK\r\n" if line else b"500 empty\r\n"


@dataclass(frozen=True, slots=True)
class BenchSink:
    """A sink that runs as its own process."""

    port: int

    def counts(self) -> tuple[int, int, int]:
        """Return mails, distinct Message-IDs and connections so far."""
        mails, distinct, connections = self._ask("XCOUNT").split()
        return int(mails), int(distinct), int(connections) - 1

    def forget(self) -> None:
        self._ask("XFORGET")

    def _ask(self, command: str) -> str:
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            return client.docmd(command)[1].decode()


@contextlib.contextmanager
def sink_process() -> Iterator[BenchSink]:
    """Start the sink as its own process; it is gone when the block ends."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.smtp_sink"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield BenchSink(int(process.stdout.readline()))
        finally:
            process.terminate()


async def _serve() -> None:
    counts, loop = Counts(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(counts), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
