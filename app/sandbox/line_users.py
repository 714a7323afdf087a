"""The users of the LINE-style server: profiles, link tokens, and the signed webhooks that tell what they did."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

LINK_TOKEN_SECONDS = 600
_ULID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PARTS = {
    "follow": {"follow": {"isUnblocked": False}},
    "unfollow": {},
    "postback": {"postback": {"data": ""}},
    "accountLink": {"link": {"result": "ok", "nonce": ""}},
    "message": {"message": {"id": "1", "type": "text", "text": "こんにちは", "quoteToken": "q"}},
}


class NothingListens(Exception):
    """The bot's webhook could not be reached, or none is set; the text says what was found."""


@dataclass(slots=True)
class LineUsers:
    """What the platform knows of users and of the bot's webhook.

    Attributes:
        channel_secret: signs every webhook.
        bot_user_id: the destination that webhooks name.
        webhook_url: where they go; empty while nobody listens.
    """

    channel_secret: str = "sandbox-channel-secret"  # noqa: S105 - a stand-in's secret guards nothing
    bot_user_id: str = "U" + "0" * 32
    webhook_url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    _link_tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    def issue_link_token(self, user_id: str) -> str:
        """Return a new link token of a user: ten minutes, single use."""
        token = secrets.token_urlsafe(24)
        self._link_tokens[token] = (user_id, time.monotonic())
        return token

    def use_link_token(self, token: str, user_id: str | None = None) -> tuple[str, bool] | None:
        """Use a link token up; return whose account is linked and whether that is right.

        Args:
            token: as it stood in the address.
            user_id: who opened the dialog; None for the token's own user.
        """
        owner, issued_at = self._link_tokens.pop(token, ("", 0.0))
        if not owner or time.monotonic() - issued_at > LINK_TOKEN_SECONDS:
            return None
        return user_id or owner, user_id in (None, owner)

    def event(self, kind: str, user_id: str, **parts: Any) -> dict[str, Any]:
        """Return an event as it is published, with parts of it replaced.

        Args:
            kind: `follow`, `unfollow`, `postback`, `accountLink`, `message` or any other name.
            user_id: who did it.
            **parts: members of the event, such as `postback={"data": "…"}`.
        """
        event = {
            "type": kind,
            "mode": "active",
            "timestamp": round(time.time() * 1000),
            "source": {"type": "user", "userId": user_id},
            "webhookEventId": "".join(secrets.choice(_ULID_LETTERS) for _ in range(26)),
            "deliveryContext": {"isRedelivery": False},
            **_PARTS.get(kind, {}),
        }
        if kind not in ("unfollow", "accountLink"):
            event["replyToken"] = secrets.token_hex(16)
        return {**event, **parts}

    def body_and_signature(self, *events: dict[str, Any]) -> tuple[bytes, str]:
        """Return the body of a webhook and its `x-line-signature`."""
        content = {"destination": self.bot_user_id, "events": list(events)}
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        digest = hmac.digest(self.channel_secret.encode(), body, hashlib.sha256)
        return body, base64.b64encode(digest).decode()

    async def tell(self, *events: dict[str, Any]) -> int:
        """Send a webhook to the bot and return the status of its answer.

        Raises:
            NothingListens: no address is set, or nobody answers there within two seconds.
        """
        if not self.webhook_url:
            raise NothingListens("no webhook address is set; expected one by PUT /v2/bot/channel/webhook/endpoint")
        body, signature = self.body_and_signature(*events)
        headers = {"content-type": "application/json; charset=utf-8", "x-line-signature": signature}
        self.told.extend(events)
        try:
            timeout = aiohttp.ClientTimeout(total=2.0)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.webhook_url, data=body, headers=headers) as answer,
            ):
                return answer.status
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NothingListens(f"{self.webhook_url} did not answer ({type(error).__name__})") from None

    def forget(self) -> None:
        """Forget tokens and what was told; the webhook's address stays."""
        self.told.clear()
        self._link_tokens.clear()
