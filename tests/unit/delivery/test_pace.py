"""Cutting shares to the room that is left."""

from app.delivery.fairness import Share
from app.delivery.pace import cut


def share(queue, first, further):
    return Share(queue=queue, first_attempts=first, further_attempts=further)


def test_first_attempts_keep_their_place_and_queues_without_limits_are_left_alone():
    shares = [share("a", 5, 5), share("b", 5, 5), share("c", 1, 0), share("d", 0, 4)]
    assert cut(shares, {"a": 7, "b": 3, "c": 0, "d": 9}) == [share("a", 5, 2), share("b", 3, 0), share("d", 0, 4)]
    assert cut(shares, {}) == shares
