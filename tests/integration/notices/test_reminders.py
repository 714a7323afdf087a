"""Reminders: before a deadline, until the family says so, never too late."""

import datetime as dt

import pytest
from sqlmodel import select

from app.matching.sweep import queue_reviews
from app.matching.tables import Entitlement
from app.notices import inbox
from app.notices.announce import release_due
from app.notices.rows import OVERVIEW
from app.platform.database import Context, app_session, owner_session
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import NEWBORN, SIBLINGS, SINGLE_PARENT, at, messages, notices, save, say, tell


def test_children_with_the_same_deadline_are_reminded_of_in_one_section(world):
    household_id = enrolled(SIBLINGS)
    tell()
    at("2027-01-30")
    release_due()
    rows = notices(household_id, kind="deadline_reminder", programme_key="130001/018-support", state="released")
    assert {row.subject for row in rows} == {"child:c1", "child:c2", "child:c3"}
    (row, mail) = messages(household_id, "email")[-1]
    assert {notice.id for notice in rows} <= set(row.notice_ids)
    assert mail["text"].count("「018サポート」の申請期限は3/1(月)です") == 1
    assert "どなたのこと: 2018年5月・2015年2月・2010年8月生まれのお子さん" in mail["text"]


def test_reminders_come_before_the_deadline_and_stop_when_the_family_says_so(world):
    household_id = enrolled(NEWBORN)
    tell()
    planned = notices(household_id, kind="deadline_reminder", programme_key="000000/birth-registration")
    assert planned and all(notice.state == "planned" for notice in planned)
    say(household_id, "000000/birth-registration", "child:c2", "filed")
    tell()
    at("2026-12-03")
    release_due()
    ended = notices(household_id, kind="deadline_reminder", programme_key="000000/birth-registration")
    assert {notice.state for notice in ended} == {"cancelled"}
    allowance = notices(
        household_id, kind="deadline_reminder", programme_key="000000/child-allowance", state="released"
    )
    assert allowance
    mails = [mail["text"] for _, mail in messages(household_id, "email")]
    assert not any("出生届」の" in text for text in mails[1:])
    assert any("「児童手当」の申請期限は12/7(月)です" in text for text in mails[1:])


def test_nothing_is_told_after_its_last_useful_day(world):
    household_id = enrolled(NEWBORN)
    tell()
    at("2026-12-20")
    release_due()
    late = [n for n in notices(household_id, kind="deadline_reminder") if n.deadline_on < dt.date(2026, 12, 20)]
    assert late and {notice.state for notice in late} == {"expired"}


def test_a_reminder_built_on_facts_that_were_taken_back_does_not_go_out(world):
    household_id = enrolled(SINGLE_PARENT)
    tell()
    before = len(messages(household_id))
    save(household_id, facts={}, guardians=[{"id": "g1"}])
    at("2026-11-29")
    release_due()  # the evaluation is still to come: nothing is released that it might overturn
    assert len(messages(household_id)) == before
    tell()
    release_due()
    ended = notices(household_id, programme_key="000000/child-rearing-allowance", kind="deadline_reminder")
    assert {notice.state for notice in ended} <= {"superseded", "cancelled"}
    assert not [n for n in notices(household_id, state="released") if n.kind == "deadline_reminder" and n.sensitive]


def test_a_right_that_goes_on_is_told_even_after_its_deadline(world):
    at("2026-12-07", 22)
    household_id = enrolled(NEWBORN)
    tell()
    at("2026-12-08", 9)
    release_due()
    allowance = notices(household_id, programme_key="000000/child-allowance", subject="child:c2", kind="new_support")[0]
    assert allowance.state == "released"
    ((_, mail),) = messages(household_id, "email")
    assert "児童手当" in mail["text"]


def test_a_corrected_birth_date_ends_the_old_notice_and_its_reminders(world):
    household_id = enrolled(a_household(children=[a_child("2026-11-12")], facts={"single_parent": False}))
    _, _, _ = a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    save(household_id, children=[{"id": "c1", "birth_date": "2026-11-21"}])
    tell()
    (old,) = notices(household_id, programme_key="000000/birth-registration", kind="new_support")
    (new,) = notices(household_id, programme_key="000000/birth-registration", kind="correction")
    assert (old.state, old.occasion, old.superseded_by) == ("superseded", "2026-11-12", new.id)
    assert (new.state, new.content["valid_from"]) == ("planned", "2026-11-21")  # told tomorrow: one message a day
    planned = notices(household_id, programme_key="000000/birth-registration", state="planned")
    assert {notice.deadline_on for notice in planned} == {dt.date(2026, 12, 4)}
    with app_session(Context(household=household_id)) as session:
        cards = [card for card in inbox.all_notices(session, household_id) if "出生届" in card.title]
    assert sorted(card.finished for card in cards) == [False, True]


def test_a_monthly_deadline_is_looked_at_again_when_it_has_passed(world):
    household_id = enrolled(SINGLE_PARENT)
    tell()
    assert queue_reviews() == 0
    at("2026-12-01")
    assert queue_reviews() == 1
    tell()
    with owner_session() as session:
        statement = select(Entitlement.deadline_on).where(
            Entitlement.household_id == household_id, Entitlement.programme_key == "000000/child-rearing-allowance"
        )
        assert list(session.exec(statement)) == [dt.date(2026, 12, 28)]
    assert queue_reviews() == 0


@pytest.mark.parametrize(("day", "told"), [("2027-02-26", True), ("2027-03-10", False)])
def test_a_right_whose_claim_can_pay_nothing_any_more_is_not_told(world, day, told):
    """Paid from the month after the claim: in the last month of the right a claim would pay nothing."""
    at(day)
    household_id = enrolled(a_household(children=[a_child("2009-03-31")]))
    tell()
    told_of = {notice.programme_key for notice in notices(household_id)}
    assert ("000000/child-allowance" in told_of) == told
    assert told_of - {OVERVIEW}, "other rights are told as ever"
