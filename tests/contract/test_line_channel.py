"""What only LINE promises, with the official SDK as the judge of our stand-in."""

import asyncio
import datetime as dt
import json
import threading
import uuid
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingLine
from app.delivery.channels.line import (
    LineChannel,
    check_messages,
    flex_message,
    retry_key,
    text_message,
    text_messages,
)
from app.delivery.channels.line_api import LineApi, LineUnavailable, Quota
from app.delivery.incoming_line import read_webhook, signature_is_right
from app.platform.rendering import phrases, render
from app.sandbox.line_server import LineServer
from app.sandbox.servers import Sandbox, sandbox

USER = "U" + "a1" * 16
OTHER = "U" + "b2" * 16
BUBBLE = {
    "type": "bubble",
    "body": {
        "type": "box",
        "layout": "vertical",
        "contents": [
            {"type": "text", "text": "児童手当の額が変わります", "wrap": True},
            {"type": "button", "action": {"type": "uri", "label": "くわしく見る", "uri": "https://todoke.example/n/1"}},
        ],
    },
}


def sized(size: int) -> dict[str, Any]:
    """A bubble of that many bytes of JSON."""
    empty = {
        "type": "bubble",
        "body": {"type": "box", "layout": "vertical", "contents": [{"type": "text", "text": ""}]},
    }
    length = len(json.dumps(empty, separators=(",", ":")))
    empty["body"]["contents"][0]["text"] = "x" * (size - length)  # type: ignore[index]
    return empty


def with_action(action: dict[str, str]) -> dict[str, Any]:
    contents = [{"type": "button", "action": action}]
    return {"type": "bubble", "footer": {"type": "box", "layout": "vertical", "contents": contents}}


@pytest.fixture
def line(world: Sandbox) -> LineServer:
    return world.line_server


def push(**changes: Any) -> OutgoingLine:
    values: dict[str, Any] = {
        "delivery_id": uuid.uuid4(),
        "attempted_at": dt.datetime.now(dt.UTC),
        "user_id": USER,
        "messages": (flex_message("児童手当の額が変わります", BUBBLE),),
    }
    return OutgoingLine(**{**values, **changes})


def send(line: LineServer, *outgoing: OutgoingLine, token: str | None = None) -> list[AttemptResult]:
    async def all_of_them() -> list[AttemptResult]:
        channel = LineChannel(line.url, token or line.channel_token)
        try:
            return [await channel.send(one) for one in outgoing]
        finally:
            await channel.close()

    return asyncio.run(all_of_them())


def test_a_push_is_accepted_and_shown(line: LineServer) -> None:
    outgoing = push()
    (result,) = send(line, outgoing)
    assert result.outcome is Outcome.ACCEPTED
    (received,) = line.pushes
    assert received.to == USER
    assert received.messages == list(outgoing.messages)
    assert received.retry_key == retry_key(outgoing.delivery_id)
    assert result.reference == received.request_id
    page = httpx.get(line.url + "/").text
    assert "児童手当の額が変わります" in page
    assert "くわしく見る" in page
    assert httpx.get(line.url + "/pushes").json()["pushes"][0]["to"] == USER


def test_the_second_request_of_a_delivery_is_success_and_no_second_message(line: LineServer) -> None:
    outgoing = push()
    first, second = send(line, outgoing, outgoing)
    assert (second.outcome, second.status_code, second.error) == (Outcome.ACCEPTED, 409, None)
    assert second.reference == first.reference
    assert len(line.pushes) == 1


def test_an_answer_that_got_lost_is_made_good_by_the_retry_key(line: LineServer) -> None:
    line.behave("accept_then_500", times=1)
    outgoing = push()
    lost, again = send(line, outgoing, outgoing)
    assert (lost.outcome, lost.error) == (Outcome.RETRY, "http_500")
    assert again.outcome is Outcome.ACCEPTED
    assert len(line.pushes) == 1


def test_the_key_is_a_name_based_uuid_of_the_delivery() -> None:
    delivery_id = uuid.uuid4()
    assert uuid.UUID(retry_key(delivery_id)).version == 5
    assert retry_key(delivery_id) == retry_key(delivery_id)
    assert retry_key(delivery_id) != retry_key(delivery_id, form="text") != retry_key(uuid.uuid4())


def test_a_key_that_line_may_have_forgotten_is_not_used(line: LineServer) -> None:
    now = dt.datetime.now(dt.UTC)
    still, late = send(
        line,
        push(attempted_at=now, first_attempted_at=now - dt.timedelta(hours=22)),
        push(attempted_at=now, first_attempted_at=now - dt.timedelta(hours=23)),
    )
    assert still.outcome is Outcome.ACCEPTED
    assert (late.outcome, late.error) == (Outcome.UNDELIVERABLE, "retry_key_expired")
    assert line.requests == 1


@pytest.mark.parametrize(
    ("mode", "error", "seconds"), [("rate_limited", "rate_limit", 5), ("concurrency_limited", "too_many_at_once", 1)]
)
def test_too_fast_is_a_pause(line: LineServer, mode: str, error: str, seconds: float) -> None:
    line.behave(mode)
    (result,) = send(line, push())
    assert (result.outcome, result.status_code, result.error) == (Outcome.THROTTLED, 429, error)
    assert result.retry_after_seconds == seconds


def test_the_monthly_limit_closes_the_channel(line: LineServer) -> None:
    line.monthly_limit = 1
    first, second = send(line, push(), push(user_id=OTHER))
    assert first.outcome is Outcome.ACCEPTED
    assert (second.outcome, second.status_code, second.error) == (Outcome.CHANNEL_CLOSED, 429, "monthly_limit")


def test_an_unknown_user_means_another_channel(line: LineServer) -> None:
    line.users = {OTHER}
    unknown, malformed, known = send(line, push(), push(user_id="U123"), push(user_id=OTHER))
    assert (unknown.outcome, unknown.error) == (Outcome.UNDELIVERABLE, "unknown_user")
    assert (malformed.outcome, malformed.error) == (Outcome.UNDELIVERABLE, "unknown_user")
    assert known.outcome is Outcome.ACCEPTED


def test_a_user_who_blocked_us_answers_like_any_other(line: LineServer) -> None:
    line.blocked.add(USER)
    (result,) = send(line, push())
    assert result.outcome is Outcome.ACCEPTED
    assert not line.pushes[0].delivered


def test_a_wrong_token_is_our_own_fault_and_closes_the_channel(line: LineServer) -> None:
    (result,) = send(line, push(), token="wrong")
    assert (result.outcome, result.error) == (Outcome.CHANNEL_CLOSED, "token_refused")
    assert result.retry_after_seconds == 300
    assert "invalid token" in result.response_excerpt


def test_a_flex_message_that_line_refuses_goes_out_as_text(line: LineServer) -> None:
    broken = ({"type": "flex", "altText": "お知らせ", "contents": {"type": "bubble"}},)
    outgoing = push(messages=broken, fallback_text="児童手当の額が変わります")
    first, second = send(line, outgoing, outgoing)
    assert first.outcome is second.outcome is Outcome.ACCEPTED
    (received,) = line.pushes
    assert received.messages == [text_message("児童手当の額が変わります")]
    assert received.retry_key == retry_key(outgoing.delivery_id, form="text")


def test_a_message_that_is_too_large_goes_out_as_texts(line: LineServer) -> None:
    lines = "あ" * 3000 + "\n" + "い" * 3000 + "\n" + "う" * 10
    (result,) = send(line, push(messages=(flex_message("大きい", sized(30_001)),), fallback_text=lines))
    assert result.outcome is Outcome.ACCEPTED
    (received,) = line.pushes
    assert [message["text"] for message in received.messages] == ["あ" * 3000, "い" * 3000 + "\n" + "う" * 10]


@pytest.mark.parametrize("text", ["", "短い", "🍎" * 2499, "🍎" * 2501, "あ\n" * 9000, "長" * 40_000])
def test_a_long_text_is_parted_within_the_limits(text: str) -> None:
    messages = text_messages(text)
    check_messages(messages or (text_message("a"),))
    joined = "".join(str(message["text"]) for message in messages)
    assert text.replace("\n", "").startswith(joined.replace("\n", "").rstrip("…"))
    assert len(messages) == 5 or joined.replace("\n", "") == text.replace("\n", "")


def test_without_a_text_to_fall_back_on_a_refused_message_is_a_permanent_failure(line: LineServer) -> None:
    broken = ({"type": "flex", "altText": "お知らせ", "contents": {"type": "bubble"}},)
    (result,) = send(line, push(messages=broken))
    assert (result.outcome, result.error) == (Outcome.PERMANENT_FAILURE, "message_refused")
    assert "messages[0].contents" in result.response_excerpt


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (text_message("a"),) * 6,
        ({"type": "text", "text": ""},),
        ({"type": "text", "text": "🍎" * 2501},),
        ({"type": "flex", "altText": "", "contents": BUBBLE},),
        ({"type": "flex", "altText": "あ" * 1501, "contents": BUBBLE},),
        (flex_message("大きい", sized(30_001)),),
        (flex_message("大きい", {"type": "carousel", "contents": [sized(26_000)] * 2}),),
        (flex_message("多い", {"type": "carousel", "contents": [BUBBLE] * 13}),),
        (flex_message("長い", with_action({"type": "postback", "label": "押す", "data": "x" * 301})),),
    ],
)
def test_what_is_known_to_be_refused_costs_no_request_and_the_server_agrees(line: LineServer, messages: Any) -> None:
    (result,) = send(line, push(messages=messages))
    assert (result.outcome, result.error) == (Outcome.PERMANENT_FAILURE, "message_invalid")
    assert line.requests == 0
    answer = httpx.post(
        line.url + "/v2/bot/message/push",
        json={"to": USER, "messages": messages},
        headers={"authorization": f"Bearer {line.channel_token}"},
    )
    assert answer.status_code == 400
    assert answer.json()["message"] == "The request body has 1 error(s)"


def test_a_text_at_the_limit_is_taken(line: LineServer) -> None:
    (result,) = send(line, push(messages=(text_message("🍎" * 3000),)))
    assert result.outcome is Outcome.ACCEPTED
    assert line.pushes[0].messages[0]["text"] == "🍎" * 2499 + "…"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"content": b"x" * (2 * 1024 * 1024 + 1)}, 413),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"content": b"[1"}, 400),
        ({"content": b"[]"}, 400),
        ({"content": b'{"to":"nobody","messages":[{"type":"text","text":"a"}]}'}, 400),
        ({"headers": {"x-line-retry-key": "not-a-uuid"}}, 400),
    ],
)
def test_the_server_refuses_bad_requests_as_published(line: LineServer, change: dict[str, Any], status: int) -> None:
    headers = {
        "authorization": f"Bearer {line.channel_token}",
        "content-type": "application/json",
        **change.get("headers", {}),
    }
    answer = httpx.post(line.url + "/v2/bot/message/push", content=change.get("content", b"{}"), headers=headers)
    assert answer.status_code == status
    assert isinstance(answer.json()["message"], str)
    assert uuid.UUID(answer.headers["x-line-request-id"])


@pytest.fixture(scope="module")
def sdk() -> ModuleType:
    """The official SDK. It is built on pydantic's old interface, which is announced to go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import linebot.v3.messaging as messaging
    return messaging


@pytest.fixture
def official(sdk: ModuleType, line: LineServer) -> Iterator[Any]:
    configuration = sdk.Configuration(host=line.url, access_token=line.channel_token)
    with sdk.ApiClient(configuration) as client:
        yield sdk.MessagingApi(client)


def test_the_official_sdk_can_push_and_understands_409(line: LineServer, sdk: ModuleType, official: Any) -> None:
    request = sdk.PushMessageRequest(to=USER, messages=[sdk.TextMessage(text="児童手当")])
    key = str(uuid.uuid4())
    answer = official.push_message_with_http_info(request, x_line_retry_key=key)
    assert answer.status_code == 200
    assert answer.data.sent_messages[0].id.isdecimal()
    with pytest.raises(sdk.ApiException) as refused:
        official.push_message(request, x_line_retry_key=key)
    assert refused.value.status == 409
    assert refused.value.headers["x-line-accepted-request-id"] == answer.headers["x-line-request-id"]
    error = sdk.ErrorResponse.from_json(refused.value.body)
    assert error.message == "The retry key is already accepted"
    assert error.sent_messages[0].id == answer.data.sent_messages[0].id


def test_the_official_sdk_reads_quota_and_errors(line: LineServer, sdk: ModuleType, official: Any) -> None:
    assert official.get_message_quota().type == "none"
    line.monthly_limit = 200
    quota = official.get_message_quota()
    assert (quota.type, quota.value) == ("limited", 200)
    official.push_message(sdk.PushMessageRequest(to=USER, messages=[sdk.TextMessage(text="a")]))
    assert official.get_message_quota_consumption().total_usage == 1
    assert official.get_bot_info().chat_mode == "bot"
    with pytest.raises(sdk.ApiException) as refused:
        official.push_message(sdk.PushMessageRequest(to=USER, messages=[sdk.TextMessage(text="")]))
    error = sdk.ErrorResponse.from_json(refused.value.body)
    assert (error.details[0].message, error.details[0].var_property) == ("May not be empty", "messages[0].text")


def test_the_official_sdk_accepts_the_flex_message_we_send(line: LineServer, sdk: ModuleType, official: Any) -> None:
    ours = sdk.FlexMessage.from_dict(flex_message("児童手当の額が変わります", BUBBLE))
    assert ours.alt_text == "児童手当の額が変わります"
    assert ours.contents.body.contents[1].action.uri == "https://todoke.example/n/1"
    request = sdk.ValidateMessageRequest(messages=[ours])
    official.validate_push(request)
    official.push_message(sdk.PushMessageRequest(to=USER, messages=[ours]))
    assert line.pushes[0].messages[0]["contents"]["body"]["contents"][0]["text"] == "児童手当の額が変わります"


def test_nothing_of_the_sandbox_outlives_its_block() -> None:
    before = set(threading.enumerate())
    with sandbox() as servers:
        addresses = servers.addresses()
        assert httpx.get(addresses["partner_app"] + "/").status_code == 200
        page = httpx.get(addresses["line"] + "/").text
        assert "まだ届いていません" in page
    assert set(threading.enumerate()) == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(addresses["partner_app"] + "/")


def test_the_official_sdk_reads_profiles_and_asks_for_link_tokens(
    line: LineServer, sdk: ModuleType, official: Any
) -> None:
    profile = official.get_profile(USER)
    assert (profile.user_id, profile.language) == (USER, "ja")
    first, second = official.issue_link_token(USER).link_token, official.issue_link_token(USER).link_token
    assert first != second
    assert line.platform.use_link_token(first) == (USER, True)
    assert line.platform.use_link_token(first) is None
    assert line.platform.use_link_token(second, OTHER) == (OTHER, False)
    line.blocked.add(USER)
    with pytest.raises(sdk.ApiException) as refused:
        official.get_profile(USER)
    assert refused.value.status == 404


def test_our_own_calls_read_what_the_official_sdk_reads(line: LineServer, official: Any) -> None:
    api = LineApi(line.url, line.channel_token)
    assert api.quota() == Quota(None, 0)
    line.monthly_limit, line.used_this_month = 200, 3
    assert api.quota() == Quota(
        official.get_message_quota().value, official.get_message_quota_consumption().total_usage
    )
    assert line.platform.use_link_token(api.link_token(USER)) == (USER, True)
    with pytest.raises(LineUnavailable, match="found status 401"):
        LineApi(line.url, "wrong").quota()
    with pytest.raises(LineUnavailable, match="no answer"):
        LineApi("http://127.0.0.1:9", "token").quota()


def test_the_official_sdk_sets_and_tries_the_webhook(line: LineServer, sdk: ModuleType, official: Any) -> None:
    with pytest.raises(sdk.ApiException):
        official.get_webhook_endpoint()
    official.set_webhook_endpoint(sdk.SetWebhookEndpointRequest(endpoint="http://127.0.0.1:9/line/webhook"))
    try:
        assert official.get_webhook_endpoint().endpoint == "http://127.0.0.1:9/line/webhook"
        tried = official.test_webhook_endpoint(sdk.TestWebhookEndpointRequest())
        assert (tried.success, tried.reason) == (False, "COULD_NOT_CONNECT")
    finally:
        line.platform.webhook_url = ""


@pytest.mark.parametrize(
    ("mode", "outcome", "error"),
    [
        ("monthly_limit", Outcome.CHANNEL_CLOSED, "monthly_limit"),
        ("unauthorized", Outcome.CHANNEL_CLOSED, "token_refused"),
        ("forbidden", Outcome.CHANNEL_CLOSED, "not_entitled"),
        ("unknown_user", Outcome.UNDELIVERABLE, "unknown_user"),
        ("refuse_message", Outcome.PERMANENT_FAILURE, "message_refused"),
        ("error_500", Outcome.RETRY, "http_500"),
    ],
)
def test_each_refusal_means_what_to_do_next(line: LineServer, mode: str, outcome: Outcome, error: str) -> None:
    line.behave(mode, times=1)
    (result,) = send(line, push())
    assert (result.outcome, result.error) == (outcome, error)


def test_a_timeout_after_it_was_taken_is_made_good_by_the_retry_key(line: LineServer) -> None:
    async def twice() -> list[AttemptResult]:
        channel = LineChannel(line.url, line.channel_token, total_seconds=0.4)
        outgoing = push()
        try:
            return [await channel.send(outgoing), await channel.send(outgoing)]
        finally:
            await channel.close()

    line.behave("accept_then_hang", times=1)
    lost, again = asyncio.run(twice())
    assert (lost.outcome, lost.error) == (Outcome.RETRY, "timeout")
    assert (again.outcome, again.status_code) == (Outcome.ACCEPTED, 409)
    assert len(line.pushes) == 1


@pytest.fixture(scope="module")
def sdk_webhook() -> ModuleType:
    """The official parser of webhooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import linebot.v3.webhook as webhook
    return webhook


def test_the_official_parser_takes_what_the_stand_in_tells(line: LineServer, sdk_webhook: ModuleType) -> None:
    platform = line.platform
    told = [
        platform.event("follow", USER, follow={"isUnblocked": True}),
        platform.event("unfollow", USER),
        platform.event("postback", USER, postback={"data": "t1.abc"}),
        platform.event("accountLink", USER, link={"result": "failed", "nonce": "n" * 20}),
        platform.event("message", USER),
        platform.event("brandNew", USER),
    ]
    body, signature = platform.body_and_signature(*told)
    assert sdk_webhook.SignatureValidator(platform.channel_secret).validate(body.decode(), signature)
    parsed = sdk_webhook.WebhookParser(platform.channel_secret).parse(body.decode(), signature, as_payload=True)
    assert parsed.destination == platform.bot_user_id
    names = [type(event).__name__ for event in parsed.events]
    assert names[:5] == ["FollowEvent", "UnfollowEvent", "PostbackEvent", "AccountLinkEvent", "MessageEvent"]
    assert parsed.events[0].source.user_id == USER
    assert parsed.events[3].link.result == "failed"
    ours = read_webhook(body)
    assert ours.destination == parsed.destination
    assert [event.webhook_event_id for event in ours.events] == [one["webhookEventId"] for one in told[:5]]
    assert dict(ours.events[3].details) == {"result": "failed", "nonce": "n" * 20}


def test_our_signature_check_agrees_with_the_official_one_and_its_published_vector(sdk_webhook: ModuleType) -> None:
    secret, body = "channel_secret", "bodybodybodybody"
    vector = "/gg9a+LvFevTH1sd7XCQycD7tsWclCsInj7MhBHxN7k="
    official_check = sdk_webhook.SignatureValidator(secret)
    for given in (vector, vector[:-1], vector + "=", "", "日本", vector.lower()):
        assert (
            signature_is_right(secret, body.encode(), given)
            == official_check.validate(body, given)
            == (given == vector)
        )


BUTTONS = [{"label": "申請した", "data": "t1.abc"}, {"label": "LINEのお知らせを止める", "data": "t1.def"}]


def test_what_our_templates_make_is_taken_by_the_official_models(sdk: ModuleType, official: Any) -> None:
    values = {"sections": [], "hidden": 2, "inbox_url": "https://todoke.example/home", "closing": "おわり"}
    bubbles = {"お知らせ": render("notices/message/line.json", **values, buttons=BUTTONS)}
    actions = [
        {"type": "uri", "label": "開く", "uri": "https://todoke.example/home"},
        {"type": "postback", "label": "始める", "data": "link", "displayText": "始める"},
    ]
    catalogue = phrases("notices/line_answers.ja")
    for words in catalogue["answers"].values():
        bubbles[words.strip()] = render("notices/transactional/line/answer.json", text=words, buttons=actions)
    for alt_text, bubble in bubbles.items():
        message = flex_message(alt_text, json.loads(bubble))
        check_messages([message])
        official.validate_push(sdk.ValidateMessageRequest(messages=[sdk.FlexMessage.from_dict(message)]))
    assert all(1 <= len(label) <= 20 for label in catalogue["labels"].values())
