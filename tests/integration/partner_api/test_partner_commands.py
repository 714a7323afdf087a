"""`todoke partner`: what operators do for a partner, on the same services as the API and the portal."""

import datetime as dt
import uuid

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from app.cli import main
from app.delivery.endpoint_tests import send_ping
from app.delivery.tables import Delivery, EndpointReplay
from app.partners.endpoints import disable_endpoint, register_endpoint
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.database import app_session, worker_session

URL = "http://127.0.0.1:9000/hook"


def run(*arguments):
    return CliRunner().invoke(main, ["partner", *map(str, arguments)])


def hours_ago(hours):
    return (clock.now() - dt.timedelta(hours=hours)).isoformat()


@pytest.fixture
def endpoint(sorairo):
    with app_session(sorairo.context) as session:
        row = register_endpoint(session, sorairo.partner_id, URL + "?token=SECRET").endpoint
        session.commit()
        return row


def failed_event(endpoint, sorairo):
    """Leave one event of the endpoint as a worker does that gave it up an hour ago."""
    with app_session(sorairo.context) as session:
        delivery_id = send_ping(session, session.get(PartnerEndpoint, endpoint.id), at=clock.real_now())
        session.commit()
    with worker_session() as session:
        row = session.get_one(Delivery, delivery_id)
        row.state, row.event_type, row.last_error, row.requests, row.retries = "failed", "link.created", "http_500", 10, 9
        row.finished_at = clock.real_now() - dt.timedelta(hours=1)
        session.commit()
    return delivery_id


def test_partners_are_listed_with_their_endpoints(endpoint, sorairo, other):
    lines = run("list").output.splitlines()
    assert f"{sorairo.partner_id}\tそらいろ(架空)アプリ\tそらいろ(架空)" in lines
    assert lines[lines.index(f"  {endpoint.id}\tenabled\t{URL}") - 1].startswith(str(sorairo.partner_id))
    assert any(line.startswith(str(other.partner_id)) for line in lines)


def test_what_failed_is_queued_again(endpoint, sorairo):
    delivery_id = failed_event(endpoint, sorairo)
    assert "0 queued again" in run("recover", endpoint.id, "--since", hours_ago(0.5)).output
    done = run("recover", endpoint.id, "--since", hours_ago(2))
    assert (done.exit_code, done.output.split(";")[0]) == (0, "1 queued again")
    with worker_session() as session:
        row = session.get_one(Delivery, delivery_id)
        assert (row.state, row.retries, row.requests) == ("scheduled", 0, 10)


def test_a_replay_is_opened_once(endpoint, sorairo):
    since = hours_ago(24)
    first, second = run("replay", endpoint.id, "--since", since), run("replay", endpoint.id, "--since", since)
    assert first.exit_code == second.exit_code == 0
    with app_session(sorairo.context) as session:
        [row] = session.exec(select(EndpointReplay)).all()
    assert str(row.id) in first.output and str(row.id) in second.output
    assert row.since == dt.datetime.fromisoformat(since)
    another = run("replay", endpoint.id, "--since", hours_ago(2))
    assert another.exit_code == 2 and "under way" in another.output


@pytest.mark.parametrize("command", ["recover", "replay"])
@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("2026-11-20T09:00:00", "with its time zone"),
        ("yesterday", "with its time zone"),
        ("2001-01-01T00:00:00Z", "expected an instant between"),
        ("2199-01-01T00:00:00Z", "expected an instant between"),
    ],
)
def test_an_instant_that_means_nothing_is_refused(endpoint, command, since, said):
    refused = run(command, endpoint.id, "--since", since)
    assert refused.exit_code == 2 and said in refused.output


@pytest.mark.parametrize("command", ["recover", "replay"])
def test_an_unknown_or_disabled_endpoint_is_refused(endpoint, sorairo, command):
    unknown = run(command, uuid.uuid4(), "--since", hours_ago(1))
    assert unknown.exit_code == 2 and "partner list" in unknown.output
    with app_session(sorairo.context) as session:
        disable_endpoint(session, session.get(PartnerEndpoint, endpoint.id), reason="failing", at=clock.real_now())
        session.commit()
    disabled = run(command, endpoint.id, "--since", hours_ago(1))
    assert disabled.exit_code == 2 and "enable it" in disabled.output
