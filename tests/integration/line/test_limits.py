"""Pauses, rate and refusals of the account hold for every process, because they are rows."""

import uuid

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.delivery.channel_health import LINE, health_of, troubles
from app.delivery.claim import Request, claim
from app.delivery.outbox import Gate, Lane, LineMessage, enqueue_all
from app.delivery.tables import Delivery
from app.households.tables import ContactPoint, Household
from app.matching.sweep import drain
from app.notices.announce import announce, release_due
from app.platform import clock
from app.platform.database import NO_CONTEXT, app_session, owner_session, worker_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.line.conftest import USER, deliveries

NEWBORN = a_household(children=[a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False})


def queued(count: int = 1, **more: object) -> list[uuid.UUID]:
    gate = Gate(household_id=new_id(), municipality_code="131121", consent_epoch=0)
    with owner_session() as session:
        session.add(Household(id=gate.household_id, municipality_code="131121"))
        session.commit()
    common = {"event_type": "notice.push", "lane": Lane.NOTICE, "gate": gate, "address": USER, **more}
    said = ({"type": "text", "text": "新しいお知らせがあります"},)
    with worker_session() as session:
        rows = [LineMessage(dedupe_key=str(new_id()), event_id=new_id().hex, due_at=clock.now(), messages=said, **common) for _ in range(count)]  # type: ignore[arg-type]  # fmt: skip
        ids = enqueue_all(session, rows)
        session.commit()
    return ids


def claimed(most: int = 50) -> int:
    with worker_session() as session:
        rows = claim(session, clock.now(), Request(free={"line": most}))
        session.commit()
    return len(rows)


def test_what_one_process_heard_holds_for_another(line):
    queued(2)
    line.server.behave("rate_limited", times=2)
    line.dispatch()
    assert [row.state for row in deliveries()] == ["retrying", "retrying"]
    queued(1, lane=Lane.TRANSACTIONAL)
    asked = line.server.requests
    line.dispatch()  # a dispatcher of its own: it knows of the pause by the row alone
    assert line.server.requests == asked
    with worker_session() as session:
        assert health_of(session, LINE).pause_reason == "rate_limit"


def test_a_refused_token_loses_nothing_and_an_operator_hears(line, caplog):
    (delivery_id,) = queued()
    line.server.behave("unauthorized", times=1)
    line.dispatch()
    assert "token_refused; everything waits" in caplog.text
    with owner_session() as session:
        row = session.get_one(Delivery, delivery_id)
        assert (row.state, row.retries, row.first_attempted_at) == ("retrying", 0, None)
        session.connection().exec_driver_sql("UPDATE channel_health SET paused_until = now()")
        session.commit()
    line.dispatch()
    assert [row.state for row in deliveries()] == ["accepted"]


def test_the_rate_of_all_processes_together_is_held(line, monkeypatch):
    monkeypatch.setenv("TODOKE_LINE__PUSHES_PER_SECOND", "4")
    settings.cache_clear()
    queued(12)
    first, second = claimed(), claimed()
    assert first == 4
    assert second <= 1
    assert len(deliveries(state="scheduled")) == 12 - first - second


def test_a_request_whose_fate_is_unknown_keeps_its_key_and_its_day(line):
    (delivery_id,) = queued()
    line.server.behave("accept_then_500", times=1)
    line.dispatch()
    with owner_session() as session:
        row = session.get_one(Delivery, delivery_id)
        first = row.first_attempted_at
        assert row.state == "retrying" and first is not None
        row.next_attempt_at = clock.now()
        session.add(row)
        session.commit()
    line.server.behave("unauthorized", times=1)
    line.dispatch()
    with owner_session() as session:
        assert session.get_one(Delivery, delivery_id).first_attempted_at == first
        session.connection().exec_driver_sql("UPDATE channel_health SET paused_until = now()")
        session.commit()
    line.dispatch()
    assert [row.state for row in deliveries()] == ["accepted"]
    assert len(line.server.pushes) == 1
    assert len(set(line.server.retry_keys_seen)) == 1


def after_the_keys_day(delivery_ids: list[uuid.UUID]) -> None:
    """Let a delivery's first request be a day old, and the next one be due."""
    with owner_session() as session:
        session.execute(
            text(
                "UPDATE deliveries SET first_attempted_at = first_attempted_at - interval '25 hours',"
                " next_attempt_at = :now WHERE id = ANY(:ids)"
            ),
            {"ids": delivery_ids, "now": clock.now()},
        )
        session.execute(text("UPDATE channel_health SET paused_until = now()"))
        session.commit()


def test_what_line_certainly_refused_is_sent_however_long_it_waited(line):
    ids = queued(1)
    line.server.behave("rate_limited", times=1)
    line.dispatch()
    after_the_keys_day(ids)
    line.dispatch()
    assert [row.state for row in deliveries()] == ["accepted"]


@pytest.mark.parametrize("also_mail", [True, False])
def test_what_may_have_arrived_is_told_by_the_next_channel_and_never_twice_on_line(line, published_registry, also_mail):
    mail = (("email", "family@home.example"),) if also_mail else ()
    household_id = enrolled(NEWBORN, contacts=(("line", USER), *mail))
    drain()
    announce()
    release_due()
    (push,) = deliveries(household_id=household_id, lane="notice")
    line.server.behave("accept_then_500", times=1)
    line.dispatch()
    after_the_keys_day([push.id])
    line.dispatch()
    for _ in range(2):
        announce()
        release_due()
    line.dispatch()
    told = [(row.channel, row.state, row.last_error) for row in deliveries(household_id=household_id, lane="notice")]
    by_mail = [("email", "accepted", None)] if also_mail else []
    assert told == [("line", "failed", "retry_key_expired"), *by_mail]
    assert len(line.server.pushes) == 1
    with owner_session() as session:
        contact = session.exec(select(ContactPoint).where(ContactPoint.kind == "line")).one()
        assert contact.suspended_at is None  # it says nothing against the address


def test_a_channel_that_takes_nothing_for_a_quarter_of_an_hour_is_a_cause_to_look(line):
    queued(1)
    line.server.behave("unauthorized", times=1)
    line.dispatch()
    with app_session(NO_CONTEXT) as session:
        assert troubles(session, clock.real_now()) == []
    with owner_session() as session:
        session.execute(text("UPDATE channel_health SET refused_since = refused_since - interval '16 minutes'"))
        session.commit()
    with app_session(NO_CONTEXT) as session:
        (cause,) = troubles(session, clock.real_now())
        assert cause.startswith("line: takes nothing since ") and cause.endswith(", token_refused")
    with owner_session() as session:
        session.execute(text("UPDATE channel_health SET paused_until = now()"))
        session.commit()
    line.dispatch()
    with app_session(NO_CONTEXT) as session:
        assert troubles(session, clock.real_now()) == []
