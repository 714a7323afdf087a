"""The gate row of a household, locked: whoever changes consent, protection or place comes one after the other."""

import uuid

from sqlmodel import Session, select

from app.households.tables import Household
from app.platform.errors import NotFound


def locked_gate(session: Session, household_id: uuid.UUID) -> Household:
    """Return the gate row as it is now, locked until the transaction ends.

    Raises:
        NotFound: no such household in this context.
    """
    household = session.exec(
        select(Household)
        .where(Household.id == household_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if household is None:
        raise NotFound("this household is not stored, or not visible here")
    return household
