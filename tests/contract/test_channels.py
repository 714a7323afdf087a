"""Every channel keeps the same promises, tried against the real stand-ins over real sockets."""

import asyncio
import dataclasses
import datetime as dt
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from app.delivery.channels.contract import (
    EXCERPT_LIMIT,
    AttemptResult,
    Channel,
    Outcome,
    Outgoing,
    OutgoingEmail,
    OutgoingLine,
    OutgoingWebhook,
)
from app.delivery.channels.email import EmailChannel, MailRelay
from app.delivery.channels.line import LineChannel, flex_message
from app.delivery.channels.mail_message import MailSender
from app.delivery.channels.webhook import WebhookChannel
from app.partners.signing import new_secret
from app.platform.outbound import AllowedNetwork, EndpointGuard
from app.sandbox.servers import Sandbox

ON_THIS_MACHINE = (AllowedNetwork.parse("127.0.0.0/8"),)
LINE_USER = "U" + "a1" * 16
BUBBLE = {
    "type": "bubble",
    "body": {"type": "box", "layout": "vertical", "contents": [{"type": "text", "text": "児童手当"}]},
}


@dataclasses.dataclass
class Case:
    """One channel with its stand-in: how to make it, what to send, how to make the outside misbehave, what arrived."""

    name: str
    make: Callable[..., Channel[Any]]
    unreachable: Callable[[], Channel[Any]]
    outgoing: Callable[[uuid.UUID], Outgoing]
    success: Outcome
    temporary: Callable[[], None]
    permanent: Callable[[], None]
    permanent_outcome: Outcome
    hang: Callable[[], None]
    close: Callable[[], None]
    big_answer: Callable[[], None]
    recover: Callable[[], None]
    identities: Callable[[], list[str]]


def webhook_case(world: Sandbox) -> Case:
    app = world.partner_app
    secret = new_secret()
    app.secrets.append(secret)
    return Case(
        name="webhook",
        make=lambda **options: WebhookChannel(EndpointGuard(ON_THIS_MACHINE), **options),
        unreachable=lambda: _WebhookToOnePort(_closed_port()),
        outgoing=lambda delivery_id: OutgoingWebhook(
            delivery_id=delivery_id,
            attempted_at=dt.datetime.now(dt.UTC),
            webhook_id=f"evt_{delivery_id.hex}",
            url=app.webhook_url,
            secrets=(secret,),
            body='{"type":"notice.created","data":{"category":"子育て"}}'.encode(),
        ),
        success=Outcome.DELIVERED,
        temporary=lambda: app.behave("error_500"),
        permanent=lambda: app.behave("gone_410"),
        permanent_outcome=Outcome.ENDPOINT_GONE,
        hang=lambda: app.behave("hang"),
        close=lambda: app.behave("close"),
        big_answer=lambda: app.behave("big_response"),
        recover=lambda: app.behave("ok"),
        identities=lambda: [attempt.headers["webhook-id"] for attempt in app.attempts],
    )


class _WebhookToOnePort(WebhookChannel):
    """A channel whose every message goes to one port."""

    def __init__(self, port: int) -> None:
        super().__init__(EndpointGuard(ON_THIS_MACHINE))
        self._port = port

    async def send(self, outgoing: OutgoingWebhook, /) -> AttemptResult:
        return await super().send(dataclasses.replace(outgoing, url=f"http://127.0.0.1:{self._port}/webhooks"))


def email_case(world: Sandbox) -> Case:
    sink = world.mail_sink
    sender = MailSender("とどけ お知らせ係", "oshirase@todoke.example", "notices.todoke.example")

    def channel(port: int, **options: Any) -> EmailChannel:
        return EmailChannel(MailRelay("127.0.0.1", port), sender, **options)

    return Case(
        name="email",
        make=lambda **options: channel(sink.smtp_port, **options),
        unreachable=lambda: channel(_closed_port()),
        outgoing=lambda delivery_id: OutgoingEmail(
            delivery_id=delivery_id,
            attempted_at=dt.datetime.now(dt.UTC),
            composed_at=dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC),
            recipient="kazoku@example.jp",
            subject="【世田谷区】児童手当の額が変わります。手続きは 12月7日 までです",
            text="本文\n。\n",
            html="<p>本文</p>",
            unsubscribe_url="https://todoke.example/u/abc",
        ),
        success=Outcome.ACCEPTED,
        temporary=lambda: sink.behave("refuse_recipient", reply="451 4.7.1 greylisted"),
        permanent=lambda: sink.behave("refuse_message", reply="554 5.7.1 policy"),
        permanent_outcome=Outcome.PERMANENT_FAILURE,
        hang=lambda: sink.behave("hang"),
        close=lambda: sink.behave("close"),
        big_answer=lambda: sink.behave("refuse_message", reply="451 " + "x" * 60_000),
        recover=lambda: sink.behave("ok"),
        identities=lambda: [str(mail.message()["message-id"]) for mail in sink.mails],
    )


def line_case(world: Sandbox) -> Case:
    server = world.line_server

    def permanent() -> None:
        server.users = set()

    return Case(
        name="line",
        make=lambda **options: LineChannel(server.url, server.channel_token, **options),
        unreachable=lambda: LineChannel(f"http://127.0.0.1:{_closed_port()}", "token"),
        outgoing=lambda delivery_id: OutgoingLine(
            delivery_id=delivery_id,
            attempted_at=dt.datetime.now(dt.UTC),
            user_id=LINE_USER,
            messages=(flex_message("児童手当の額が変わります", BUBBLE),),
        ),
        success=Outcome.ACCEPTED,
        temporary=lambda: server.behave("error_500"),
        permanent=permanent,
        permanent_outcome=Outcome.UNDELIVERABLE,
        hang=lambda: server.behave("hang"),
        close=lambda: server.behave("close"),
        big_answer=lambda: server.behave("big_response"),
        recover=lambda: server.behave("ok"),
        identities=lambda: [str(key) for key in server.retry_keys_seen],
    )


@pytest.fixture(params=[webhook_case, email_case, line_case], ids=["webhook", "email", "line"])
def case(request: pytest.FixtureRequest, world: Sandbox) -> Case:
    return request.param(world)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def once(channel: Channel[Any], *outgoing: Outgoing) -> list[AttemptResult]:
    """Send one after the other and close."""
    try:
        return [await channel.send(one) for one in outgoing]
    finally:
        await channel.close()


def test_success_is_told_as_what_it_is(case: Case) -> None:
    (result,) = asyncio.run(once(case.make(), case.outgoing(uuid.uuid4())))
    assert result.outcome is case.success
    assert result.error is None
    assert result.status_code in (200, 250)
    assert 0 < result.duration_seconds < 5
    assert len(case.identities()) == 1


def test_a_temporary_failure_is_to_be_tried_again(case: Case) -> None:
    case.temporary()
    (result,) = asyncio.run(once(case.make(), case.outgoing(uuid.uuid4())))
    assert result.outcome is Outcome.RETRY
    assert result.error
    assert result.status_code in (500, 451)


def test_a_permanent_failure_is_not_to_be_tried_again(case: Case) -> None:
    case.permanent()
    (result,) = asyncio.run(once(case.make(), case.outgoing(uuid.uuid4())))
    assert result.outcome is case.permanent_outcome
    assert result.error


def test_the_total_deadline_holds_against_a_receiver_that_hangs(case: Case) -> None:
    case.hang()
    started = time.monotonic()
    (result,) = asyncio.run(once(case.make(total_seconds=0.4), case.outgoing(uuid.uuid4())))
    assert time.monotonic() - started < 2.5
    assert result.outcome is Outcome.RETRY
    assert result.error == "timeout"
    assert 0.35 < result.duration_seconds < 1.5


def test_a_hanging_attempt_leaves_the_channel_usable(case: Case, loop: asyncio.Runner) -> None:
    channel = case.make(total_seconds=0.8)
    case.hang()
    assert loop.run(channel.send(case.outgoing(uuid.uuid4()))).outcome is Outcome.RETRY
    case.recover()
    assert loop.run(channel.send(case.outgoing(uuid.uuid4()))).outcome is case.success
    loop.run(channel.close())


def test_a_receiver_that_hangs_up_is_a_retry_and_no_exception(case: Case) -> None:
    case.close()
    (result,) = asyncio.run(once(case.make(total_seconds=3), case.outgoing(uuid.uuid4())))
    assert result.outcome is Outcome.RETRY
    assert result.error in ("disconnected", "smtp_4.3.0")


def test_nobody_listening_is_a_retry_and_no_exception(case: Case) -> None:
    (result,) = asyncio.run(once(case.unreachable(), case.outgoing(uuid.uuid4())))
    assert result.outcome is Outcome.RETRY
    assert result.error == "connect"
    assert result.status_code is None


def test_a_resend_carries_the_same_identity(case: Case) -> None:
    delivery_id, other_id = uuid.uuid4(), uuid.uuid4()
    results = asyncio.run(
        once(case.make(), case.outgoing(delivery_id), case.outgoing(delivery_id), case.outgoing(other_id))
    )
    assert [result.outcome for result in results] == [case.success] * 3
    first, second, other = case.identities()
    assert first == second
    assert other != first


def test_an_answer_without_end_is_bounded(case: Case) -> None:
    case.big_answer()
    started = time.monotonic()
    (result,) = asyncio.run(once(case.make(total_seconds=5), case.outgoing(uuid.uuid4())))
    assert len(result.response_excerpt) <= EXCERPT_LIMIT
    assert time.monotonic() - started < 4


def test_what_is_secret_or_personal_is_not_shown_by_repr(case: Case) -> None:
    shown = repr(case.outgoing(uuid.uuid4()))
    assert not any(secret in shown for secret in ("whsec_", "kazoku", "児童手当", LINE_USER))


def test_many_at_once_all_arrive(case: Case, loop: asyncio.Runner) -> None:
    async def burst() -> list[AttemptResult]:
        channel = case.make()
        results = await asyncio.gather(*(channel.send(case.outgoing(uuid.uuid4())) for _ in range(60)))
        await channel.close()
        return results

    assert {result.outcome for result in loop.run(burst())} == {case.success}
    assert len(set(case.identities())) == 60


def test_closing_twice_and_sending_after_closing_work(case: Case, loop: asyncio.Runner) -> None:
    channel = case.make()
    loop.run(channel.close())
    assert loop.run(channel.send(case.outgoing(uuid.uuid4()))).outcome is case.success
    loop.run(channel.close())
    assert loop.run(channel.send(case.outgoing(uuid.uuid4()))).outcome is case.success
    loop.run(channel.close())
    loop.run(channel.close())
