"""LINE-style push: one call of the Messaging API for one user.

Every request carries a retry key derived from the delivery, from the first attempt on, so LINE itself drops a second
one: 409 means that the first was taken. LINE forgets the key after 24 hours, and so do we.
429 has three meanings that only its sentence tells apart: too fast, too many at once, and nothing more this month.
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
BUBBLE_BYTES: Final = 30_000
CAROUSEL_BYTES: Final = 50_000
BUBBLES_LIMIT: Final = 12
POSTBACK_DATA_LIMIT: Final = 300
URI_LIMIT: Final = 1000
#: LINE remembers a retry key for 24 hours from its first use; the hour is for clocks and queues.
RETRY_KEY_LIFETIME: Final = timedelta(hours=23)
RATE_PAUSE_SECONDS: Final = 5.0
CONCURRENCY_PAUSE_SECONDS: Final = 1.0
TOKEN_PAUSE_SECONDS: Final = 300.0
#: The error's name when the account may send nothing more until the month ends.
MONTHLY_LIMIT: Final = "monthly_limit"
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


def text_messages(text: str) -> tuple[dict[str, object], ...]:
    """Return a long text as up to five text messages, parted between lines where that is possible."""
    parts: list[str] = []
    rest = text
    while utf16_length(rest) > TEXT_LIMIT and len(parts) < MESSAGES_LIMIT - 1:
        fits = rest.encode("utf-16-le", "surrogatepass")[: TEXT_LIMIT * 2].decode("utf-16-le", "ignore")
        end = fits.rfind("\n") + 1 or len(fits)
        parts.append(rest[:end].rstrip("\n") or fits)
        rest = rest[end:]
    return tuple(text_message(part) for part in [*parts, rest] if part)


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
        if name == "altText":
            _check_container(message.get("contents"), f"LINE messages[{number}].contents")
        text = message.get(name)
        length = utf16_length(text) if isinstance(text, str) else 0
        if not 1 <= length <= limit:
            raise InvalidInput(
                f"LINE messages[{number}].{name}: found {length} UTF-16 code units; expected 1 to {limit}"
            )


def _check_container(contents: object, place: str) -> None:
    """Refuse a bubble or carousel that is too large, and an action whose data or address is too long."""
    carousel = isinstance(contents, Mapping) and contents.get("type") == "carousel"
    bubbles = contents.get("contents") if carousel and isinstance(contents, Mapping) else [contents]
    if not isinstance(bubbles, Sequence) or not 1 <= len(bubbles) <= BUBBLES_LIMIT:
        raise InvalidInput(f"{place}: found no bubbles or too many; expected 1 to {BUBBLES_LIMIT}")
    whole = (contents, CAROUSEL_BYTES if carousel else BUBBLE_BYTES)
    for part, limit in (whole, *((bubble, BUBBLE_BYTES) for bubble in bubbles)):
        size = len(_json(part))
        if size > limit:
            raise InvalidInput(f"{place}: found {size} bytes; expected at most {limit}")
    _check_actions(contents, place)


def _check_actions(part: object, place: str) -> None:
    if isinstance(part, Mapping):
        for name, limit in (("data", POSTBACK_DATA_LIMIT), ("uri", URI_LIMIT)):
            value = part.get(name)
            if isinstance(value, str) and len(value) > limit:
                raise InvalidInput(f"{place}: found {name} of {len(value)} characters; expected at most {limit}")
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            _check_actions(inner, place)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


class LineChannel:
    """Sends LINE-style pushes.

    A delivery whose key is forgotten and whose fate is unknown ends `undeliverable`: the next channel tells the family.

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
            async with asyncio.timeout(self._total_seconds):
                result = await self._push_messages(outgoing, watch)
                if result.error in ("message_invalid", "message_refused") and outgoing.fallback_text:
                    # LINE took nothing, so this is another message under another key, not a second copy.
                    result = await self._push(outgoing, text_messages(outgoing.fallback_text), "text", watch)
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

    async def _push_messages(self, outgoing: OutgoingLine, watch: Stopwatch) -> AttemptResult:
        try:
            check_messages(outgoing.messages)
        except InvalidInput as error:
            return watch.result(Outcome.PERMANENT_FAILURE, error="message_invalid", response_excerpt=str(error))
        return await self._push(outgoing, outgoing.messages, "messages", watch)

    async def _push(
        self, outgoing: OutgoingLine, messages: Sequence[Mapping[str, object]], form: str, watch: Stopwatch
    ) -> AttemptResult:
        body = _json({"to": outgoing.user_id, "messages": messages})
        headers = {"x-line-retry-key": retry_key(outgoing.delivery_id, form=form)}
        async with self._live_client().stream("POST", _PUSH_PATH, content=body, headers=headers) as response:
            answer = await _beginning_of(response)
        outcome, error, pause = _meaning(response, answer)
        return watch.result(
            outcome,
            status_code=response.status_code,
            error=error,
            response_excerpt=excerpt(answer, without=outgoing.user_id),
            retry_after_seconds=pause,
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


def _meaning(response: httpx.Response, answer: bytes) -> tuple[Outcome, str | None, float | None]:
    """Return the outcome, the error's name, and for how many seconds to pause.

    The API has no error codes and no Retry-After: its English sentences are the contract.
    """
    status = response.status_code
    text = answer.decode("utf-8", "replace").lower()
    accepted_before = status == 409 and "x-line-accepted-request-id" in response.headers
    if 200 <= status < 300 or accepted_before:
        return Outcome.ACCEPTED, None, None
    if status == 429 and "monthly limit" in text:
        return Outcome.CHANNEL_CLOSED, MONTHLY_LIMIT, None
    if status == 429 and "concurrent" in text:
        return Outcome.THROTTLED, "too_many_at_once", CONCURRENCY_PAUSE_SECONDS
    if status == 429:
        return Outcome.THROTTLED, "rate_limit", RATE_PAUSE_SECONDS
    if status in (401, 403):
        # The account's fault and no family's: everything waits until an operator has looked.
        return Outcome.CHANNEL_CLOSED, "token_refused" if status == 401 else "not_entitled", TOKEN_PAUSE_SECONDS
    if status == 400 and ("failed to send messages" in text or "'to'" in text):
        return Outcome.UNDELIVERABLE, "unknown_user", None
    if status == 400:
        return Outcome.PERMANENT_FAILURE, "message_refused", None
    if status >= 500:
        return Outcome.RETRY, f"http_{status}", None
    return Outcome.PERMANENT_FAILURE, f"http_{status}", None
