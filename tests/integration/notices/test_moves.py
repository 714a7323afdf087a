"""What a move that is told, taken back or replaced makes of the news of either town."""

import datetime as dt

import pytest

from app.notices.announce import announce, release_due
from app.safeguards.moving import move, undo_move
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.notices.telling import arrived, at, messages, notices, save, tell

TOSHIMA, KITA, NAKANO, KAWAGUCHI = "131164", "131172", "131148", "112038"
CHILDREN = [{"id": "c1", "birth_date": "2025-10-03"}, {"id": "c2", "birth_date": "2019-06-01"}]
FACTS = {"single_parent": False, "public_assistance": False}
INFANTS = f"{TOSHIMA}/infant-medical-subsidy"
"""Of the old town alone; of a newborn child it has to be applied for by a day of its own."""
VISITS = "130001/babysitter-support"
"""Of all Tokyo; has to be applied for by the end of March."""


def a_family(town=TOSHIMA):
    """A family whose first overview has arrived."""
    household_id = enrolled(a_household(town, children=[a_child("2025-10-03"), a_child("2019-06-01")], facts=FACTS))
    tell()
    arrived(household_id)
    at("2026-11-26", 10)
    return household_id


def told_by_mail(household_id):
    return {notice_id for row, _ in messages(household_id, "email") if row.state != "cancelled"
            for notice_id in row.notice_ids}  # fmt: skip


def all_told(*days):
    for day in days:
        at(day, 10)
        tell()
        release_due()


def born(household_id, day):
    at(day, 10)
    save(household_id, children=[*CHILDREN, {"id": "c3", "birth_date": "2026-11-20"}])
    tell()
    release_due()
    arrived(household_id)
    return notices(household_id, subject="child:c3", kind="new_support")


def test_what_ends_with_a_near_move_is_no_news_unless_its_deadline_comes_before(world):
    household_id = a_family()
    move_id = move(household_id, KAWAGUCHI, dt.date(2027, 1, 25), by="guardian:g1").move_id
    tell()
    arrived(household_id)
    (moved,) = notices(household_id, kind="moved")
    new = {row.programme_key: row for row in born(household_id, "2026-12-28")}
    pushed = {key for key, row in new.items() if row.id in told_by_mail(household_id)}
    assert (new[INFANTS].deadline_on, new[VISITS].deadline_on) == (dt.date(2027, 1, 20), dt.date(2027, 3, 31))
    assert {"000000/child-allowance", INFANTS} <= pushed and VISITS not in pushed
    paying = {key for key, row in new.items() if row.content["most_yen"] and not key.startswith("000000")}
    assert paying and paying <= pushed, "money that the move would cost the family is told"
    assert (new[VISITS].state, new[VISITS].overview_id) == ("released", moved.id), "the inbox has it"
    undo_move(household_id, move_id)
    all_told("2026-12-30", "2027-01-08")
    (stays,) = notices(household_id, id=new[VISITS].id)
    assert (stays.state, stays.overview_id) == ("released", None)
    assert stays.id in told_by_mail(household_id), "with the move taken back it is news"


def test_what_ends_with_a_move_far_ahead_is_news(world):
    household_id = a_family()
    move(household_id, KAWAGUCHI, dt.date(2027, 6, 1), by="guardian:g1")
    tell()
    arrived(household_id)
    new = {row.programme_key: row for row in born(household_id, "2026-11-30")}
    assert new[VISITS].id in told_by_mail(household_id)


def test_a_move_that_is_taken_back_tells_nothing_of_the_old_town_twice(world):
    household_id = a_family()
    move_id = move(household_id, KITA, dt.date(2026, 11, 25), by="guardian:g1").move_id
    tell()
    arrived(household_id)
    assert {row.state for row in notices(household_id, programme_key=INFANTS, kind="new_support")} == {"cancelled"}
    before = len(messages(household_id, "email"))
    undo_move(household_id, move_id)
    all_told("2026-11-28", "2026-12-05")
    assert {row.state for row in notices(household_id, programme_key=INFANTS, kind="new_support")} == {"released"}
    assert len(messages(household_id, "email")) == before
    assert not [row for row in notices(household_id, overview_id=notices(household_id, kind="moved")[0].id)]


@pytest.mark.parametrize("told_first", [True, False])
def test_what_starts_with_two_moves_is_told_once(world, told_first):
    """From outside Tokyo to one ward, and then it was another one: what all of Tokyo gives is told once."""
    household_id = a_family(KAWAGUCHI)
    at("2026-11-26", 10 if told_first else 22)
    first = move(household_id, KITA, dt.date(2026, 11, 25), by="guardian:g1").move_id
    tell()
    if told_first:
        arrived(household_id)
    starting = notices(household_id, programme_key=VISITS, kind="new_support")
    (moved,) = notices(household_id, kind="moved")
    assert starting and {row.overview_id for row in starting} == {moved.id}
    move(household_id, NAKANO, dt.date(2026, 11, 25), by="guardian:g1", corrects=first)
    announce()
    all_told("2026-11-28", "2026-12-05")
    old, new = sorted(notices(household_id, kind="moved"), key=lambda row: row.created_at)
    assert (old.state, new.state) == ("superseded", "released")
    assert notices(household_id, overview_id=old.id) == []
    mails = [mail["text"] for row, mail in messages(household_id, "email") if row.state != "cancelled"]
    assert sum("引っ越し" in text for text in mails) == (2 if told_first else 1)
    starting = notices(household_id, programme_key=VISITS, kind="new_support", state="released")
    assert starting and not {row.id for row in starting} & told_by_mail(household_id), "the move's message names it"
