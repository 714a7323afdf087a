"""Withdrawal, protection, bereavement, confirmation: what may never happen."""

import datetime as dt
import json
import re

import pytest
from sqlmodel import select

from app.accounts.sign_in import create_link, find_actor, find_link, open_session
from app.delivery.outbox import content_of
from app.delivery.tables import Delivery, DeliveryAttempt
from app.faces.parent.questions import open_questions
from app.households import consent, contacts
from app.households.profiles import read_document, save_document
from app.households.tables import ContactPoint, Household
from app.matching.sweep import drain
from app.matching.tables import Entitlement
from app.notices import inbox
from app.notices.announce import announce, release_due
from app.notices.tables import Notice
from app.partners.links import live_links_of_household
from app.platform import clock
from app.platform.change_queue import rights_changed
from app.platform.database import Context, app_session, owner_session
from app.platform.errors import NotFound
from app.platform.settings import settings
from app.registry.versions import published_now
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.confirmation import send_code, tell_what_protection_held_back
from app.safeguards.protection import protect
from app.safeguards.withdrawal import unsubscribe, withdraw
from tests.conftest import DEMO_DAY
from tests.fixtures.factories import EVERYTHING, a_child, a_household, a_linked_app, enrolled

NEWBORN = a_household(children=[a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False})
ALLOWANCE = "000000/child-rearing-allowance"


@pytest.fixture
def told(published_registry, monkeypatch):
    """A household with an app, an e-mail address and queued messages on both."""
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    household_id = enrolled(NEWBORN)
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    drain()
    announce()
    assert {row.state for row in deliveries(household_id)} == {"scheduled"}
    assert events_about_links() == ["link.created scheduled"]
    return household_id


def deliveries(household_id, **wanted):
    with owner_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.household_id == household_id).order_by(Delivery.id)).all()
    rows = [row for row in rows if not row.event_type.startswith("link.")]
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def events_about_links():
    with owner_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.event_type.startswith("link.")).order_by(Delivery.id))
        return [f"{row.event_type} {row.state}" for row in rows]


def test_withdrawal_cancels_what_is_queued_and_ends_the_app_link(told):
    assert withdraw(told, None, by="guardian:g1") is True
    assert {(row.channel, row.state, row.last_error) for row in deliveries(told)} == {
        ("email", "cancelled", "consent_withdrawn"), ("webhook", "cancelled", "consent_withdrawn"),
    }  # fmt: skip
    with app_session(Context(household=told)) as session:
        assert live_links_of_household(session, told) == []
        assert session.get_one(Household, told).consent_epoch == 1
        assert {row.state for row in consent.current(session, told).values()} == {"withdrawn"}
    assert events_about_links() == ["link.created cancelled", "link.revoked scheduled"]
    with owner_session() as session:
        states = {row.state for row in session.exec(select(Notice).where(Notice.household_id == told))}
    assert "planned" not in states


def test_withdrawing_one_channel_lets_the_other_go_on(told):
    withdraw(told, ["channel:email"], by="guardian:g1")
    drain()
    announce()
    release_due()
    live = deliveries(told, state="scheduled")
    assert [row.channel for row in live] == ["webhook"]
    assert live[0].consent_epoch == 1
    cancelled = deliveries(told, channel="webhook", state="cancelled")
    assert live[0].event_id == cancelled[0].event_id  # the same event, so the app can tell


def test_consent_given_again_is_heard_again(told):
    withdraw(told, None, by="guardian:g1")
    drain()
    with app_session(Context(household=told)) as session:
        consent.give(session, told, EVERYTHING, language="ja", by="guardian:g1", source="web")
        session.commit()
    drain()
    announce()
    with owner_session() as session:
        planned = session.exec(select(Notice).where(Notice.household_id == told, Notice.state == "planned")).all()
    assert {notice.kind for notice in planned} == {"deadline_reminder"}


def test_protection_silences_everyone_known_before_and_keeps_the_inbox(told):
    with app_session(Context(household=told)) as session:
        token = open_session(session, household_id=told, guardian="g1")
        session.commit()
    protect(told, by="staff:1")
    assert {row.state for row in deliveries(told)} == {"cancelled"}
    with app_session() as session:
        assert find_actor(session, token) is None
    with app_session(Context(household=told)) as session:
        assert live_links_of_household(session, told) == []
        assert len(inbox.all_notices(session, told)) >= 3
    assert events_about_links() == ["link.created cancelled"]  # not even the end of the link shows


def test_under_protection_only_a_newly_confirmed_contact_hears_and_only_neutral_words(told):
    protect(told, by="staff:1")
    with app_session(Context(household=told)) as session:
        contact = contacts.add_email(session, told, "g1", "new@home.example")
        contact.confirmed_at = clock.now()
        session.add(contact)
        session.commit()
    clock.shift_to(clock.at_japan_time(clock.today().replace(day=30), 10))
    release_due()
    (push,) = deliveries(told, state="scheduled")
    message = content_of(push.id, push.message_sealed)
    assert push.contact_point_id == contact.id
    for word in ("児童手当", "出生届", "世田谷", "2026年11月"):
        assert word not in message["subject"] + message["text"] + message["html"]


def test_what_protection_called_back_is_told_to_the_first_contact_confirmed_after_it(told):
    protect(told, by="staff:1")
    with app_session(Context(household=told)) as session:
        contact = contacts.add_email(session, told, "g1", "new@home.example")
        contact.confirmed_at = clock.now()
        session.add(contact)
        tell_what_protection_held_back(session, told)
        session.commit()
    release_due()
    (push,) = deliveries(told, state="scheduled")
    assert push.contact_point_id == contact.id
    assert "児童手当" not in content_of(push.id, push.message_sealed)["text"]


def test_ending_one_app_leaves_the_other_and_the_mail(told):
    partner_id, _, _ = a_linked_app(told, "http://127.0.0.1:9/other")
    assert withdraw(told, ["share:partner"], by="guardian:g2", partner_id=partner_id) is True
    drain()
    announce()
    release_due()
    with app_session(Context(household=told)) as session:
        assert len(live_links_of_household(session, told)) == 1
        assert consent.current(session, told, str(partner_id))["share:partner"].state == "withdrawn"
    assert {row.channel for row in deliveries(told, state="scheduled")} == {"email", "webhook"}
    assert not [row for row in deliveries(told, state="scheduled") if row.partner_id == partner_id]


def test_nobody_writes_to_a_guardian_who_died_and_nothing_of_the_children_stops(told):
    with app_session(Context(household=told)) as session:
        token = open_session(session, household_id=told, guardian="g1")
        session.commit()
    stop_pushes_about(told, "guardian:g1", reason="death", by="staff:1")
    drain()  # what the death overturned is looked at before anything is released
    release_due()
    with app_session() as session:
        assert find_actor(session, token) is None
    assert deliveries(told, channel="email", state="scheduled") == []
    assert deliveries(told, channel="webhook", state="scheduled")
    with app_session(Context(household=told)) as session:
        assert inbox.all_notices(session, told)


def test_what_a_guardians_death_opens_is_stored_and_readable_and_asked_by_no_message(published_registry):
    family = {**NEWBORN, "guardians": [{"id": "g1"}, {"id": "g2"}]}
    household_id, unharmed = enrolled(family), enrolled(family)
    drain()
    announce()
    assert not rights_of(household_id, ALLOWANCE)
    stop_pushes_about(household_id, "guardian:g2", reason="death", by="guardian:g1")
    for days in (0, 1, 20, 40):
        clock.shift_to(clock.at_japan_time(DEMO_DAY + dt.timedelta(days=days), 12))
        drain()
        announce()
        release_due()
    with app_session(Context(household=household_id)) as session:
        document = read_document(session, household_id).document
        assert "single_parent" not in document["facts"], "unknown, and not its opposite"
        assert document["facts"]["public_assistance"] is False
        actor = find_actor(session, open_session(session, household_id=household_id, guardian="g1"))
        asked = open_questions(session, actor, published_now(session).registry, document)
    (right,) = rights_of(household_id, ALLOWANCE)
    assert (right.verdict, right.subject) == ("undetermined", "child:c1")
    assert "児童扶養手当" in {name for one in asked for name in one.decides}, "readable on the family's own page"
    assert keys_of(household_id) == keys_of(unharmed), "no message says or asks what the death opens"

    with app_session(Context(household=household_id)) as session:
        row = read_document(session, household_id)
        answered = {**row.document, "facts": {**row.document["facts"], "single_parent": True}}
        save_document(session, household_id, answered, expected_version=row.version, source="parent", by="guardian:g1")
        session.commit()
    clock.shift_to(clock.at_japan_time(DEMO_DAY + dt.timedelta(days=60), 12))
    drain()
    announce()
    missing = {one["fact"] for right in rights_of(household_id, ALLOWANCE) for one in right.answer["missing"]}
    assert missing and "household.single_parent" not in missing, "what the family answers is matched as ever"
    assert keys_of(household_id) - keys_of(unharmed)


def test_a_question_that_waits_when_a_guardian_dies_is_never_sent(published_registry):
    household_id = enrolled({**NEWBORN, "facts": {"public_assistance": False}, "guardians": [{"id": "g1"}, {"id": "g2"}]})
    drain()
    announce()
    (question,) = [one for one in notices_of(household_id) if one.kind == "question"]
    assert question.content["fact"] == "household.single_parent"
    stop_pushes_about(household_id, "guardian:g2", reason="death", by="guardian:g1")
    clock.shift_to(clock.at_japan_time(DEMO_DAY + dt.timedelta(days=1), 12))
    drain()
    announce()
    release_due()
    sent = {one for row in deliveries(household_id) if row.state != "cancelled" for one in row.notice_ids}
    assert question.id not in sent
    (after,) = [one for one in notices_of(household_id) if one.kind == "question"]
    assert (after.state, after.closed_reason) == ("cancelled", "stopped")


def rights_of(household_id, programme):
    with owner_session() as session:
        mine = Entitlement.household_id == household_id, Entitlement.programme_key == programme
        return session.exec(select(Entitlement).where(*mine)).all()


def keys_of(household_id):
    return {(one.kind, one.programme_key, one.subject, one.occasion) for one in notices_of(household_id)}


def notices_of(household_id):
    with owner_session() as session:
        return session.exec(select(Notice).where(Notice.household_id == household_id)).all()


def test_a_loss_stops_every_push_about_that_child_and_no_other(published_registry):
    facts = {"single_parent": False, "public_assistance": False}
    household_id = enrolled(a_household(children=[a_child("2020-06-01"), a_child("2026-11-21")], facts=facts))
    drain()
    announce()
    stop_pushes_about(household_id, "child:c2", reason="death", by="guardian:g1")
    assert {row.state for row in deliveries(household_id)} == {"cancelled"}
    with owner_session() as session:
        planned = session.exec(
            select(Notice).where(Notice.household_id == household_id, Notice.state == "planned")
        ).all()
    assert not [notice for notice in planned if notice.subject == "child:c2" and notice.kind == "deadline_reminder"]
    release_due()
    (push,) = deliveries(household_id, state="scheduled")
    text = content_of(push.id, push.message_sealed)["text"]
    assert "2020年6月生まれ" in text and "2026年11月生まれ" not in text
    assert push.subjects == ["child:c1"]
    with app_session(Context(household=household_id)) as session:
        assert all(
            card.subject_text != "2026年11月生まれのお子さん" for card in inbox.all_notices(session, household_id)
        )
        assert session.get_one(Household, household_id).stopped_subjects == ["child:c2"]
        aside = inbox.quiet_notices(session, household_id)
        assert aside
        for card in aside:
            assert inbox.read_notice(session, household_id, card.notice_id, clock.now()).card.subject_text


def test_unsubscribing_by_one_click_stops_the_address_and_doing_it_twice_is_harmless(told):
    (mail,) = deliveries(told, channel="email")
    url = content_of(mail.id, mail.message_sealed)["unsubscribe_url"]
    token = url.rsplit("/", 1)[1]
    assert re.fullmatch(r"[A-Za-z0-9_-]{60,}", token)
    unsubscribe(token)
    unsubscribe(token)
    assert deliveries(told, channel="email")[0].state == "cancelled"
    with app_session(Context(household=told)) as session:
        assert session.exec(select(ContactPoint)).one().suspended_reason == "unsubscribed"
    drain()
    announce()
    release_due()
    assert deliveries(told, channel="email", state="scheduled") == []
    assert deliveries(told, channel="webhook", state="scheduled")
    with pytest.raises(NotFound):
        unsubscribe(token[:-3] + "xxx")


def test_a_confirmation_code_goes_only_to_its_address_and_stands_nowhere_in_the_clear(told):
    with app_session(Context(household=told)) as session:
        contact = contacts.add_email(session, told, "g1", "second@home.example")
        send_code(session, contact, "browser")
        session.commit()
    (mail,) = deliveries(told, lane="transactional")
    message = content_of(mail.id, mail.message_sealed)
    (code,) = re.findall(r"^\d{6}$", message["text"], re.MULTILINE)
    assert code not in message["subject"]
    assert code.encode() not in mail.message_sealed
    with app_session(Context(household=told)) as session:
        assert contacts.confirm(session, contact.id, code, "browser")


def test_events_for_apps_are_thin(told):
    (event,) = deliveries(told, channel="webhook")
    body = json.loads(content_of(event.id, event.message_sealed)["body"])
    assert set(body["data"]) == {
        "subject_id", "notice_id", "programme_id", "category", "kind", "urgency", "deadline_on", "sequence", "link",
    }  # fmt: skip
    assert str(told) not in json.dumps(body)


def test_what_was_delivered_is_not_sent_again_after_a_partial_withdrawal(told):
    with owner_session() as session:
        for row in session.exec(select(Delivery).where(Delivery.household_id == told, Delivery.channel == "email")):
            row.state = "accepted"
            session.add(row)
        session.commit()
    withdraw(told, ["matching:income"], by="guardian:g1")
    drain()
    announce()
    release_due()
    assert [row.state for row in deliveries(told, channel="email")] == ["accepted"]
    assert sorted(row.state for row in deliveries(told, channel="webhook")) == ["cancelled", "scheduled"]


def test_protection_ends_sign_in_links_and_codes_that_were_open(told):
    with app_session(Context(household=told)) as session:
        token = create_link(session, household_id=told, guardian="g1")
        contact = contacts.add_email(session, told, "g1", "second@home.example")
        code = contacts.start_confirmation(session, contact, "browser")
        session.commit()
    protect(told, by="staff:1")
    with app_session() as session, pytest.raises(NotFound):
        find_link(session, token)
    with app_session(Context(household=told)) as session:
        assert not contacts.confirm(session, contact.id, code, "browser")


def test_what_one_address_refuses_goes_to_the_next(published_registry):
    contacts_in_order = (("line", "U" + "3" * 32), ("email", "next@home.example"))
    household_id = enrolled(NEWBORN, contacts=contacts_in_order)
    drain()
    announce()
    with owner_session() as session:
        push = session.exec(select(Delivery).where(Delivery.household_id == household_id)).one()
        push.state, push.last_error = "failed", "undeliverable"
        line = session.get_one(ContactPoint, push.contact_point_id)
        line.suspended_at, line.suspended_reason = clock.now(), "undeliverable"
        refused = DeliveryAttempt(
            delivery_id=push.id, number=1, started_at=clock.now(), milliseconds=5, outcome="undeliverable",
            error="unknown_user", status_code=400,
        )  # fmt: skip
        session.add_all([push, line, refused])
        rights_changed(session, household_id, "131121")
        session.commit()
    announce()
    (again,) = deliveries(household_id, state="scheduled")
    assert again.channel == "email"
    assert set(push.notice_ids) == set(again.notice_ids)
