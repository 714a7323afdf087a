"""What operators see: metrics that a Prometheus parser reads, and health that tells progress from being up."""

import datetime as dt

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text
from starlette.testclient import TestClient

from app.delivery.outbox import Gate, WebhookMessage, enqueue_all
from app.insight.measures import measure
from app.main import create_app
from app.platform import clock
from app.platform.database import owner_session, worker_session
from app.platform.halt_kinds import HaltKind
from app.platform.settings import settings
from app.safeguards.halts import halt
from tests.fixtures.factories import a_household, a_linked_app, enrolled

TOKEN = "a-token-for-tests"


@pytest.fixture
def waiting(published_registry, monkeypatch):
    """An event that is due, and its endpoint's queue."""
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    monkeypatch.setattr(settings(), "metrics_token", SecretStr(TOKEN))
    household_id = enrolled(a_household())
    partner_id, _, endpoint = a_linked_app(household_id, "http://127.0.0.1:9/hook")
    with owner_session() as session:
        endpoint_id = session.execute(text("SELECT id FROM partner_endpoints")).scalar_one()
    with worker_session() as session:
        enqueue_all(
            session,
            [
                WebhookMessage(
                    dedupe_key="one",
                    event_id="evt_one",
                    event_type="notice.created",
                    due_at=clock.now(),
                    partner_id=partner_id,
                    endpoint_id=endpoint_id,
                    gate=Gate(household_id=household_id, municipality_code="131121", consent_epoch=0),
                    body="{}",
                )
            ],
        )
        session.commit()
    return f"webhook:{endpoint_id}"


@pytest.fixture
def client(waiting):
    """A monitoring system."""
    return TestClient(create_app())


def scraped(client):
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_tell_what_waits_and_what_is_held_back(client, waiting):
    halt(HaltKind.CHANNEL, "line", "quota")
    measure()
    found = scraped(client)
    assert found["todoke_due", ("able", "true"), ("queue", waiting)] >= 1
    assert found["todoke_halts", ("kind", "channel"), ("name", "line")] == 1
    assert found["todoke_measured_timestamp_seconds",] == pytest.approx(clock.real_now().timestamp(), abs=30)


def test_metrics_tell_how_fast_what_was_claimed_went(client, waiting):
    with owner_session() as session:
        session.execute(
            text(
                "UPDATE deliveries SET state = 'delivered', created_at = now() - interval '20 s',"
                " first_attempted_at = now() - interval '17 s'"
            )
        )
        session.commit()
    measure()
    found = scraped(client)
    assert found["todoke_claim_lag_seconds", ("channel", "webhook"), ("quantile", "0.95")] == pytest.approx(3, abs=0.1)
    assert found["todoke_processed_within_10_seconds_share", ("channel", "webhook")] == 1
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET first_attempted_at = now() - interval '5 s'"))
        session.commit()
    measure()
    assert scraped(client)["todoke_processed_within_10_seconds_share", ("channel", "webhook")] == 0


def test_no_metric_names_a_household_a_municipality_or_a_person(client, waiting):
    measure()
    shown = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text
    with owner_session() as session:
        households = session.execute(text("SELECT CAST(id AS text) FROM households")).scalars().all()
    assert households and not any(one in shown for one in [*households, "131121", "child:"])


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}])
def test_metrics_need_the_token(client, headers):
    assert client.get("/metrics", headers=headers).status_code == 404


def test_metrics_are_off_without_a_token(client, monkeypatch):
    monkeypatch.setattr(settings(), "metrics_token", SecretStr(""))
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


def test_progress_is_found_missing_where_every_process_is_up(client, waiting):
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").status_code == 200
    never = client.get("/health/progress")
    assert never.status_code == 503 and "start beat" in never.json()["causes"][0]
    measure()
    assert client.get("/health/progress").json() == {"status": "ok", "causes": []}
    clock.shift_to(clock.now() + dt.timedelta(minutes=2))
    measure()
    late = client.get("/health/progress")
    assert late.status_code == 503 and "queue `delivery`" in late.json()["causes"][0]
    with owner_session() as session:
        session.execute(text("UPDATE measures SET measured_at = measured_at - interval '1 hour'"))
        session.commit()
    assert "nothing was measured since" in client.get("/health/progress").json()["causes"][0]
