"""What comes in: only what the platform signed, each event once, and nothing that a family wrote."""

import datetime as dt
import json

import pytest
from sqlalchemy import text

from app.delivery import channel_health
from app.households import line_linking
from app.platform import clock
from app.platform.database import NO_CONTEXT, app_session, owner_session
from app.platform.settings import settings
from app.safeguards import line_events
from app.safeguards.line_events import work_events
from app.safeguards.line_forgetting import forget_old
from tests.integration.line.conftest import OTHER, USER, answers, button, deliveries, events


def test_only_what_was_signed_over_these_very_bytes_is_taken(line):
    event = line.platform.event("follow", USER)
    body, signature = line.platform.body_and_signature(event)
    another = ("B" if signature[0] == "A" else "A") + signature[1:]
    for content, given in ((body, None), (body, ""), (body, "日本"), (body + b" ", signature), (body, another)):
        headers = {} if given is None else {"x-line-signature": given.encode()}
        assert line.client.post("/line/webhook", content=content, headers=headers).status_code == 401
    assert events() == []
    assert line.client.post("/line/webhook", content=body, headers={"X-LINE-SIGNATURE": signature}).status_code == 200
    assert len(events()) == 1


def test_without_a_channel_secret_nothing_comes_in(line, monkeypatch):
    monkeypatch.setenv("TODOKE_LINE__CHANNEL_SECRET", "")
    settings.cache_clear()
    line.platform.channel_secret = ""
    try:
        assert line.send(line.platform.event("follow", USER)) == 401
    finally:
        line.platform.channel_secret = "sandbox-channel-secret"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"events":[]}', b'{"destination":"U1","events":{}}', b"[" * 5000])
def test_a_signed_body_of_another_shape_is_refused(line, body):
    import base64
    import hashlib
    import hmac

    digest = hmac.digest(line.platform.channel_secret.encode(), body, hashlib.sha256)
    headers = {"x-line-signature": base64.b64encode(digest).decode()}
    assert line.client.post("/line/webhook", content=body, headers=headers).status_code == 400


def test_a_body_without_end_is_cut_off(line):
    assert (
        line.client.post("/line/webhook", content=b"x" * 600_000, headers={"x-line-signature": "a"}).status_code == 413
    )


def test_the_platforms_own_test_and_another_destination(line):
    assert line.send() == 200
    line.platform.bot_user_id = "U" + "9" * 32
    try:
        assert line.send(line.platform.event("follow", USER)) == 400
    finally:
        line.platform.bot_user_id = "U" + "0" * 32
    assert events() == []


def test_a_redelivered_event_is_the_same_event(line):
    event = line.platform.event("follow", USER)
    again = {**event, "deliveryContext": {"isRedelivery": True}}
    assert line.send(event, event) == line.send(again) == 200
    assert work_events() == 1
    assert line.send(again) == 200
    assert work_events() == 0
    assert len(answers()) == 1


def test_what_nobody_knows_yet_is_let_pass(line):
    strange = [
        line.platform.event("membership", USER, membership={"type": "joined"}),
        line.platform.event("follow", USER, source={"type": "group", "groupId": "C1"}),
        line.platform.event("follow", "not a user"),
        line.platform.event("follow", USER, timestamp="soon"),
        line.platform.event("follow", USER, timestamp=10**18),
        line.platform.event("follow", USER, webhookEventId="x" * 65),
        line.platform.event("message", USER, mode="standby"),
        line.platform.event("postback", USER, postback=None, brand_new={"a": [1]}),
    ]
    assert line.send("not even an object", *strange) == 200
    assert work_events() == 1
    assert [(row.kind, row.outcome) for row in events()] == [("postback", "unknown_button")]


def test_nothing_of_a_message_is_kept_and_one_answer_a_day_is_given(line):
    for words in ("助けてください", "もしもし"):
        line.does("message", message={"id": "1", "type": "text", "text": words, "quoteToken": "q"})
    assert [row.outcome for row in events()] == ["answered", "quiet"]
    line.does("message", OTHER)
    assert len(answers()) == 2
    with owner_session() as session:
        kept = str(session.execute(text("SELECT * FROM line_events")).all())
    assert "助けて" not in kept
    assert {row.content_sealed for row in events()} == {None}  # forgotten once worked
    assert USER not in kept


def test_a_stranger_is_greeted_and_offered_the_way_to_link(line):
    assert line.does("follow") == "greeted"
    (greeting,) = answers()
    assert "友だち追加" in greeting["altText"]
    assert button(greeting, "postback")["data"] == "link"
    line.dispatch()
    (push,) = line.server.pushes
    assert push.to == USER and push.delivered
    assert deliveries()[0].household_id is None


def test_who_reads_events_is_the_worker_alone(line):
    line.send(line.platform.event("follow", USER))
    with app_session(NO_CONTEXT) as session:
        assert session.execute(text("SELECT count(*) FROM line_events")).scalar_one() == 0
        assert session.execute(text("SELECT count(*) FROM line_link_tokens")).scalar_one() == 0


def grow_older(by: dt.timedelta) -> None:
    """Let every event that waits have come in earlier."""
    with owner_session() as session:
        session.execute(
            text("UPDATE line_events SET received_at = received_at - :by WHERE worked_at IS NULL"), {"by": by}
        )
        session.commit()


def broken(monkeypatch, name: str, user_id: str = OTHER):
    """Let the work for one user fail until the returned function is called."""
    real = getattr(line_events, name)

    def breaks_for_one(session, event, *more):
        if line_linking.user_index(user_id) == event.user_index:
            raise RuntimeError("made up")
        return real(session, event, *more)

    monkeypatch.setattr(line_events, name, breaks_for_one)
    return lambda: monkeypatch.setattr(line_events, name, real)


def troubles() -> list[str]:
    """What the web process sees, which sees no event."""
    with app_session(NO_CONTEXT) as session:
        return channel_health.troubles(session, clock.real_now())


def test_an_event_that_breaks_holds_up_nobody_and_is_given_up_after_a_day_with_an_alarm(line, monkeypatch, caplog):
    first, second = line.platform.event("follow", OTHER), line.platform.event("follow", USER)
    broken(monkeypatch, "_follow")
    line.send(first, second)
    assert [work_events() for _ in range(3)] == [1, 0, 0]
    tries, tried_at = [], dt.timedelta()
    for step in line_events.TRY_AFTER[1:]:
        tries.append(next(row.tries for row in events() if row.webhook_event_id == first["webhookEventId"]))
        grow_older(step - tried_at)
        tried_at = step
        work_events()
        work_events()
        if step == dt.timedelta(hours=1):
            assert ["fail again" in cause for cause in troubles()] == [True]
    assert tries == list(range(1, len(line_events.TRY_AFTER)))
    assert {row.webhook_event_id: (row.outcome, row.content_sealed) for row in events()} == {
        first["webhookEventId"]: ("failed", None), second["webhookEventId"]: ("greeted", None),
    }  # fmt: skip
    assert "is given up" in caplog.text and OTHER not in caplog.text
    assert ["given up" in cause for cause in troubles()] == [True]


def test_what_was_worked_a_month_ago_is_forgotten_and_what_waits_is_not(line, monkeypatch):
    line.does("follow")
    line.links()
    broken(monkeypatch, "_follow")
    line.does("follow", OTHER)
    assert forget_old() == 0
    real = clock.real_now
    monkeypatch.setattr(clock, "real_now", lambda: real() + dt.timedelta(days=2, minutes=11))
    assert forget_old() == 1  # the link token
    monkeypatch.setattr(clock, "real_now", lambda: real() + dt.timedelta(days=30, minutes=1))
    assert forget_old() == 2
    assert [(row.kind, row.worked_at) for row in events()] == [("follow", None)]


def test_while_the_api_is_away_a_wish_to_link_waits(line):
    line.server.channel_token = "another"
    try:
        line.send(line.platform.event("postback", USER, postback={"data": "link"}))
        assert work_events() == 0
    finally:
        line.server.channel_token = "sandbox-channel-token"
    assert work_events() == 0  # not before its time
    grow_older(line_events.TRY_AFTER[1])
    assert work_events() == 1
    assert json.dumps(answers()).count("linkToken=") == 1
