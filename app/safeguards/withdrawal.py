"""Withdrawal (同意の撤回): one transaction, answered when nothing of the household is on its way any more."""

import uuid
from collections.abc import Sequence

from sqlmodel import Session, select

from app.delivery.claim import wait_until_no_live_claim
from app.delivery.outbox import cancel_queued, renew_consent
from app.households import consent, contacts
from app.households.tables import ContactPoint, Household
from app.notices.planning import CONSENT_WITHDRAWN
from app.notices.recall import cancel_planned, compose_anew
from app.partners.links import live_links_of_household
from app.platform import bell
from app.platform.database import Context, app_session
from app.safeguards.linking import end_link

_EVERYTHING = "matching:basic"
_SHARING = "share:partner"
_UNSUBSCRIBED = "unsubscribed"
_WITHDRAWN = "consent_withdrawn"


def withdraw(
    household_id: uuid.UUID,
    purposes: Sequence[str] | None,
    *,
    by: str,
    via: str = "web",
    partner_id: uuid.UUID | None = None,
) -> bool:
    """Withdraw purposes (None = all) and wait until no request of the household is under way.

    With a partner only what was given to it: its link ends, other apps and the family's own messages go on.

    No claim commits after this transaction has, and no request starts after this function has returned. What other
    purposes still allow is released again under the new consent epoch; what only begins or ends something for an app
    that stays linked goes on as it is.

    Returns:
        True when nothing is on its way; False when a request that had begun before was still open after three seconds.

    Raises:
        NotFound: no such household.
    """
    with app_session(Context(household=household_id)) as session:
        recipient = str(partner_id) if partner_id else None
        consent.withdraw(session, household_id, purposes, by=by, via=via, recipient=recipient)
        everything = partner_id is None and (purposes is None or _EVERYTHING in purposes)
        if everything or purposes is None or _SHARING in purposes:
            telling = not _is_protected(session, household_id)
            for link in live_links_of_household(session, household_id):
                if partner_id in (None, link.partner_id):
                    cancel_queued(session, _WITHDRAWN, household_id=household_id, partner_id=link.partner_id)
                    end_link(session, household_id, link, telling=telling)
        if everything:
            cancel_planned(session, household_id, CONSENT_WITHDRAWN)
            cancel_queued(session, _WITHDRAWN, household_id=household_id)
        elif partner_id is None:
            compose_anew(session, household_id, _WITHDRAWN)
        else:
            renew_consent(session, household_id)
        session.commit()
    ended = wait_until_no_live_claim(household_id)
    bell.ring(bell.MATCH)
    bell.ring(bell.RELEASE)
    return ended


def _is_protected(session: Session, household_id: uuid.UUID) -> bool:
    """Whether not even the end of a link may show."""
    return session.get_one(Household, household_id).protected_at is not None


def unsubscribe(token: str) -> None:
    """Stop one contact by its one-click address; doing it twice changes nothing.

    Raises:
        NotFound: the token was not made by Todoke.
    """
    household_id, contact_id = contacts.read_unsubscribe_token(token)
    with app_session(Context(household=household_id)) as session:
        # The gate first: the claim and the planner wait for it, so that neither sends to the address behind our back.
        session.exec(select(Household).where(Household.id == household_id).with_for_update()).one_or_none()
        stop_contact(session, household_id, contact_id, _UNSUBSCRIBED)
        session.commit()
    wait_until_no_live_claim(household_id)
    bell.ring(bell.RELEASE)


def stop_contact(session: Session, household_id: uuid.UUID, contact_id: uuid.UUID, reason: str) -> bool:
    """Set a contact aside and call back what is queued for it; its notices look for another way.

    The caller holds the household's gate row and commits.

    Returns:
        False if there is no such contact, or it was set aside before.
    """
    contact = session.get(ContactPoint, contact_id)
    if contact is None or contact.suspended_at is not None:
        return False
    # Messages before the contact, in the order of those who record what became of a message.
    compose_anew(session, household_id, reason, contact_point_id=contact_id)
    contacts.set_aside(session, contact, reason)
    return True
