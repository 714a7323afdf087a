"""A planner that has read a live link and the family that ends the link at that moment: one comes after the other."""

import threading

import pytest

from app.delivery.outbox import Gate, enqueue_all
from app.notices.holding import Holds
from app.notices.situation import read_situations
from app.partners.links import live_links_of_household
from app.platform.database import Context, app_session, worker_session
from app.safeguards.protection import protect
from app.safeguards.withdrawal import withdraw
from tests.fixtures.factories import a_household, a_linked_app, enrolled

ENDINGS = {
    "consent_withdrawn": lambda household_id: withdraw(household_id, ["share:partner"], by="guardian:g1"),
    "protected": lambda household_id: protect(household_id, by="guardian:g1"),
}


@pytest.mark.parametrize("reason", ENDINGS)
def test_an_event_planned_by_a_live_link_ends_with_the_link(world, reason):
    household_id = enrolled(a_household())
    a_linked_app(household_id, world.outside.partner_app.webhook_url)
    ending = threading.Thread(target=ENDINGS[reason], args=[household_id])
    with worker_session(Context(municipality="131121")) as session:
        (planned,) = read_situations(session, [household_id], Holds())
        ((link, (endpoint,)),) = planned.links
        ending.start()
        ending.join(0.5)
        assert ending.is_alive(), "the link ended while a planner relied on it"
        gate = Gate(
            household_id=household_id, municipality_code="131121", consent_epoch=planned.household.consent_epoch
        )
        (event,) = enqueue_all(session, [world.webhook(endpoint, gate, partner_id=link.partner_id)])
        session.commit()
    ending.join()
    row = world.delivery(event)
    assert (row.state, row.last_error, row.requests) == ("cancelled", reason, 0)
    with app_session(Context(household=household_id)) as session:
        assert live_links_of_household(session, household_id) == []
