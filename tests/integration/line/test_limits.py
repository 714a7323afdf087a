"""Pauses, rate and refusals of the account hold for every process, because they are rows."""

import uuid

from app.delivery.channel_health import LINE, health_of
from app.delivery.claim import Request, claim
from app.delivery.outbox import Gate, Lane, LineMessage, enqueue_all
from app.delivery.tables import Delivery
from app.households.tables import Household
from app.platform import clock
from app.platform.database import owner_session, worker_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from tests.integration.line.conftest import USER, deliveries


def queued(count: int = 1, **more: object) -> list[uuid.UUID]:
    gate = Gate(household_id=new_id(), municipality_code="131121", consent_epoch=0)
    with owner_session() as session:
        session.add(Household(id=gate.household_id, municipality_code="131121"))
        session.commit()
    common = {"event_type": "notice.push", "lane": Lane.NOTICE, "gate": gate, "address": USER, **more}
    text = ({"type": "text", "text": "新しいお知らせがあります"},)
    with worker_session() as session:
        rows = [LineMessage(dedupe_key=str(new_id()), event_id=new_id().hex, due_at=clock.now(), messages=text, **common) for _ in range(count)]  # type: ignore[arg-type]  # fmt: skip
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
