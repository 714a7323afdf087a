"""HEAD on pages and answers that anybody may read: the headers of the GET, without its body (pure ASGI middleware)."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Answers HEAD below some paths as GET would be answered; link checkers and harvesters ask that way."""

    def __init__(self, app: ASGIApp, below: Sequence[str]) -> None:
        self.app = app
        self.below = tuple(below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or not scope["path"].startswith(self.below):
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)
