"""Protection where clocks disagree: a contact known before it never counts as confirmed after it."""

import datetime as dt

from sqlmodel import select

from app.households.contacts import add_email, usable_contacts
from app.households.tables import ContactPoint, Household
from app.platform import clock
from app.platform.database import Context, app_session
from app.safeguards.protection import protect
from tests.fixtures.factories import enrolled


def test_a_clock_that_goes_back_makes_no_old_contact_a_new_one(todoke_environment):
    household_id = enrolled()
    clock.shift_to(clock.now() - dt.timedelta(minutes=20))
    protect(household_id, by="staff:1")
    with app_session(Context(household=household_id)) as session:
        household = session.get_one(Household, household_id)
        assert usable_contacts(session, household) == []
        (known,) = session.exec(select(ContactPoint)).all()
        assert household.protected_at == known.confirmed_at
        clock.shift_to(known.confirmed_at + dt.timedelta(seconds=1))
        contact = add_email(session, household_id, "g1", "new@home.example")
        contact.confirmed_at = clock.now()
        session.add(contact)
        assert usable_contacts(session, household) == [contact]
