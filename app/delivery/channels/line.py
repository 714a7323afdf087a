"""LINE-style push: one call of the Messaging API for one user.

Every request carries a retry key derived from the delivery, from the first attempt on, so LINE itself drops a second
one: 409 means that the first was taken. LINE forgets the key after 24 hours, and so do we.
A push that LINE takes may still not arrive (a user who blocked us answers like any other): success is `accepted`.
"""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import httpx

from app.delivery.channels.contract import (
    EXCERPT_LIMIT,
    AttemptResult,
    Outcome,
    OutgoingLine,
    Stopwatch,
    excerpt,
)
from app.platform.errors import InvalidInput

USER_AGENT: Final = "Todoke-LINE/1.0"
TEXT_LIMIT: Final = 5000
ALT_TEXT_LIMIT: Final = 1500
MESSAGES_LIMIT: Final = 5
#: LINE remembers a retry key for 24 hours from its first use; the hour is for clocks and queues.
RETRY_KEY_LIFETIME: Final = timedelta(hours=23)
RATE_PAUSE_SECONDS: Final = 5.0
_PUSH_PATH: Final = "/v2/bot/message/push"


def utf16_length(text: str) -> int:
    """Return the length as LINE counts it: in UTF-16 code units, so that 🍎 and rare kanji count two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """Return the text cut to `limit` UTF-16 code units, never through a character, ending in … if it was cut."""
    if utf16_length(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: (limit - 1) * 2].decode("utf-16-le", "ignore")
    return kept + "…"


def text_message(text: str) -> dict[str, object]:
    """Return a text message object, shortened to what LINE takes."""
    return {"type": "text", "text": shorten(text, TEXT_LIMIT)}


def flex_message(alt_text: str, contents: Mapping[str, object]) -> dict[str, object]:
    """Return a Flex message object.

    Args:
        alt_text: what the notification, the list of talks and a screen reader say instead.
        contents: a bubble or carousel.
    """
    return {"type": "flex", "altText": shorten(alt_text, ALT_TEXT_LIMIT), "contents": contents}


def retry_key(delivery_id: uuid.UUID, *, form: str = "messages") -> str:
    """Return the retry key of a delivery: the same on every attempt, another one for its plain text form."""
    return str(uuid.uuid5(delivery_id, f"line/{form}"))


def check_messages(messages: Sequence[Mapping[str, object]]) -> None:
    """Refuse what LINE is known to refuse, before it costs a request.

    Raises:
        InvalidInput: naming the place and the limit.
    """
    if not 1 <= len(messages) <= MESSAGES_LIMIT:
        raise InvalidInput(f"LINE messages: found {len(messages)}; expected 1 to {MESSAGES_LIMIT}")
    for number, message in enumerate(messages):
        name, limit = ("text", TEXT_LIMIT) if message.get("type") == "text" else ("altText", ALT_TEXT_LIMIT)
        if message.get("type") not in ("text", "flex"):
            continue
        text = message.get(name)
        length = utf16_length(text) if isinstance(text, str) else 0
        if not 1 <= length <= limit:
            raise InvalidInput(
                f"LINE messages[{number}].{name}: found {length} UTF-16 code units; expected 1 to {limit}"
            )


class LineChannel:
    """Sends LINE-style pushes.

    Args:
        base_url: where the Messaging API is, such as `https://api.line.me`.
        channel_token: the channel access token.
        total_seconds: nothing about one attempt takes longer than this.
        connections: requests open at once; httpx gets slower, not faster, with many.
    """

    def __init__(
        self,
        base_url: str,
        channel_token: str,
        *,
        total_seconds: float = 15.0,
        connect_seconds: float = 5.0,
        connections: int = 20,
    ) -> None:
        self._base_url = base_url
        self._channel_token = channel_token
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._connections = connections
        self._client: httpx.AsyncClient | None = None

    async def send(self, outgoing: OutgoingLine, /) -> AttemptResult:
        """Make one attempt; see `contract`."""
        watch = Stopwatch()
        first = outgoing.first_attempted_at or outgoing.attempted_at
        if outgoing.attempted_at - first >= RETRY_KEY_LIFETIME:
            return watch.result(Outcome.UNDELIVERABLE, error="retry_key_expired")
        try:
            check_messages(outgoing.messages)
        except InvalidInput as error:
            return watch.result(Outcome.PERMANENT_FAILURE, error="message_invalid", response_excerpt=str(error))
        try:
            async with asyncio.timeout(self._total_seconds):
                result = await self._push(outgoing, outgoing.messages, "messages", watch)
                if result.error == "message_refused" and outgoing.fallback_text:
                    # LINE took nothing, so this is another message under another key, not a second copy.
                    plain = (text_message(outgoing.fallback_text),)
                    result = await self._push(outgoing, plain, "text", watch)
                return result
        except (TimeoutError, httpx.TimeoutException):
            return watch.result(Outcome.RETRY, error="timeout")
        except httpx.ConnectError as error:
            return watch.result(Outcome.RETRY, error="connect", response_excerpt=excerpt(str(error)))
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            return watch.result(Outcome.RETRY, error="disconnected", response_excerpt=excerpt(str(error)))

    async def close(self) -> None:
        """Close the client; the next `send` opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _push(
        self, outgoing: OutgoingLine, messages: Sequence[Mapping[str, object]], form: str, watch: Stopwatch
    ) -> AttemptResult:
        body = json.dumps(
            {"to": outgoing.user_id, "messages": messages}, ensure_ascii=False, separators=(",", ":")
        ).encode()
        headers = {"x-line-retry-key": retry_key(outgoing.delivery_id, form=form)}
        async with self._live_client().stream("POST", _PUSH_PATH, content=body, headers=headers) as response:
            answer = await _beginning_of(response)
        outcome, error = _meaning(response, answer)
        return watch.result(
            outcome,
            status_code=response.status_code,
            error=error,
            response_excerpt=excerpt(answer, without=outgoing.user_id),
            retry_after_seconds=RATE_PAUSE_SECONDS if outcome is Outcome.THROTTLED else None,
            reference=response.headers.get("x-line-accepted-request-id") or response.headers.get("x-line-request-id"),
        )

    def _live_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base_url,
                headers={
                    "authorization": f"Bearer {self._channel_token}",
                    "content-type": "application/json",
                    "accept-encoding": "identity",
                    "user-agent": USER_AGENT,
                },
                timeout=httpx.Timeout(self._total_seconds, connect=self._connect_seconds),
                limits=httpx.Limits(
                    max_connections=self._connections,
                    max_keepalive_connections=self._connections,
                    keepalive_expiry=4.0,
                ),
                follow_redirects=False,
                trust_env=False,
            )
        return self._client


async def _beginning_of(response: httpx.Response) -> bytes:
    answer = b""
    async for part in response.aiter_raw():
        answer += part[: EXCERPT_LIMIT - len(answer)]
        if len(answer) >= EXCERPT_LIMIT:
            break
    return answer


def _meaning(response: httpx.Response, answer: bytes) -> tuple[Outcome, str | None]:
    """Return the outcome and the error's name. The API has no error codes: its English sentences are the contract."""
    status = response.status_code
    text = answer.decode("utf-8", "replace").lower()
    accepted_before = status == 409 and "x-line-accepted-request-id" in response.headers
    if 200 <= status < 300 or accepted_before:
        return Outcome.ACCEPTED, None
    if status == 429 and "monthly limit" in text:
        return Outcome.UNDELIVERABLE, "monthly_limit"
    if status == 429:
        return Outcome.THROTTLED, "rate_limit"
    if status == 400 and ("failed to send messages" in text or "'to'" in text):
        return Outcome.UNDELIVERABLE, "unknown_user"
    if status == 400:
        return Outcome.PERMANENT_FAILURE, "message_refused"
    if status >= 500:
        return Outcome.RETRY, f"http_{status}"
    return Outcome.PERMANENT_FAILURE, f"http_{status}"
