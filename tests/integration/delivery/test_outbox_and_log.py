"""What goes into the outbox, and what its owners may see of it and send again."""

import dataclasses
import datetime as dt

import pytest
from sqlalchemy import text

from app.delivery.log import attempts_of, body_of, deliveries_of, delivery_by_id, resend
from app.delivery.outbox import Lane, cancel_queued, enqueue_email, enqueue_line, enqueue_webhook
from app.delivery.queues import queue_states
from app.platform import clock
from app.platform.database import Context, app_session, worker_session
from app.platform.errors import Conflict, InvalidInput, NotFound


def as_partner(endpoint):
    return app_session(Context(partner=endpoint.partner_id))


def test_the_same_message_is_written_once(world):
    gate = world.household()
    message = world.webhook(world.endpoint(), gate)
    with worker_session() as session:
        assert enqueue_webhook(session, message) is not None
        assert enqueue_webhook(session, message) is None
        assert enqueue_email(session, world.mail(gate)) is not None
        assert enqueue_line(session, world.line(gate)) is not None
        session.commit()
    assert len(world.states()) == 3


def test_nothing_is_written_if_the_decision_is_not(world):
    with worker_session() as session:
        enqueue_webhook(session, world.webhook(world.endpoint()))
        session.rollback()
    assert world.states() == []


def test_a_page_enqueues_for_its_own_household_only(world):
    mine, other = world.household(), world.household()
    with app_session(Context(household=mine.household_id)) as session:
        assert enqueue_email(session, world.mail(mine, lane=Lane.TRANSACTIONAL)) is not None
        session.commit()
    with (
        app_session(Context(household=mine.household_id)) as session,
        pytest.raises(Exception, match="row-level security"),
    ):
        enqueue_email(session, world.mail(other))


def test_contents_and_addresses_are_sealed(world):
    world.enqueue(world.mail(world.household(), address="haha@example.jp", subject="架空の件名"))
    with worker_session() as session:
        row = session.execute(text("SELECT deliveries::text FROM deliveries")).scalar_one()
    for secret in ("haha@example.jp", "架空の件名"):
        assert secret not in row
        assert secret.encode().hex() not in row


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: dataclasses.replace(m, gate=dataclasses.replace(m.gate, consent_epoch=None)), "consent epoch"),
        (lambda m: dataclasses.replace(m, event_id="evt.1"), "full stop"),
        (lambda m: dataclasses.replace(m, body="x" * 20_001), "20000 bytes"),
    ],
)
def test_what_is_not_fit_to_be_sent_is_refused(world, change, what):
    message = change(world.webhook(world.endpoint(), world.household()))
    with worker_session() as session, pytest.raises(InvalidInput, match=what):
        enqueue_webhook(session, message)


def test_cancelling_names_something_and_spares_other_lanes(world):
    gate, other = world.household(), world.household()
    mine = world.enqueue(world.mail(gate), world.mail(gate, lane=Lane.TRANSACTIONAL))
    theirs = world.enqueue(world.mail(other))
    with worker_session() as session:
        with pytest.raises(InvalidInput, match="no household"):
            cancel_queued(session, "consent_withdrawn")
        assert cancel_queued(session, "consent_withdrawn", household_id=gate.household_id).messages == 1
        session.commit()
    assert [world.delivery(id_).state for id_ in mine] == ["cancelled", "scheduled"]
    assert world.states(set(theirs)) == ["scheduled"]


def test_a_partner_reads_its_own_log_and_no_other(world):
    endpoint, other = world.endpoint(), world.endpoint()
    world.outside.partner_app.behave("error_500", times=1)
    message = world.webhook(endpoint)
    (failed,) = world.enqueue(message)
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    waiting, foreign = world.enqueue(
        world.webhook(endpoint, due_at=clock.now() + dt.timedelta(hours=1)), world.webhook(other)
    )
    with as_partner(endpoint) as session:
        assert [row.id for row in deliveries_of(session, endpoint.partner_id)] == [waiting, failed]
        assert [row.id for row in deliveries_of(session, endpoint.partner_id, before=waiting)] == [failed]
        assert [row.id for row in deliveries_of(session, endpoint.partner_id, states=["retrying"])] == [failed]
        assert deliveries_of(session, other.partner_id) == []
        with pytest.raises(InvalidInput, match="expected some of scheduled"):
            deliveries_of(session, endpoint.partner_id, states=["lost"])
        (attempt,) = attempts_of(session, [failed, foreign])[failed]
        assert (attempt.status_code, attempt.response_excerpt) == (500, "the receiver is broken")
        assert body_of(delivery_by_id(session, failed)) == message.body
        with pytest.raises(InvalidInput, match="expected one that was sent"):
            body_of(delivery_by_id(session, waiting))
        with pytest.raises(NotFound):
            delivery_by_id(session, foreign)


def test_resending_keeps_the_event_id_and_begins_the_schedule_anew(world):
    endpoint = world.endpoint()
    message = world.webhook(endpoint)
    (delivered,) = world.enqueue(message)
    dispatcher = world.dispatcher()
    dispatcher.run_window()
    with as_partner(endpoint) as session:
        resend(session, delivered, clock.now())
        session.commit()
    dispatcher.run_window()
    row = world.delivery(delivered)
    assert (row.state, row.requests, row.retries) == ("delivered", 2, 0)
    assert world.outside.partner_app.received[message.event_id].times == 2


def test_what_was_stopped_for_the_family_is_never_sent_again(world):
    endpoint, gate = world.endpoint(), world.household()
    withdrawn, expired = world.enqueue(
        world.webhook(endpoint, gate), world.webhook(endpoint, expires_at=clock.now() - dt.timedelta(seconds=1))
    )
    world.change_household(gate, consent_epoch=1)
    world.dispatcher().run_window()
    with as_partner(endpoint) as session:
        with pytest.raises(InvalidInput, match="the family or a protection measure stopped it"):
            resend(session, withdrawn, clock.now())
        with pytest.raises(InvalidInput, match="lost its meaning"):
            resend(session, expired, clock.now())
        with pytest.raises(InvalidInput, match="expected one that was sent"):
            body_of(delivery_by_id(session, withdrawn))
    with worker_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'sending' WHERE id = :id"), {"id": withdrawn})
        with pytest.raises(Conflict, match="being sent"):
            resend(session, withdrawn, clock.now())


def test_every_queue_is_seen_with_what_is_due_in_it(world):
    endpoint = world.endpoint()
    later = world.webhook(endpoint, due_at=clock.now() + dt.timedelta(minutes=5))
    world.enqueue(world.webhook(endpoint), world.webhook(endpoint), later, world.mail(world.household()))
    with worker_session() as session:
        due = {state.waiting.queue: state.waiting.first_attempts for state in queue_states(session, clock.now())}
    assert due == {f"webhook:{endpoint.id}": 2, "email:notice": 1}


def test_whatever_is_not_known_to_begin_or_end_something_is_called_back(world):
    gate, endpoint = world.household(), world.endpoint()
    events = ["survey.asked", "notice.created", "notice.cancelled", "link.created"]
    ids = dict(
        zip(events, world.enqueue(*[world.webhook(endpoint, gate, event_type=one) for one in events]), strict=True)
    )
    with worker_session() as session:
        called_back = cancel_queued(session, "consent_withdrawn", household_id=gate.household_id, telling_only=True)
        session.commit()
    assert called_back.messages == 2
    assert {one: world.delivery(ids[one]).state for one in events} == {
        "survey.asked": "cancelled",
        "notice.created": "cancelled",
        "notice.cancelled": "scheduled",
        "link.created": "scheduled",
    }
