"""Families, and what tests of notices do with them: tell, let days pass, save, say, look."""

import datetime as dt

from sqlalchemy import text
from sqlmodel import select

from app.delivery.outbox import content_of
from app.delivery.tables import Delivery
from app.households import outcomes, profiles
from app.matching.sweep import drain
from app.notices.announce import announce
from app.notices.recall import outcome_changed
from app.notices.tables import Notice
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from tests.fixtures.factories import a_child, a_household

NEWBORN = a_household(
    children=[a_child("2023-11-02"), a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False}
)
SINGLE_PARENT = a_household(
    "131211",
    [a_child("2018-07-10", lives_with_guardian=True)],
    facts={"single_parent": True, "public_assistance": False},
    guardians=[
        {"id": "g1", "facts": {"income_after_deductions": {"value": 1220000, "income_year": 2025}, "dependants": 1}}
    ],
    co_residents=[],
)
SIBLINGS = a_household(
    children=[a_child("2018-05-05"), a_child("2015-02-02"), a_child("2010-08-08")],
    facts={"single_parent": False, "public_assistance": False},
)
CLOSING = "これは決定ではありません。審査のうえ市区町村が決定します"


def tell():
    drain()
    return announce()


def at(day: str, hour: int = 9):
    clock.shift_to(clock.at_japan_time(dt.date.fromisoformat(day), hour))


def notices(household_id, **wanted):
    with owner_session() as session:
        rows = session.exec(select(Notice).where(Notice.household_id == household_id).order_by(Notice.release_at)).all()
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def messages(household_id, channel=None):
    with owner_session() as session:
        statement = select(Delivery).where(
            Delivery.household_id == household_id, Delivery.event_type.startswith("notice.")
        )
        rows = session.exec(statement.order_by(Delivery.id)).all()
    return [(row, content_of(row.id, row.message_sealed)) for row in rows if channel is None or row.channel == channel]


def arrived(household_id):
    """What was queued has been delivered: it cannot be called back any more."""
    with owner_session() as session:
        session.execute(
            text(
                "UPDATE deliveries SET state = 'delivered', requests = 1 WHERE household_id = :id AND state = 'scheduled'"
            ),
            {"id": household_id},
        )
        session.commit()


def save(household_id, **changes):
    with app_session(Context(household=household_id)) as session:
        row = profiles.read_document(session, household_id)
        profiles.save_document(
            session, household_id, {**row.document, **changes}, expected_version=row.version, source="parent",
            by="guardian:g1",
        )  # fmt: skip
        session.commit()


def say(household_id, programme, subject, outcome):
    with app_session(Context(household=household_id)) as session:
        outcomes.record_outcome(session, household_id, programme, subject, outcome, by="guardian:g1")
        outcome_changed(session, household_id, programme, subject)
        session.commit()
