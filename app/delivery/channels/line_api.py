"""What we ask the LINE-style Messaging API besides pushing: link tokens, and what the month still allows.

Called by workers between transactions, never inside one. Each call makes one request with a total deadline.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import httpx

from app.delivery.channels.line import USER_AGENT
from app.platform.settings import settings

_TOTAL_SECONDS: Final = 8.0
_LONGEST_ANSWER: Final = 64 * 1024


class LineUnavailable(Exception):
    """The API did not give what was asked for; the text says what it answered, without any user's id."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What the account may send this month (`limit` None = no limit) and how much of it is used, in recipients."""

    limit: int | None
    used: int


class LineApi:
    """The API of one account.

    Args:
        base_url: where the Messaging API is.
        channel_token: the channel access token.
    """

    def __init__(self, base_url: str, channel_token: str) -> None:
        self._base_url = base_url
        self._headers = {"authorization": f"Bearer {channel_token}", "user-agent": USER_AGENT}

    def link_token(self, user_id: str) -> str:
        """Ask for a link token of one user: ten minutes, single use.

        Raises:
            LineUnavailable: the API gave none.
        """
        (answer,) = self._ask(("POST", f"/v2/bot/user/{user_id}/linkToken"))
        token = answer.get("linkToken")
        if not isinstance(token, str) or not token:
            raise LineUnavailable("link token: found none in the answer; expected one")
        return token

    def quota(self) -> Quota:
        """Ask what this month allows and how much is used.

        Raises:
            LineUnavailable: the API did not say.
        """
        allowed, used = self._ask(("GET", "/v2/bot/message/quota"), ("GET", "/v2/bot/message/quota/consumption"))
        limit = allowed.get("value") if allowed.get("type") == "limited" else None
        total = used.get("totalUsage")
        if not isinstance(total, int) or not (limit is None or isinstance(limit, int)):
            raise LineUnavailable("quota: the answers are not of the published shape")
        return Quota(limit, total)

    def _ask(self, *requests: tuple[str, str]) -> list[dict[str, Any]]:
        return asyncio.run(self._ask_all(requests))

    async def _ask_all(self, requests: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
        try:
            async with (
                asyncio.timeout(_TOTAL_SECONDS),
                httpx.AsyncClient(base_url=self._base_url, headers=self._headers, trust_env=False) as client,
            ):
                return [await _answer(client, method, path) for method, path in requests]
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise LineUnavailable(f"no answer ({type(error).__name__})") from None


async def _answer(client: httpx.AsyncClient, method: str, path: str) -> dict[str, Any]:
    async with client.stream(method, path) as response:
        body = b""
        async for part in response.aiter_raw():
            body += part
            if len(body) > _LONGEST_ANSWER:
                raise LineUnavailable("the answer is longer than any published one")
    if response.status_code != 200:
        raise LineUnavailable(f"found status {response.status_code}; expected 200")
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise LineUnavailable("found no JSON object; expected one")
    return content


def line_api_from_settings() -> LineApi:
    """Return the API of this installation's account."""
    line = settings().line
    return LineApi(line.base_url, line.channel_token.get_secret_value())
