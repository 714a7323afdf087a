"""Claim, send and record against real servers, with the dispatcher in this process."""

import datetime as dt
import json
import threading
import time

from sqlalchemy import text
from sqlmodel import select

from app.delivery import endpoint_ends
from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.claim import Request, claim, wait_until_no_live_claim
from app.delivery.log import undeliverable_notices
from app.delivery.outbox import Lane, cancel_queued, content_of
from app.delivery.queues import something_due
from app.delivery.record import Finished, record
from app.delivery.tables import Delivery
from app.households.tables import ContactPoint
from app.partners.tables import PartnerEndpoint
from app.platform import bell, clock
from app.platform.change_queue import NOTICES, Change
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.identifiers import new_id
from tests.integration.delivery.conftest import wait_for


def health_of(endpoint):
    with worker_session() as session:
        return session.execute(
            text("SELECT * FROM endpoint_health WHERE endpoint_id = :id"), {"id": endpoint.id}
        ).one_or_none()


def due():
    with worker_session() as session:
        return something_due(session, clock.now())


def test_each_channel_sends_what_was_enqueued(world):
    gate = world.household()
    webhook = world.webhook(world.endpoint(), gate)
    webhook_id, mail_id, line_id = world.enqueue(webhook, world.mail(gate, address="haha@example.jp"), world.line(gate))
    assert due()
    summary = world.dispatcher().run_window()
    assert (summary.claimed, dict(summary.states)) == (3, {"delivered": 1, "accepted": 2})
    received = world.outside.partner_app.received[webhook.event_id]
    assert (received.body.decode(), received.times) == (webhook.body, 1)
    (mail,) = world.outside.mail_sink.mails
    assert mail.recipients == ["haha@example.jp"]
    assert mail.message()["subject"] == "新しいお知らせがあります"
    (push,) = world.outside.line_server.pushes
    assert push.messages[0]["text"] == "新しいお知らせがあります"
    for delivery_id, state in ((webhook_id, "delivered"), (mail_id, "accepted"), (line_id, "accepted")):
        row = world.delivery(delivery_id)
        assert (row.state, row.requests, row.retries, row.lease_until, row.claim_token) == (state, 1, 0, None, None)
        assert row.finished_at is not None
        (attempt,) = world.attempts(delivery_id)
        assert (attempt.number, attempt.outcome, attempt.household_id) == (1, state, gate.household_id)
    assert not due()


def test_a_failure_is_tried_again_with_the_same_id(world):
    world.outside.partner_app.behave("error_500", times=1)
    webhook = world.webhook(world.endpoint())
    (delivery_id,) = world.enqueue(webhook)
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    row = world.delivery(delivery_id)
    assert (row.state, row.requests, row.retries, row.last_error) == ("retrying", 1, 1, "http_500")
    assert dt.timedelta(seconds=3) < row.next_attempt_at - clock.now() < dt.timedelta(seconds=7)
    assert not due()
    world.pass_time(seconds=10)
    assert due()
    dispatcher.run_window()
    row = world.delivery(delivery_id)
    assert (row.state, row.requests, row.retries, row.last_error) == ("delivered", 2, 1, None)
    assert [attempt.status_code for attempt in world.attempts(delivery_id)] == [500, 200]
    assert [seen.headers["webhook-id"] for seen in world.outside.partner_app.attempts] == [webhook.event_id] * 2


def test_429_pauses_the_endpoint_and_costs_no_step(world):
    world.outside.partner_app.behave("throttle_429", times=1, retry_after="7")
    endpoint = world.endpoint()
    (first,) = world.enqueue(world.webhook(endpoint))
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    row = world.delivery(first)
    assert (row.state, row.requests, row.retries) == ("retrying", 1, 0)
    pause = health_of(endpoint).paused_until - clock.real_now()
    assert dt.timedelta(seconds=5) < pause <= dt.timedelta(seconds=7)
    (second,) = world.enqueue(world.webhook(endpoint))
    dispatcher.run_window()
    assert world.delivery(second).requests == 0
    with owner_session() as session:
        session.execute(text("UPDATE endpoint_health SET paused_until = now()"))
        session.commit()
    world.pass_time(seconds=8)
    dispatcher.run_window()
    assert world.states() == ["delivered", "delivered"]


def test_410_disables_the_endpoint_and_cancels_what_waits_for_it(world):
    endpoint = world.endpoint("/retired")
    world.outside.partner_app.behave("gone_410", path="/webhooks/retired")
    later = world.webhook(endpoint, due_at=clock.now() + dt.timedelta(hours=1))
    first, waiting = world.enqueue(world.webhook(endpoint), later)
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    assert world.delivery(first).state == "failed"
    with worker_session() as session:
        stored = session.get(PartnerEndpoint, endpoint.id)
        assert (stored.disabled_reason, stored.disabled_at is not None) == ("gone", True)
    dispatcher.run_window()
    row = world.delivery(waiting)
    assert (row.state, row.last_error, row.requests) == ("cancelled", "endpoint_disabled", 0)


def events_about_ends():
    """Who is told of the end of an endpoint, and what: {endpoint id: data}, in the order of telling."""
    with worker_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.event_type == "endpoint.disabled")).all()
    return {row.endpoint_id: json.loads(content_of(row.id, row.message_sealed)["body"])["data"] for row in rows}


def test_the_other_endpoints_of_the_partner_hear_that_one_is_gone(world):
    gone = world.endpoint("/retired")
    other = world.endpoint("/other", beside=gone)
    world.endpoint("/picky", beside=gone, event_types=["notice.created"])
    world.endpoint("/stopped", beside=gone, disabled_at=clock.real_now())
    world.endpoint("/stranger")
    world.outside.partner_app.behave("gone_410", path="/webhooks/retired")
    world.enqueue(world.webhook(gone), world.webhook(gone))
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    dispatcher.run_window()
    ((told, said),) = events_about_ends().items()
    assert told == other.id
    assert (said["endpoint_id"], said["reason"]) == (str(gone.id), "gone")
    with worker_session() as session:
        (sent,) = session.exec(select(Delivery).where(Delivery.endpoint_id == other.id)).all()
    assert sent.state == "delivered"


def test_five_days_of_failure_disable_an_endpoint_and_tell_the_others(world):
    failing = world.endpoint("/failing")
    other = world.endpoint("/other", beside=failing)
    world.outside.partner_app.behave("error_500", path="/webhooks/failing")
    world.enqueue(world.webhook(failing))
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    assert events_about_ends() == {}
    with owner_session() as session:
        session.execute(text("UPDATE endpoint_health SET failing_since = failing_since - interval '5 days'"))
        session.commit()
    world.pass_time(seconds=8)
    dispatcher.run_window()
    with worker_session() as session:
        assert session.get(PartnerEndpoint, failing.id).disabled_reason == "failing"
    assert {told: said["reason"] for told, said in events_about_ends().items()} == {other.id: "failing"}


def test_two_who_end_an_endpoint_at_once_tell_it_once(world):
    ended = world.endpoint()
    world.endpoint("/other", beside=ended)
    held, second = worker_session(), threading.Thread(target=lambda: end_now(ended))
    with held as session:
        endpoint_ends.disable(session, session.get(PartnerEndpoint, ended.id), at=clock.real_now(), reason="gone")
        second.start()
        time.sleep(0.2)
        session.commit()
    second.join()
    with worker_session() as session:
        assert session.get(PartnerEndpoint, ended.id).disabled_reason == "gone"
    assert [said["reason"] for said in events_about_ends().values()] == ["gone"]


def end_now(endpoint):
    with app_session(Context(partner=endpoint.partner_id)) as session:
        endpoint_ends.disable(session, session.get(PartnerEndpoint, endpoint.id), at=clock.real_now())
        session.commit()


def test_a_broken_endpoint_opens_its_breaker_and_closes_it_after_a_trial(world):
    endpoint = world.endpoint()
    world.outside.partner_app.behave("error_500")
    world.enqueue(*[world.webhook(endpoint) for _ in range(12)])
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    assert health_of(endpoint).breaker == "open"
    world.pass_time(minutes=1)
    dispatcher.run_window()
    assert world.outside.partner_app.counts.started == 12
    with owner_session() as session:
        session.execute(text("UPDATE endpoint_health SET paused_until = now()"))
        session.commit()
    world.outside.partner_app.behave("ok")
    dispatcher.run_window()
    assert health_of(endpoint).breaker == "closed"
    assert set(world.states()) == {"delivered"}


def test_a_hanging_endpoint_delays_nobody_and_holds_no_window(world):
    hanging, healthy = world.endpoint("/hanging"), world.endpoint("/healthy")
    world.outside.partner_app.behave("hang", path="/webhooks/hanging")
    stuck = world.enqueue(*[world.webhook(hanging) for _ in range(60)])
    dispatcher = world.dispatcher(total_seconds=8.0)
    started = time.monotonic()
    dispatcher.run_window()
    assert time.monotonic() - started < 4
    well = world.enqueue(*[world.webhook(healthy) for _ in range(30)])
    started = time.monotonic()
    dispatcher.run_window()
    assert time.monotonic() - started < 4
    assert world.states(set(well)) == ["delivered"] * 30
    assert world.states(set(stuck)).count("sending") == 20
    wait_for(
        lambda: (health := health_of(hanging)) and health.breaker == "open",
        what="the timeouts are recorded without a window",
    )
    wait_for(lambda: world.states(set(stuck)).count("sending") == 0)


def test_a_line_rate_limit_rests_the_line_queue_only(world):
    world.outside.line_server.behave("rate_limited", times=1)
    gate = world.household()
    (first,) = world.enqueue(world.line(gate))
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    assert (world.delivery(first).state, world.delivery(first).retries) == ("retrying", 0)
    world.pass_time(seconds=30)
    second, mail = world.enqueue(world.line(gate), world.mail(gate))
    dispatcher.run_window()
    assert world.delivery(second).requests == 0
    assert world.delivery(mail).state == "accepted"


def stored_contact(gate, kind="email"):
    contact = ContactPoint(
        id=new_id(), household_id=gate.household_id, municipality_code="131121", guardian="g1", kind=kind,
        address_sealed=b"", address_index=b"",
    )  # fmt: skip
    with owner_session() as session:
        session.add(contact)
        session.commit()
    return contact


def families_to_look_at():
    with worker_session() as session:
        return list(
            session.exec(select(Change.household_id).where(Change.reader == NOTICES, Change.reason == "undeliverable"))
        )


def not_delivered(gate):
    with worker_session() as session:
        return undeliverable_notices(session, gate.household_id)


def test_a_notice_that_its_address_refuses_waits_for_another_channel(world, monkeypatch):
    rung = []
    monkeypatch.setattr(bell, "ring", lambda task, *ids, **_: rung.append((task, ids)))
    gate, notice = world.household(), new_id()
    world.outside.line_server.users = set()
    contact = stored_contact(gate, "line")
    world.enqueue(world.line(gate, notice_ids=(notice,), contact_point_id=contact.id))
    world.dispatcher().run_window()
    assert not_delivered(gate) == {notice}
    assert families_to_look_at() == [gate.household_id]
    assert rung == [(bell.ANNOUNCE, ("131121",))]
    world.enqueue(world.mail(gate, notice_ids=(notice,)))
    assert not_delivered(gate) == set()


def test_what_no_other_channel_can_help_wakes_nobody(world):
    gate, stopped = world.household(), world.household()
    world.outside.line_server.monthly_limit = 0
    world.outside.mail_sink.behave("refuse_recipient", reply="550 5.1.1 no such user")
    code = world.mail(gate, lane=Lane.TRANSACTIONAL, contact_point_id=stored_contact(gate).id)
    world.enqueue(world.line(gate, notice_ids=(new_id(),)), code)
    (withdrawn,) = world.enqueue(world.mail(stopped, notice_ids=(new_id(),)))
    with worker_session() as session:
        (claimed,) = [one for one in claim(session, clock.now(), Request(free={"email": 9})) if one.id == withdrawn]
        session.commit()
        cancel_queued(session, "consent_withdrawn", household_id=stopped.household_id)
        refused = AttemptResult(outcome=Outcome.UNDELIVERABLE, duration_seconds=0.1, error="smtp_5.1.1")
        record(session, [Finished(claimed=claimed, result=refused, started_at=clock.real_now())], clock.now())
        session.execute(text("UPDATE deliveries SET lease_until = now() WHERE state = 'sending'"))
        session.commit()
    world.dispatcher().run_window()
    assert sorted(world.states()) == ["failed", "failed", "retrying"]  # the month is used up: the push waits
    assert families_to_look_at() == []


def test_an_address_that_refuses_for_good_is_set_aside(world):
    gate = world.household()
    contact = stored_contact(gate)
    world.outside.mail_sink.behave("refuse_recipient", reply="550 5.1.1 no such user")
    (mail,) = world.enqueue(world.mail(gate, contact_point_id=contact.id))
    world.dispatcher().run_window()
    assert world.delivery(mail).state == "failed"
    with owner_session() as session:
        stored = session.get(ContactPoint, contact.id)
        assert (stored.suspended_reason, stored.suspended_at is not None) == ("smtp_5.1.1", True)


def test_what_may_no_longer_go_is_stopped_at_the_claim(world):
    now, endpoint = clock.now(), world.endpoint()
    withdrawn, protected, stopped = world.household(), world.household(), world.household()
    world.change_household(withdrawn, consent_epoch=1)
    world.change_household(protected, protected_at=now)
    world.change_household(stopped, stopped_subjects=["child:c1"])
    earlier, later = now - dt.timedelta(days=1), now + dt.timedelta(seconds=1)
    messages = {
        "consent_withdrawn": world.mail(withdrawn, contact_confirmed_at=earlier),
        "protected": world.mail(protected, contact_confirmed_at=earlier),
        "protected partner": world.webhook(endpoint, protected),
        "protected code to an old address": world.mail(
            protected, lane=Lane.TRANSACTIONAL, contact_confirmed_at=earlier
        ),
        "person_stopped": world.mail(stopped, contact_confirmed_at=earlier),
        "expired": world.mail(world.household(), expires_at=now),
        "neutral words to the new address": world.mail(protected, contact_confirmed_at=later),
    }
    ids = dict(zip(messages, world.enqueue(*messages.values()), strict=True))
    world.dispatcher().run_window()
    ended = {name: (world.delivery(id_).state, world.delivery(id_).last_error) for name, id_ in ids.items()}
    assert ended.pop("neutral words to the new address") == ("accepted", None)
    assert ended.pop("expired") == ("expired", "expired")
    assert {name: (state, reason) for name, (state, reason) in ended.items()} == {
        name: ("cancelled", name.split(" ")[0]) for name in ended
    }
    assert [mail.recipients for mail in world.outside.mail_sink.mails] == [
        [messages["neutral words to the new address"].address]
    ]
    assert world.outside.partner_app.counts.started == 0


def test_revoking_a_link_stops_retries_of_a_request_under_way(world):
    gate, endpoint = world.household(), world.endpoint()
    world.outside.partner_app.behave("hang")
    (under_way,) = world.enqueue(world.webhook(endpoint, gate))
    dispatcher = world.dispatcher(total_seconds=1.5)
    sending = threading.Thread(target=dispatcher.run_window)
    sending.start()
    wait_for(lambda: world.outside.partner_app.counts.started == 1)
    (queued,) = world.enqueue(world.webhook(endpoint, gate, due_at=clock.now() + dt.timedelta(hours=1)))
    with worker_session() as session:
        cancelled = cancel_queued(
            session, "link_revoked", household_id=gate.household_id, partner_id=endpoint.partner_id
        )
        session.commit()
    assert cancelled.messages == 1
    assert not wait_until_no_live_claim(gate.household_id, seconds=0.2)
    assert wait_until_no_live_claim(gate.household_id, seconds=3.0)
    sending.join()
    for delivery_id in (under_way, queued):
        assert (world.delivery(delivery_id).state, world.delivery(delivery_id).last_error) == (
            "cancelled",
            "link_revoked",
        )


def test_rows_that_cannot_be_opened_hold_up_nobody_else(world):
    endpoint = world.endpoint()
    broken, keyless, sound = world.enqueue(*[world.webhook(endpoint) for _ in range(3)])
    with owner_session() as session:
        for delivery_id, sealed in ((broken, bytes([1, 4]) + b"test" + b"x" * 99), (keyless, bytes([1, 4]) + b"gone")):
            session.execute(
                text("UPDATE deliveries SET message_sealed = :sealed WHERE id = :id"),
                {"id": delivery_id, "sealed": sealed},
            )
        session.commit()
    world.dispatcher().run_window()
    assert (world.delivery(broken).state, world.delivery(broken).last_error) == ("failed", "content_unreadable")
    assert (world.delivery(keyless).state, world.delivery(keyless).last_error) == ("retrying", "key_missing")
    assert world.delivery(sound).state == "delivered"


def test_two_dispatchers_never_send_one_row_twice(world):
    endpoints = [world.endpoint(f"/{number}") for number in range(4)]
    world.enqueue(*[world.webhook(endpoint) for endpoint in endpoints for _ in range(75)])
    dispatchers = [world.dispatcher(), world.dispatcher()]
    finished = threading.Event()

    def ring_until_finished(dispatcher):
        while not finished.is_set():
            dispatcher.run_window()
            time.sleep(0.01)

    threads = [threading.Thread(target=ring_until_finished, args=[dispatcher]) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: set(world.states()) == {"delivered"})
    finally:
        finished.set()
        for thread in threads:
            thread.join()
    assert len(world.outside.partner_app.received) == 300
    assert world.outside.partner_app.counts.duplicates == 0
    with worker_session() as session:
        assert session.execute(text("SELECT DISTINCT requests FROM deliveries")).scalars().all() == [1]
