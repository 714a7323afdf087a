"""Reference loops: what a machine can post at best, to compare Todoke with in the same run.

Each function posts every body to one receiver, signed, `concurrency` at a time over kept connections, and returns the
seconds it took. There is no database, no claim, no record and no guard in them.

    python -m tests.bench.loops --bodies 5000

starts a receiver as its own process and prints one JSON line.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import aiohttp
import httpx

from app.partners.signing import new_secret

CONCURRENCY = 50
BODY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class BenchReceiver:
    """A receiver that runs as its own process."""

    url: str
    secret: str

    @property
    def webhook_url(self) -> str:
        return self.url + "/webhooks"

    def counts(self) -> dict[str, int]:
        """Return what the receiver has counted, such as `verified` and `distinct`."""
        return dict(httpx.get(self.url + "/counts").json()["counts"])

    def forget(self) -> None:
        httpx.post(self.url + "/forget").raise_for_status()


@contextlib.contextmanager
def receiver_process(secret: str | None = None) -> Iterator[BenchReceiver]:
    """Start the sample partner app as its own process; it is gone when the block ends."""
    secret = secret or new_secret()
    command = [sys.executable, "-m", "app.sandbox.partner_app", "--port", "0", "--secret", secret, "--forget-headers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield BenchReceiver(process.stdout.readline().strip(), secret)
        finally:
            process.terminate()


def bodies(count: int, size: int = BODY_BYTES) -> list[bytes]:
    """Return different JSON bodies of about `size` bytes."""
    return [json.dumps({"type": "notice.created", "data": {"number": n, "filling": "x" * (size - 60)}}).encode() for n in range(count)]  # fmt: skip


def signed_headers(key: bytes, body: bytes) -> dict[str, str]:
    webhook_id, timestamp = f"evt_{uuid.uuid4().hex}", str(int(time.time()))
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def bare_aiohttp(url: str, secret: str, payloads: Sequence[bytes], *, concurrency: int = CONCURRENCY) -> float:
    """Post all payloads with a bare aiohttp session; return seconds."""

    async def run() -> float:
        connector = aiohttp.TCPConnector(limit=concurrency)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def post(body: bytes, headers: dict[str, str]) -> int:
                async with session.post(url, data=body, headers=headers) as response:
                    await response.read()
                    return response.status

            return await _timed(post, secret, payloads, concurrency)

    return asyncio.run(run())


def bare_httpx(url: str, secret: str, payloads: Sequence[bytes], *, concurrency: int = CONCURRENCY) -> float:
    """Post all payloads with a bare httpx client; return seconds."""

    async def run() -> float:
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx.AsyncClient(limits=limits, trust_env=False) as client:

            async def post(body: bytes, headers: dict[str, str]) -> int:
                return (await client.post(url, content=body, headers=headers)).status_code

            return await _timed(post, secret, payloads, concurrency)

    return asyncio.run(run())


async def _timed(
    post: Callable[[bytes, dict[str, str]], Awaitable[int]], secret: str, payloads: Sequence[bytes], concurrency: int
) -> float:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    waiting = iter(payloads)

    async def worker() -> None:
        for body in waiting:
            status = await post(body, signed_headers(key, body))
            if status != 200:
                raise RuntimeError(f"the receiver answered {status}; expected 200")

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=5000)
    count = parser.parse_args().bodies
    payloads = bodies(count)
    with receiver_process() as receiver:
        with_aiohttp = count / bare_aiohttp(receiver.webhook_url, receiver.secret, payloads)
        with_httpx = count / bare_httpx(receiver.webhook_url, receiver.secret, payloads)
        counts = receiver.counts()
    assert counts["verified"] == counts["distinct"] == 2 * count, counts
    print(json.dumps({"bench": "bare loops", "aiohttp_per_second": round(with_aiohttp), "httpx_per_second": round(with_httpx)}))  # fmt: skip


if __name__ == "__main__":
    main()
