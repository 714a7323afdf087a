"""What is lost while a family keeps a category of its facts to itself: silent only where those facts may be why."""

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.households.consent import give, refuse, taken_back_at
from app.households.tables import Consent
from app.matching.sweep import drain
from app.notices.announce import announce, release_due
from app.platform.change_queue import rights_changed
from app.platform.database import Context, app_session, owner_session
from app.safeguards.withdrawal import withdraw
from tests.fixtures.factories import enrolled
from tests.integration.notices.telling import SINGLE_PARENT, arrived, at, notices, tell

REARING = "000000/child-rearing-allowance"
"""Reads who raises the child, incomes and disabilities."""
YEARLY = "130001/018-support"
"""Reads the birth date alone."""


def a_lone_parent(*kept_back):
    """A family that was told of its rights, without the facts of some categories."""
    household_id = enrolled(SINGLE_PARENT)
    if kept_back:
        withdraw(household_id, kept_back, by="guardian:g1")
    tell()
    arrived(household_id)
    assert {REARING, YEARLY} <= {row.programme_key for row in notices(household_id, kind="new_support")}
    at("2026-11-26")
    return household_id


def loses(household_id, *programmes):
    """Matching has no row of these any more, whatever it knows of the household; return what is told as lost."""
    drain()
    with owner_session() as session:
        session.execute(
            text("DELETE FROM entitlements WHERE household_id = :id AND programme_key = ANY(:keys)"),
            {"id": household_id, "keys": list(programmes)},
        )
        rights_changed(session, household_id, "131211")
        session.commit()
    announce()
    release_due()
    return {row.programme_key for row in notices(household_id, kind="correction", state="released")
            if row.content["ended"]}  # fmt: skip


@pytest.mark.parametrize("category", ["single_parent", "income", "disability_health"])
def test_only_what_read_the_facts_taken_back_is_lost_in_silence(world, category):
    household_id = a_lone_parent()
    withdraw(household_id, [f"matching:{category}"], by="guardian:g1")
    assert loses(household_id, REARING, YEARLY) == {YEARLY}
    assert not {row.state for row in notices(household_id, programme_key=REARING, kind="new_support")} & {
        "planned", "released",
    }  # fmt: skip


def test_facts_that_no_told_right_reads_silence_nothing(world):
    household_id = a_lone_parent()
    withdraw(household_id, ["matching:school"], by="guardian:g1")
    assert loses(household_id, REARING, YEARLY) == {REARING, YEARLY}


def test_a_right_that_was_told_without_those_facts_is_lost_for_another_reason(world):
    household_id = a_lone_parent("matching:disability_health")
    assert loses(household_id, REARING) == {REARING}


def test_a_category_is_closed_since_it_was_last_open(world):
    household_id = enrolled(SINGLE_PARENT, purposes=("matching:basic", "matching:income", "matching:school"))

    def closed():
        with app_session(Context(household=household_id)) as session:
            return taken_back_at(session, session.exec(select(Consent)).all()).get(household_id, {})

    def answer(how, purpose):
        with app_session(Context(household=household_id)) as session:
            how(session, household_id, [purpose], language="ja", by="guardian:g1", source="web")
            session.commit()

    answer(refuse, "matching:single_parent")  # was never open
    assert closed() == {}
    at("2026-11-25")
    answer(refuse, "matching:school")
    withdraw(household_id, ["matching:income"], by="guardian:g1")
    assert {category: at.day for category, at in closed().items()} == {"school": 25, "income": 25}
    at("2026-11-27")
    withdraw(household_id, ["matching:income"], by="guardian:g1")
    answer(give, "matching:school")
    assert {category: at.day for category, at in closed().items()} == {"income": 25}
