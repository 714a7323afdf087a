"""Protection (支援措置): from now on nobody known before hears anything, and the protected guardian loses no right."""

import uuid

from sqlmodel import col, select

from app.accounts.tables import WebSession
from app.delivery.claim import wait_until_no_live_claim
from app.delivery.outbox import cancel_queued
from app.households.protection import raise_protection
from app.partners.links import live_links_of_household
from app.platform import clock
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
        raise_protection(session, household_id, by=by, reason=reason)
        for link in live_links_of_household(session, household_id):
            end_link(session, household_id, link, telling=False)
        open_sessions = select(WebSession).where(
            WebSession.household_id == household_id, col(WebSession.ended_at).is_(None)
        )
        for row in session.exec(open_sessions):
            row.ended_at = clock.real_now()
            session.add(row)
        cancel_queued(session, "protected", household_id=household_id)
        session.commit()
    return wait_until_no_live_claim(household_id)
