"""Profiles, consent, contacts, outcomes and protection on the real database, as the web role."""

import copy
import datetime as dt

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from app.households import consent, contacts, outcomes, profiles, protection
from app.households.tables import ContactPoint, Household, HouseholdFact
from app.platform import clock
from app.platform.change_queue import Change
from app.platform.database import Context, app_session, worker_session
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id

DOCUMENT = {
    "municipality": "131121",
    "facts": {"single_parent": False},
    "guardians": [{"id": "g1", "facts": {"income_after_deductions": {"value": 1220000, "income_year": 2025}}}],
    "children": [{"birth_date": "2023-11-02"}],
}


@pytest.fixture
def household(todoke_environment):
    household_id = new_id()
    with app_session(Context(household=household_id)) as session:
        profiles.create_household(session, DOCUMENT, source="parent", by="guardian:g1", household_id=household_id)
        session.commit()
    return household_id


def in_household(household_id):
    return app_session(Context(household=household_id))


def test_facts_are_recorded_one_by_one_and_the_document_can_be_rebuilt(household):
    with in_household(household) as session:
        facts = {(row.subject, row.path): row.value for row in session.exec(select(HouseholdFact))}
        assert facts["child:c1", "child.birth_date"] == "2023-11-02"
        assert facts["household", "household.single_parent"] is False
        stored = profiles.read_document(session, household).document
        assert profiles.document_at(session, household, clock.real_now()) == stored
        assert len(session.exec(select(Change)).all()) == 1


def test_a_saved_change_appends_only_what_differs_and_keeps_the_past(household):
    with in_household(household) as session:
        before = profiles.read_document(session, household)
        changed = {**copy.deepcopy(before.document), "facts": {"single_parent": True}}
        del changed["guardians"][0]["facts"]
        profiles.save_document(session, household, changed, expected_version=1, source="parent", by="guardian:g1")
        session.commit()
    with in_household(household) as session:
        rows = session.exec(select(HouseholdFact)).all()
        path = "household.single_parent"
        assert [row.value for row in rows if row.path == path] == [False, True]
        withdrawn = [row.value for row in rows if row.path == "guardian.income_after_deductions"]
        assert withdrawn[-1] is None and len(withdrawn) == 2
        assert profiles.read_document(session, household).version == 2
        assert profiles.document_at(session, household, clock.real_now())["facts"] == {"single_parent": True}


def test_a_stale_form_is_refused_and_nothing_is_written(household):
    with in_household(household) as session:
        profiles.save_document(
            session, household, {**DOCUMENT, "facts": {}}, expected_version=1, source="parent", by="guardian:g1"
        )
        session.commit()
    with in_household(household) as session, pytest.raises(Conflict, match="version 2, the form was filled in for 1"):
        profiles.save_document(session, household, DOCUMENT, expected_version=1, source="parent", by="guardian:g1")
    with in_household(household) as session:
        assert profiles.read_document(session, household).version == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"municipality": "131122"}, "131122"),
        ({"facts": {"favourite_colour": "red"}}, "favourite_colour"),
        ({"children": [{"birth_date": "2023-13-01"}]}, "2023-13-01"),
        ({"children": [{"facts": {"lives_with_guardian": "123456789018"}}]}, "個人番号"),
    ],
)
def test_a_wrong_document_is_refused_and_nothing_is_written(todoke_environment, document, message):
    household_id = new_id()
    with in_household(household_id) as session, pytest.raises(InvalidInput, match=message):
        profiles.create_household(session, document, source="parent", by="guardian:g1", household_id=household_id)
    with worker_session() as session:
        assert session.exec(select(Household)).all() == []


def test_a_move_carries_all_rows_to_the_new_municipality(household):
    with in_household(household) as session:
        contacts.add_email(session, household, "g1", "parent@example.jp")
        moved = {**profiles.read_document(session, household).document, "municipality": "131172"}
        profiles.save_document(session, household, moved, expected_version=1, source="parent", by="guardian:g1")
        session.commit()
    with worker_session(Context(municipality="131121")) as session:
        assert session.exec(select(HouseholdFact)).all() == []
    with worker_session(Context(municipality="131172")) as session:
        assert session.exec(select(ContactPoint)).one().household_id == household
        assert session.exec(select(HouseholdFact)).all() != []


def test_consent_is_recorded_with_the_text_shown_and_refusals_too(household):
    with in_household(household) as session:
        consent.give(session, household, ["matching:basic"], language="ja", by="guardian:g1", source="web")
        consent.refuse(session, household, ["matching:income"], language="ja", by="guardian:g1", source="web")
        session.commit()
        rows = consent.current(session, household)
        assert {name: row.state for name, row in rows.items()} == {
            "matching:basic": "given",
            "matching:income": "refused",
        }
        assert len(rows["matching:basic"].text_sha256) == 64
        assert consent.given_categories(rows.values(), clock.now()) == {"basic"}
        with pytest.raises(InvalidInput, match="unknown purpose"):
            consent.give(session, household, ["marketing"], language="ja", by="guardian:g1", source="web")


def test_withdrawal_raises_the_epoch(household):
    with in_household(household) as session:
        consent.give(session, household, ["matching:basic"], language="ja", by="guardian:g1", source="web")
        consent.withdraw(session, household, None, by="guardian:g1", via="web")
        session.commit()
        assert session.get_one(Household, household).consent_epoch == 1
        assert not consent.given_categories(consent.current(session, household).values(), clock.now())


def test_a_contact_is_confirmed_only_with_the_right_code_in_the_same_browser(household):
    with in_household(household) as session:
        contact = contacts.add_email(session, household, "g1", " Parent@Example.JP ")
        assert contacts.address_of(contact) == "Parent@example.jp"
        assert b"example" not in contact.address_sealed
        code = contacts.start_confirmation(session, contact, "browser-a")
        session.commit()
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        assert not contacts.confirm(session, contact.id, wrong, "browser-a")
        assert not contacts.confirm(session, contact.id, code, "browser-b")
        assert contacts.confirm(session, contact.id, code, "browser-a")
        assert not contacts.confirm(session, contact.id, code, "browser-a")
        session.commit()
    with app_session() as session:
        assert [row.id for row in contacts.find_by_email(session, "Parent@example.jp")] == [contact.id]
        assert contacts.find_by_email(session, "someone@example.jp") == []


def test_five_wrong_codes_end_a_confirmation(household):
    with in_household(household) as session:
        contact = contacts.add_email(session, household, "g1", "parent@example.jp")
        code = contacts.start_confirmation(session, contact, "browser-a")
        for _ in range(5):
            assert not contacts.confirm(session, contact.id, "000000" if code != "000000" else "111111", "browser-a")
        assert not contacts.confirm(session, contact.id, code, "browser-a")


@pytest.mark.parametrize("address", ["no-at-sign", "two@at@example.jp\nBcc: x@example.jp", "a@b", "@example.jp"])
def test_an_impossible_address_is_refused(household, address):
    with in_household(household) as session, pytest.raises(InvalidInput, match="expected something like"):
        contacts.add_email(session, household, "g1", address)


def test_unsubscribe_tokens_cannot_be_forged(household):
    contact_id = new_id()
    token = contacts.unsubscribe_token(household, contact_id)
    assert contacts.read_unsubscribe_token(token) == (household, contact_id)
    for forged in (token[:-4] + "AAAA", "", "x", token + "AA"):
        with pytest.raises(NotFound):
            contacts.read_unsubscribe_token(forged)


def test_outcomes_can_be_said_once_changed_and_undone(household):
    with in_household(household) as session:
        key = "000000/child-allowance"
        first = outcomes.record_outcome(session, household, key, "child:c1", "applied", by="guardian:g1")
        again = outcomes.record_outcome(session, household, key, "child:c1", "applied", by="guardian:g1")
        assert first.id == again.id
        other = outcomes.record_outcome(session, household, key, "child:c1", "not_wanted", by="guardian:g1")
        assert [row.outcome for row in outcomes.current_outcomes(session, household)] == ["not_wanted"]
        outcomes.undo_outcome(session, other.id)
        assert outcomes.current_outcomes(session, household) == []
        with pytest.raises(InvalidInput, match="unknown outcome"):
            outcomes.record_outcome(session, household, key, "child:c1", "won_the_lottery", by="guardian:g1")


def test_protection_only_rises_and_hides_contacts_known_before(household):
    with in_household(household) as session:
        contact = contacts.add_email(session, household, "g1", "before@example.jp")
        contact.confirmed_at = clock.now() - dt.timedelta(days=1)
        session.add(contact)
        row = protection.raise_protection(session, household, by="staff:1")
        raised_at = row.protected_at
        protection.raise_protection(session, household, by="staff:2")
        assert row.protected_at == raised_at
        assert contacts.usable_contacts(session, row) == []
        contact.confirmed_at = clock.now()
        assert contacts.usable_contacts(session, row) == [contact]
        with pytest.raises(InvalidInput, match="two different people"):
            protection.clear_protection(session, household, by="a", second_person="a", reason="mistake")
        protection.clear_protection(session, household, by="a", second_person="b", reason="moved away, court order")
        assert row.protected_at is None


def confirmed(session, household, address="known@example.jp", guardian="g1", browser="browser-a"):
    contact = contacts.add_email(session, household, guardian, address)
    assert contacts.confirm(session, contact.id, contacts.start_confirmation(session, contact, browser), browser)
    return contact


@pytest.mark.parametrize(
    "address", ["known@example.jp", "Known@Example.JP", "of-the-other@example.jp", "typed@example.jp"]
)
def test_under_protection_no_address_that_was_known_before_is_taken_again(household, address):
    with in_household(household) as session:
        confirmed(session, household)
        confirmed(session, household, "of-the-other@example.jp", guardian="g2")
        contacts.add_email(session, household, "g2", "typed@example.jp")  # never confirmed
        protection.raise_protection(session, household, by="staff:1")
        before = len(session.exec(select(ContactPoint)).all())
        with pytest.raises(Conflict, match="before the protection"):
            contacts.add_email(session, household, "g1", address)
        assert len(session.exec(select(ContactPoint)).all()) == before


def test_a_code_of_an_address_known_before_the_flag_confirms_and_proves_nothing(household):
    with in_household(household) as session:
        old, unconfirmed = (
            confirmed(session, household),
            contacts.add_email(session, household, "g2", "typed@example.jp"),
        )
        codes = {contact.id: contacts.start_confirmation(session, contact, "b") for contact in (old, unconfirmed)}
        row = protection.raise_protection(session, household, by="staff:1")
        for contact in (old, unconfirmed):
            for code in (codes[contact.id], contacts.start_confirmation(session, contact, "b")):
                assert not contacts.confirm(session, contact.id, code, "b")
                assert not contacts.prove(session, contact.id, code, "b")
        assert not contacts.is_own(old, row)
        assert contacts.usable_contacts(session, row) == []
        assert old.confirmed_at < row.protected_at


def test_under_protection_a_new_address_can_be_confirmed_and_proves_who_signs_in(household):
    with in_household(household) as session:
        row = protection.raise_protection(session, household, by="staff:1")
        new = confirmed(session, household, "new@example.jp")
        assert contacts.usable_contacts(session, row) == [new]
        assert contacts.add_email(session, household, "g1", "new@example.jp").id == new.id
        assert contacts.prove(session, new.id, contacts.start_confirmation(session, new, "b"), "b")


def test_the_instant_of_a_contact_is_of_the_clock_that_protection_uses(household):
    clock.shift_to(clock.real_now() + dt.timedelta(days=400))
    with in_household(household) as session:
        row = protection.raise_protection(session, household, by="staff:1")
        assert confirmed(session, household, "new@example.jp").created_at > row.protected_at


def test_signing_in_leaves_a_stopped_contact_stopped_and_confirming_anew_starts_it(household):
    with in_household(household) as session:
        contact = confirmed(session, household)
        confirmed_at = contact.confirmed_at
        contacts.set_aside(session, contact, "unsubscribed")
        assert contacts.prove(session, contact.id, contacts.start_confirmation(session, contact, "b"), "b")
        assert (contact.suspended_reason, contact.confirmed_at) == ("unsubscribed", confirmed_at)
        assert contact.suspended_at is not None
        assert contacts.confirm(session, contact.id, contacts.start_confirmation(session, contact, "b"), "b")
        assert contact.suspended_at is None and contact.suspended_reason is None


def test_protection_waits_for_a_confirmation_that_has_begun(household):
    """Otherwise an address could count as confirmed after a flag that its confirmation never saw."""
    with in_household(household) as session:
        contact = contacts.add_email(session, household, "g1", "known@example.jp")
        code = contacts.start_confirmation(session, contact, "b")
        session.commit()
    with in_household(household) as confirming, in_household(household) as protecting:
        assert contacts.confirm(confirming, contact.id, code, "b")
        protecting.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            protection.raise_protection(protecting, household, by="staff:1")
        confirming.commit()
        protecting.rollback()
        row = protection.raise_protection(protecting, household, by="staff:1")
        assert contacts.usable_contacts(protecting, row) == []
