"""A sample partner app: receives Todoke's webhooks, verifies and deduplicates them, and shows what arrived.

`signature_is_genuine` is what a partner would write: the standard library and forty lines of documentation, nothing
of Todoke's. The app can be told to misbehave (`POST /behaviour`), because real receivers do.

Runs as a process of its own with `python -m app.sandbox.partner_app --port 0`, which prints its address.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web

from app.sandbox.hosting import HttpListener, answer_json, answer_page, read_json

TOLERANCE_SECONDS = 300
WEBHOOK_PATH = "/webhooks"
BIG_RESPONSE_BYTES = 64 * 1024 * 1024


def signature_is_genuine(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Say whether one of our secrets signed this body within five minutes of now (Standard Webhooks 1.0)."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = webhook_id.encode() + b"." + timestamp.encode() + b"." + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        for given in headers.get("webhook-signature", "").split(" "):
            if hmac.compare_digest(expected.encode(), given.encode()):
                return True
    return False


@dataclass(slots=True)
class ReceivedEvent:
    """One event, however often it came.

    Attributes:
        times: verified requests that carried this webhook-id.
        first_received_at: Unix seconds.
    """

    webhook_id: str
    path: str
    body: bytes
    first_received_at: float
    times: int = 1

    def as_json(self) -> dict[str, object]:
        """Return the event for the JSON interface."""
        try:
            content: object = json.loads(self.body)
        except ValueError:
            content = self.body.decode("utf-8", "replace")
        return {
            "webhook_id": self.webhook_id,
            "path": self.path,
            "times": self.times,
            "first_received_at": self.first_received_at,
            "event": content,
        }


@dataclass(slots=True)
class Counts:
    """How many requests to the webhook address there were, and what became of them."""

    started: int = 0
    finished: int = 0
    verified: int = 0
    refused: int = 0
    duplicates: int = 0
    redirects_followed: int = 0
    bytes_trickled: int = 0


@dataclass(slots=True)
class Behaviour:
    """What a receiver does instead of answering 200.

    Attributes:
        mode: `ok` or a key of `_MODES`.
        times: this many requests are treated so, then all is well again; None for ever.
        retry_after: the header that goes with 429 and 503.
        location: where a redirect points to.
        status: the answer of mode `status`.
    """

    mode: str = "ok"
    times: int | None = None
    retry_after: str | None = "7"
    location: str = ""
    status: int = 404


@dataclass(slots=True)
class Attempt:
    """One request with its headers, verified or not, in the order of arrival."""

    path: str
    headers: dict[str, str]
    mode: str
    at: float = field(default_factory=time.time)


class PartnerApp:
    """The sample app.

    Args:
        secrets: those of our endpoints, from Todoke's partner pages; more can be added while it runs.
        port: 0 lets the system choose.
        log_path: every verified event is appended here as a JSON line, once per request.
        keep_attempts: remember every request's headers; off for benchmarks.
    """

    def __init__(
        self, secrets: Sequence[str] = (), *, port: int = 0, log_path: Path | None = None, keep_attempts: bool = True
    ) -> None:
        self.secrets = list(secrets)
        self.counts = Counts()
        self.received: dict[str, ReceivedEvent] = {}
        self.attempts: list[Attempt] = []
        self.behaviours: dict[str, Behaviour] = {}
        self._keep_attempts = keep_attempts
        self._log_path = log_path
        self._log: TextIO | None = None
        self._http = HttpListener(self._answer, port)

    @property
    def url(self) -> str:
        """The address of the pages."""
        return self._http.url

    @property
    def webhook_url(self) -> str:
        """The address to register with Todoke; anything below it works as well."""
        return self._http.url + WEBHOOK_PATH

    async def start(self) -> None:
        """Begin to listen."""
        if self._log_path is not None:
            self._log = self._log_path.open("a", encoding="utf-8", buffering=1)
        await self._http.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._http.stop()
        if self._log is not None:
            self._log.close()

    def behave(self, mode: str, *, path: str = "", **options: Any) -> None:
        """Answer like this from now on, on all webhook addresses or on one path.

        Raises:
            ValueError: there is no such mode or option.
        """
        if mode != "ok" and mode not in _MODES:
            raise ValueError(f"behaviour: found mode {mode!r}; expected one of ok, {', '.join(_MODES)}")
        try:
            self.behaviours[path] = Behaviour(mode, **options)
        except TypeError as error:
            raise ValueError(f"behaviour: {error}; expected times, retry_after, location or status") from error

    def forget(self) -> None:
        """Begin anew: nothing received, nothing counted, good manners."""
        self.counts = Counts()
        self.received.clear()
        self.attempts.clear()
        self.behaviours.clear()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST" and request.path.startswith(WEBHOOK_PATH):
            return await self._webhook(request)
        route = _ROUTES.get((request.method, request.path))
        if route is None:
            return web.Response(status=404, text="not found")
        try:
            return await route(self, request)
        except web.HTTPException as refused:
            return web.Response(status=refused.status, text=refused.text)

    async def _webhook(self, request: web.BaseRequest) -> web.StreamResponse:
        counts = self.counts
        counts.started += 1
        try:
            behaviour = self._next_behaviour(request.path)
            if self._keep_attempts:
                headers = {name.lower(): value for name, value in request.headers.items()}
                self.attempts.append(Attempt(request.path, headers, behaviour.mode))
            body = await request.read()
            if behaviour.mode != "ok":
                return await _MODES[behaviour.mode](self, request, behaviour)
            return self._take(request, body)
        finally:
            counts.finished += 1

    def _take(self, request: web.BaseRequest, body: bytes) -> web.Response:
        now = time.time()
        if not signature_is_genuine(self.secrets, request.headers, body, now):
            self.counts.refused += 1
            return web.Response(status=401, text="signature refused")
        self.counts.verified += 1
        webhook_id = request.headers["webhook-id"]
        if self._log is not None:
            self._log.write(json.dumps({"webhook_id": webhook_id, "at": now, "body": body.decode()}) + "\n")
        known = self.received.get(webhook_id)
        if known is None:
            self.received[webhook_id] = ReceivedEvent(webhook_id, request.path, body, now)
        else:
            known.times += 1
            self.counts.duplicates += 1
        return web.Response(text="received")

    def _next_behaviour(self, path: str) -> Behaviour:
        behaviour = self.behaviours.get(path) or self.behaviours.get("")
        if behaviour is None or behaviour.times == 0:
            return _GOOD_MANNERS
        if behaviour.times is not None:
            behaviour.times -= 1
        return behaviour

    async def _show_page(self, request: web.BaseRequest) -> web.Response:
        events = [event.as_json() for event in reversed(self.received.values())]
        return answer_page("partner_app.html", events=events[:100], counts=self.counts, total=len(events))

    async def _show_received(self, request: web.BaseRequest) -> web.Response:
        return answer_json({"received": [event.as_json() for event in self.received.values()], **self._summary()})

    async def _show_counts(self, request: web.BaseRequest) -> web.Response:
        return answer_json(self._summary())

    def _summary(self) -> dict[str, object]:
        counts = {name: getattr(self.counts, name) for name in Counts.__slots__}
        times = [event.first_received_at for event in self.received.values()]
        return {
            "counts": {**counts, "distinct": len(self.received)},
            "first_received_at": min(times, default=None),
            "last_received_at": max(times, default=None),
        }

    async def _set_behaviour(self, request: web.BaseRequest) -> web.Response:
        options = await read_json(request)
        try:
            self.behave(str(options.pop("mode", "")), path=str(options.pop("path", "")), **options)
        except ValueError as error:
            return answer_json({"message": str(error)}, status=400)
        return answer_json({"ok": True})

    async def _add_secrets(self, request: web.BaseRequest) -> web.Response:
        self.secrets.extend(str(secret) for secret in (await read_json(request)).get("secrets", []))
        return answer_json({"ok": True})

    async def _forget(self, request: web.BaseRequest) -> web.Response:
        self.forget()
        return answer_json({"ok": True})

    async def _redirect_target(self, request: web.BaseRequest) -> web.Response:
        self.counts.redirects_followed += 1
        return web.Response(text="you should not have followed this redirect")


_GOOD_MANNERS = Behaviour()
_Misbehave = Callable[[PartnerApp, web.BaseRequest, Behaviour], Awaitable[web.StreamResponse]]


async def _error_500(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    return web.Response(status=500, text="the receiver is broken")


async def _any_status(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    return web.Response(status=behaviour.status, text=f"status {behaviour.status}")


async def _later(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    headers = {"retry-after": behaviour.retry_after} if behaviour.retry_after else {}
    status = 429 if behaviour.mode == "throttle_429" else 503
    return web.Response(status=status, text="later, please", headers=headers)


async def _gone(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    return web.Response(status=410, text="retired")


async def _redirect(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    return web.Response(status=307, headers={"location": behaviour.location or app.url + "/redirect-target"})


async def _hang(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    await _until_hung_up(request)
    return web.Response()


async def _slow_trickle(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    """Send a response head that never ends, a byte at a time: no single wait is long."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    while request.transport is not None and not request.transport.is_closing():
        request.transport.write(b"z")
        app.counts.bytes_trickled += 1
        await asyncio.sleep(0.02)
    return web.Response()


async def _slow_body(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"z")
            app.counts.bytes_trickled += 1
            await asyncio.sleep(0.02)
    return response


async def _big_response(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    chunk = b"big " * 4096
    with contextlib.suppress(ConnectionError):
        for _ in range(BIG_RESPONSE_BYTES // len(chunk)):
            await response.write(chunk)
            app.counts.bytes_trickled += len(chunk)
    return response


async def _close(app: PartnerApp, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _until_hung_up(request: web.BaseRequest) -> None:
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.02)


_MODES: dict[str, _Misbehave] = {
    "error_500": _error_500,
    "error_503_retry_after": _later,
    "throttle_429": _later,
    "status": _any_status,
    "gone_410": _gone,
    "redirect": _redirect,
    "hang": _hang,
    "slow_trickle": _slow_trickle,
    "slow_body": _slow_body,
    "big_response": _big_response,
    "close": _close,
}
_ROUTES: dict[tuple[str, str], Callable[[PartnerApp, web.BaseRequest], Awaitable[web.StreamResponse]]] = {
    ("GET", "/"): PartnerApp._show_page,
    ("GET", "/received"): PartnerApp._show_received,
    ("GET", "/counts"): PartnerApp._show_counts,
    ("POST", "/behaviour"): PartnerApp._set_behaviour,
    ("POST", "/secrets"): PartnerApp._add_secrets,
    ("POST", "/forget"): PartnerApp._forget,
    ("POST", "/redirect-target"): PartnerApp._redirect_target,
}


async def _serve(app: PartnerApp) -> None:
    finished = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, finished.set)
    await app.start()
    print(app.url, flush=True)  # noqa: T201 - the address is this program's output
    await finished.wait()
    await app.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sample app until it is interrupted, after printing its address."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 (default) lets the system choose")
    parser.add_argument("--secret", action="append", default=[], help="whsec_…, of our endpoint; may be repeated")
    parser.add_argument("--log", type=Path, help="append every verified event here as a JSON line")
    parser.add_argument("--forget-headers", action="store_true", help="do not keep each request's headers")
    given = parser.parse_args(arguments)
    app = PartnerApp(given.secret, port=given.port, log_path=given.log, keep_attempts=not given.forget_headers)
    asyncio.run(_serve(app))


if __name__ == "__main__":
    main()
