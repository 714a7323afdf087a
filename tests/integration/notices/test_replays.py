"""Replays: an endpoint hears what it was never told, and never what no longer holds."""

import datetime as dt
import json

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.delivery.outbox import KEY_GIVEN_AWAY, content_of
from app.delivery.recovery import ask_for_replay, recover
from app.delivery.tables import Delivery, EndpointReplay
from app.households import outcomes
from app.matching.sweep import drain
from app.notices.announce import announce
from app.notices.replays import work_off
from app.partners.endpoints import disable_endpoint, edit_endpoint, endpoint_by_id, register_endpoint
from app.platform import clock
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.errors import Conflict, InvalidInput
from app.platform.settings import settings
from app.safeguards import protection, withdrawal
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled

FAMILY = a_household(
    children=[a_child("2023-11-02"), a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False}
)


@pytest.fixture
def world(published_registry, monkeypatch):
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    return published_registry


@pytest.fixture
def told(world):
    """A family that was told in the morning, its app, and a second endpoint that was added afterwards."""
    household_id = enrolled(FAMILY)
    partner_id, *_ = a_linked_app(household_id, "http://127.0.0.1:9/first")
    drain()
    announce()
    with app_session(Context(partner=partner_id)) as session:
        endpoint = register_endpoint(session, partner_id, "http://127.0.0.1:9/second").endpoint
        session.commit()
    return household_id, partner_id, endpoint.id


def replayed(partner_id, endpoint_id, **since):
    with app_session(Context(partner=partner_id)) as session:
        endpoint = endpoint_by_id(session, partner_id, endpoint_id)
        now = clock.now()
        ask_for_replay(
            session, endpoint, since=now - dt.timedelta(**(since or {"hours": 2})), at=clock.real_now(), now=now
        )
        session.commit()
    (done,) = work_off()
    return done


def events_for(endpoint_id):
    with owner_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.endpoint_id == endpoint_id)).all()
    return {
        (row.event_type, row.event_id, json.dumps(json.loads(content_of(row.id, row.message_sealed)["body"])["data"]))
        for row in rows
    }


def types_for(endpoint_id):
    return sorted(event_type for event_type, *_ in events_for(endpoint_id))


def test_an_endpoint_added_later_hears_the_same_events_once(told):
    _household_id, partner_id, endpoint_id = told
    done = replayed(partner_id, endpoint_id)
    assert (done.outcome, done.households, done.queued) == ("complete", 1, 2)
    assert types_for(endpoint_id) == ["link.created", "notice.created"]
    with owner_session() as session:
        (first,) = session.execute(
            text("SELECT id FROM partner_endpoints WHERE id <> :id"), {"id": endpoint_id}
        ).scalars()
    assert events_for(endpoint_id) == events_for(first)
    assert replayed(partner_id, endpoint_id).queued == 0
    assert replayed(partner_id, first).queued == 0


def test_types_that_are_widened_later_are_told_then(told):
    _household_id, partner_id, endpoint_id = told
    with app_session(Context(partner=partner_id)) as session:
        edit_endpoint(session, endpoint_by_id(session, partner_id, endpoint_id), event_types=["link.created"])
        session.commit()
    assert replayed(partner_id, endpoint_id).queued == 1
    with app_session(Context(partner=partner_id)) as session:
        edit_endpoint(session, endpoint_by_id(session, partner_id, endpoint_id), event_types=["notice.created"])
        session.commit()
    assert replayed(partner_id, endpoint_id).queued == 1
    assert types_for(endpoint_id) == ["link.created", "notice.created"]


def test_an_end_that_a_disabled_endpoint_missed_is_told_and_what_it_never_knew_is_not(told):
    household_id, partner_id, endpoint_id = told
    assert replayed(partner_id, endpoint_id).queued == 2
    with owner_session() as session:
        session.execute(text("UPDATE notices SET state = 'cancelled'"))
        session.commit()
    done = replayed(partner_id, endpoint_id)
    assert done.queued == 1
    assert types_for(endpoint_id) == ["link.created", "notice.cancelled", "notice.created"]
    assert replayed(partner_id, endpoint_id).queued == 0
    with app_session(Context(partner=partner_id)) as session:
        newest = register_endpoint(session, partner_id, "http://127.0.0.1:9/third").endpoint.id
        session.commit()
    assert replayed(partner_id, newest).queued == 1
    assert types_for(newest) == ["link.created"]


def test_what_was_recovered_is_not_replayed_as_well(told):
    _household_id, partner_id, endpoint_id = told
    assert replayed(partner_id, endpoint_id).queued == 2
    before = events_for(endpoint_id)
    with app_session(Context(partner=partner_id)) as session:
        endpoint = endpoint_by_id(session, partner_id, endpoint_id)
        disable_endpoint(session, endpoint, at=clock.now())
        session.commit()
    with owner_session() as session:  # as the claim does what nobody takes any more
        session.execute(
            text(
                "UPDATE deliveries SET state = 'cancelled', last_error = 'endpoint_disabled', finished_at = now(),"
                f" {KEY_GIVEN_AWAY} WHERE endpoint_id = :id"
            ),
            {"id": endpoint_id},
        )
        session.execute(text("UPDATE partner_endpoints SET disabled_at = NULL WHERE id = :id"), {"id": endpoint_id})
        session.commit()
    with app_session(Context(partner=partner_id)) as session:
        endpoint, at = endpoint_by_id(session, partner_id, endpoint_id), clock.real_now()
        assert recover(session, endpoint, since=at - dt.timedelta(hours=1), at=at, now=clock.now()).queued == 2
        session.commit()
    assert replayed(partner_id, endpoint_id).queued == 0
    assert events_for(endpoint_id) == before
    with owner_session() as session:
        assert len(session.exec(select(Delivery).where(Delivery.endpoint_id == endpoint_id)).all()) == len(before)


@pytest.mark.parametrize("how", ["withdrawn", "protected", "before"])
def test_what_may_not_be_told_is_not_replayed(told, how):
    household_id, partner_id, endpoint_id = told
    since = {}
    if how == "withdrawn":
        withdrawal.withdraw(household_id, None, by="guardian:g1")
    elif how == "protected":
        protection.protect(household_id, by="guardian:g1")
    else:
        clock.shift_to(clock.now() + dt.timedelta(days=3))
        since = {"days": 2}
    assert replayed(partner_id, endpoint_id, **since).queued == 0
    assert set(types_for(endpoint_id)) <= {"link.revoked"}


def test_a_family_that_is_being_evaluated_is_waited_for(told):
    household_id, partner_id, endpoint_id = told
    with app_session(Context(household=household_id)) as session:
        outcomes.record_outcome(
            session, household_id, "000000/child-allowance", "child:c1", "applied", by="guardian:g1"
        )
        session.commit()
    with owner_session() as session:
        session.execute(
            text(
                "INSERT INTO changes (household_id, municipality_code, reader, reason)"
                " SELECT id, municipality_code, 'matching', 'profile' FROM households"
            )
        )
        session.commit()
    waiting = replayed(partner_id, endpoint_id)
    assert (waiting.outcome, waiting.finished_at, waiting.queued) == ("postponed", None, 0)
    assert work_off() == []  # not again within five minutes
    drain()
    announce()
    with owner_session() as session:
        session.execute(text("UPDATE endpoint_replays SET worked_at = worked_at - interval '6 minutes'"))
        session.commit()
    (done,) = work_off()
    assert done.outcome == "complete"
    assert done.queued >= 2


def test_a_replay_is_bounded_and_ends_with_its_endpoint(told, monkeypatch):
    _household_id, partner_id, endpoint_id = told
    monkeypatch.setattr("app.notices.replays.MOST_AT_ONCE", 1)
    done = replayed(partner_id, endpoint_id)
    assert (done.outcome, done.queued) == ("limit_reached", 1)
    with app_session(Context(partner=partner_id)) as session:
        endpoint = endpoint_by_id(session, partner_id, endpoint_id)
        now = clock.now()
        with pytest.raises(InvalidInput, match="since: found"):
            ask_for_replay(session, endpoint, since=now - dt.timedelta(days=15), at=now, now=now)
        first = ask_for_replay(session, endpoint, since=now, at=now, now=now)
        assert ask_for_replay(session, endpoint, since=now, at=now, now=now).id == first.id
        with pytest.raises(Conflict, match="under way"):
            ask_for_replay(session, endpoint, since=now - dt.timedelta(hours=1), at=now, now=now)
        disable_endpoint(session, endpoint, at=now)
        session.commit()
    (done,) = work_off()
    assert done.outcome == "endpoint_disabled"
    with worker_session() as session:
        assert session.get(EndpointReplay, first.id).finished_at is not None
