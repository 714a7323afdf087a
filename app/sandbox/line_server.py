"""A LINE-style server: the Messaging API as published, and a page with what would be on the phones.

Truthful where a client could go wrong: bearer token, validation of message objects with the published error shape,
retry keys (remembered for 24 hours, 409 with the first request's id), the three meanings of 429, the monthly quota,
blocked users, whose pushes are answered 200 all the same, link tokens, and signed webhooks for what users do. The
official SDK talks to it (`tests/contract`). On the page buttons can be pressed, as a person would.
It is a stand-in made from the public specification and no product of LY Corporation.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from app.sandbox.hosting import HttpListener, answer_json, answer_page, read_json
from app.sandbox.line_messages import as_read, problems_of_messages
from app.sandbox.line_users import LineUsers, NothingListens

BODY_LIMIT = 2 * 1024 * 1024
RETRY_KEY_SECONDS = 24 * 3600
_RECEIVER = re.compile(r"[UCR][0-9a-f]{32}")
_AFTER_ACCEPTING = ("accept_then_500", "accept_then_hang")
_TOO_FAST = {
    "rate_limited": "The API rate limit has been exceeded. Try again later.",
    "concurrency_limited": "The number of concurrent requests has exceeded the limit. Try again later.",
    "monthly_limit": "You have reached your monthly limit.",
}
_REFUSALS = {
    **{mode: (429, sentence) for mode, sentence in _TOO_FAST.items()},
    "error_500": (500, "Internal server error"),
    "unauthorized": (401, "Authentication failed due to the following reason: expired token."),
    "forbidden": (403, "Access to this API is not available for your account"),
    "unknown_user": (400, "Failed to send messages"),
    "refuse_message": (400, "The request body has 1 error(s)"),
}
_MODES = ("ok", *_REFUSALS, "hang", "close", "big_response", *_AFTER_ACCEPTING)
_USER_PATH = re.compile(r"/v2/bot/(?:profile/(?P<profile>U[0-9a-f]{32})|user/(?P<linking>U[0-9a-f]{32})/linkToken)")


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
        self.platform = LineUsers()
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
        self.platform.forget()
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
                        "userId": self.platform.bot_user_id,
                        "basicId": "@todoke-sandbox",
                        "displayName": "Todoke sandbox",
                        "chatMode": "bot",
                        "markAsReadMode": "auto",
                    }
                )
        if request.path.startswith("/v2/bot/channel/webhook/"):
            return await self._webhook_settings(request)
        return self._user(request)

    def _user(self, request: web.BaseRequest) -> web.Response:
        """Answer what concerns one user: the profile, a link token. Who is no friend is not found."""
        found = _USER_PATH.fullmatch(request.path)
        if found is None or request.method != ("GET" if found["profile"] else "POST"):
            return _refusal(404, "Not found")
        user_id = found["profile"] or found["linking"]
        if user_id in self.blocked or (self.users is not None and user_id not in self.users):
            return _refusal(404, "Not found")
        if found["linking"]:
            return answer_json({"linkToken": self.platform.issue_link_token(user_id)})
        return answer_json({"userId": user_id, "displayName": f"見本 {user_id[-4:]}", "language": "ja"})

    async def _webhook_settings(self, request: web.BaseRequest) -> web.Response:
        match request.method, request.path.rpartition("/")[2]:
            case "PUT", "endpoint":
                self.platform.webhook_url = str((await read_json(request)).get("endpoint", ""))
                return answer_json({})
            case "GET", "endpoint":
                url = self.platform.webhook_url
                return answer_json({"endpoint": url, "active": bool(url)}) if url else _refusal(404, "Not found")
            case "POST", "test":
                return answer_json(await self._test_webhook())
        return _refusal(404, "Not found")

    async def _test_webhook(self) -> dict[str, Any]:
        """Send the empty list of events that the platform itself uses to try an address."""
        tried = {"timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        try:
            status = await self.platform.tell()
        except NothingListens as error:
            return {**tried, "success": False, "statusCode": 0, "reason": "COULD_NOT_CONNECT", "detail": str(error)}
        ok = status == 200
        return {
            **tried,
            "success": ok,
            "statusCode": status,
            "reason": "OK" if ok else "ERROR_STATUS_CODE",
            "detail": str(status),
        }

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
        if mode == "accept_then_500":  # the answers that make retry keys necessary
            return _refusal(500, "Internal server error")
        if mode == "accept_then_hang":
            return await _misbehave("hang", request) or web.Response()
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
        return answer_page("line.html", pushes=pushes, total=len(self.pushes), told=self.platform.told[-20:])

    async def _show_pushes(self, request: web.BaseRequest) -> web.Response:
        return answer_json({"pushes": [push.as_json() for push in list(self.pushes)], "requests": self.requests})

    async def _set_behaviour(self, request: web.BaseRequest) -> web.Response:
        try:
            options = await read_json(request)
            self.behave(str(options.get("mode", "")), times=options.get("times"))
        except (ValueError, web.HTTPBadRequest) as error:
            return answer_json({"message": str(error)}, status=400)
        return answer_json({"ok": True})

    async def _tell(self, request: web.BaseRequest) -> web.Response:
        """Let a user do something: `{"type": "postback", "userId": "U…", "postback": {"data": "…"}}`."""
        content = await read_json(request)
        kind, user_id = str(content.pop("type", "")), str(content.pop("userId", ""))
        return await self._tell_event(self.platform.event(kind, user_id, **content))

    async def _press(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take a button pressed on the page."""
        form = await request.post()
        user_id, data = str(form.get("user", "")), str(form.get("data", ""))
        kind = str(form.get("kind", "postback"))
        parts = {"postback": {"data": data}} if kind == "postback" else {}
        answer = await self._tell_event(self.platform.event(kind, user_id, **parts))
        return web.Response(status=303, headers={"location": "/"}) if answer.status == 200 else answer

    async def _tell_event(self, event: dict[str, Any]) -> web.Response:
        user_id = event["source"]["userId"]
        if event["type"] in ("follow", "unfollow"):
            (self.blocked.add if event["type"] == "unfollow" else self.blocked.discard)(user_id)
        try:
            return answer_json({"status": await self.platform.tell(event), "event": event})
        except NothingListens as error:
            return answer_json({"message": str(error)}, status=502)

    async def _link_dialog(self, request: web.BaseRequest) -> web.Response:
        """The dialog that a browser opens with link token and nonce; `user` says whose account is signed in there."""
        used = self.platform.use_link_token(request.query.get("linkToken", ""), request.query.get("user"))
        nonce = request.query.get("nonce", "")
        if used is None or not 10 <= len(nonce) <= 255:
            return answer_json({"message": "The link token or the nonce is not valid"}, status=400)
        user_id, right = used
        link = {"result": "ok" if right else "failed", "nonce": nonce}
        return await self._tell_event(self.platform.event("accountLink", user_id, link=link))

    async def _forget(self, request: web.BaseRequest) -> web.Response:
        self.forget()
        return answer_json({"ok": True})


_OWN_ROUTES: dict[tuple[str, str], Callable[[LineServer, web.BaseRequest], Awaitable[web.StreamResponse]]] = {
    ("GET", "/"): LineServer._show_page,
    ("GET", "/pushes"): LineServer._show_pushes,
    ("POST", "/behaviour"): LineServer._set_behaviour,
    ("POST", "/forget"): LineServer._forget,
    ("POST", "/events"): LineServer._tell,
    ("POST", "/press"): LineServer._press,
    ("GET", "/dialog/bot/accountLink"): LineServer._link_dialog,
}


async def _misbehave(mode: str, request: web.BaseRequest) -> web.StreamResponse | None:
    if mode in _REFUSALS:
        return _refusal(*_REFUSALS[mode])
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
