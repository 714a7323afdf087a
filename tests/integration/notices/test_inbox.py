"""The inbox: what to do now, and the archive."""

import datetime as dt

from app.notices import inbox
from app.platform import clock
from app.platform.database import Context, app_session
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.notices.telling import NEWBORN, tell


def test_the_inbox_shows_three_things_by_deadline(world):
    household_id = enrolled(NEWBORN)
    tell()
    with app_session(Context(household=household_id)) as session:
        cards = inbox.todo(session, household_id, clock.today())
        everything = inbox.all_notices(session, household_id)
    assert len(cards) == 3 < len(everything)
    assert [card.deadline_on for card in cards][:2] == [dt.date(2026, 12, 4), dt.date(2026, 12, 7)]
    assert cards[0].days_left == 10


def test_a_card_leaves_the_list_of_things_to_do_after_its_last_day(world):
    household_id = enrolled(a_household(children=[a_child("2026-09-20")], facts={"single_parent": False}))
    tell()
    with app_session(Context(household=household_id)) as session:
        cards = inbox.all_notices(session, household_id, clock.today())
        later = inbox.all_notices(session, household_id, dt.date(2028, 1, 1))
    assert sum(card.finished for card in cards) < sum(card.finished for card in later)
