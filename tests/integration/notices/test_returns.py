"""A right that was told, lost and comes back: each turn is told, and nothing of it holds up anybody else."""

import json

from sqlalchemy import text

from app.notices.announce import announce, release_due
from app.platform.change_queue import rights_changed
from app.platform.database import owner_session
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.notices.telling import arrived, at, messages, notices, tell

ALLOWANCE = "000000/child-allowance"
FAMILY = a_household(children=[a_child("2026-11-21")], facts={"single_parent": False})
LIVES = ("planned", "released")


def takes_back(household_id, programme=ALLOWANCE):
    """Matching deletes a right; return a way to store it again as it was, told to nobody yet."""
    with owner_session() as session:
        rows = session.execute(
            text("DELETE FROM entitlements WHERE household_id = :id AND programme_key = :key RETURNING to_jsonb(entitlements)"),
            {"id": household_id, "key": programme},
        ).scalars().all()  # fmt: skip
        rights_changed(session, household_id, "131121")
        session.commit()

    def gives_back():
        with owner_session() as session:
            for row in rows:
                again = row | {"announced_at": None, "announce_on": "2026-11-21"}
                session.execute(
                    text("INSERT INTO entitlements SELECT * FROM jsonb_populate_record(NULL::entitlements, CAST(:row AS jsonb))"),
                    {"row": json.dumps(again)},
                )  # fmt: skip
            rights_changed(session, household_id, "131121")
            session.commit()

    return gives_back


def of_the_right(household_id):
    rows = notices(household_id, programme_key=ALLOWANCE)
    return {(row.kind, row.occasion): row.state for row in rows if row.kind in ("new_support", "correction")}


def what_is_so(household_id):
    """What the living notices of the right say: that it is there, or that it is lost."""
    rows = notices(household_id, programme_key=ALLOWANCE)
    living = [row for row in rows if row.kind in ("new_support", "correction") and row.state in LIVES]
    return ["lost" if row.content.get("ended") else "there" for row in living]


def is_in_the_last_mail(household_id):
    """Whether the last mail told what is so now."""
    rows = notices(household_id, programme_key=ALLOWANCE)
    (living,) = [row for row in rows if row.kind in ("new_support", "correction") and row.state == "released"]
    return living.id in messages(household_id, "email")[-1][0].notice_ids


def told(day):
    """Let the day come with its announcement and its release."""
    at(day, 10)
    announce()
    release_due()


def family():
    household_id = enrolled(FAMILY)
    tell()
    arrived(household_id)
    return household_id


def test_a_right_back_within_a_month_of_its_loss_is_there_again_and_others_are_told(world):
    household_id = family()
    gives_back = takes_back(household_id)
    told("2026-11-26")
    arrived(household_id)
    assert what_is_so(household_id) == ["lost"]
    gives_back()
    other = enrolled(FAMILY, contacts=(("email", "other@home.example"),))
    at("2026-12-01", 10)
    tell()
    assert what_is_so(household_id) == ["there"]
    assert messages(other, "email")


def test_each_return_and_each_second_loss_is_told_by_mail(world):
    household_id = family()
    for lost_on, back_on in (("2026-11-26", "2026-12-05"), ("2027-01-20", "2027-03-01")):
        gives_back = takes_back(household_id)
        told(lost_on)
        arrived(household_id)
        assert what_is_so(household_id) == ["lost"] and is_in_the_last_mail(household_id), lost_on
        at(back_on, 9)
        release_due()
        gives_back()
        told(back_on)
        arrived(household_id)
        assert what_is_so(household_id) == ["there"] and is_in_the_last_mail(household_id), back_on
    assert {occasion for kind, occasion in of_the_right(household_id) if kind == "new_support"} == {
        "2026-11-21", "2026-11-21/2", "2026-11-21/3",
    }  # fmt: skip
    announce()
    assert what_is_so(household_id) == ["there"]


def a_shorter_deadline(household_id):
    with owner_session() as session:
        session.execute(
            text(
                "UPDATE entitlements SET deadline_on = '2026-12-03' WHERE household_id = :id AND programme_key = :key"
            ),
            {"id": household_id, "key": ALLOWANCE},
        )
        rights_changed(session, household_id, "131121")
        session.commit()


def test_told_corrected_lost_and_back_is_told_again(world):
    household_id = family()
    a_shorter_deadline(household_id)
    told("2026-11-25")
    arrived(household_id)
    assert ("correction", "released") in [(kind, state) for (kind, _), state in of_the_right(household_id).items()]
    gives_back = takes_back(household_id)
    told("2026-11-26")
    arrived(household_id)
    assert what_is_so(household_id) == ["lost"]
    before = len(messages(household_id, "email"))
    gives_back()
    told("2026-11-30")
    assert what_is_so(household_id) == ["there"]
    assert len(messages(household_id, "email")) == before + 1


def test_a_corrected_right_that_is_back_before_its_loss_was_told_stands_as_corrected(world):
    household_id = family()
    a_shorter_deadline(household_id)
    told("2026-11-25")
    arrived(household_id)
    at("2026-11-26", 22)
    gives_back = takes_back(household_id)
    announce()
    gives_back()
    announce()
    told("2026-11-27")
    living = [
        row for row in notices(household_id, programme_key=ALLOWANCE, kind="correction") if row.state == "released"
    ]
    assert [bool(row.content.get("ended")) for row in living] == [False]
    assert living[0].content["changes"] and what_is_so(household_id) == ["there"]
    assert not any("対象ではなくなった" in mail["subject"] for _, mail in messages(household_id, "email"))


def test_a_loss_is_told_although_the_correction_before_it_was_not(world):
    household_id = family()
    at("2026-11-25", 22)
    a_shorter_deadline(household_id)
    announce()
    takes_back(household_id)
    announce()
    told("2026-11-26")
    assert what_is_so(household_id) == ["lost"]
    assert "対象ではなくなった" in messages(household_id, "email")[-1][1]["subject"]


def test_the_loss_of_what_is_the_households_is_told_although_somebody_left_long_ago(world):
    household_id = family()
    with owner_session() as session:
        for statement in (
            "UPDATE entitlements SET subject = 'household' WHERE household_id = :id AND programme_key = :key",
            "UPDATE notices SET subject = 'household' WHERE household_id = :id AND programme_key = :key",
            "UPDATE notices SET subject = 'pregnancy:p1', programme_key = '000000/x', state = 'expired' WHERE id ="
            " (SELECT id FROM notices WHERE household_id = :id AND kind = 'deadline_reminder' LIMIT 1)",
        ):
            session.execute(text(statement), {"id": household_id, "key": ALLOWANCE})
        session.commit()
    takes_back(household_id)
    told("2026-11-26")
    assert what_is_so(household_id) == ["lost"]
