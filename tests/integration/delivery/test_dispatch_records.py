"""Results that cannot be written just now, and windows that meet a database that was away or each other."""

import os
import signal
import threading
import time

import pytest
from sqlalchemy import text

from app.delivery import dispatch
from app.platform.database import owner_session, worker_session
from tests.conftest import Administrator
from tests.integration.delivery.conftest import wait_for


@pytest.fixture
def database():
    with worker_session() as session:
        return session.execute(text("SELECT current_database()")).scalar_one()


def cut_off(run, database):
    run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


def test_a_result_waits_while_the_database_is_away(world, servers, database):
    world.outside.partner_app.behave("hang")
    (delivery,) = world.enqueue(world.webhook(world.endpoint()))
    world.dispatcher(total_seconds=2.0).run_window()
    assert world.delivery(delivery).state == "sending"
    with Administrator(servers.database_url("postgres")) as run:
        run(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        cut_off(run, database)
        time.sleep(2.5)
        run(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
    wait_for(lambda: world.delivery(delivery).state == "retrying")
    assert [attempt.error for attempt in world.attempts(delivery)] == ["timeout"]


def test_a_window_goes_on_after_its_connections_were_lost(world, servers, database):
    endpoint, dispatcher = world.endpoint(), world.dispatcher()
    world.enqueue(world.webhook(endpoint))
    dispatcher.run_window()
    with Administrator(servers.database_url("postgres")) as run:
        cut_off(run, database)
    world.enqueue(world.webhook(endpoint))
    assert dispatcher.run_window().claimed == 1
    assert world.states() == ["delivered"] * 2


def test_nothing_more_is_claimed_where_records_do_not_get_through(world):
    """What ended unrecorded would lose its lease and be sent again, over and over."""
    endpoints = [world.endpoint(f"/{number}") for number in range(10)]
    dispatcher = world.dispatcher(sockets={"webhook": 5}, lease_seconds=2.0, window_seconds=6.0)
    world.enqueue(*map(world.webhook, endpoints))
    dispatcher.run_window()
    counts = world.outside.partner_app.counts
    before = counts.started
    waiting = world.enqueue(*[world.webhook(endpoint) for endpoint in endpoints for _ in range(6)])
    with owner_session() as session:
        session.execute(text("SELECT FROM endpoint_health FOR UPDATE"))
        dispatcher.run_window()
        time.sleep(3)
        dispatcher.run_window()
        assert counts.started - before <= 10, "as many as there are sockets wait, and as many were open meanwhile"
        session.rollback()
    wait_for(lambda: dispatcher.run_window() and set(world.states(set(waiting))) == {"delivered"})
    assert counts.duplicates <= 10


def test_a_task_whose_time_is_up_lets_no_second_window_in(world, monkeypatch):
    """Two claims on one connection would be one transaction: the rows of the first would be claimed again."""
    dispatcher, whole = world.dispatcher(), dispatch._claim
    ids = world.enqueue(*[world.webhook(world.endpoint()) for _ in range(3)])

    def slow(session, *given):
        session.execute(text("SELECT pg_sleep(1)"))
        return whole(session, *given)

    def time_is_up(*_):
        raise TimeoutError

    monkeypatch.setattr(dispatch, "_claim", slow)
    before = signal.signal(signal.SIGUSR1, time_is_up)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    try:
        with pytest.raises(TimeoutError):
            dispatcher.run_window()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert dispatcher.run_window().claimed == 0, "the first one goes on"
    wait_for(lambda: world.states(set(ids)) == ["delivered"] * 3)
    assert world.outside.partner_app.counts.duplicates == 0


def test_a_process_ends_though_its_results_cannot_be_written(world):
    endpoint, dispatcher = world.endpoint(), world.dispatcher(window_seconds=1.0)
    world.enqueue(world.webhook(endpoint))
    dispatcher.run_window()
    world.enqueue(world.webhook(endpoint))
    with owner_session() as session:
        session.execute(text("SELECT FROM endpoint_health FOR UPDATE"))
        dispatcher.run_window()
        started = time.monotonic()
        dispatcher.close(1.0)
        assert time.monotonic() - started < 8
        world.dispatchers.remove(dispatcher)
        session.rollback()
    assert sorted(world.states()) == ["delivered", "sending"]
