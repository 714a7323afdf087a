"""Mails that wait for a socket: as many as a quick relay takes, and no more than there are sockets for a slow one."""

import asyncio

import pytest

from app.delivery.dispatch import Dispatcher, Options, channels_from_settings
from tests.integration.delivery.conftest import wait_for

SOCKETS = 2


class SlowRelay:
    """The real channel to the real relay, which takes its time for each mail as long as it is told to."""

    def __init__(self, channel) -> None:
        self.channel, self.seconds = channel, 0.0
        self.open = self.most_open = 0

    async def send(self, outgoing, /):
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(self.seconds)
            return await self.channel.send(outgoing)
        finally:
            self.open -= 1

    async def close(self) -> None:
        await self.channel.close()


@pytest.fixture
def relay(world):
    return SlowRelay(channels_from_settings()["email"])


@pytest.fixture
def dispatcher(world, relay):
    channels = channels_from_settings() | {"email": relay}
    made = Dispatcher(channels, Options(sockets={"email": SOCKETS}, window_seconds=4.0))
    world.dispatchers.append(made)
    return made


def rows_per_socket(dispatcher) -> int:
    return dispatcher._rows_per_socket["email"]


def test_a_quick_relay_is_given_more_and_more_and_a_slow_one_no_more_than_it_has_sockets(world, relay, dispatcher):
    world.enqueue(*(world.mail() for _ in range(100)))
    quick = dispatcher.run_window()
    assert (quick.claimed, quick.given_back, rows_per_socket(dispatcher)) == (100, 0, 16)

    relay.seconds = 1.2  # whoever waits behind one mail waits longer than a row may lie unsent
    ids = world.enqueue(*(world.mail() for _ in range(40)))
    slow = dispatcher.run_window()
    wait_for(lambda: "sending" not in world.states(ids))
    assert (slow.claimed, slow.given_back) == (SOCKETS * 16, SOCKETS * 15)
    assert rows_per_socket(dispatcher) == 1
    waiting = [row for row in map(world.delivery, ids) if row.state != "accepted"]
    assert len(waiting) == 40 - SOCKETS
    assert {(row.state, row.requests, row.retries, row.first_attempted_at) for row in waiting} == {
        ("scheduled", 0, 0, None)
    }  # neither counted nor tried
    assert {row.claim_token for row in waiting} == {None}

    again = dispatcher.run_window()
    assert again.claimed <= 6 * SOCKETS, "few more than it has sockets, in four seconds"
    wait_for(lambda: "sending" not in world.states(ids))

    relay.seconds = 0.0
    dispatcher.run_window()
    wait_for(lambda: set(world.states()) == {"accepted"})
    assert rows_per_socket(dispatcher) > 1, "it grows again"
    assert {row.requests for row in map(world.delivery, ids)} == {1}
    assert len(world.outside.mail_sink.mails) == 140, "each once"
    assert relay.most_open == SOCKETS
