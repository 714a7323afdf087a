"""Receivers that mean harm: whatever they do, one attempt ends before its deadline and keeps no more than it may."""

import asyncio
import contextlib
import datetime as dt
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from app.delivery.channels.contract import EXCERPT_LIMIT, AttemptResult, Outcome, OutgoingWebhook
from app.delivery.channels.webhook import WebhookChannel
from app.partners.signing import new_secret
from app.platform.guarded_http import MOST_INTERIM_ANSWERS, GuardedResolver
from app.platform.outbound import AllowedNetwork, EndpointGuard

GUARD = EndpointGuard([AllowedNetwork.parse("127.0.0.0/8")])
DEADLINE = 1.0
Answer = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def receiver(answer: Answer) -> Iterator[int]:
    """Serve one raw TCP connection at a time with whatever `answer` writes; give the port."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                connection, _ = listener.accept()
                connection.settimeout(5)
                with connection, contextlib.suppress(OSError):
                    answer(connection, ended)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join()
        listener.close()


def send(url: str, **options: object) -> AttemptResult:
    outgoing = OutgoingWebhook(
        delivery_id=uuid.uuid4(),
        attempted_at=dt.datetime.now(dt.UTC),
        webhook_id=f"evt_{uuid.uuid4().hex}",
        url=url,
        secrets=(new_secret(),),
        body=b"{}",
    )

    async def once() -> AttemptResult:
        channel = WebhookChannel(GUARD, total_seconds=DEADLINE, **options)  # type: ignore[arg-type]
        try:
            return await channel.send(outgoing)
        finally:
            await channel.close()

    started = time.monotonic()
    result = asyncio.run(once())
    assert time.monotonic() - started < DEADLINE + 1.0, "the slot was held longer than the deadline"
    assert result.duration_seconds < DEADLINE + 0.5
    assert len(result.response_excerpt) <= EXCERPT_LIMIT
    return result


def _request(connection: socket.socket) -> None:
    while b"{}" not in connection.recv(65_536):
        pass


def _for_ever(part: bytes, pause: float) -> Answer:
    def answer(connection: socket.socket, ended: threading.Event) -> None:
        _request(connection)
        while not ended.wait(pause):
            connection.sendall(part)

    return answer


def _once(answer: bytes) -> Answer:
    def write(connection: socket.socket, _ended: threading.Event) -> None:
        _request(connection)
        connection.sendall(answer)

    return write


def _many_headers(connection: socket.socket, _ended: threading.Event) -> None:
    _request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % one for one in range(10_000)) + b"\r\n")


def _header_without_end(connection: socket.socket, ended: threading.Event) -> None:
    _request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while not ended.is_set():
        connection.sendall(b"y" * 65_536)


def _eight_mebibytes(connection: socket.socket, _ended: threading.Event) -> None:
    _request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n")
    for _ in range(128):
        connection.sendall(b"z" * 65_536)


def _says_nothing(connection: socket.socket, ended: threading.Event) -> None:
    ended.wait(5)


OK_HEAD = b"HTTP/1.1 200 OK\r\n"
FAILS: list[tuple[str, Answer, set[str]]] = [
    ("it never answers", _says_nothing, {"timeout"}),
    ("a status line that trickles", _for_ever(b"H", 0.02), {"timeout", "invalid_response"}),
    ("interim answers without end", _for_ever(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", 0.005), {"disconnected"}),
    ("100 Continue without end", _for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.0), {"disconnected"}),
    ("a header without end", _header_without_end, {"invalid_response", "disconnected", "timeout"}),
    ("it closes before it answers", lambda connection, _ended: _request(connection), {"disconnected"}),
    ("it closes in the middle of the head", _once(OK_HEAD + b"content-le"), {"disconnected", "invalid_response"}),
    ("no HTTP at all", _once(b"SSH-2.0-OpenSSH_9.6\r\n"), {"invalid_response"}),
    ("two lengths", _once(OK_HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx"), {"invalid_response"}),
]


@pytest.mark.parametrize(("what", "answer", "errors"), FAILS, ids=[what for what, *_ in FAILS])
def test_what_is_no_answer_is_a_failure_in_time(what: str, answer: Answer, errors: set[str]) -> None:
    with receiver(answer) as port:
        result = send(f"http://127.0.0.1:{port}/")
    assert result.outcome is Outcome.RETRY
    assert result.error in errors


def _interim(connection: socket.socket, number: int) -> None:
    _request(connection)
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * number + OK_HEAD + b"content-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("number", "error"), [(MOST_INTERIM_ANSWERS, None), (MOST_INTERIM_ANSWERS + 1, "disconnected")]
)
def test_interim_answers_are_counted_to_the_last(number: int, error: str | None) -> None:
    """All of them come with the answer at once; should aiohttp read answers in another way, this is what fails."""
    with receiver(lambda connection, _ended: _interim(connection, number)) as port:
        result = send(f"http://127.0.0.1:{port}/")
    assert result.error == error


TAKEN: list[tuple[str, Answer]] = [
    ("8 MiB", _eight_mebibytes),
    ("it closes in the middle of the body", _once(OK_HEAD + b"content-length: 500\r\n\r\nabc")),
    ("chunks that lie", _once(OK_HEAD + b"transfer-encoding: chunked\r\n\r\nFFFFFF\r\nabc")),
    (
        "a bomb in gzip is not unpacked",
        _once(OK_HEAD + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00"),
    ),
]


@pytest.mark.parametrize(("what", "answer"), TAKEN, ids=[what for what, _ in TAKEN])
def test_the_status_counts_whatever_comes_after_it(what: str, answer: Answer) -> None:
    with receiver(answer) as port:
        result = send(f"http://127.0.0.1:{port}/")
    assert (result.outcome, result.status_code) == (Outcome.DELIVERED, 200)


def test_ten_thousand_headers_cost_no_more_than_an_attempt() -> None:
    with receiver(_many_headers) as port:
        result = send(f"http://127.0.0.1:{port}/")
    assert (result.outcome, result.error) == (Outcome.RETRY, "invalid_response")


def test_a_handshake_that_hangs_ends_at_the_limit_of_connecting() -> None:
    with receiver(_says_nothing) as port:
        result = send(f"https://127.0.0.1:{port}/", connect_seconds=0.4)
    assert (result.outcome, result.error) in [(Outcome.RETRY, "connect_timeout"), (Outcome.RETRY, "timeout")]


def test_a_redirect_to_the_metadata_service_is_not_followed() -> None:
    answer = _once(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n")
    with receiver(answer) as port:
        result = send(f"http://127.0.0.1:{port}/")
    assert (result.outcome, result.error) == (Outcome.RETRY, "http_302")


def test_a_name_server_that_hangs_holds_no_slot() -> None:
    hanging = threading.Event()
    resolver = GuardedResolver(GUARD, look_up=lambda *_: [str(hanging.wait(5))], seconds=0.3)
    result = send("https://slow.sorairo.example/", resolver=resolver)
    hanging.set()
    assert (result.outcome, result.error) == (Outcome.RETRY, "connect_timeout")
    assert result.duration_seconds < 0.9
