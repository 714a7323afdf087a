"""A LINE-style server: the push half of the Messaging API as published, and a page with what would be on the phones.

Truthful where a client could go wrong: bearer token, validation of message objects with the published error shape,
retry keys (remembered for 24 hours, 409 with the first request's id), the three meanings of 429, the monthly quota,
and blocked users, whose pushes are answered 200 all the same. The official SDK talks to it (`tests/contract`).
It is a stand-in made from the public specification and no product of LY Corporation.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from app.sandbox.hosting import HttpListener, answer_json, answer_page, read_json
from app.sandbox.line_messages import as_read, problems_of_messages

BODY_LIMIT = 2 * 1024 * 1024
RETRY_KEY_SECONDS = 24 * 3600
_RECEIVER = re.compile(r"[UCR][0-9a-f]{32}")
_MODES = ("ok", "error_500", "rate_limited", "concurrency_limited", "hang", "close", "big_response", "accept_then_500")
_TOO_FAST = {
    "rate_limited": "The API rate limit has been exceeded. Try again later.",
    "concurrency_limited": "The number of concurrent requests has exceeded the limit. Try again later.",
}


@dataclass(slots=True)
class ReceivedPush:
    """One push that was accepted.

    Attributes:
        delivered: False for a user who blocked the account; the caller is never told.
    """

    to: str
    messages: list[dict[str, Any]]
    retry_key: str | None
    request_id: str
    sent_messages: list[dict[str, str]]
    delivered: bool
    received_at: float = field(default_factory=time.time)

    def as_json(self) -> dict[str, Any]:
        """Return the push for the JSON interface."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Behaviour:
    mode: str = "ok"
    times: int | None = None


class LineServer:
    """The server.

    Args:
        channel_token: the one token that is let in.
        monthly_limit: recipients a month; None is a plan without limit.
        users: the friends of the account; None takes every well-formed user id for one.
    """

    def __init__(
        self,
        *,
        channel_token: str = "sandbox-channel-token",  # noqa: S107 - a stand-in's token opens nothing
        port: int = 0,
        monthly_limit: int | None = None,
        users: Iterable[str] | None = None,
    ) -> None:
        self.channel_token = channel_token
        self.monthly_limit = monthly_limit
        self.users = None if users is None else set(users)
        self.blocked: set[str] = set()
        self.pushes: list[ReceivedPush] = []
        self.used_this_month = 0
        self.requests = 0
        self.retry_keys_seen: list[str | None] = []
        self._accepted_keys: dict[str, ReceivedPush] = {}
        self._behaviour = _Behaviour()
        self._http = HttpListener(self._answer, port)

    @property
    def url(self) -> str:
        """The base address of the API and of the page."""
        return self._http.url

    async def start(self) -> None:
        """Begin to listen."""
        await self._http.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._http.stop()

    def behave(self, mode: str, *, times: int | None = None) -> None:
        """Answer pushes like this from now on.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in _MODES:
            raise ValueError(f"behaviour: found mode {mode!r}; expected one of {', '.join(_MODES)}")
        self._behaviour = _Behaviour(mode, times)

    def forget(self) -> None:
        """Begin anew: no pushes, no keys, no blocked users, an unused quota, good manners."""
        self.pushes.clear()
        self._accepted_keys.clear()
        self.retry_keys_seen.clear()
        self.blocked.clear()
        self.used_this_month = self.requests = 0
        self.monthly_limit = self.users = None
        self._behaviour = _Behaviour()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        own = _OWN_ROUTES.get((request.method, request.path))
        if own is not None:
            return await own(self, request)
        request_id = str(uuid.uuid4())
        response = await self._api(request, request_id)
        if not response.prepared:
            response.headers["x-line-request-id"] = request_id
        return response

    async def _api(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        if request.headers.get("authorization", "") != f"Bearer {self.channel_token}":
            return _refusal(
                401,
                "Authentication failed due to the following reason: invalid token. "
                "Confirm that the access token in the authorization header is valid.",
            )
        match request.method, request.path:
            case "POST", "/v2/bot/message/push":
                return await self._push(request, request_id)
            case "POST", "/v2/bot/message/validate/push":
                return await self._validate(request)
            case "GET", "/v2/bot/message/quota":
                limit = self.monthly_limit
                return answer_json({"type": "none"} if limit is None else {"type": "limited", "value": limit})
            case "GET", "/v2/bot/message/quota/consumption":
                return answer_json({"totalUsage": self.used_this_month})
            case "GET", "/v2/bot/info":
                return answer_json(
                    {
                        "userId": "U" + "0" * 32,
                        "basicId": "@todoke-sandbox",
                        "displayName": "Todoke sandbox",
                        "chatMode": "bot",
                        "markAsReadMode": "auto",
                    }
                )
        return _refusal(404, "Not found")

    async def _push(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        self.requests += 1
        key = request.headers.get("x-line-retry-key")
        self.retry_keys_seen.append(key)
        mode = self._next_mode()
        refusal = await _misbehave(mode, request)
        if refusal is not None:
            return refusal
        if key is not None and not _is_uuid(key):
            return _refusal(400, "The retry key is invalid. Specify a UUID in hexadecimal format.")
        body = await _body(request)
        first = self._accepted(key)
        if first is not None:
            return answer_json(
                {"message": "The retry key is already accepted", "sentMessages": first.sent_messages},
                status=409,
                headers={"x-line-accepted-request-id": first.request_id},
            )
        refusal, content = _read_push(request, body)
        if refusal is not None:
            return refusal
        refusal = self._refusal_of_receiver(str(content["to"]))
        if refusal is not None:
            return refusal
        push = self._accept(content, key, request_id)
        if mode == "accept_then_500":  # the answer that makes retry keys necessary
            return _refusal(500, "Internal server error")
        return answer_json({"sentMessages": push.sent_messages})

    async def _validate(self, request: web.BaseRequest) -> web.StreamResponse:
        if "x-line-retry-key" in request.headers:
            return _refusal(400, "The retry key is not supported by this endpoint.")
        refusal, content = _read_body(request, await _body(request))
        problems = [] if refusal is not None else problems_of_messages(content.get("messages"))
        return refusal or (_refusal_with(problems) if problems else answer_json({}))

    def _refusal_of_receiver(self, receiver: str) -> web.Response | None:
        if self.users is not None and receiver not in self.users:
            return _refusal(400, "Failed to send messages")
        if self.monthly_limit is not None and self.used_this_month >= self.monthly_limit:
            return _refusal(429, "You have reached your monthly limit.")
        return None

    def _accept(self, content: dict[str, Any], key: str | None, request_id: str) -> ReceivedPush:
        sent = [{"id": str(uuid.uuid4().int % 10**18), "quoteToken": uuid.uuid4().hex} for _ in content["messages"]]
        receiver = str(content["to"])
        push = ReceivedPush(receiver, content["messages"], key, request_id, sent, receiver not in self.blocked)
        self.pushes.append(push)
        self.used_this_month += 1
        if key is not None:
            self._accepted_keys[key.lower()] = push
        return push

    def _accepted(self, key: str | None) -> ReceivedPush | None:
        first = self._accepted_keys.get(key.lower()) if key is not None else None
        return first if first is not None and time.time() - first.received_at < RETRY_KEY_SECONDS else None

    def _next_mode(self) -> str:
        behaviour = self._behaviour
        if behaviour.times == 0:
            return "ok"
        if behaviour.times is not None:
            behaviour.times -= 1
        return behaviour.mode

    async def _show_page(self, request: web.BaseRequest) -> web.Response:
        pushes = [
            {"to": push.to, "delivered": push.delivered, "messages": [as_read(message) for message in push.messages]}
            for push in reversed(self.pushes[-100:])
        ]
        return answer_page("line.html", pushes=pushes, total=len(self.pushes))

    async def _show_pushes(self, request: web.BaseRequest) -> web.Response:
        return answer_json({"pushes": [push.as_json() for push in list(self.pushes)], "requests": self.requests})

    async def _set_behaviour(self, request: web.BaseRequest) -> web.Response:
        try:
            options = await read_json(request)
            self.behave(str(options.get("mode", "")), times=options.get("times"))
        except (ValueError, web.HTTPBadRequest) as error:
            return answer_json({"message": str(error)}, status=400)
        return answer_json({"ok": True})

    async def _forget(self, request: web.BaseRequest) -> web.Response:
        self.forget()
        return answer_json({"ok": True})


_OWN_ROUTES: dict[tuple[str, str], Callable[[LineServer, web.BaseRequest], Awaitable[web.Response]]] = {
    ("GET", "/"): LineServer._show_page,
    ("GET", "/pushes"): LineServer._show_pushes,
    ("POST", "/behaviour"): LineServer._set_behaviour,
    ("POST", "/forget"): LineServer._forget,
}


async def _misbehave(mode: str, request: web.BaseRequest) -> web.StreamResponse | None:
    if mode in _TOO_FAST:
        return _refusal(429, _TOO_FAST[mode])
    if mode == "error_500":
        return _refusal(500, "Internal server error")
    if mode == "big_response":
        return web.Response(status=500, body=b"big " * 4_000_000)
    if mode == "close" and request.transport is not None:
        request.transport.close()
        return web.Response()
    while mode == "hang" and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.02)
    return web.Response() if mode == "hang" else None


async def _body(request: web.BaseRequest) -> bytes:
    """Read a little more than the limit, so that the refusal is the published one and not the library's."""
    parts: list[bytes] = []
    while sum(map(len, parts)) <= BODY_LIMIT and (part := await request.content.readany()):
        parts.append(part)
    return b"".join(parts)


def _refusal(status: int, message: str) -> web.Response:
    return answer_json({"message": message}, status=status)


def _refusal_with(problems: list[dict[str, str]]) -> web.Response:
    message = f"The request body has {len(problems)} error(s)"
    return answer_json({"message": message, "details": problems}, status=400)


def _read_body(request: web.BaseRequest, body: bytes) -> tuple[web.Response | None, dict[str, Any]]:
    if len(body) > BODY_LIMIT:
        return _refusal(413, "Request entity too large"), {}
    if request.content_type != "application/json":
        return _refusal(415, f"Content type '{request.content_type}' not supported"), {}
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return _refusal(400, "The request body could not be parsed as JSON"), {}
    return None, content


def _read_push(request: web.BaseRequest, body: bytes) -> tuple[web.Response | None, dict[str, Any]]:
    refusal, content = _read_body(request, body)
    if refusal is not None:
        return refusal, {}
    if not isinstance(content.get("to"), str) or not _RECEIVER.fullmatch(content["to"]):
        return _refusal(400, "The property, 'to', in the request body is invalid (line: -, column: -)"), {}
    problems = problems_of_messages(content.get("messages"))
    return (_refusal_with(problems) if problems else None), content


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return len(text) == 36
