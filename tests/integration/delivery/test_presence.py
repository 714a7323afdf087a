"""A process that was killed is not waited for: its leases end as soon as the system has closed its connection."""

import asyncio
import datetime as dt
import os
import signal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.delivery.claim import Request, claim
from app.delivery.dispatch import something_due
from app.delivery.presence import Presence
from app.platform import bell, clock
from app.platform.database import LoopDatabase, owner_session, worker_session
from tests.integration.delivery.conftest import wait_for


class Process:
    """One more process, as its dispatcher makes it seen."""

    def __init__(self):
        self.runner, self.database = asyncio.Runner(), LoopDatabase()
        self.presence = Presence(self.database)

    def number(self):
        return self.run(lambda session, number: number)

    def run(self, work):
        return self.runner.run(self.presence.run(work))

    def close(self):
        self.runner.run(self.presence.close())


@pytest.fixture
def presence():
    process = Process()
    with process.runner:
        yield process
        process.close()
        process.runner.run(process.database.close())


def claimed_by(number):
    with worker_session() as session:
        rows = claim(session, clock.now(), Request(free={"webhook": 5}, claimed_by=number))
        session.commit()
    return rows


def some_seconds_ago(delivery_id, seconds=5):
    with owner_session() as session:
        session.execute(
            text("UPDATE deliveries SET lease_until = lease_until - make_interval(secs => :s) WHERE id = :id"),
            {"s": seconds, "id": delivery_id},
        )
        session.commit()


def test_the_lease_of_a_process_that_is_there_holds_and_that_of_one_that_is_gone_ends(world, presence):
    (delivery,) = world.enqueue(world.webhook(world.endpoint()))
    assert len(claimed_by(presence.number())) == 1
    some_seconds_ago(delivery)
    assert not something_due()
    presence.close()
    assert something_due()
    assert [row.id for row in claimed_by(None)] == [delivery]


def test_a_claim_that_may_not_be_on_the_wire_yet_is_left_alone(world, presence):
    world.enqueue(world.webhook(world.endpoint()))
    claimed_by(presence.number())
    presence.close()
    assert not something_due()


def test_a_lost_connection_is_made_again_under_another_number(world, presence):
    first = presence.number()
    assert presence.number() == first
    with worker_session() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :number"
                " AND classid = 8150"
            ),
            {"number": first},
        )
        session.commit()
    with pytest.raises(OperationalError):
        presence.run(lambda session, number: session.execute(text("SELECT 1")))
    assert presence.number() > first


def test_a_killed_worker_delays_what_it_held_by_seconds(world, monkeypatch):
    monkeypatch.setenv("TODOKE_DELIVERY__LEASE_SECONDS", "120")
    monkeypatch.setenv("TODOKE_DELIVERY__SWEEP_SECONDS", "0.5")
    world.outside.partner_app.behave("hang", times=1)
    with world.worker() as process:
        (delivery,) = world.enqueue(world.webhook(world.endpoint()))
        bell.ring_dispatch()
        wait_for(lambda: world.outside.partner_app.counts.started == 1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with world.worker():
        wait_for(lambda: world.delivery(delivery).state == "delivered", what="half of the lease, start-up included")


def test_what_a_lost_worker_held_goes_on_though_the_clock_went_back(world, presence):
    (delivery,) = world.enqueue(world.webhook(world.endpoint()))
    claimed_by(presence.number())
    some_seconds_ago(delivery)
    presence.close()
    clock.shift_to(clock.now() - dt.timedelta(hours=1))
    assert something_due()
    assert [row.id for row in claimed_by(None)] == [delivery]
