"""Death, stillbirth, miscarriage: every push about that person ends at once; what is due stays readable."""

import uuid

from sqlmodel import Session, col, select

from app.accounts.tables import SignInLink, WebSession
from app.delivery.claim import wait_until_no_live_claim
from app.households import contacts
from app.households.protection import stop_person
from app.households.tables import ContactPoint
from app.notices.recall import cancel_planned, compose_anew
from app.platform import bell, clock
from app.platform.database import Context, app_session

_DIED = "died"


def stop_pushes_about(household_id: uuid.UUID, subject: str, *, reason: str, by: str) -> bool:
    """End every push about one person (`child:c1`, `pregnancy:p1`).

    What was queued is put together anew from what concerns the others. Of a guardian the sign-in and the addresses
    end too: nobody writes to somebody who died. It stops nothing of the children's.

    Returns:
        False when a request that had begun before was still open after three seconds.

    Raises:
        NotFound: no such household.
    """
    with app_session(Context(household=household_id)) as session:
        stop_person(session, household_id, subject, reason=reason, by=by)
        kind, _, person_id = subject.partition(":")
        if kind == "guardian":
            _end_the_ways_of(session, household_id, person_id)
        cancel_planned(session, household_id, "stopped", subject=subject)
        compose_anew(session, household_id, "person_stopped")
        session.commit()
    ended = wait_until_no_live_claim(household_id)
    bell.ring(bell.RELEASE)
    return ended


def _end_the_ways_of(session: Session, household_id: uuid.UUID, guardian: str) -> None:
    """Set a guardian's addresses aside, and end the sessions and links."""
    for contact in session.exec(
        select(ContactPoint).where(ContactPoint.household_id == household_id, ContactPoint.guardian == guardian)
    ):
        if contact.suspended_at is None:
            contacts.set_aside(session, contact, _DIED)
    for row in session.exec(
        select(WebSession).where(
            WebSession.household_id == household_id,
            WebSession.guardian == guardian,
            col(WebSession.ended_at).is_(None),
        )
    ):
        row.ended_at = clock.real_now()
        session.add(row)
    for link in session.exec(
        select(SignInLink).where(
            SignInLink.household_id == household_id, SignInLink.guardian == guardian, col(SignInLink.used_at).is_(None)
        )
    ):
        link.used_at = clock.real_now()
        session.add(link)
