"""How many LINE-style pushes one worker process makes: claim, push, record, next to a bare httpx loop in the same run.

    python -m tests.bench.line

The receiver is a sink that only answers (`--sink`, a process of its own), so that it is not what limits. Rounds
alternate with the bare loop, which posts as many ready bodies over as many connections. Prints one JSON line.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
from sqlalchemy import text
from sqlmodel import insert

from app.delivery.channels.line import flex_message
from app.delivery.dispatch import SOCKETS
from app.delivery.outbox import Gate, Lane, LineMessage, enqueue_all
from app.households.tables import Household
from app.platform import bell, clock
from app.platform.database import owner_session, worker_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from tests.bench.delivery import installation, wait_until_recorded, warm_up, worker

ROUNDS = 3
_ANSWER = b'{"sentMessages":[{"id":"461230966842064897"}]}'
_OK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-line-request-id: 0\r\ncontent-length: %d\r\n\r\n"
    % len(_ANSWER)
) + _ANSWER
_BUBBLE = {
    "type": "bubble",
    "body": {
        "type": "box",
        "layout": "vertical",
        "contents": [{"type": "text", "text": "お知らせ" * 60, "wrap": True}],
    },
}


class _Sink(asyncio.Protocol):
    """Answers every request and counts retry keys; nothing more, so that it costs next to nothing."""

    requests = 0
    keys: set[bytes] = set()  # noqa: RUF012 - one for the process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(_header(head, b"content-length") or 0)
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"get /count"):
            body = json.dumps({"requests": _Sink.requests, "distinct": len(_Sink.keys)}).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            _Sink.requests, _Sink.keys = 0, set()
            return
        _Sink.requests += 1
        _Sink.keys.add(_header(head, b"x-line-retry-key"))
        self.transport.write(_OK)


def _header(head: bytes, name: bytes) -> bytes:
    _, _, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """Run the sink as a process of its own; yield its address."""
    command = [sys.executable, "-m", "tests.bench.line", "--sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def stored(count: int) -> list[Gate]:
    gates = [Gate(household_id=new_id(), municipality_code="131121", consent_epoch=0) for _ in range(count)]
    with owner_session() as session:
        rows = [{"id": gate.household_id, "municipality_code": "131121", "consent_epoch": 0} for gate in gates]
        session.execute(insert(Household), rows)
        session.commit()
    return gates


def push_all(url: str, gates: list[Gate], number: int) -> float:
    """Enqueue one push for each household, wait until all are recorded, check them, and return seconds."""
    now = clock.now()
    messages = [
        LineMessage(
            dedupe_key=f"bench/{number}/{gate.household_id}",
            event_id=f"line_{number}_{gate.household_id.hex}",
            event_type="notice.push",
            lane=Lane.NOTICE,
            due_at=now,
            gate=gate,
            address=f"U{gate.household_id.hex}",
            messages=(flex_message("新しいお知らせがあります", _BUBBLE),),
        )
        for gate in gates
    ]
    with worker_session() as session:
        enqueue_all(session, messages)
        session.commit()
    started = time.time()
    bell.ring_dispatch()
    wait_until_recorded()
    with worker_session() as session:
        recorded = session.execute(text("SELECT extract(epoch FROM max(finished_at)) FROM deliveries")).scalar_one()
        states = set(session.execute(text("SELECT DISTINCT state FROM deliveries")).scalars())
    counts = httpx.get(url + "/count").json()
    assert counts == {"requests": len(gates), "distinct": len(gates)}, counts
    assert states == {"accepted"}, states
    return float(recorded) - started


def bare_httpx(url: str, count: int, connections: int) -> float:
    """Post as many ready bodies over as many connections with a bare httpx client; return seconds."""
    content = {"to": "U" + "0" * 32, "messages": [flex_message("新しいお知らせがあります", _BUBBLE)]}
    body = json.dumps(content, ensure_ascii=False).encode()

    async def run() -> float:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        headers = {"authorization": "Bearer bench", "content-type": "application/json"}
        async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, headers=headers) as client:
            waiting = iter(range(count))

            async def poster() -> None:
                for number in waiting:
                    key = {"x-line-retry-key": str(number)}
                    (await client.post("/v2/bot/message/push", content=body, headers=key)).raise_for_status()

            started = time.perf_counter()
            await asyncio.gather(*(poster() for _ in range(connections)))
            return time.perf_counter() - started

    seconds = asyncio.run(run())
    httpx.get(url + "/count")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pushes", type=int, default=3000)
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sink:
        asyncio.run(_serve())
        return
    count = options.pushes
    ours, bare = [], []
    with sink() as url, installation():
        os.environ |= {
            "TODOKE_LINE__BASE_URL": url,
            "TODOKE_LINE__CHANNEL_TOKEN": "bench",
            "TODOKE_LINE__PUSHES_PER_SECOND": "100000",
        }
        settings.cache_clear()
        gates = stored(count)
        with worker():
            warm_up()
            for number in range(ROUNDS):
                ours.append(push_all(url, gates, number))
                bare.append(bare_httpx(url, count, SOCKETS["line"]))
    rate, reference = count / statistics.median(ours), count / statistics.median(bare)
    figures = {
        "bench": "line",
        "pushes": count,
        "rounds": ROUNDS,
        "connections": SOCKETS["line"],
        "recorded_per_second": round(rate),
        "bare_httpx_per_second": round(reference),
        "share_of_httpx": round(rate / reference, 3),
        "share_by_round": [round(theirs / mine, 3) for mine, theirs in zip(ours, bare, strict=True)],
        "lost": 0,
        "duplicates": 0,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
