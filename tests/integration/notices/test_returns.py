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
