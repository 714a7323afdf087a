"""Headers on every answer, the nonce of the page, and a limit to what a request may bring (pure ASGI middleware)."""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.platform.settings import settings

LARGEST_BODY = 512 * 1024


class BodyTooLarge(Exception):
    """The request brought more than we take."""


class SecurityHeaders:
    """Sets the nonce before the page is made and the headers before the answer leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), nonce)
            await send(message)

        await self.app(scope, _limited(receive), send_with_headers)


def _limited(receive: Receive) -> Receive:
    taken = 0

    async def receive_within_limit() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            raise BodyTooLarge
        return message

    return receive_within_limit


def add_headers(headers: MutableHeaders, nonce: str) -> None:
    """Set the headers that every answer carries."""
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")  # open data says cross-origin itself
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), browsing-topics=()"
    if settings().secure_cookies:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
