"""Death, stillbirth, miscarriage: every push about that person ends at once; what is due stays readable."""

import uuid

from app.delivery.claim import wait_until_no_live_claim
from app.delivery.outbox import cancel_queued
from app.households.protection import stop_person
from app.notices.recall import cancel_planned, queued_notices, tell_again
from app.platform import bell
from app.platform.database import Context, app_session


def stop_pushes_about(household_id: uuid.UUID, subject: str, *, reason: str, by: str) -> bool:
    """End every push about one person (`child:c1`, `pregnancy:p1`).

    What was queued is put together anew from what concerns the others.

    Returns:
        False when a request that had begun before was still open after three seconds.

    Raises:
        NotFound: no such household.
    """
    with app_session(Context(household=household_id)) as session:
        stop_person(session, household_id, subject, reason=reason, by=by)
        cancel_planned(session, household_id, "stopped", subject=subject)
        waiting = queued_notices(session, household_id)
        cancel_queued(session, "person_stopped", household_id=household_id)
        tell_again(session, household_id, waiting)
        session.commit()
    ended = wait_until_no_live_claim(household_id)
    bell.ring(bell.RELEASE)
    return ended
