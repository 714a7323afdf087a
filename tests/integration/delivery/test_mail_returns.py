"""What comes back by mail, from a real relay's answer to the next channel."""

import datetime as dt

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.delivery import returned
from app.delivery.channels.mail_reports import Kind
from app.delivery.mail_setup import return_paths
from app.delivery.outbox import Gate, Lane
from app.delivery.tables import Delivery
from app.households.contacts import confirm, new_contact, start_confirmation
from app.households.tables import ContactPoint, Household
from app.matching.sweep import drain
from app.notices.announce import announce, release_due
from app.platform import clock
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.errors import Misconfigured
from app.platform.settings import settings
from app.safeguards.mail_reports import StillSending, take_mail_report
from tests.fixtures.bounces import a_complaint, a_delivery_report, a_mail
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.delivery.conftest import LINE_USER, wait_for

NEWBORN = a_household(children=[a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False})
ADDRESS, OTHER = "family@home.example", "other@home.example"


@pytest.fixture
def mailing(world, monkeypatch):
    """The world with a return address."""
    monkeypatch.setenv("TODOKE_EMAIL__RETURN_ADDRESS", "bounces@todoke.example")
    monkeypatch.setenv("TODOKE_PUBLIC_URL", "https://todoke.example")
    settings.cache_clear()
    return world


@pytest.fixture
def written_to(mailing):
    """A family with one address and a mail to it that the relay has taken."""
    gate = mailing.household()
    with owner_session() as session:
        contact = new_contact(session.get_one(Household, gate.household_id), "g1", "email", ADDRESS)
        contact.confirmed_at = clock.now()
        session.add(contact)
        session.commit()
    sent_to(mailing, gate.household_id, 1)
    return gate.household_id


@pytest.fixture
def told(published_registry, mailing):
    """A family with a notice by mail that the relay has taken, and LINE as its next channel."""
    household_id = enrolled(NEWBORN, contacts=(("email", ADDRESS), ("line", LINE_USER)))
    drain()
    announce()
    deliver(mailing)
    assert [(row.channel, row.state) for row in deliveries(household_id)] == [("email", "accepted")]
    return household_id


def deliver(world):
    world.dispatcher().run_window()
    wait_for(lambda: not {"scheduled", "sending"} & set(world.states()), what="everything sent and recorded")


def deliveries(household_id, **wanted):
    with owner_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.household_id == household_id).order_by(Delivery.id)).all()
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def contact_of(household_id, kind="email") -> ContactPoint:
    with owner_session() as session:
        query = select(ContactPoint).where(ContactPoint.household_id == household_id, ContactPoint.kind == kind)
        return session.exec(query).one()


def way_back(world, number=-1) -> str:
    return world.outside.mail_sink.mails[number].sender


def plan_again():
    drain()
    announce()
    release_due()


def test_a_hard_bounce_ends_the_address_and_the_next_channel_takes_over(mailing, told):
    (mail,) = deliveries(told)
    report = take_mail_report(a_delivery_report(way_back(mailing), "5.1.1", "550 5.1.1 <family@home.example> unknown"))
    assert (report.kind, report.delivery_id, report.status) == (Kind.HARD, mail.id, "5.1.1")
    assert "family@" not in report.wording
    assert (contact_of(told).suspended_reason, contact_of(told, "line").suspended_at) == ("bounced_5.1.1", None)
    plan_again()
    deliver(mailing)
    assert [(row.channel, row.state, row.last_error) for row in deliveries(told)] == [
        ("email", "failed", "bounced_5.1.1"), ("line", "accepted", None),
    ]  # fmt: skip
    assert [(row.outcome, row.error) for row in mailing.attempts(mail.id)] == [
        ("accepted", None), ("undeliverable", "bounced_5.1.1"),
    ]  # fmt: skip
    assert len(mailing.outside.mail_sink.mails) == 1, "it was not sent twice"


def test_a_report_read_twice_changes_nothing(mailing, told):
    raw = a_delivery_report(way_back(mailing), "5.1.1")
    take_mail_report(raw)
    plan_again()
    take_mail_report(raw)
    plan_again()
    assert [(row.channel, row.state) for row in deliveries(told)] == [("email", "failed"), ("line", "scheduled")]
    assert len(mailing.attempts(deliveries(told)[0].id)) == 2


@pytest.mark.parametrize(
    "forged",
    [
        "bounces@todoke.example",
        "bounces+" + "a" * 40 + "@todoke.example",
        "oshirase@todoke.example",
    ],
)
def test_nobody_can_make_up_a_bounce(written_to, forged):
    assert take_mail_report(a_delivery_report(forged, "5.1.1")).delivery_id is None
    assert contact_of(written_to).suspended_at is None


def test_a_token_of_another_delivery_does_not_fit_this_one(mailing, written_to):
    token = way_back(mailing)
    for position in (10, 20, 40):
        changed = token[:position] + ("a" if token[position] != "a" else "b") + token[position + 1 :]
        assert take_mail_report(a_delivery_report(changed, "5.1.1")).delivery_id is None


def test_policy_is_ours_to_mend_and_says_nothing_against_the_family(mailing, written_to, caplog):
    take_mail_report(a_delivery_report(way_back(mailing), "5.7.26", "550 5.7.26 unauthenticated mail"))
    assert contact_of(written_to).suspended_at is None
    assert deliveries(written_to)[0].last_error == "bounced_policy_5.7.26"
    assert [record.levelname for record in caplog.records if "policy" in record.getMessage()] == ["ERROR"]
    with worker_session() as session:
        figures = returned.figures(session, clock.real_now() - dt.timedelta(days=1))
    assert (figures.taken, figures.policy, figures.hard, figures.troubles()) == (1, 1, 0, ["policy"])


def test_a_delay_is_no_bounce(mailing, written_to):
    report = take_mail_report(a_delivery_report(way_back(mailing), "4.4.1", action="delayed"))
    assert report.kind is Kind.DELAYED
    assert deliveries(written_to)[0].state == "accepted"


def sent_to(world, household_id, count):
    """Send that many more mails to the family's address; return their ways back, oldest first."""
    contact, paths = contact_of(household_id), return_paths()
    gate = world_gate(household_id)
    ids = []
    for _ in range(count):
        (row,) = world.enqueue(
            world.mail(gate, address=ADDRESS, contact_point_id=contact.id, contact_confirmed_at=contact.confirmed_at)
        )
        ids.append(row)
    deliver(world)
    return [paths.path(row) for row in ids]


def world_gate(household_id):
    return Gate(household_id=household_id, municipality_code="131121", consent_epoch=0)


def test_three_soft_bounces_in_a_row_end_the_address(mailing, written_to):
    first = way_back(mailing)
    second, third = sent_to(mailing, written_to, 2)
    for path in (first, second):
        take_mail_report(a_delivery_report(path, "4.2.2", "452 4.2.2 mailbox full"))
        assert contact_of(written_to).suspended_at is None
    take_mail_report(a_delivery_report(third, "5.2.2", "552 5.2.2 mailbox full"))
    assert contact_of(written_to).suspended_reason == "bounced_soft_5.2.2"


def test_a_mail_that_stayed_away_breaks_the_row(mailing, written_to):
    first = way_back(mailing)
    second, _arrived, fourth = sent_to(mailing, written_to, 3)
    for path in (first, second, fourth):
        take_mail_report(a_delivery_report(path, "4.2.2"))
    assert contact_of(written_to).suspended_at is None


def test_a_complaint_stops_the_address_at_once_and_what_is_queued_for_it(mailing, written_to):
    contact = contact_of(written_to)
    queued = mailing.enqueue(mailing.mail(world_gate(written_to), address=ADDRESS, contact_point_id=contact.id))
    report = take_mail_report(a_complaint(way_back(mailing)))
    assert report.kind is Kind.COMPLAINT
    assert contact_of(written_to).suspended_reason == "complaint"
    assert mailing.states(queued) == ["cancelled"]
    (mail, _) = deliveries(written_to)
    assert mail.state == "accepted", "it did arrive"
    with worker_session() as session:
        figures = returned.figures(session, clock.real_now() - dt.timedelta(days=1))
    assert (figures.complaint, figures.troubles()) == (1, ["complaint"])


def test_a_mail_to_the_unsubscribe_address_stops_it(mailing, written_to):
    raw = a_mail(way_back(mailing), sender=ADDRESS, subject="unsubscribe")
    assert take_mail_report(raw).kind is Kind.UNSUBSCRIBE
    assert contact_of(written_to).suspended_reason == "unsubscribed"


def test_an_automatic_answer_means_nothing(mailing, written_to):
    raw = a_mail(way_back(mailing), sender=ADDRESS, subject="自動返信", extra="Auto-Submitted: auto-replied\r\n")
    assert take_mail_report(raw).kind is Kind.NOTHING
    assert contact_of(written_to).suspended_at is None


def test_who_has_confirmed_the_address_since_keeps_it(mailing, written_to):
    contact = contact_of(written_to)
    mailing.pass_time(minutes=5)
    with app_session(Context(household=written_to)) as session:
        code = start_confirmation(session, session.get_one(ContactPoint, contact.id), "browser")
        session.commit()
    with app_session(Context(household=written_to)) as session:
        assert confirm(session, contact.id, code, "browser")
        session.commit()
    take_mail_report(a_delivery_report(way_back(mailing), "5.1.1"))
    assert contact_of(written_to).suspended_at is None
    assert deliveries(written_to)[0].state == "failed"


def test_a_report_that_overtakes_our_own_record_waits(mailing, written_to):
    (mail,) = deliveries(written_to)
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'sending' WHERE id = :id"), {"id": mail.id})
        session.commit()
    with pytest.raises(StillSending):
        take_mail_report(a_delivery_report(way_back(mailing), "5.1.1"))
    assert contact_of(written_to).suspended_at is None


def test_mail_about_no_family_is_only_written_down(mailing):
    (row,) = mailing.enqueue(mailing.mail(None, lane=Lane.TRANSACTIONAL))
    deliver(mailing)
    take_mail_report(a_delivery_report(way_back(mailing), "5.1.1"))
    assert mailing.delivery(row).last_error == "bounced_5.1.1"


def test_without_a_return_address_nothing_is_read(world):
    with pytest.raises(Misconfigured, match="RETURN_ADDRESS"):
        take_mail_report(b"")
