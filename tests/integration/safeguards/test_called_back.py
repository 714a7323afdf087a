"""What is called back comes back: by another channel, in other words, or as the same event; what ends, always arrives."""

import datetime as dt

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.delivery import returned
from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.channels.mail_reports import Kind, Report
from app.delivery.claim import Request, claim
from app.delivery.outbox import Gate, WebhookMessage, enqueue_all
from app.delivery.record import Finished, give_back, record
from app.delivery.tables import Delivery
from app.households.tables import ContactPoint, Household
from app.matching.sweep import drain
from app.notices.announce import announce, release_due
from app.notices.tables import Notice
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.change_queue import rights_changed
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.settings import settings
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.moving import move
from app.safeguards.protection import protect
from app.safeguards.withdrawal import stop_contact, withdraw
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled

FAMILY = a_household(children=[a_child("2026-11-10")], facts={"single_parent": False, "public_assistance": False})
LINE_USER = "U" + "0123456789abcdef" * 2
MAIL, LINE = ("email", "family@home.example"), ("line", LINE_USER)


def told(contacts=(MAIL,), apps=0):
    household_id = enrolled(FAMILY, contacts=contacts)
    partners = [a_linked_app(household_id, f"http://127.0.0.1:9/{number}")[0] for number in range(apps)]
    drain()
    announce()
    return household_id, partners


@pytest.fixture(autouse=True)
def registry(published_registry, monkeypatch):
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])


def deliveries(household_id, **wanted):
    with owner_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.household_id == household_id).order_by(Delivery.id)).all()
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def live(household_id, **wanted):
    return [row for row in deliveries(household_id, **wanted) if row.state not in ("cancelled", "failed")]


def claim_now():
    with worker_session() as session:
        rows = claim(session, clock.now(), Request(free={"webhook": 50, "email": 50, "line": 50}))
        session.commit()
    return rows


def finish(claimed, outcome, error):
    with worker_session() as session:
        result = AttemptResult(outcome=outcome, duration_seconds=0.1, error=error)
        ended = [Finished(claimed=one, result=result, started_at=clock.real_now()) for one in claimed]
        recorded = record(session, ended, clock.now())
        session.commit()
    return recorded


def fails(claimed):
    assert finish(claimed, Outcome.RETRY, "connect").turned_away_in == {"131121"}  # the announcer is rung for


def is_refused(claimed):
    finish(claimed, Outcome.UNDELIVERABLE, "smtp_5.1.1")


def is_given_back(claimed):
    with worker_session() as session:
        give_back(session, claimed)
        session.commit()
    assert claim_now() == []


def is_lost_with_its_worker(claimed):
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET lease_until = now() WHERE state = 'sending'"))
        session.commit()
    assert claim_now() == []


@pytest.mark.parametrize("ends", [fails, is_refused, is_given_back, is_lost_with_its_worker])
def test_a_push_called_back_while_under_way_takes_the_next_channel_if_it_does_not_arrive(ends):
    household_id, _ = told((MAIL, LINE))
    (under_way,) = claim_now()
    with app_session(Context(household=household_id)) as session:
        session.exec(select(Household).where(Household.id == household_id).with_for_update()).one()
        stop_contact(session, household_id, under_way.contact_point_id, "unsubscribed")
        session.commit()
    ends([under_way])
    announce()
    release_due()
    (again,) = live(household_id)
    assert again.channel == "line" and again.notice_ids == deliveries(household_id)[0].notice_ids
    announce()
    release_due()
    assert len(deliveries(household_id)) == 2  # told once


def test_after_a_withdrawal_of_everything_what_was_under_way_is_not_told_again():
    household_id, _ = told()
    under_way = claim_now()
    with worker_session() as session:
        session.execute(text("UPDATE deliveries SET lease_until = now()"))  # so that nobody waits for the answer
        session.commit()
    withdraw(household_id, None, by="guardian:g1")
    fails(under_way)
    announce()
    release_due()
    assert live(household_id) == []
    with owner_session() as session:
        assert "released" in session.exec(select(Notice.state).where(Notice.household_id == household_id)).all()


def bounces_at_the_relay(household_id):
    is_refused(claim_now())


def comes_back_later(household_id):
    finish(claim_now(), Outcome.ACCEPTED, None)
    with worker_session(Context(municipality="131121")) as session:
        sent = session.exec(select(Delivery).where(Delivery.household_id == household_id)).one()
        report = Report(kind=Kind.HARD, delivery_id=sent.id, status="5.1.1")
        returned.mark_failed(session, sent, report, clock.real_now(), for_good=True)
        session.commit()


@pytest.mark.parametrize("fails_for_good", [bounces_at_the_relay, comes_back_later])
def test_an_address_that_refused_and_was_confirmed_again_hears_what_it_missed(fails_for_good):
    household_id, _ = told()
    fails_for_good(household_id)
    announce()
    with owner_session() as session:
        contact = session.exec(select(ContactPoint).where(ContactPoint.household_id == household_id)).one()
        contact.suspended_at = contact.suspended_reason = None
        contact.confirmed_at = clock.now()
        session.add(contact)
        rights_changed(session, household_id, "131121")
        session.commit()
    announce()
    failed, again = deliveries(household_id)
    assert (failed.state, again.state) == ("failed", "scheduled")
    assert again.notice_ids == failed.notice_ids and failed.dedupe_key == f"{again.dedupe_key}:{failed.id}"


def test_ending_one_app_takes_nothing_from_another_nor_from_the_family():
    household_id, (first, second) = told(apps=2)
    before = {row.id for row in live(household_id) if row.partner_id != first}
    withdraw(household_id, ["share:partner"], by="guardian:g1", partner_id=first)
    assert {row.state for row in deliveries(household_id, partner_id=first)} == {"cancelled"}
    assert {row.id for row in live(household_id)} == before
    drain()  # what was under the old consent goes under the new one
    assert before <= {row.id for row in claim_now()}
    assert [row.event_type for row in deliveries(household_id, partner_id=second)][:1] == ["link.created"]


def an_end(household_id, partner_id, event_type):
    """Queue the end of a notice about the child, as planning does it."""
    with owner_session() as session:
        household = session.get_one(Household, household_id)
        endpoint = session.exec(select(PartnerEndpoint).where(PartnerEndpoint.partner_id == partner_id)).one()
        gate = Gate(
            household_id=household_id,
            municipality_code=household.municipality_code,
            consent_epoch=household.consent_epoch,
        )
        (end,) = enqueue_all(
            session,
            [
                WebhookMessage(
                    dedupe_key=f"{event_type}:1", event_id="evt_end", event_type=event_type, due_at=clock.now(),
                    gate=gate, partner_id=partner_id, endpoint_id=endpoint.id, body="{}",
                )
            ],
        )  # fmt: skip
        session.commit()
    return end


@pytest.mark.parametrize(
    "happens",
    [
        lambda household_id: withdraw(household_id, ["matching:income"], by="guardian:g1"),
        lambda household_id: move(household_id, "131130", clock.today(), by="guardian:g1"),
        lambda household_id: stop_pushes_about(household_id, "child:c1", reason="death", by="guardian:g1"),
    ],
)
@pytest.mark.parametrize("event_type", ["notice.cancelled", "notice.expired"])
def test_what_ends_or_begins_something_arrives_whatever_happens_to_the_family(happens, event_type):
    household_id, (partner_id,) = told(apps=1)
    end = an_end(household_id, partner_id, event_type)
    (begun,) = [row.id for row in live(household_id) if row.event_type == "link.created"]
    happens(household_id)
    assert {end, begun} <= {row.id for row in claim_now()}


def test_under_protection_not_even_an_end_goes_out():
    household_id, (partner_id,) = told(apps=1)
    an_end(household_id, partner_id, "notice.cancelled")
    protect(household_id, by="staff:1")
    assert live(household_id) == [] and claim_now() == []


def test_the_end_of_a_notice_about_somebody_who_died_leaves_the_screens():
    """The event is made after the stop; nothing in it is about the person any more."""
    household_id, _ = told(apps=1)
    finish(claim_now(), Outcome.DELIVERED, None)
    stop_pushes_about(household_id, "child:c1", reason="death", by="guardian:g1")
    with owner_session() as session:
        for notice in session.exec(select(Notice).where(Notice.state == "released")):
            notice.expires_at = clock.now() - dt.timedelta(minutes=1)
            session.add(notice)
        session.commit()
    drain()
    release_due()
    ends = live(household_id, event_type="notice.expired")
    assert ends and {row.id for row in ends} <= {row.id for row in claim_now()}
