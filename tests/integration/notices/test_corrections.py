"""Corrections, losses and expiry: what happens to what was told when it says something else, or nothing any more."""

import datetime as dt
import json

from sqlalchemy import text

from app.matching.sweep import drain
from app.notices import inbox
from app.notices.announce import announce, release_due
from app.platform import clock
from app.platform.change_queue import rights_changed
from app.platform.database import Context, app_session, owner_session
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import CLOSING, arrived, at, messages, notices, save, say, tell

ALLOWANCE = "000000/child-allowance"
FAMILY = a_household(children=[a_child("2026-11-21")], facts={"single_parent": False})


def events(household_id, notice_type=None):
    bodies = [json.loads(message["body"]) for _, message in messages(household_id, "webhook")]
    return [body for body in bodies if notice_type is None or body["type"] == notice_type]


def matching_stores(household_id, programme=ALLOWANCE, **columns):
    """What a corrected programme makes matching store: the same right with something else in it."""
    answer = columns.pop("answer", {})
    sets = ["answer = answer || CAST(:answer AS jsonb)", *(f"{name} = :{name}" for name in columns)]
    with owner_session() as session:
        session.execute(
            text(f"UPDATE entitlements SET {', '.join(sets)} WHERE household_id = :id AND programme_key = :key"),
            {"id": household_id, "key": programme, "answer": json.dumps(answer), **columns},
        )
        rights_changed(session, household_id, "131121")
        session.commit()


def matching_takes_back(household_id, programme=ALLOWANCE):
    with owner_session() as session:
        session.execute(
            text("DELETE FROM entitlements WHERE household_id = :id AND programme_key = :key"),
            {"id": household_id, "key": programme},
        )
        rights_changed(session, household_id, "131121")
        session.commit()


def test_an_earlier_deadline_is_told_once_with_the_old_and_the_new(world):
    household_id = enrolled(FAMILY)
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    arrived(household_id)
    at("2026-11-25")
    matching_stores(household_id, deadline_on="2026-12-03", answer={"counted_on": "2026-12-03"})
    announce()
    announce()
    (old,) = notices(household_id, programme_key=ALLOWANCE, kind="new_support")
    (new,) = notices(household_id, programme_key=ALLOWANCE, kind="correction")
    assert (old.state, old.superseded_by, new.state) == ("superseded", new.id, "released")
    assert new.occasion == new.programme_version.isoformat()
    (_, _), (_, mail) = messages(household_id, "email")
    for part in (mail["text"], mail["html"]):
        assert "2026年12月7日(月)" in part and "2026年12月3日(木)" in part and CLOSING in part
    assert mail["subject"] == "【Todoke】「児童手当」のお知らせの内容が変わりました"
    reminded = notices(household_id, programme_key=ALLOWANCE, kind="deadline_reminder", state="planned")
    assert {notice.deadline_on for notice in reminded} == {dt.date(2026, 12, 3)}
    with app_session(Context(household=household_id)) as session:
        page = inbox.read_notice(session, household_id, old.id, clock.now())
        newer = inbox.read_notice(session, household_id, new.id, clock.now())
        card = next(
            card for card in inbox.todo(session, household_id, clock.today()) if card.programme_key == ALLOWANCE
        )
    assert page.newer_id == new.id and "2026年12月7日" in page.card.deadline_text
    assert newer.older_id == old.id and newer.changes and card.notice_id == new.id
    # the correction of the correction is another one, under the same name for apps
    arrived(household_id)
    at("2026-11-26")
    matching_stores(household_id, deadline_on="2026-12-02", answer={"counted_on": "2026-12-02"})
    announce()
    corrected = notices(household_id, programme_key=ALLOWANCE, kind="correction")
    assert {(notice.occasion, notice.state) for notice in corrected} == {
        (new.occasion, "superseded"),
        (f"{new.occasion}/2", "released"),
    }


def test_an_app_hears_of_a_correction_under_the_name_it_knows_and_of_the_end(world):
    household_id = enrolled(a_household(children=[a_child("2023-11-02")], facts={"single_parent": False}))
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    at("2026-11-25")
    save(household_id, children=[{"id": "c1", "birth_date": "2023-11-02"}, {"id": "c2", "birth_date": "2026-11-21"}])
    tell()
    arrived(household_id)
    (told,) = [body for body in events(household_id, "notice.created") if body["data"]["deadline_on"] == "2026-12-07"]
    at("2026-11-30")
    matching_stores(household_id, deadline_on="2026-12-03", answer={"counted_on": "2026-12-03"})
    announce()
    arrived(household_id)
    (updated,) = [
        body
        for body in events(household_id, "notice.updated")
        if body["data"]["notice_id"] == told["data"]["notice_id"]
    ]
    assert (updated["data"]["sequence"], updated["data"]["deadline_on"]) == (2, "2026-12-03")
    matching_stores(household_id, valid_until="2026-12-05")
    announce()
    arrived(household_id)
    at("2026-12-06", 9)
    release_due()
    (expired,) = [
        body
        for body in events(household_id, "notice.expired")
        if body["data"]["notice_id"] == told["data"]["notice_id"]
    ]
    assert expired["data"]["sequence"] > 2
    assert {n.state for n in notices(household_id, programme_key=ALLOWANCE, kind="correction", subject="child:c2")} <= {
        "expired",
        "superseded",
    }
    before = len(events(household_id))
    release_due()
    assert len(events(household_id)) == before


def test_a_later_deadline_moves_the_reminders_and_disturbs_nobody(world):
    household_id = enrolled(FAMILY)
    tell()
    matching_stores(household_id, deadline_on="2026-12-18", answer={"counted_on": "2026-12-18"})
    at("2026-11-26")
    announce()
    assert notices(household_id, programme_key=ALLOWANCE, kind="correction") == []
    assert len(messages(household_id, "email")) == 1
    reminded = notices(household_id, programme_key=ALLOWANCE, kind="deadline_reminder", state="planned")
    assert {notice.deadline_on for notice in reminded} == {dt.date(2026, 12, 18)} and len(reminded) >= 2


def test_what_was_not_told_yet_is_told_as_it_is_now(world):
    at("2026-11-24", 22)
    household_id = enrolled(FAMILY)
    tell()
    matching_stores(household_id, deadline_on="2026-12-03", answer={"counted_on": "2026-12-03"})
    announce()
    assert notices(household_id, programme_key=ALLOWANCE, kind="correction") == []
    at("2026-11-25")
    release_due()
    ((_, mail),) = messages(household_id, "email")
    assert "2026年12月3日(木)" in mail["text"] and "2026年12月7日(月)" not in mail["text"]


def test_a_right_that_is_lost_is_told_once_with_why_and_where_to_ask(world):
    household_id = enrolled(FAMILY)
    tell()
    arrived(household_id)
    at("2026-11-26")
    matching_takes_back(household_id)
    announce()
    announce()
    (loss,) = notices(household_id, programme_key=ALLOWANCE, kind="correction")
    assert (loss.content["ended"], loss.state) == (True, "released")
    _, (_, mail) = messages(household_id, "email")
    assert mail["subject"] == "【Todoke】「児童手当」は対象ではなくなったようです"
    assert "いまの条件には当てはまらなくなりました" in mail["text"] and "児童手当担当窓口" in mail["text"]
    with app_session(Context(household=household_id)) as session:
        assert ALLOWANCE not in {card.programme_key for card in inbox.todo(session, household_id, clock.today())}
        page = inbox.read_notice(session, household_id, loss.id, clock.now())
    assert page.outcome_choices == ()


def test_what_goes_without_saying_is_not_told_as_a_loss(world):
    turned_down, gone = enrolled(FAMILY), enrolled(FAMILY, contacts=(("email", "other@home.example"),))
    tell()
    say(turned_down, ALLOWANCE, "child:c1", "not_wanted")
    matching_takes_back(turned_down)
    save(gone, children=[])
    tell()
    for household_id in (turned_down, gone):
        assert [n for n in notices(household_id, kind="correction") if n.content["ended"]] == []


def test_a_family_that_says_it_is_done_is_not_reminded_by_what_is_queued(world):
    household_id = enrolled(FAMILY)
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    arrived(household_id)
    at("2026-11-30")
    release_due()
    (queued, mail), *_ = [one for one in messages(household_id, "email") if one[0].state == "scheduled"]
    assert "児童手当" in mail["text"] and "の申請期限は" in mail["text"]
    say(household_id, ALLOWANCE, "child:c1", "applied")
    states = {row.id: row.state for row, _ in messages(household_id)}
    assert states[queued.id] == "cancelled"
    left = notices(household_id, programme_key=ALLOWANCE, kind="deadline_reminder", state="planned")
    assert left == []
    tell()
    release_due()
    texts = [mail["text"] for row, mail in messages(household_id, "email") if row.state == "scheduled"]
    assert all("児童手当" not in text for text in texts)
    say(household_id, ALLOWANCE, "child:c1", "later")
    tell()
    assert notices(household_id, programme_key=ALLOWANCE, kind="deadline_reminder", state="planned")


def test_a_reminder_a_new_support_and_a_correction_of_one_day_are_one_message(world):
    household_id = enrolled(FAMILY)
    tell()
    arrived(household_id)
    at("2026-11-30", 7)
    matching_stores(
        household_id, "000000/birth-registration", deadline_on="2026-12-02", answer={"counted_on": "2026-12-02"}
    )
    save(household_id, children=[{"id": "c1", "birth_date": "2026-11-21"}, {"id": "c2", "birth_date": "2020-05-05"}])
    drain()
    matching_stores(household_id, deadline_on="2026-12-03", answer={"counted_on": "2026-12-03"})
    announce()
    at("2026-11-30", 10)
    release_due()
    (row, _) = messages(household_id, "email")[-1]
    kinds = {notice.kind for notice in notices(household_id) if notice.id in row.notice_ids}
    assert len(messages(household_id, "email")) == 2
    assert {"new_support", "correction", "deadline_reminder"} <= kinds
