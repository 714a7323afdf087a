"""Who gets the free sockets: pure, so that fairness can be tested without a database.

Queues of one channel take turns. Most sockets are kept for first attempts, so that a mountain of retries never delays
what is new; a quarter of them is for retries, so that those are never starved either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_RETRY_SHARE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is due in one queue.

    Attributes:
        first_attempts: rows that were never tried, counted up to a limit.
        further_attempts: rows to be tried again, counted up to a limit.
        room: requests that may be added to those now open to this target.
    """

    queue: str
    channel: str
    first_attempts: int
    further_attempts: int
    room: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many rows a claim takes from one queue."""

    queue: str
    first_attempts: int
    further_attempts: int


def allot(waiting: Sequence[Waiting], free: Mapping[str, int], turn: int) -> list[Share]:
    """Deal free sockets to queues.

    Args:
        waiting: the queues with something due.
        free: free sockets by channel.
        turn: a number that grows with every claim; who comes first, and the odd socket, follow from it.
    """
    shares: list[Share] = []
    for channel, slots in free.items():
        queues = [one for one in waiting if one.channel == channel and one.room > 0]
        start = turn % len(queues) if queues else 0
        shares.extend(_of_channel(queues[start:] + queues[:start], slots, turn))
    return shares


def _of_channel(queues: Sequence[Waiting], slots: int, turn: int) -> list[Share]:
    kept = slots - (slots + turn % _RETRY_SHARE) // _RETRY_SHARE
    first = deal(kept, {one.queue: min(one.first_attempts, one.room) for one in queues})
    left = slots - sum(first.values())
    further = deal(left, {one.queue: min(one.further_attempts, one.room - first[one.queue]) for one in queues})
    left -= sum(further.values())
    taken = {queue: first[queue] + further[queue] for queue in first}
    more = deal(
        left,
        {one.queue: min(one.first_attempts - first[one.queue], one.room - taken[one.queue]) for one in queues},
    )
    return [
        Share(queue=queue, first_attempts=first[queue] + more[queue], further_attempts=further[queue])
        for queue in first
        if taken[queue] + more[queue]
    ]


def deal(slots: int, wants: Mapping[str, int]) -> dict[str, int]:
    """Give each queue what it wants, and where that is too much, the same to each; never more than `slots` in all."""
    given = dict.fromkeys(wants, 0)
    hungry = [queue for queue, wanted in wants.items() if wanted > 0]
    while slots > 0 and hungry:
        each = max(1, slots // len(hungry))
        for queue in hungry:
            portion = min(each, wants[queue] - given[queue], slots)
            given[queue] += portion
            slots -= portion
        hungry = [queue for queue in hungry if given[queue] < wants[queue]]
    return given
