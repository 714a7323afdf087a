"""An endpoint that ended comes back through a test that must succeed."""

from sqlalchemy import text

from app.delivery.endpoint_tests import send_ping
from app.partners.endpoints import GONE, state_of
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.database import Context, app_session, owner_session, worker_session
from tests.integration.delivery.conftest import wait_for


def stored(endpoint) -> PartnerEndpoint:
    with worker_session() as session:
        return session.get(PartnerEndpoint, endpoint.id)


def gone(world, **columns) -> PartnerEndpoint:
    return world.endpoint(disabled_at=clock.real_now(), disabled_reason=GONE, **columns)


def ask_for_test(endpoint):
    with app_session(Context(partner=endpoint.partner_id)) as session:
        delivery_id = send_ping(session, session.get(PartnerEndpoint, endpoint.id), at=clock.real_now())
        session.commit()
    return delivery_id


def sent(world, dispatcher, delivery_id):
    dispatcher.run_window()
    wait_for(lambda: world.delivery(delivery_id).state != "sending")
    return world.delivery(delivery_id)


def test_a_test_that_is_received_enables_and_nothing_else_goes_before_it(world):
    endpoint = gone(world)
    (waiting,) = world.enqueue(world.webhook(endpoint))
    ping = ask_for_test(endpoint)
    assert state_of(stored(endpoint), clock.real_now()) == "testing"
    assert sent(world, world.dispatcher(), ping).state == "delivered"
    row = stored(endpoint)
    assert (state_of(row, clock.real_now()), row.disabled_reason, row.test_delivery_id) == ("enabled", None, None)
    assert (world.delivery(waiting).state, world.delivery(waiting).last_error) == ("cancelled", "endpoint_disabled")


def test_a_test_that_fails_leaves_it_disabled_and_another_may_be_asked_for(world):
    endpoint = gone(world)
    dispatcher = world.dispatcher()
    world.outside.partner_app.behave("status", status=500)
    first = ask_for_test(endpoint)
    assert sent(world, dispatcher, first).state == "retrying"
    assert state_of(stored(endpoint), clock.real_now()) == "testing"
    world.pass_time(seconds=30)
    assert sent(world, dispatcher, first).state == "expired"
    assert state_of(stored(endpoint), clock.real_now()) == "disabled"
    world.outside.partner_app.behave("status", status=410)
    assert sent(world, dispatcher, ask_for_test(endpoint)).state == "failed"
    assert stored(endpoint).disabled_reason == GONE
    world.outside.partner_app.behave("ok")
    sent(world, dispatcher, ask_for_test(endpoint))
    assert state_of(stored(endpoint), clock.real_now()) == "enabled"


def test_a_breaker_that_is_open_does_not_keep_a_test_waiting_and_what_it_counted_is_forgotten(world):
    endpoint = gone(world)
    with owner_session() as session:
        session.execute(
            text(
                "INSERT INTO endpoint_health (endpoint_id, partner_id, window_requests, window_failures, breaker,"
                " paused_until, failing_since) VALUES (:id, :partner, 9, 9, 'open', now() + interval '1 hour',"
                " now() - interval '6 days')"
            ),
            {"id": endpoint.id, "partner": endpoint.partner_id},
        )
        session.commit()
    sent(world, world.dispatcher(), ask_for_test(endpoint))
    assert state_of(stored(endpoint), clock.real_now()) == "enabled"
    with owner_session() as session:
        health = session.execute(text("SELECT breaker, failing_since, paused_until FROM endpoint_health")).one()
    assert tuple(health) == ("closed", None, None)


def test_an_older_test_enables_nothing_and_a_removed_endpoint_is_never_called(world):
    endpoint = gone(world)
    ping = ask_for_test(endpoint)
    with owner_session() as session:
        session.execute(text("UPDATE partner_endpoints SET test_delivery_id = gen_random_uuid()"))
        session.commit()
    assert sent(world, world.dispatcher(), ping).state == "delivered"
    assert state_of(stored(endpoint), clock.real_now()) == "testing"
    removed = gone(world)
    ping = ask_for_test(removed)
    with owner_session() as session:
        session.execute(text("UPDATE partner_endpoints SET removed_at = now()"))
        session.commit()
    assert sent(world, world.dispatcher(), ping).state == "cancelled"
    assert world.outside.partner_app.counts.started == 1
