"""When a family is told, and through which channel."""

import datetime as dt

from sqlmodel import select

from app.notices import inbox
from app.notices.announce import release_due
from app.notices.tables import PushLog
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.notices.telling import NEWBORN, at, messages, notices, save, tell


def test_only_the_first_working_channel_gets_the_push(world):
    household_id = enrolled(NEWBORN, contacts=(("line", "U" + "1" * 32), ("email", "f@home.example")))
    tell()
    assert {row.channel for row, _ in messages(household_id)} == {"line"}
    other = enrolled(
        NEWBORN,
        purposes=("matching:basic", "channel:email"),
        contacts=(("line", "U" + "2" * 32), ("email", "g@home.example")),
    )
    tell()
    assert {row.channel for row, _ in messages(other)} == {"email"}


def test_quiet_hours_hold_the_release_until_morning(world):
    at("2026-11-24", 22)
    household_id = enrolled(NEWBORN)
    tell()
    assert messages(household_id) == []
    with app_session(Context(household=household_id)) as session:  # who opens the page is not disturbed by it
        assert len(inbox.todo(session, household_id, clock.today())) == 3
    at("2026-11-25", 7)
    release_due()
    assert messages(household_id) == []
    at("2026-11-25", 9)
    release_due()
    assert len(messages(household_id, "email")) == 1


def test_at_most_one_message_a_day_and_two_a_week(world):
    household_id = enrolled(a_household(children=[a_child("2020-05-05")]))
    tell()
    ages = ["2015-05-05", "2016-05-05", "2017-05-05", "2018-05-05"]
    children = [{"id": "c1", "birth_date": "2020-05-05"}]
    days = []
    for day, born in zip(["2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28"], ages, strict=True):
        at(day, 10)
        children = [*children, {"id": f"x{born}", "birth_date": born}]
        save(household_id, children=children)
        tell()
        release_due()
    with owner_session() as session:
        days = [row.day for row in session.exec(select(PushLog).where(PushLog.household_id == household_id))]
    assert days == [dt.date(2026, 11, 24), dt.date(2026, 11, 25)]
    at("2026-12-01", 10)
    release_due()
    assert len(messages(household_id, "email")) == 3
    told = {notice.subject for notice in notices(household_id, kind="new_support", state="released")}
    assert {f"child:x{born}" for born in ages} <= told


def test_planning_twice_tells_once(world):
    household_id = enrolled(NEWBORN)
    tell()
    first = {notice.id for notice in notices(household_id)}
    for _ in range(3):
        save(household_id, facts={"single_parent": False, "public_assistance": False} if _ % 2 else {})
        tell()
    assert first <= {notice.id for notice in notices(household_id)}
    assert len(messages(household_id, "email")) == 1
    keys = [(n.programme_key, n.subject, n.kind, n.occasion) for n in notices(household_id)]
    assert len(keys) == len(set(keys))


def test_a_draft_programme_never_notifies(world):
    drafts = {key for key, versions in world.programmes.items() if versions[-1].certainty == "draft"}
    household_id = enrolled(NEWBORN)
    tell()
    assert not drafts & {notice.programme_key for notice in notices(household_id)}


def test_the_cap_gives_way_to_the_last_week_before_a_deadline(world):
    household_id = enrolled(a_household(children=[a_child("2020-05-05")]))
    tell()
    at("2026-11-25", 10)
    children = [{"id": "c1", "birth_date": "2020-05-05"}, {"id": "c2", "birth_date": "2015-05-05"}]
    save(household_id, children=children)
    tell()
    release_due()
    at("2026-11-26", 10)
    save(household_id, children=[*children, {"id": "c3", "birth_date": "2026-11-21"}])
    tell()
    release_due()
    (birth,) = notices(household_id, programme_key="000000/birth-registration", kind="new_support")
    assert (birth.state, birth.deadline_on) == ("planned", dt.date(2026, 12, 4))
    assert clock.japan_date(birth.release_at) == dt.date(2026, 11, 27), "two pushes went: by the cap it was 1 December"
    for day in range(8):
        at((dt.date(2026, 11, 27) + dt.timedelta(days=day)).isoformat(), 10)
        release_due()
    mailed = {notice_id for row, _ in messages(household_id, "email") for notice_id in row.notice_ids}
    (birth,) = notices(household_id, id=birth.id)
    assert clock.japan_date(birth.released_at) == dt.date(2026, 11, 27)
    reminders = notices(household_id, programme_key="000000/birth-registration", kind="deadline_reminder")
    assert reminders and {birth.id, *(one.id for one in reminders)} <= mailed
    assert all(clock.japan_date(one.released_at) < one.deadline_on for one in reminders)
