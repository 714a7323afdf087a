"""What only webhooks promise."""

import asyncio
import datetime as dt
import time
import uuid
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingWebhook
from app.delivery.channels.webhook import WebhookChannel, retry_after
from app.partners.signing import new_secret
from app.platform.guarded_http import GuardedResolver
from app.platform.outbound import AllowedNetwork, EndpointGuard
from app.sandbox.servers import Sandbox

GUARD = EndpointGuard([AllowedNetwork.parse("127.0.0.0/8")])
NOW = dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC)


def webhook(world: Sandbox, *secrets: str, **changes: object) -> OutgoingWebhook:
    values: dict[str, object] = {
        "delivery_id": uuid.uuid4(),
        "attempted_at": dt.datetime.now(dt.UTC),
        "webhook_id": f"evt_{uuid.uuid4().hex}",
        "url": world.partner_app.webhook_url,
        "secrets": secrets,
        "body": '{"type":"notice.created","data":{"title":"児童手当"}}'.encode(),
    }
    return OutgoingWebhook(**{**values, **changes})  # type: ignore[arg-type]


def send(outgoing: OutgoingWebhook, guard: EndpointGuard = GUARD, **options: object) -> AttemptResult:
    async def once() -> AttemptResult:
        channel = WebhookChannel(guard, **options)  # type: ignore[arg-type]
        try:
            return await channel.send(outgoing)
        finally:
            await channel.close()

    return asyncio.run(once())


@pytest.fixture
def secret(world: Sandbox) -> str:
    secret = new_secret()
    world.partner_app.secrets.append(secret)
    return secret


def test_the_exact_bytes_are_signed_and_two_other_programs_verify_them(world: Sandbox, secret: str) -> None:
    outgoing = webhook(world, secret)
    assert send(outgoing).outcome is Outcome.DELIVERED
    (attempt,) = world.partner_app.attempts
    (event,) = world.partner_app.received.values()
    assert event.body == outgoing.body
    Webhook(secret).verify(event.body, attempt.headers)
    assert attempt.headers["webhook-id"] == outgoing.webhook_id
    assert attempt.headers["webhook-timestamp"] == str(int(outgoing.attempted_at.timestamp()))
    assert attempt.headers["content-type"] == "application/json"
    assert attempt.headers["user-agent"].startswith("Todoke-Webhooks/")


def test_during_a_rotation_the_old_and_the_new_secret_both_verify(world: Sandbox, secret: str) -> None:
    new = new_secret()
    assert send(webhook(world, new, secret)).outcome is Outcome.DELIVERED
    assert len(world.partner_app.attempts[0].headers["webhook-signature"].split()) == 2


def test_a_forged_signature_is_refused_by_the_receiver(world: Sandbox, secret: str) -> None:
    result = send(webhook(world, new_secret()))
    assert (result.outcome, result.status_code, result.error) == (Outcome.RETRY, 401, "http_401")
    assert world.partner_app.counts.refused == 1
    assert world.partner_app.received == {}


def test_the_receiver_drops_a_second_copy_and_a_new_attempt_has_a_new_timestamp(world: Sandbox, secret: str) -> None:
    outgoing = webhook(world, secret)
    earlier = webhook(
        world, secret, webhook_id=outgoing.webhook_id, attempted_at=outgoing.attempted_at - dt.timedelta(seconds=9)
    )
    assert send(earlier).outcome is send(outgoing).outcome is Outcome.DELIVERED
    (event,) = world.partner_app.received.values()
    assert event.times == 2
    first, second = (int(attempt.headers["webhook-timestamp"]) for attempt in world.partner_app.attempts)
    assert second - first == 9


def test_a_redirect_is_a_failure_and_is_not_followed(world: Sandbox, secret: str) -> None:
    world.partner_app.behave("redirect")
    result = send(webhook(world, secret))
    assert (result.outcome, result.status_code, result.error) == (Outcome.RETRY, 307, "http_307")
    assert world.partner_app.counts.redirects_followed == 0


def test_a_redirect_into_a_private_network_is_not_followed(world: Sandbox, secret: str) -> None:
    world.partner_app.behave("redirect", location="http://169.254.169.254/latest/meta-data/")
    assert send(webhook(world, secret)).status_code == 307


@pytest.mark.parametrize("mode", ["throttle_429", "error_503_retry_after"])
@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("999999", 3600), ("0", 1), (None, 60), ("soon", 60)])
def test_a_receiver_may_ask_for_a_pause(
    world: Sandbox, secret: str, mode: str, header: str | None, seconds: float
) -> None:
    world.partner_app.behave(mode, retry_after=header)
    result = send(webhook(world, secret))
    assert result.outcome is Outcome.THROTTLED
    assert result.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (format_datetime(NOW + dt.timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - dt.timedelta(days=1), usegmt=True), 1),
        (format_datetime(NOW + dt.timedelta(days=9), usegmt=True), 3600),
        ("Tue, 24 Nov 2026 01:01:00", 60),
        ("Tue, 99 Nov 2026 01:01:00 GMT", 60),
        ("-5", 60),
        ("1.5", 60),
        ("٣", 60),
        ("9" * 400, 3600),
        ("", 60),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(header: str, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


@pytest.mark.parametrize("status", [400, 401, 404, 502, 504])
def test_every_other_answer_is_tried_again(world: Sandbox, secret: str, status: int) -> None:
    world.partner_app.behave("status", status=status)
    result = send(webhook(world, secret))
    assert (result.outcome, result.error) == (Outcome.RETRY, f"http_{status}")
    assert result.retry_after_seconds is None


def test_a_head_that_trickles_for_ever_ends_at_the_deadline(world: Sandbox, secret: str) -> None:
    world.partner_app.behave("slow_trickle")
    result = send(webhook(world, secret), total_seconds=0.6)
    assert (result.outcome, result.error) == (Outcome.RETRY, "timeout")
    assert world.partner_app.counts.bytes_trickled > 5


def test_a_body_that_trickles_holds_the_slot_for_a_second_and_the_status_counts(world: Sandbox, secret: str) -> None:
    world.partner_app.behave("slow_body")
    result = send(webhook(world, secret), total_seconds=10)
    assert (result.outcome, result.status_code) == (Outcome.DELIVERED, 200)
    assert result.duration_seconds < 2
    assert result.response_excerpt.startswith("zz")


def test_a_big_answer_is_not_read_to_its_end(world: Sandbox, secret: str) -> None:
    world.partner_app.behave("big_response")
    result = send(webhook(world, secret))
    assert result.outcome is Outcome.DELIVERED
    assert len(result.response_excerpt) == 4096
    deadline = time.monotonic() + 5
    while world.partner_app.counts.finished < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.partner_app.counts.finished == 1
    assert world.partner_app.counts.bytes_trickled < 16 * 1024 * 1024


def test_a_private_address_is_never_called(world: Sandbox, secret: str) -> None:
    result = send(webhook(world, secret), guard=EndpointGuard())
    assert (result.outcome, result.error) == (Outcome.TARGET_BLOCKED, "scheme")
    https = webhook(world, secret, url="https://127.0.0.1/")
    assert send(https, guard=EndpointGuard()).error == "private_address"
    assert world.partner_app.counts.started == 0


def test_a_name_that_now_resolves_to_a_private_address_is_never_called(world: Sandbox, secret: str) -> None:
    guard = EndpointGuard()
    resolver = GuardedResolver(guard, look_up=lambda host, port: ["8.8.8.8", "192.168.1.1"])
    result = send(webhook(world, secret, url="https://partner.example.jp/"), guard=guard, resolver=resolver)
    assert (result.outcome, result.error) == (Outcome.TARGET_BLOCKED, "private_address")
    assert "192.168.1.1 (private network)" in result.response_excerpt


def test_a_name_without_address_is_tried_again(world: Sandbox, secret: str) -> None:
    result = send(webhook(world, secret, url="https://no-such-host.invalid/"), guard=EndpointGuard())
    assert (result.outcome, result.error) == (Outcome.RETRY, "dns")


def test_a_certificate_is_checked(world: Sandbox, secret: str) -> None:
    url = world.partner_app.webhook_url.replace("http://", "https://")
    result = send(webhook(world, secret, url=url))
    assert (result.outcome, result.error) == (Outcome.RETRY, "tls")


def test_a_broken_secret_is_our_own_fault(world: Sandbox) -> None:
    result = send(webhook(world, "not-a-secret"))
    assert (result.outcome, result.error) == (Outcome.PERMANENT_FAILURE, "signing")
    assert world.partner_app.counts.started == 0


def test_connections_are_kept_open(world: Sandbox, secret: str) -> None:
    async def several() -> int:
        channel = WebhookChannel(GUARD)
        for _ in range(20):
            assert (await channel.send(webhook(world, secret))).outcome is Outcome.DELIVERED
        assert channel._session is not None
        connector = channel._session.connector
        assert connector is not None
        kept = sum(len(connections) for connections in connector._conns.values())
        await channel.close()
        return kept

    assert asyncio.run(several()) == 1
