"""What only e-mail promises."""

import asyncio
import datetime as dt
import smtplib
import socket
import uuid
from typing import Any

import aiosmtplib
import httpx
import pytest

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingEmail
from app.delivery.channels.email import EmailChannel, MailRelay
from app.delivery.channels.mail_message import MailSender
from app.delivery.channels.mail_return_path import ReturnPaths
from app.sandbox.servers import Sandbox

SENDER = MailSender("とどけ（世田谷区）", "oshirase@todoke.example", "notices.todoke.example")


def mail(**changes: Any) -> OutgoingEmail:
    values: dict[str, Any] = {
        "delivery_id": uuid.uuid4(),
        "attempted_at": dt.datetime.now(dt.UTC),
        "composed_at": dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC),
        "recipient": "kazoku@example.jp",
        "subject": "【世田谷区】児童手当 の額が変わります",
        "text": "お知らせ\n.\n..二つの点\n" + "長い" * 2000 + "\n",
        "html": "<p>お知らせ</p>",
        "unsubscribe_url": "https://todoke.example/u/abc",
    }
    return OutgoingEmail(**{**values, **changes})


def channel(world: Sandbox, *, sender: MailSender = SENDER, **options: Any) -> EmailChannel:
    return EmailChannel(MailRelay("127.0.0.1", world.mail_sink.smtp_port), sender, **options)


def send(world: Sandbox, *outgoing: OutgoingEmail, **options: Any) -> list[AttemptResult]:
    async def all_of_them() -> list[AttemptResult]:
        sender = channel(world, **options)
        try:
            return [await sender.send(one) for one in outgoing]
        finally:
            await sender.close()

    return asyncio.run(all_of_them())


def test_what_arrives_is_what_was_meant(world: Sandbox) -> None:
    outgoing = mail()
    (result,) = send(world, outgoing)
    assert result.outcome is Outcome.ACCEPTED
    assert result.reference == "2.0.0 OK queued as 1"
    (stored,) = world.mail_sink.mails
    message = stored.message()
    assert message["subject"] == outgoing.subject
    assert message["from"] == "とどけ（世田谷区） <oshirase@todoke.example>"
    assert message["to"] == "kazoku@example.jp"
    assert message["message-id"] == f"<dlv-{outgoing.delivery_id.hex}@todoke.example>"
    assert message["date"].datetime == outgoing.composed_at
    assert message["list-unsubscribe"] == "<https://todoke.example/u/abc>"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message["list-id"] == "<notices.todoke.example>"
    assert message["auto-submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert stored.full()["text"] == outgoing.text
    assert stored.full()["html"] == outgoing.html
    assert max(len(line) for line in stored.raw.split(b"\r\n")) <= 78
    assert stored.sender == "oshirase@todoke.example"


PATHS = ReturnPaths("bounces@todoke.example", b"k" * 32)


def test_each_mail_has_a_way_back_of_its_own(world: Sandbox) -> None:
    outgoing = mail()
    sender = MailSender("とどけ", "oshirase@todoke.example", "notices.todoke.example", PATHS)
    send(world, outgoing, mail(), sender=sender)
    first, second = world.mail_sink.mails
    token = PATHS.token(outgoing.delivery_id)
    assert first.sender == f"bounces+{token}@todoke.example"
    assert second.sender != first.sender
    assert first.report_options == ["RET=HDRS", f"ENVID={token}", "NOTIFY=FAILURE,DELAY"]
    assert first.message()["from"] == "とどけ <oshirase@todoke.example>"
    https, mailto = first.message()["list-unsubscribe"].split(", ")
    assert https == "<https://todoke.example/u/abc>"
    assert mailto == f"<mailto:bounces+{token}@todoke.example?subject=unsubscribe>"


def test_a_relay_that_reports_nothing_is_asked_for_nothing(world: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiosmtplib.SMTP, "supports_extension", lambda _self, _name: False)
    send(world, mail(), sender=MailSender("とどけ", "oshirase@todoke.example", None, PATHS))
    assert world.mail_sink.mails[0].report_options == []
    assert PATHS.delivery_in(world.mail_sink.mails[0].sender)


def test_a_mail_that_answers_a_request_has_no_unsubscribe_link(world: Sandbox) -> None:
    send(world, mail(unsubscribe_url=None, subject="確認コード"))
    message = world.mail_sink.mails[0].message()
    assert not any(name.lower().startswith("list-") for name in message)


def test_the_same_delivery_is_the_same_mail_to_the_byte(world: Sandbox) -> None:
    outgoing = mail()
    send(world, outgoing)
    send(world, outgoing)
    first, second = world.mail_sink.mails
    assert first.raw == second.raw


REPLIES = [
    ("refuse_recipient", "450 4.2.1 mailbox busy", Outcome.RETRY, "smtp_4.2.1"),
    ("refuse_recipient", "452 4.2.2 mailbox full", Outcome.RETRY, "smtp_4.2.2"),
    ("refuse_recipient", "552 5.2.2 mailbox full", Outcome.RETRY, "smtp_5.2.2"),
    ("refuse_recipient", "550 5.1.1 <kazoku@example.jp> unknown", Outcome.UNDELIVERABLE, "smtp_5.1.1"),
    ("refuse_recipient", "550 5.1.8 bad sender domain", Outcome.PERMANENT_FAILURE, "smtp_5.1.8"),
    ("refuse_recipient", "550 no such user", Outcome.UNDELIVERABLE, "smtp_550"),
    ("refuse_recipient", "553 mailbox name", Outcome.UNDELIVERABLE, "smtp_553"),
    ("refuse_recipient", "550 5.7.1 policy", Outcome.PERMANENT_FAILURE, "smtp_5.7.1"),
    ("refuse_recipient", "503 sequence", Outcome.PERMANENT_FAILURE, "smtp_503"),
    ("refuse_message", "554 5.6.0 content", Outcome.PERMANENT_FAILURE, "smtp_5.6.0"),
    ("refuse_message", "550 content looks odd", Outcome.PERMANENT_FAILURE, "smtp_550"),
    ("refuse_message", "451 4.3.2 overloaded", Outcome.RETRY, "smtp_4.3.2"),
    ("refuse_message", "421 4.3.2 shutting down", Outcome.RETRY, "smtp_4.3.2"),
]


@pytest.mark.parametrize(("mode", "reply", "outcome", "error"), REPLIES, ids=[reply for _, reply, *_ in REPLIES])
def test_replies_mean_what_the_standards_say(
    world: Sandbox, mode: str, reply: str, outcome: Outcome, error: str
) -> None:
    world.mail_sink.behave(mode, reply=reply, times=1)
    refused, accepted = send(world, mail(), mail())
    assert (refused.outcome, refused.error, refused.status_code) == (outcome, error, int(reply[:3]))
    assert "kazoku" not in refused.response_excerpt
    # Greylisting lets nobody in who comes back at once.
    assert refused.retry_after_seconds == (300.0 if outcome is Outcome.RETRY else None)
    assert accepted.outcome is Outcome.ACCEPTED


def test_one_bad_address_does_not_touch_another(world: Sandbox) -> None:
    world.mail_sink.behave("refuse_recipient", address="gone@example.jp", reply="550 5.1.1 gone")
    results = send(world, mail(recipient="gone@example.jp"), mail(), connections=1)
    assert [result.outcome for result in results] == [Outcome.UNDELIVERABLE, Outcome.ACCEPTED]
    assert world.mail_sink.connections == 1


def test_connections_are_kept_and_no_more_than_allowed(world: Sandbox) -> None:
    async def burst() -> None:
        sender = channel(world, connections=3)
        for _ in range(2):
            results = await asyncio.gather(*(sender.send(mail()) for _ in range(20)))
            assert {result.outcome for result in results} == {Outcome.ACCEPTED}
        await sender.close()

    asyncio.run(burst())
    assert len(world.mail_sink.mails) == 40
    assert world.mail_sink.connections == 3


def test_after_421_the_connection_is_not_used_again(world: Sandbox) -> None:
    world.mail_sink.behave("refuse_message", reply="421 4.3.2 shutting down", times=1)
    send(world, mail(), mail(), connections=1)
    assert world.mail_sink.connections == 2


@pytest.mark.parametrize("noticed", [True, False])
def test_a_connection_that_died_while_idle_costs_nothing(world: Sandbox, noticed: bool) -> None:
    async def twice() -> list[AttemptResult]:
        sender = channel(world)
        first = await sender.send(mail())
        for connection, _ in sender._idle:
            assert connection.transport is not None
            if noticed:
                connection.transport.abort()  # type: ignore[attr-defined]
            else:
                connection.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            assert connection.is_connected is not noticed
        second = await sender.send(mail())
        await sender.close()
        return [first, second]

    assert [result.outcome for result in asyncio.run(twice())] == [Outcome.ACCEPTED] * 2


@pytest.mark.parametrize(
    "subject", ["x\r\nBcc: all@example.jp", "x\nb", "x\rb", "x\x00", "x\u2028y", "x\x85y", "\ud800"]
)
def test_a_subject_cannot_become_a_header(world: Sandbox, subject: str) -> None:
    (result,) = send(world, mail(subject=subject))
    assert (result.outcome, result.error) == (Outcome.PERMANENT_FAILURE, "message_invalid")
    assert world.mail_sink.mails == []
    assert "all@example.jp" not in result.response_excerpt


@pytest.mark.parametrize(
    "recipient",
    ["a@example.jp\r\nDATA", "a@example.jp\nBcc: b@example.jp", "a b@example.jp", "@example.jp", "a@", "plain", "a@b c",
     "<a@example.jp>", "a@example.jp, b@example.jp", "あ@example.jp", "a@-x.jp", ""],
)  # fmt: skip
def test_an_impossible_address_is_undeliverable(world: Sandbox, recipient: str) -> None:
    (result,) = send(world, mail(recipient=recipient))
    assert result.outcome in (Outcome.UNDELIVERABLE, Outcome.PERMANENT_FAILURE)
    assert result.error in ("address_invalid", "message_invalid")
    assert world.mail_sink.mails == []


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("foo..bar@docomo.example.jp", '"foo..bar"@docomo.example.jp'),
        ("foo.@docomo.example.jp", '"foo."@docomo.example.jp'),
        ("a+tag@example.jp", "a+tag@example.jp"),
        ("o'neill@example.jp", "o'neill@example.jp"),
        ("x@見本.example", "x@xn--8pvz87e.example"),
    ],
)
def test_unusual_addresses_arrive(world: Sandbox, typed: str, sent: str) -> None:
    (result,) = send(world, mail(recipient=typed))
    assert result.outcome is Outcome.ACCEPTED
    assert world.mail_sink.mails[0].recipients == [sent.replace('"', "")]  # the server takes the quotes off
    assert f"\r\nTo: {sent}\r\n".encode() in world.mail_sink.mails[0].raw


@pytest.mark.parametrize(
    "url", ["http://todoke.example/u", "https://a b", "https://x/>\r\nBcc: y@example.jp", "https://" + "a" * 901]
)
def test_a_broken_unsubscribe_address_is_refused(world: Sandbox, url: str) -> None:
    (result,) = send(world, mail(unsubscribe_url=url))
    assert (result.outcome, result.error) == (Outcome.PERMANENT_FAILURE, "message_invalid")


def test_the_pages_show_what_arrived(world: Sandbox) -> None:
    send(world, mail(html="<script>alert(1)</script><p>手当</p>"))
    listing = httpx.get(world.mail_sink.url + "/").text
    page = httpx.get(world.mail_sink.url + "/mails/1")
    assert "【世田谷区】児童手当 の額が変わります" in listing
    assert "<script>" not in page.text
    assert 'iframe sandbox=""' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert httpx.get(world.mail_sink.url + "/mails.json").json()["mails"][0]["to"] == "kazoku@example.jp"
    assert httpx.get(world.mail_sink.url + "/mails/2").status_code == 404


def test_the_sink_refuses_lines_that_relays_refuse(world: Sandbox) -> None:
    with smtplib.SMTP("127.0.0.1", world.mail_sink.smtp_port) as client:
        client.sendmail("a@example.jp", "b@example.jp", b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n")
        with pytest.raises(smtplib.SMTPDataError, match="998"):
            client.sendmail("a@example.jp", "b@example.jp", b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n")
