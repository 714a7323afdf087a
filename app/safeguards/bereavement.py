"""Death, stillbirth, miscarriage: every push about that person ends at once; what is due stays readable.

A guardian's death may open rights to the family that is left (遺族基礎年金, 児童扶養手当). Of the stored answers it
overturns one: that nobody here raises the children alone. That answer becomes unknown and not its opposite, because
another partner or a grandparent may live there; so the rights are open and not sure, are stored like those of any
change, and stand on the family's own pages with the one question that decides them. No message asks it or says that
something became uncertain (`Situation.mourns`): what the family answers itself is matched and told as ever. Everything
else stays as it was told. Whose income counts from now on is for the family to say; a right that would follow from a
guess would be pushed.
"""

import uuid

from sqlmodel import Session, col, select

from app.accounts.tables import SignInLink, WebSession
from app.delivery.claim import wait_until_no_live_claim
from app.households import contacts
from app.households.profiles import save_document
from app.households.protection import stop_person
from app.households.tables import ContactPoint, HouseholdDocument
from app.notices.recall import cancel_planned, cancel_questions_about, compose_anew
from app.notices.situation import OF_MOURNING
from app.platform import bell, clock
from app.platform.database import Context, app_session

_DIED = "died"
_ALONE = "single_parent"


def stop_pushes_about(household_id: uuid.UUID, subject: str, *, reason: str, by: str) -> bool:
    """End every push about one person (`child:c1`, `pregnancy:p1`).

    What was queued is put together anew from what concerns the others. Of a guardian the sign-in and the addresses
    end too: nobody writes to somebody who died. It stops nothing of the children's; what the death opens is matched.

    Returns:
        False when a request that had begun before was still open after three seconds.

    Raises:
        NotFound: no such household.
    """
    kind, _, person_id = subject.partition(":")
    with app_session(Context(household=household_id)) as session:
        if kind == "guardian":
            _forget_what_a_death_overturns(session, household_id, by)
        stop_person(session, household_id, subject, reason=reason, by=by)
        if kind == "guardian":
            _end_the_ways_of(session, household_id, person_id)
        cancel_planned(session, household_id, "stopped", subject=subject)
        compose_anew(session, household_id, "person_stopped")
        if kind == "guardian":
            cancel_questions_about(session, household_id, OF_MOURNING, "stopped")
        session.commit()
    ended = wait_until_no_live_claim(household_id)
    bell.ring(bell.MATCH)
    bell.ring(bell.RELEASE)
    return ended


def _forget_what_a_death_overturns(session: Session, household_id: uuid.UUID, by: str) -> None:
    """Make unknown what was told and no longer holds for sure; the household is matched like after any other change."""
    statement = select(HouseholdDocument).where(HouseholdDocument.household_id == household_id)
    row = session.exec(statement.with_for_update()).one_or_none()  # before the gate, in the order of `save_document`
    facts = {} if row is None else row.document.get("facts") or {}
    if row is None or facts.get(_ALONE) is not False:
        return
    kept = {name: value for name, value in facts.items() if name != _ALONE}
    document = {**row.document, "facts": kept}
    save_document(session, household_id, document, expected_version=row.version, source="bereavement", by=by)


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
