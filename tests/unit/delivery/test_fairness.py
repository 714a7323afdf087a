"""Who gets the sockets."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.delivery.fairness import Waiting, allot, deal


def waiting(queue, first=0, further=0, room=1000, channel="webhook"):
    return Waiting(queue=queue, channel=channel, first_attempts=first, further_attempts=further, room=room)


QUEUES = st.lists(
    st.builds(
        Waiting,
        queue=st.uuids().map(str),
        channel=st.sampled_from(["webhook", "email"]),
        first_attempts=st.integers(0, 300),
        further_attempts=st.integers(0, 300),
        room=st.integers(0, 60),
    ),
    max_size=30,
)


@given(QUEUES, st.integers(0, 300), st.integers(0, 10), st.integers(0, 1000))
def test_no_more_than_is_free_wanted_or_roomy_and_nothing_left_idle(queues, webhooks, mails, turn):
    free = {"webhook": webhooks, "email": mails}
    shares = {share.queue: share for share in allot(queues, free, turn)}
    for channel, slots in free.items():
        mine = [one for one in queues if one.channel == channel]
        given_out = 0
        for one in mine:
            if (share := shares.get(one.queue)) is not None:
                assert 0 <= share.first_attempts <= one.first_attempts
                assert 0 <= share.further_attempts <= one.further_attempts
                assert 0 < share.first_attempts + share.further_attempts <= one.room
                given_out += share.first_attempts + share.further_attempts
        wanted = sum(min(one.first_attempts + one.further_attempts, one.room) for one in mine)
        assert given_out == min(slots, wanted)


def test_a_mountain_in_one_queue_leaves_the_others_their_share():
    shares = {share.queue: share for share in allot([waiting("a", 500), waiting("b", 20), waiting("c", 3)], {"webhook": 60}, 0)}
    assert (shares["b"].first_attempts, shares["c"].first_attempts) == (20, 3)
    assert shares["a"].first_attempts == 37


def test_retries_get_a_quarter_and_never_more_while_something_is_new():
    (share,) = allot([waiting("a", 500, 500)], {"webhook": 40}, 0)
    assert (share.first_attempts, share.further_attempts) == (30, 10)
    (only_retries,) = allot([waiting("a", 0, 500)], {"webhook": 40}, 0)
    assert only_retries.further_attempts == 40


def test_with_one_socket_at_a_time_everybody_has_a_turn():
    had: Counter[str] = Counter()
    for turn in range(120):
        (share,) = allot([waiting("a", 9, 9), waiting("b", 9, 9), waiting("c", 9, 9)], {"webhook": 1}, turn)
        had[share.queue] += 1
        had["retries"] += share.further_attempts
    assert [had[queue] for queue in "abc"] == [40, 40, 40]
    assert had["retries"] == 30


@given(st.integers(0, 500), st.dictionaries(st.text(), st.integers(-5, 100)))
def test_dealing_is_fair(slots, wants):
    given_out = deal(slots, wants)
    hungry = [queue for queue, wanted in wants.items() if given_out[queue] < wanted]
    if len(hungry) > 1:
        most, least = max(given_out.values()), min(given_out[queue] for queue in hungry)
        assert most - least <= 1
