"""A process that was asleep for longer than its lease finds its own rows lapsed, and claims them a second time."""

import gc
import time

from app.platform import bell
from tests.integration.delivery.conftest import wait_for


def test_a_row_claimed_twice_by_one_process_frees_its_socket_twice(world, monkeypatch):
    monkeypatch.setattr(bell, "ring_dispatch", lambda: None)
    world.outside.partner_app.behave("hang", path="/webhooks/asleep", times=1)
    (delivery,) = world.enqueue(world.webhook(world.endpoint("/asleep")))
    dispatcher = world.dispatcher(total_seconds=1.5, lease_seconds=0.4, window_seconds=1.2)
    broken = []
    dispatcher._loop.call_soon_threadsafe(
        dispatcher._loop.set_exception_handler, lambda loop, what: broken.append(what)
    )
    while world.delivery(delivery).state != "delivered":
        dispatcher.run_window()
    time.sleep(0.5)
    # The first request ends by its deadline, after the second has long been answered.
    wait_for(lambda: not dispatcher._sends)
    wait_for(lambda: not dispatcher._in_flight)
    gc.collect()
    assert not broken, broken
    row = world.delivery(delivery)
    assert (row.state, row.requests) == ("delivered", 2)
    assert [attempt.outcome for attempt in world.attempts(delivery)] == ["delivered"], "the late result was not applied"
