"""The HTTP session for calls to addresses that somebody else chose: resolved and checked once, with bounded answers.

What may be called at all is decided by `app.platform.outbound`.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from aiohttp import ClientRequest, StreamReader
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_parser import RawResponseMessage
from aiohttp.tracing import Trace

from app.platform.outbound import EndpointGuard, addresses_of

MOST_INTERIM_ANSWERS: Final = 10


class GuardedResolver(AbstractResolver):
    """Resolves a name once and lets it through only if every answer may be called.

    The blocking look-ups have their own threads: names that hang must not starve anything else in the process.
    """

    def __init__(
        self,
        guard: EndpointGuard,
        *,
        look_up: Callable[[str, int], Sequence[str]] = addresses_of,
        seconds: float = 5.0,
        threads: int = 16,
    ) -> None:
        self._guard = guard
        self._look_up = look_up
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses of a host.

        Raises:
            TargetBlocked: a look-up failed or an answer is forbidden.
            TimeoutError: the look-up took too long.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds):
            answers = await loop.run_in_executor(self._threads, self._look_up, host, port)
        for answer in answers:
            self._guard.check_address(answer, port, host=host)
        results = [_resolved(host, answer, port) for answer in answers]
        return [result for result in results if family in (socket.AF_UNSPEC, result["family"])]

    async def close(self) -> None:
        """Release the threads without waiting for look-ups that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    version = ipaddress.ip_address(address).version
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if version == 6 else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def guarded_session(
    guard: EndpointGuard,
    *,
    connect_seconds: float,
    connections: int,
    user_agent: str,
    resolver: GuardedResolver | None = None,
) -> aiohttp.ClientSession:
    """Make the HTTP session for calls to addresses that somebody else chose (inside a running event loop).

    It ignores proxy settings of the environment, keeps no cookies, and never unpacks a compressed response, so that a
    small answer cannot become a large one. Redirects are refused per request (`allow_redirects=False`), and the total
    deadline is the caller's, over everything it does with an answer.
    """
    connector = _GuardedConnector(
        resolver or GuardedResolver(guard),
        limit=connections,
        ttl_dns_cache=30,
        # Shorter than the five seconds after which common receivers hang up, so that we seldom write into a closed one.
        keepalive_timeout=4.0,
        socket_factory=guard.open_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
        headers={"user-agent": user_agent, "accept": "*/*", "accept-encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        max_line_size=8190,
        max_field_size=8190,
    )


class _BoundedAnswer(ResponseHandler):
    """Reads one answer after the other from a connection, and hangs up on one that never begins.

    Interim answers (1xx) may come any number of times by HTTP; a flood of them would keep the whole event loop busy
    until the deadline.
    """

    _interim = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take one message head (aiohttp's hook)."""
        if self._interim > MOST_INTERIM_ANSWERS:
            return  # what else came with it, on a connection that is over
        self._interim = self._interim + 1 if data[0].code < 200 else 0
        if self._interim <= MOST_INTERIM_ANSWERS:
            super().feed_data(data, size)
        elif self.transport is not None:
            self.set_exception(aiohttp.ServerDisconnectedError("more interim answers than anybody needs"))
            self.transport.abort()


class _GuardedConnector(aiohttp.TCPConnector):
    """A connector whose connections bound interim answers.

    It owns its resolver, so that closing the session also releases the look-up threads.
    """

    def __init__(self, resolver: GuardedResolver, **options: object) -> None:
        super().__init__(resolver=resolver, **options)  # type: ignore[arg-type]
        self._own_resolver = resolver

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Give a connection that counts interim answers.

        aiohttp offers no place to name the class that reads answers, so the reader is changed here, before it is given
        a parser: until then it puts what comes aside unread, so that nothing goes by uncounted.
        """
        connection = await super().connect(req, traces, timeout)
        if type(connection.protocol) is ResponseHandler:  # else it is one of the pool, and counts already
            connection.protocol.__class__ = _BoundedAnswer
        return connection

    async def close(self, *, abort_ssl: bool = False) -> None:
        await super().close(abort_ssl=abort_ssl)
        await self._own_resolver.close()
