"""Moving between municipalities, from a family's word to its one notice."""

import datetime as dt

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from app.delivery.outbox import content_of
from app.delivery.tables import Delivery
from app.households.moves import moves_of
from app.households.profiles import read_document
from app.households.protection import clear_protection, raise_protection
from app.households.tables import Consent, Household, HouseholdDocument, Move
from app.matching.sweep import drain
from app.notices.announce import announce, release_due
from app.notices.tables import Notice
from app.platform import clock
from app.platform.change_queue import rights_changed
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.errors import Conflict, InvalidInput
from app.safeguards.moving import carry_out_due, move, undo_move
from tests.fixtures.factories import a_child, a_household, enrolled

TOSHIMA, KITA, NAKANO = "131164", "131172", "131148"
ON = dt.date(2026, 12, 10)
FAMILY = {"children": [a_child("2025-10-03"), a_child("2019-06-01")], "facts": {"single_parent": False,
          "public_assistance": False}}  # fmt: skip


def work() -> None:
    drain()
    announce()
    release_due()


@pytest.fixture
def family(published_registry):
    """A family in 豊島区 whose first overview has arrived."""
    household_id = enrolled(a_household(TOSHIMA, **FAMILY))
    work()
    with owner_session() as session:
        for row in session.exec(select(Delivery)):
            row.state = "accepted"
            session.add(row)
        session.commit()
    clock.shift_to(clock.at_japan_time(dt.date(2026, 11, 26), 10))
    return household_id


def notices(household_id, kind="moved"):
    with owner_session() as session:
        statement = select(Notice).where(Notice.household_id == household_id, Notice.kind == kind).order_by(Notice.id)
        return session.exec(statement).all()


def live_messages(household_id):
    with owner_session() as session:
        rows = session.exec(
            select(Delivery).where(Delivery.household_id == household_id, Delivery.state == "scheduled")
        )
        return [content_of(row.id, row.message_sealed) for row in rows]


def parts_of(notice):
    return {part["part"]: {(item["programme_key"], item["subject"]): item for item in part["items"]}
            for part in notice.content["parts"]}  # fmt: skip


def test_a_move_told_ahead_is_one_message_and_its_day_brings_no_second_one(family):
    move(family, KITA, ON, by="guardian:g1", planned_move_out_on=ON)
    work()
    (notice,) = notices(family)
    parts = parts_of(notice)
    assert parts["ends"][f"{TOSHIMA}/infant-medical-subsidy", "child:c1"]["last_on"] == "2026-12-09"
    assert parts["again"][f"{KITA}/child-allowance", "child:c2"]["deadline_on"] == "2026-12-25"
    assert parts["again"][f"{KITA}/infant-medical-subsidy", "child:c1"]["deadline_on"] == "2027-03-10"
    assert ("130001/018-support", "child:c1") in parts["check"]
    assert "starts" not in parts
    (told,) = live_messages(family)
    assert "2026年12月25日(金)まで" in told["text"]
    assert "生まれ" not in told["subject"]
    with owner_session() as session:
        assert session.get_one(Household, family).municipality_code == TOSHIMA
    clock.shift_to(clock.at_japan_time(ON, 10))
    assert carry_out_due() == 1
    assert carry_out_due() == 0
    work()
    assert [one.id for one in notices(family)] == [notice.id]
    new = [one for one in notices(family, "new_support") if one.programme_key.startswith(KITA)]
    assert len(new) == 3
    assert {(one.overview_id, one.state) for one in new} == {(notice.id, "released")}
    assert len(live_messages(family)) == 1
    with app_session(Context(household=family)) as session:
        stays = read_document(session, family).document["residence"]
        assert stays == [
            {"municipality": TOSHIMA, "until": "2026-12-09"},
            {"municipality": KITA, "from": "2026-12-10", "planned_move_out_on": "2026-12-10"},
        ]
        assert session.get_one(Household, family).consent_epoch == 1
        assert {row.state for row in session.exec(select(Consent))} == {"given"}
    with worker_session(Context(municipality=TOSHIMA)) as session:
        for table in (HouseholdDocument, Consent, Move):
            assert session.exec(select(table)).all() == [], f"the old town's context still sees {table.__tablename__}"


def test_another_date_takes_the_place_of_the_first_and_a_move_may_be_taken_back(family):
    first = move(family, KITA, ON, by="guardian:g1").move_id
    assert move(family, KITA, ON, by="guardian:g1").move_id == first
    work()
    second = move(family, KITA, dt.date(2026, 11, 20), by="guardian:g1").move_id
    work()
    assert [(one.occasion, one.state) for one in notices(family)] == [
        (str(first), "superseded"), (str(second), "released"),
    ]  # fmt: skip
    assert len(live_messages(family)) == 1
    third = move(family, NAKANO, dt.date(2026, 11, 21), by="guardian:g1", corrects=second).move_id
    with app_session(Context(household=family)) as session:
        assert {one.id: one.state for one in moves_of(session, family)} == {
            first: "superseded", second: "superseded", third: "done",
        }  # fmt: skip
        assert read_document(session, family).document["municipality"] == NAKANO
    work()
    undo_move(family, third)
    work()
    with app_session(Context(household=family)) as session:
        document = read_document(session, family).document
        assert (document["municipality"], document.get("residence")) == (TOSHIMA, None)
    assert {one.state for one in notices(family)} == {"superseded", "cancelled"}
    # What had ended with the move holds again and is told as such; of the move nothing is on its way any more.
    assert not [told for told in live_messages(family) if "引っ越し" in told["text"]]
    with pytest.raises(Conflict):
        undo_move(family, third)


def test_what_was_received_is_said_and_under_protection_no_word_of_it_leaves(family):
    with app_session(Context(household=family)) as session:
        raise_protection(session, family, by="staff:1")
        session.commit()
    move(family, "000000", dt.date(2026, 11, 20), by="guardian:g1", received={"birth-lump-sum-grant": True})
    work()
    (notice,) = notices(family)
    assert parts_of(notice)["received"]
    assert notice.content["unknown_town"]
    assert live_messages(family) == []


def test_a_child_that_goes_to_live_elsewhere_leaves_the_household_where_it_is(family):
    move(family, KITA, dt.date(2026, 11, 20), by="guardian:g1", subject="child:c1")
    work()
    (notice,) = notices(family)
    assert notice.subject == "child:c1"
    assert {subject for part in parts_of(notice).values() for _, subject in part} == {"child:c1"}
    assert (f"{TOSHIMA}/infant-medical-subsidy", "child:c1") in parts_of(notice)["ends"]
    with app_session(Context(household=family)) as session:
        document = read_document(session, family).document
    assert document["municipality"] == TOSHIMA
    assert document["children"][0]["facts"] == {"lives_with_guardian": False}


def test_wards_of_one_city_are_one_town_and_nonsense_writes_nothing(todoke_environment):
    household_id = enrolled(a_household("141003"))
    assert move(household_id, "141011", clock.today(), by="guardian:g1").move_id is None
    for to, on, subject in (
        ("130001", clock.today(), "household"),
        ("131121", clock.today() + dt.timedelta(days=800), "household"),
        ("131121", clock.today(), "child:c9"),
        ("999999", clock.today(), "household"),
    ):
        with pytest.raises(InvalidInput):
            move(household_id, to, on, by="guardian:g1", subject=subject)
    with app_session(Context(household=household_id)) as session:
        assert moves_of(session, household_id) == []


def test_the_database_itself_keeps_the_gate_from_being_lowered(todoke_environment):
    household_id = enrolled(a_household())
    with app_session(Context(household=household_id)) as session:
        raise_protection(session, household_id, by="staff:1")
        household = session.get_one(Household, household_id)
        household.stopped_subjects, household.consent_epoch = ["child:c1"], 3
        session.commit()
    for name, value in (("protected_at", None), ("consent_epoch", 2), ("stopped_subjects", [])):
        with owner_session() as session:
            setattr(session.get_one(Household, household_id), name, value)
            with pytest.raises(DBAPIError, match=r"protection|epoch|stopped"):
                session.commit()
    with app_session(Context(household=household_id)) as session:
        with pytest.raises(InvalidInput):
            clear_protection(session, household_id, by="staff:1", second_person="Ｓtaff:1 ", reason="x")
        clear_protection(session, household_id, by="staff:1", second_person="staff:2", reason="moved away")
        session.commit()
    with owner_session() as session:
        assert session.get_one(Household, household_id).protected_at is None


def takes_back(household_id, programme):
    with owner_session() as session:
        session.execute(
            text("DELETE FROM entitlements WHERE household_id = :id AND programme_key = :key"),
            {"id": household_id, "key": programme},
        )
        rights_changed(session, household_id, session.get_one(Household, household_id).municipality_code)
        session.commit()


def test_what_is_lost_after_a_move_was_told_is_told_by_itself(family):
    move(family, KITA, dt.date(2026, 11, 20), by="guardian:g1")
    work()
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'delivered', requests = 1 WHERE state = 'scheduled'"))
        session.commit()
    (moved,) = notices(family)
    named = {key for part in parts_of(moved).values() for key, _ in part}
    assert "000000/child-allowance" in named or f"{KITA}/child-allowance" in named
    (key,) = named & {"000000/child-allowance", f"{KITA}/child-allowance"}
    clock.shift_to(clock.at_japan_time(dt.date(2026, 12, 21), 10))
    takes_back(family, key)
    announce()
    clock.shift_to(clock.at_japan_time(dt.date(2026, 12, 28), 10))
    release_due()
    losses = [one for one in notices(family, "correction") if one.programme_key == key and one.content.get("ended")]
    assert losses and {(one.overview_id, one.state) for one in losses} == {(None, "released")}
    with owner_session() as session:
        told = {notice_id for row in session.exec(select(Delivery)) for notice_id in row.notice_ids}
    assert {one.id for one in losses} <= told
