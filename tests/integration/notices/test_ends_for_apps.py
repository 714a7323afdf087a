"""What an app was told of ends for it too: an overview of which nothing stands, a notice whose correction nobody saw."""

import json

import pytest
from sqlalchemy import text

from app.notices.announce import announce, release_due
from app.notices.recall import compose_anew
from app.notices.rows import OVERVIEW
from app.platform.database import Context, app_session, owner_session
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import arrived, at, messages, notices, save, say, tell
from tests.integration.notices.test_corrections import ALLOWANCE, matching_stores, matching_takes_back

FAMILY = a_household(children=[a_child("2023-11-02")], facts={"single_parent": False, "public_assistance": False})
BOTH = [{"id": "c1", "birth_date": "2023-11-02"}, {"id": "c2", "birth_date": "2026-11-21"}]


@pytest.fixture
def family(world):
    """A family with an app, both of which were told of its first overview."""
    household_id = enrolled(FAMILY)
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    (created,) = heard(household_id)
    assert (created["type"], created["data"]["kind"]) == ("notice.created", "overview")
    return household_id


def heard(household_id):
    return [json.loads(message["body"]) for _, message in messages(household_id, "webhook")]


def heard_since(household_id, before):
    return [(body["type"], body["data"]["sequence"]) for body in heard(household_id)[len(before) :]]


def the_overview(household_id):
    (overview,) = notices(household_id, programme_key=OVERVIEW)
    return overview


def test_an_overview_ends_for_an_app_with_the_last_of_what_it_told(family):
    arrived(family)
    before = heard(family)
    supports = {row.programme_key for row in notices(family, overview_id=the_overview(family).id)}
    say_no = sorted(supports)[:1]
    matching_takes_back(family, *say_no)
    announce()
    assert heard_since(family, before) == [] and the_overview(family).state == "released"
    save(family, children=[])
    for _ in range(2):
        tell()
        release_due()
    assert heard_since(family, before) == [("notice.cancelled", 2)]
    assert heard(family)[-1]["data"]["notice_id"] == before[0]["data"]["notice_id"]
    assert the_overview(family).state == "cancelled"


def test_an_overview_ends_for_an_app_when_the_last_of_it_expires(family):
    arrived(family)
    before = heard(family)
    assert the_overview(family).expires_at is None, "one of its rights had no end when it was told"
    with owner_session() as session:
        statement = "UPDATE notices SET expires_at = '2026-11-25' WHERE household_id = :id AND overview_id IS NOT NULL"
        session.execute(text(statement), {"id": family})
        session.commit()
    at("2026-11-26")
    for _ in range(2):
        release_due()
    assert heard_since(family, before) == [("notice.expired", 2)]


def test_an_overview_that_is_put_together_anew_and_has_nothing_left_ends_for_an_app(family):
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'delivered', requests = 1 WHERE channel = 'webhook'"))
        session.commit()
    before = heard(family)
    at("2026-11-24", 22)
    with app_session(Context(household=family)) as session:
        assert compose_anew(session, family, "contact_changed") == 1
        session.commit()
    for row in notices(family, overview_id=the_overview(family).id, kind="new_support"):
        say(family, row.programme_key, row.subject, "not_wanted")
    at("2026-11-25")
    tell()
    assert the_overview(family).state == "cancelled"
    ended, question = heard(family)[len(before) :]
    assert (ended["type"], ended["data"]["sequence"]) == ("notice.cancelled", 2)
    assert ended["data"]["notice_id"] == before[0]["data"]["notice_id"]
    assert (question["type"], question["data"]["kind"]) == ("notice.created", "question")
    asked = notices(family, kind="question", state="released")
    told = {
        notice_id for row, _ in messages(family, "email") for notice_id in row.notice_ids if row.state != "cancelled"
    }
    assert asked and {row.id for row in asked} <= told, "what was asked in it is asked by itself"


def test_a_loss_after_a_correction_that_nobody_saw_ends_the_notice_for_an_app(family):
    arrived(family)
    at("2026-11-25")
    save(family, children=BOTH)
    tell()
    arrived(family)
    (created,) = [body for body in heard(family) if body["data"]["deadline_on"] == "2026-12-07"]
    at("2026-11-26", 22)
    matching_stores(family, deadline_on="2026-12-03", answer={"counted_on": "2026-12-03"})
    announce()
    assert {row.state for row in notices(family, programme_key=ALLOWANCE, kind="correction")} == {"planned"}
    matching_takes_back(family)
    announce()
    at("2026-11-27")
    release_due()
    mine = [body for body in heard(family) if body["data"]["notice_id"] == created["data"]["notice_id"]]
    assert [(body["type"], body["data"]["sequence"]) for body in mine] == [
        ("notice.created", 1), ("notice.cancelled", 2),
    ]  # fmt: skip
