"""A right that ends is told in time, once, and only where nothing else says it."""

import datetime as dt
import json

from sqlalchemy import text

from app.notices.announce import announce, release_due
from app.platform.database import owner_session
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.notices.telling import CLOSING, at, messages, notices, say, tell

VISITS = "130001/babysitter-support"


def one_right(programme=VISITS, **columns):
    """A family with one stored right that ends; nothing else is told."""
    household_id = enrolled(a_household(children=[a_child("2026-06-15")], facts={"single_parent": False}))
    tell()
    given = {"valid_from": "2026-06-15", "valid_until": "2027-02-28", "deadline_on": None, "review_on": None} | columns
    answer = given.pop("answer", {"take_up": "application"})
    sets = ", ".join(f"{name} = :{name}" for name in given)
    with owner_session() as session:
        session.execute(
            text(
                f"UPDATE entitlements SET {sets}, answer = answer || CAST(:answer AS jsonb), verdict = 'eligible',"
                " announced_at = NULL, announce_on = '2026-11-24' WHERE household_id = :id AND programme_key = :key"
            ),
            {"id": household_id, "key": programme, "answer": json.dumps(answer), **given},
        )
        session.execute(text("UPDATE changes SET reader = 'notices' WHERE reader = 'matching'"))
        session.commit()
    announce()
    return household_id


def days_to_look_again(household_id):
    with owner_session() as session:
        statement = "SELECT announce_on FROM entitlements WHERE household_id = :id AND programme_key = :key"
        return set(session.execute(text(statement), {"id": household_id, "key": VISITS}).scalars())


def endings(household_id):
    return notices(household_id, kind="ending_soon", programme_key=VISITS)


def test_it_is_told_thirty_days_before_on_an_open_day_with_what_waiting_costs(world):
    household_id = one_right()
    assert days_to_look_again(household_id) == {dt.date(2027, 1, 29)}
    assert endings(household_id) == []
    at("2027-01-29")
    announce()
    announce()
    (ending,) = endings(household_id)
    assert (ending.state, ending.deadline_on) == ("planned", dt.date(2027, 2, 28))
    at("2027-02-01")
    release_due()
    (ending,) = endings(household_id)
    assert ending.state == "released"
    mail = messages(household_id, "email")[-1][1]
    assert ending.content["title"] in mail["subject"] + mail["text"] and CLOSING in mail["html"]
    assert "までです" in ending.content["title"] and "利用できる最後の日" in mail["text"]


def test_it_is_not_told_where_a_reminder_says_it_or_the_right_may_be_renewed(world):
    reminded = one_right(deadline_on="2027-02-28", answer={"take_up": "application", "counted_on": "2027-02-28"})
    renewed = one_right(review_on="2027-03-01")
    automatic = one_right(answer={"take_up": "automatic"})
    short = one_right(valid_from="2027-01-15")
    for household_id in (reminded, renewed, automatic, short):
        assert days_to_look_again(household_id) == {dt.date(2026, 11, 24)}, household_id


def test_it_stops_when_the_family_says_so(world):
    household_id = one_right()
    at("2027-01-29")
    announce()
    say(household_id, VISITS, endings(household_id)[0].subject, "not_wanted")
    assert [notice.state for notice in endings(household_id)] == ["cancelled"]
    at("2027-02-01")
    tell()
    release_due()
    assert [notice.state for notice in endings(household_id)] == ["cancelled"]
