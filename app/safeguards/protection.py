"""Protection (支援措置): from now on nobody known before hears anything, and the protected guardian loses no right."""

import uuid

from sqlmodel import Session, col, select

from app.accounts.tables import SignInLink, WebSession
from app.delivery.claim import wait_until_no_live_claim
from app.delivery.outbox import cancel_queued
from app.households.protection import raise_protection
from app.households.tables import ContactConfirmation
from app.notices.recall import queued_notices, tell_again
from app.partners.links import live_links_of_household
from app.platform import bell, clock
from app.platform.database import Context, app_session
from app.safeguards.linking import end_link


def protect(household_id: uuid.UUID, *, by: str, reason: str | None = None) -> bool:
    """Raise the flag: queued messages are cancelled, app links end, all sessions end; then wait until nothing is on
    its way.

    The inbox keeps everything. Messages go, in neutral words, only to a contact confirmed after the flag.

    Returns:
        False when a request that had begun before was still open after three seconds.

    Raises:
        NotFound: no such household.
    """
    with app_session(Context(household=household_id)) as session:
        household = raise_protection(session, household_id, by=by, reason=reason)
        for link in live_links_of_household(session, household_id):
            end_link(session, household_id, link, telling=False)
        _end_every_way_in(session, household_id)
        # Only where the flag was up already does anything wait for a contact that may hear it; it is told again.
        allowed = queued_notices(session, household_id, confirmed_after=household.protected_at)
        cancel_queued(session, "protected", household_id=household_id)
        tell_again(session, household_id, allowed)
        session.commit()
    bell.ring(bell.RELEASE)
    return wait_until_no_live_claim(household_id)


def _end_every_way_in(session: Session, household_id: uuid.UUID) -> None:
    """End sessions, unused sign-in links and open confirmations: signing in is bound anew from here on."""
    now = clock.real_now()
    # Links and codes first: whoever is using one right now is waited for, and the session it opens ends below.
    for table in (SignInLink, ContactConfirmation):
        for row in session.exec(select(table).where(table.household_id == household_id, col(table.used_at).is_(None))):
            row.used_at = now
            session.add(row)
    session.flush()
    for row in session.exec(
        select(WebSession).where(WebSession.household_id == household_id, col(WebSession.ended_at).is_(None))
    ):
        row.ended_at = now
        session.add(row)
