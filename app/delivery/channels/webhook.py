"""Webhooks: one signed POST to the address that a partner app chose (Standard Webhooks 1.0).

The status line decides. What a receiver writes after it is kept for the partner's developers, up to 4 kB and for at
most a second; it never holds a slot for longer.
"""

import asyncio
import math
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from app.delivery.channels.contract import (
    EXCERPT_LIMIT,
    AttemptResult,
    Outcome,
    OutgoingWebhook,
    Stopwatch,
    excerpt,
)
from app.partners.signing import signature
from app.platform.errors import InvalidInput
from app.platform.guarded_http import GuardedResolver, guarded_session
from app.platform.outbound import EndpointGuard, TargetBlocked

USER_AGENT: Final = "Todoke-Webhooks/1.0"
SHORTEST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 3600.0
DEFAULT_PAUSE: Final = 60.0
_EXCERPT_SECONDS: Final = 1.0


class WebhookChannel:
    """Sends webhooks.

    Args:
        guard: decides which addresses may be called.
        total_seconds: nothing about one attempt takes longer than this.
        connect_seconds: limit for connecting, TLS handshake included.
        connections: sockets open at once; more attempts than that wait for a free one.
        resolver: how names become addresses; the default asks the system.
    """

    def __init__(
        self,
        guard: EndpointGuard,
        *,
        total_seconds: float = 15.0,
        connect_seconds: float = 5.0,
        connections: int = 200,
        resolver: GuardedResolver | None = None,
    ) -> None:
        self._guard = guard
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._connections = connections
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send(self, outgoing: OutgoingWebhook, /) -> AttemptResult:
        """Make one attempt; see `contract`."""
        watch = Stopwatch()
        try:
            async with asyncio.timeout(self._total_seconds):
                return await self._post(outgoing, watch)
        except TimeoutError as error:
            # ServerTimeoutError is the connect limit, a bare TimeoutError the total one.
            name = "connect_timeout" if isinstance(error, aiohttp.ServerTimeoutError) else "timeout"
            return watch.result(Outcome.RETRY, error=name)
        except TargetBlocked as error:
            return watch.result(Outcome.TARGET_BLOCKED, error=error.reason, response_excerpt=excerpt(str(error)))
        except InvalidInput as error:
            return watch.result(Outcome.PERMANENT_FAILURE, error="signing", response_excerpt=excerpt(str(error)))
        except aiohttp.ClientConnectorError as error:
            return _connect_failure(error, watch)
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            return watch.result(Outcome.RETRY, error=_error_name(error), response_excerpt=excerpt(str(error)))

    async def close(self) -> None:
        """Close the session; the next `send` opens a new one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, outgoing: OutgoingWebhook, watch: Stopwatch) -> AttemptResult:
        url = self._guard.check_url(outgoing.url)
        timestamp = int(outgoing.attempted_at.timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": outgoing.webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(outgoing.secrets, outgoing.webhook_id, timestamp, outgoing.body),
        }
        async with self._live_session().post(
            url, data=outgoing.body, headers=headers, allow_redirects=False
        ) as response:
            return watch.result(
                _outcome(response.status),
                status_code=response.status,
                error=None if 200 <= response.status < 300 else f"http_{response.status}",
                response_excerpt=excerpt(await _beginning_of(response)),
                retry_after_seconds=_pause(response, outgoing.attempted_at),
            )

    def _live_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = guarded_session(
                self._guard,
                connect_seconds=self._connect_seconds,
                connections=self._connections,
                user_agent=USER_AGENT,
                resolver=self._resolver,
            )
        return self._session


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.ENDPOINT_GONE
    if status in (429, 503):
        return Outcome.THROTTLED
    # Redirects are never followed, and most 4xx are a deployment that went wrong and will be put right.
    return Outcome.RETRY


def _pause(response: aiohttp.ClientResponse, now: datetime) -> float | None:
    if response.status not in (429, 503):
        return None
    return retry_after(response.headers.get("retry-after", ""), now)


def retry_after(header: str, now: datetime) -> float:
    """Return how long to pause, in seconds between 1 and 3,600; 60 where the header says nothing usable.

    Args:
        header: the value of `Retry-After`: seconds, or a date of HTTP.
        now: with time zone.
    """
    header = header.strip()
    seconds = DEFAULT_PAUSE
    if header.isascii() and header.isdigit():
        seconds = float(header[:9])
    elif header:
        try:
            moment = parsedate_to_datetime(header)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (ValueError, OverflowError):
            seconds = DEFAULT_PAUSE
    return min(max(seconds if math.isfinite(seconds) else DEFAULT_PAUSE, SHORTEST_PAUSE), LONGEST_PAUSE)


async def _beginning_of(response: aiohttp.ClientResponse) -> bytes:
    """Read at most 4 kB of the answer, for at most a second; whatever goes wrong here changes nothing."""
    parts: list[bytes] = []
    missing = EXCERPT_LIMIT
    try:
        if response.content.is_eof():  # what most receivers say comes together with the status line
            return response.content.read_nowait(EXCERPT_LIMIT)
        async with asyncio.timeout(_EXCERPT_SECONDS):
            while missing > 0 and (part := await response.content.read(missing)):
                parts.append(part)
                missing -= len(part)
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    if not response.content.at_eof():
        # There is more, or there may be: hang up rather than read it to reuse the connection.
        response.close()
    return b"".join(parts)


def _connect_failure(error: aiohttp.ClientConnectorError, watch: Stopwatch) -> AttemptResult:
    cause = error.os_error
    if isinstance(cause, TargetBlocked):
        if cause.reason == "unresolvable":
            return watch.result(Outcome.RETRY, error="dns", response_excerpt=excerpt(str(cause)))
        return watch.result(Outcome.TARGET_BLOCKED, error=cause.reason, response_excerpt=excerpt(str(cause)))
    return watch.result(Outcome.RETRY, error=_error_name(error), response_excerpt=excerpt(str(error)))


def _error_name(error: BaseException) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return "tls_certificate"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "disconnected"
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return "invalid_response"
    return "network"
