"""Linking a family with a partner app: consent to share with exactly that partner, and a subject id of that pair."""

import uuid

from app.households import consent
from app.households.tables import Household
from app.partners.links import link_household
from app.platform import clock
from app.platform.database import Context, app_session

_SHARING = "share:partner"


def link(household_id: uuid.UUID, partner_id: uuid.UUID, *, by: str, via: str, language: str = "ja") -> str:
    """Link a household with a partner; return the subject id that the partner will see.

    Raises:
        NotFound: no such household.
    """
    with app_session(Context(household=household_id)) as session:
        household = session.get_one(Household, household_id)
        consent.give(session, household_id, [_SHARING], language=language, by=by, source=via, recipient=str(partner_id))
        made = link_household(
            session,
            partner_id=partner_id,
            household_id=household_id,
            municipality_code=household.municipality_code,
            at=clock.now(),
        )
        subject_id = made.subject_id
        session.commit()
    return subject_id
