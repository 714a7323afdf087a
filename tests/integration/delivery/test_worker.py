"""A real Celery worker process on a real broker, killed and bereft of it."""

import os
import signal
import time

import pytest

from app.platform import bell
from app.platform.settings import settings
from tests.integration.delivery.conftest import wait_for


@pytest.fixture(autouse=True)
def quick(world, monkeypatch):
    """Shorter leases and sweeps than in production, by the settings that production has too."""
    monkeypatch.setenv("TODOKE_DELIVERY__LEASE_SECONDS", "3")
    monkeypatch.setenv("TODOKE_DELIVERY__SWEEP_SECONDS", "0.5")


def all_delivered(world, ids):
    return lambda: set(world.states(set(ids))) <= {"delivered", "accepted"}


def test_a_ring_is_enough_for_every_channel(world, monkeypatch):
    monkeypatch.setenv("TODOKE_DELIVERY__SWEEP_SECONDS", "3600")
    gate = world.household()
    webhook = world.webhook(world.endpoint(), gate)
    with world.worker():
        ids = world.enqueue(webhook, world.mail(gate), world.line(gate))
        bell.ring_dispatch()
        wait_for(all_delivered(world, ids))
        # Now that the worker is up: how long from the commit of one decision to the app.
        quickly = world.webhook(world.endpoint("/quick"), gate)
        world.enqueue(quickly)
        decided = time.time()
        bell.ring_dispatch()
        wait_for(lambda: quickly.event_id in world.outside.partner_app.received)
        assert world.outside.partner_app.received[quickly.event_id].first_received_at - decided < 1.0
    assert world.outside.partner_app.received[webhook.event_id].times == 1
    assert (len(world.outside.mail_sink.mails), len(world.outside.line_server.pushes)) == (1, 1)


def test_killing_the_worker_loses_nothing(world):
    app = world.outside.partner_app
    slow, quick = world.endpoint("/slow"), world.endpoint("/quick")
    app.behave("hang", path="/webhooks/slow", times=5)
    messages = [world.webhook(slow) for _ in range(5)] + [world.webhook(quick) for _ in range(200)]
    with world.worker() as process:
        ids = world.enqueue(*messages)
        bell.ring_dispatch()
        wait_for(lambda: "sending" in world.states() and app.counts.started >= 5)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert "sending" in world.states()
    with world.worker():
        wait_for(all_delivered(world, ids))
    # Everything arrived; what came twice came with the same id, so a receiver can tell.
    assert set(app.received) == {message.event_id for message in messages}
    seen = [attempt.headers["webhook-id"] for attempt in app.attempts]
    assert set(seen) == set(app.received)
    assert len(seen) > len(messages), "nothing was under way when the worker was killed"


def test_a_wiped_and_a_killed_broker_lose_nothing(world, servers):
    endpoint = world.endpoint()
    with world.worker():
        warm = world.enqueue(world.webhook(endpoint))
        bell.ring_dispatch()
        wait_for(all_delivered(world, warm))

        wiped = world.enqueue(*[world.webhook(endpoint) for _ in range(20)])
        bell.ring_dispatch()
        world.valkey.flushall()
        wait_for(all_delivered(world, wiped))

        servers.valkey.kill()
        servers.valkey.wait()
        started = time.monotonic()
        during = world.enqueue(*[world.webhook(endpoint) for _ in range(20)])
        bell.ring_dispatch()
        assert time.monotonic() - started < 0.5, "a broker that is gone costs the caller nothing"
        time.sleep(0.5)
        servers.start_valkey()
        wait_for(all_delivered(world, during))
    assert world.outside.partner_app.counts.duplicates == 0


def test_a_worker_that_was_busy_while_the_broker_was_started_anew_goes_on(world, servers):
    """It comes to a dead connection and a live broker: a client that reconnects by itself would wait there for ever."""
    app = world.outside.partner_app
    slow, quick = world.endpoint("/slow"), world.endpoint("/quick")
    with world.worker():
        for times in (1, 2):
            app.behave("hang", path="/webhooks/slow", times=1)
            started = app.counts.started
            world.enqueue(world.webhook(slow))
            bell.ring_dispatch()
            wait_for(lambda before=started: app.counts.started > before)
            servers.valkey.kill()
            servers.valkey.wait()
            servers.start_valkey()
            time.sleep(1.5)  # the window leaves the open request alone
            sent = world.enqueue(world.webhook(quick))
            wait_for(all_delivered(world, sent), what=f"after {times} new brokers")
            assert {client["psub"] + client["sub"] for client in world.valkey.client_list()} == {"00"}


def test_rings_that_nobody_hears_do_not_pile_up(world):
    def rung(task, *ids, queue):
        bell.ring(task, *ids, queue=queue)
        bell.flush()
        return world.valkey.llen(queue)

    assert [rung(bell.DISPATCH, queue="delivery") for _ in range(20)] == [1] * 20
    bell.heard(bell.DISPATCH, ())
    assert [rung(bell.DISPATCH, queue="delivery") for _ in range(20)] == [2] * 20
    assert [rung(bell.ANNOUNCE, town, queue="work") for town in ("131121", "131130", "131121")] == [1, 2, 2]


def test_ringing_costs_the_caller_nothing_where_no_broker_answers(world, monkeypatch, caplog):
    monkeypatch.setenv("TODOKE_REDIS__URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    started = time.monotonic()
    for _ in range(100):
        bell.ring_dispatch()
    assert time.monotonic() - started < 0.1
    bell.flush(3.0)
    wait_for(lambda: "could not be rung" in caplog.text)
