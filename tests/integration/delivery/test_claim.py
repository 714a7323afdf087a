"""The claim itself: leases, fencing, and the race with withdrawal."""

import dataclasses
import threading
import time
import uuid
from collections import Counter

from sqlalchemy import text

from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.claim import MOST_LOSSES, SUSPECT_AFTER, Request, claim, wait_until_no_live_claim
from app.delivery.queues import something_due
from app.delivery.record import Finished, give_back, record
from app.platform import clock
from app.platform.database import owner_session, worker_session
from tests.integration.delivery.conftest import wait_for

FREE = {"webhook": 50, "email": 8, "line": 20}


def claim_some(lease_seconds=40.0, **free):
    with worker_session() as session:
        claimed = claim(session, clock.now(), Request(free=free or FREE, lease_seconds=lease_seconds))
        session.commit()
    return claimed


def record_all(claimed, outcome):
    results = [
        Finished(
            claimed=one, result=AttemptResult(outcome=outcome, duration_seconds=0.1), started_at=clock.real_now()
        )
        for one in claimed
    ]
    with worker_session() as session:
        recorded = record(session, results, clock.now())
        session.commit()
    return recorded


def test_no_more_rows_than_free_sockets(world):
    endpoint = world.endpoint()
    world.enqueue(*[world.webhook(endpoint) for _ in range(10)])
    assert len(claim_some(webhook=3, email=8)) == 3
    assert claim_some(webhook=0) == []
    assert len(claim_some()) == 7
    assert claim_some() == []


def test_a_claim_sets_lease_token_and_counts_the_request_before_anything_is_sent(world):
    (delivery_id,) = world.enqueue(world.webhook(world.endpoint()))
    (claimed,) = claim_some()
    row = world.delivery(delivery_id)
    assert (row.state, row.requests, row.claim_token) == ("sending", 1, claimed.token)
    assert 38 < (row.lease_until - clock.real_now()).total_seconds() < 41


def test_a_late_result_is_never_applied(world, caplog):
    (delivery_id,) = world.enqueue(world.webhook(world.endpoint()))
    (lost,) = claim_some(lease_seconds=0.05)
    time.sleep(0.1)
    (held,) = claim_some()
    assert (held.id, held.requests, held.retries) == (lost.id, 2, 0)
    recorded = record_all([lost], Outcome.PERMANENT_FAILURE)
    assert (recorded.late, dict(recorded.states)) == (1, {})
    assert "not applied" in caplog.text
    assert world.delivery(delivery_id).state == "sending"
    assert world.attempts(delivery_id) == []
    assert record_all([held], Outcome.DELIVERED).states == {"delivered": 1}
    assert record_all([held], Outcome.RETRY).late == 1
    assert world.delivery(delivery_id).state == "delivered"


def test_a_row_that_kills_its_worker_ends(world):
    (delivery_id,) = world.enqueue(world.webhook(world.endpoint()))
    for losses in range(MOST_LOSSES):
        (claimed,) = claim_some(lease_seconds=0.0)
        assert (claimed.retries, world.delivery(delivery_id).losses) == (0, losses)
    assert claim_some() == []
    assert (world.delivery(delivery_id).state, world.delivery(delivery_id).last_error) == ("failed", "worker_lost")


def test_rows_that_were_near_one_that_kills_its_worker_are_sent(world):
    endpoints = [world.endpoint(), world.endpoint()]
    several = world.enqueue(*(world.webhook(endpoints[number % 2]) for number in range(6)))
    for _ in range(1 + SUSPECT_AFTER):
        assert len(claim_some(lease_seconds=0.0)) == 6  # a worker that ends with all it holds
    innocent: set[uuid.UUID] = set()
    culprit = None
    for _ in range(MOST_LOSSES + len(several)):
        claimed = claim_some(lease_seconds=0.0)
        assert len(claimed) <= 1
        culprit = culprit or claimed[0].id
        if claimed and claimed[0].id != culprit:
            record_all(claimed, Outcome.DELIVERED)
            innocent.add(claimed[0].id)
    assert innocent == {*several} - {culprit}
    assert Counter(world.delivery(one).state for one in several) == {"failed": 1, "delivered": 5}


def test_an_answer_clears_a_row_of_suspicion(world):
    (delivery_id,) = world.enqueue(world.webhook(world.endpoint()))
    for _ in range(2):
        (claimed,) = claim_some(lease_seconds=0.0)
    record_all([claimed], Outcome.RETRY)
    assert (world.delivery(delivery_id).losses, world.delivery(delivery_id).retries) == (0, 1)


def test_rows_given_back_are_as_if_never_claimed(world):
    (delivery_id,) = world.enqueue(world.webhook(world.endpoint()))
    claimed = claim_some()
    with worker_session() as session:
        give_back(session, claimed)
        session.commit()
    row = world.delivery(delivery_id)
    assert (row.state, row.requests, row.claim_token, row.first_attempted_at) == ("scheduled", 0, None, None)
    (again,) = claim_some()
    with worker_session() as session:
        give_back(session, claimed)  # too late: somebody else has it
        session.commit()
    assert world.delivery(delivery_id).claim_token == again.token


def test_a_claimed_row_that_is_not_on_the_wire_in_time_is_given_back(world):
    (delivery_id,) = world.enqueue(world.webhook(world.endpoint()))
    dispatcher = world.dispatcher()
    (claimed,) = claim_some()
    stale = dataclasses.replace(claimed, claimed_at=claimed.claimed_at - 2.0)
    dispatcher._in_flight[stale.id, stale.token] = stale
    dispatcher._call(dispatcher._send(stale))
    wait_for(lambda: world.delivery(delivery_id).state == "scheduled")
    assert world.outside.partner_app.counts.started == 0
    assert world.delivery(delivery_id).requests == 0


def test_a_household_that_is_being_changed_is_left_for_the_next_claim(world):
    changing, other = world.household(), world.household()
    endpoint = world.endpoint()
    held, free = world.enqueue(world.webhook(endpoint, changing), world.webhook(endpoint, other))
    with owner_session() as session:
        session.execute(
            text("UPDATE households SET consent_epoch = 1 WHERE id = :id"), {"id": changing.household_id}
        )
        assert [one.id for one in claim_some()] == [free]
        session.commit()
    assert claim_some() == []
    assert (world.delivery(held).state, world.delivery(held).last_error) == ("cancelled", "consent_withdrawn")


def test_no_claim_commits_after_a_withdrawal_has_committed(world):
    """Each withdrawal notes, while it holds the gate, how many requests were counted; nobody may count one more."""
    endpoints = [world.endpoint(f"/{number}") for number in range(3)]
    gates = [world.household() for _ in range(60)]
    world.enqueue(*[world.webhook(endpoints[number % 3], gate) for number, gate in enumerate(gates) for _ in range(3)])
    finished = threading.Event()
    errors: list[BaseException] = []

    def claim_again_and_again():
        try:
            while not finished.is_set():
                make_due_again(claim_some(webhook=7))
        except BaseException as error:
            errors.append(error)

    claimers = [threading.Thread(target=claim_again_and_again) for _ in range(2)]
    for claimer in claimers:
        claimer.start()
    try:
        counted = {gate.household_id: withdraw(gate) for gate in gates}
        wait_for(lambda: errors or set(world.states()) == {"cancelled"})
    finally:
        finished.set()
        for claimer in claimers:
            claimer.join()
    assert errors == []
    with worker_session() as session:
        rows = session.execute(text("SELECT id, household_id, requests, state FROM deliveries")).all()
    assert {row.state for row in rows} == {"cancelled"}
    assert sum(row.requests for row in rows) > 60, "too little was claimed to prove anything"
    for row in rows:
        assert row.requests <= counted[row.household_id][row.id], "a claim committed after the withdrawal"


def make_due_again(claimed):
    """End claims as if each request had failed and were due again at once; the counted requests stay."""
    with worker_session() as session:
        session.execute(
            text(
                "UPDATE deliveries SET state = 'retrying', lease_until = NULL, claim_token = NULL"
                " WHERE claim_token = ANY(:tokens)"
            ),
            {"tokens": [one.token for one in claimed]},
        )
        session.commit()


def withdraw(gate):
    """Raise the epoch; return the requests counted by then for each delivery of this household."""
    with owner_session() as session:
        session.execute(
            text("UPDATE households SET consent_epoch = consent_epoch + 1 WHERE id = :id"), {"id": gate.household_id}
        )
        rows = session.execute(
            text("SELECT id, requests FROM deliveries WHERE household_id = :id"), {"id": gate.household_id}
        ).all()
        session.commit()
    assert wait_until_no_live_claim(gate.household_id)
    return {row.id: row.requests for row in rows}


def test_nothing_is_due_where_nothing_may_be_sent(world):
    endpoint = world.endpoint()
    world.enqueue(world.webhook(endpoint))
    with worker_session() as session:
        assert something_due(session, clock.now())
    claim_some()
    with worker_session() as session:
        assert not something_due(session, clock.now())
