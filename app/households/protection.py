"""The protection flag (支援措置) and stops: monotone, and lowered only by an explicit act of two people.

No import, list, sync, merge or expiry may clear the flag. Basis: 住民基本台帳事務における支援措置.
"""

import unicodedata
import uuid

from sqlmodel import Session, select

from app.households.gate import locked_gate
from app.households.tables import ContactPoint, Household, PersonStop, ProtectionEvent
from app.platform import clock
from app.platform.errors import InvalidInput


def raise_protection(session: Session, household_id: uuid.UUID, *, by: str, reason: str | None = None) -> Household:
    """Raise the flag; raising it again keeps the first instant, so that nothing known before becomes usable.

    The flag is never older than a contact that was confirmed before it, whatever the clocks of the machines said.
    """
    household = locked_gate(session, household_id)
    if household.protected_at is None:
        known = session.exec(select(ContactPoint.confirmed_at).where(ContactPoint.household_id == household_id))
        household.protected_at = max([clock.now(), *(at for at in known if at is not None)])
        session.add(household)
    _log(session, household, "raised", by, None, reason)
    return household


def clear_protection(session: Session, household_id: uuid.UUID, *, by: str, second_person: str, reason: str) -> None:
    """Lower the flag, by two different people with a reason.

    Raises:
        InvalidInput: one person alone, or no reason.
    """
    first, second = (unicodedata.normalize("NFKC", name).strip().casefold() for name in (by, second_person))
    if not reason.strip() or not first or not second or first == second:
        raise InvalidInput("protection is cleared by two different people with a reason; nothing was changed")
    household = locked_gate(session, household_id)
    _log(session, household, "cleared", by, second_person, reason)
    session.flush()  # the database lowers the flag only where this is written already (migration 0007)
    household.protected_at = None
    session.add(household)


def stop_person(session: Session, household_id: uuid.UUID, subject: str, *, reason: str, by: str) -> None:
    """End every push about one person (death, stillbirth, miscarriage). What is due stays readable.

    The consent epoch rises, so that what was queued goes out only after it was put together anew without that person.
    """
    household = locked_gate(session, household_id)
    if subject not in household.stopped_subjects:
        household.stopped_subjects = [*household.stopped_subjects, subject]
        household.consent_epoch += 1
        session.add(household)
    session.add(
        PersonStop(
            household_id=household_id,
            municipality_code=household.municipality_code,
            subject=subject,
            reason=reason,
            by=by,
            at=clock.now(),
        )
    )


def _log(
    session: Session, household: Household, change: str, by: str, second_person: str | None, reason: str | None
) -> None:
    session.add(
        ProtectionEvent(
            household_id=household.id,
            municipality_code=household.municipality_code,
            change=change,
            by=by,
            second_person=second_person,
            reason=reason,
            at=clock.now(),
        )
    )
