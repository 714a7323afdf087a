"""An endpoint's own limits, over several processes at once."""

import threading
import time
from collections import Counter

from sqlalchemy import text

from app.delivery.channels.contract import Outcome
from app.delivery.queues import waits_for_pace
from app.platform import clock
from app.platform.database import owner_session, worker_session
from tests.integration.delivery.conftest import wait_for
from tests.integration.delivery.test_claim import claim_some, record_all


def claimed_by_four(seconds, records=True):
    """Let four claimers race for some seconds; return what each second brought."""
    claimed, stop = [], time.monotonic() + seconds

    def keep_claiming():
        while time.monotonic() < stop:
            rows = claim_some(webhook=400)
            claimed.extend((time.monotonic(), row.id) for row in rows)
            if records:
                record_all(rows, Outcome.DELIVERED)

    threads = [threading.Thread(target=keep_claiming) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return claimed


def test_no_pace_is_exceeded_by_claimers_that_race(world):
    slow, free = world.endpoint(requests_a_second=20), world.endpoint()
    world.enqueue(*[world.webhook(slow) for _ in range(150)])
    claim_some()  # the bucket is used up from here on
    started = time.monotonic()
    claimed = claimed_by_four(2.0)
    seconds = time.monotonic() - started
    assert len({delivery_id for _at, delivery_id in claimed}) == len(claimed)
    assert 20 * 1.5 < len(claimed) <= 20 * seconds + 10  # the pace, and one bucket at most on top
    in_a_second = Counter(int(at - started) for at, _ in claimed)
    assert max(in_a_second.values()) <= 30
    world.enqueue(*[world.webhook(free) for _ in range(5)])
    assert len([one for one in claim_some() if one.endpoint_id == free.id]) == 5


def test_no_room_is_exceeded_by_claimers_that_race(world):
    endpoint = world.endpoint(most_in_flight=7)
    world.enqueue(*[world.webhook(endpoint) for _ in range(60)])
    assert len(claimed_by_four(0.5, records=False)) == 7
    assert claim_some() == []


def test_one_trial_at_a_time_whoever_asks(world):
    endpoint = world.endpoint()
    world.enqueue(*[world.webhook(endpoint) for _ in range(30)])
    record_all(claim_some(webhook=10), Outcome.RETRY)
    with owner_session() as session:
        health = session.execute(text("SELECT breaker FROM endpoint_health")).scalar_one()
        session.execute(text("UPDATE endpoint_health SET paused_until = now()"))
        session.commit()
    assert health == "open"
    assert len(claimed_by_four(0.3, records=False)) == 1


def test_a_window_stays_awake_for_rows_that_only_wait_for_their_pace(world):
    endpoint = world.endpoint(requests_a_second=10)
    ids = world.enqueue(*[world.webhook(endpoint) for _ in range(15)])
    started = time.monotonic()
    world.dispatcher().run_window()
    wait_for(lambda: set(world.states(ids)) == {"delivered"})
    assert time.monotonic() - started > 0.8  # five at once, ten more in a second
    with worker_session() as session:
        assert not waits_for_pace(session, clock.now())
