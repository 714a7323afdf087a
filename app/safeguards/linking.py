"""Linking a family with a partner app, and ending it: consent to exactly that partner, a subject id of that pair."""

import datetime as dt
import uuid

from sqlmodel import Session, select

from app.delivery.link_events import link_message
from app.delivery.outbox import Gate, enqueue_all
from app.households import consent
from app.households.tables import Household
from app.partners import events
from app.partners.endpoints import endpoints_wanting
from app.partners.links import link_household, revoke_link
from app.partners.tables import PartnerLink
from app.platform import bell, clock
from app.platform.database import Context, app_session, enter
from app.platform.errors import NotFound

_SHARING = "share:partner"


def link(household_id: uuid.UUID, partner_id: uuid.UUID, *, by: str, via: str, language: str = "ja") -> str:
    """Link a household with a partner, tell the app, and return the subject id that the partner will see.

    Raises:
        NotFound: no such household.
    """
    now = clock.now()
    with app_session(Context(household=household_id, partner=partner_id)) as session:
        household = session.get(Household, household_id)
        if household is None:
            raise NotFound("this household is not stored, or not visible here")
        consent.give(session, household_id, [_SHARING], language=language, by=by, source=via, recipient=str(partner_id))
        made = link_household(
            session,
            partner_id=partner_id,
            household_id=household_id,
            municipality_code=household.municipality_code,
            at=now,
        )
        subject_id = made.subject_id
        gate = Gate(
            household_id=household_id,
            municipality_code=household.municipality_code,
            consent_epoch=household.consent_epoch,
        )
        _tell(session, made, "link.created", events.link_created(subject_id=subject_id, at=now), now, gate)
        session.commit()
    bell.ring_dispatch()
    return subject_id


def end_link(session: Session, household_id: uuid.UUID, made: PartnerLink, *, telling: bool) -> None:
    """End a link in the caller's transaction; the app is told to forget the subject, unless telling could harm.

    Args:
        session: in the household's context.
        household_id: whose link it is.
        made: the live link.
        telling: False under protection, where not even the end of a link may show.
    """
    now = clock.now()
    # The gate first: a planner that saw the live link commits before, and what it queued is cancelled after.
    session.exec(select(Household.id).where(Household.id == household_id).with_for_update(key_share=True)).one()
    revoke_link(session, made, at=now)
    if telling:
        enter(session, Context(household=household_id, partner=made.partner_id))
        _tell(session, made, "link.revoked", events.link_revoked(subject_id=made.subject_id, at=now), now)
        enter(session, Context(household=household_id))


def _tell(
    session: Session, made: PartnerLink, event_type: str, body: bytes, now: dt.datetime, gate: Gate | None = None
) -> None:
    """Queue an event about the link itself. Its end has no gate: it must arrive after a withdrawal."""
    enqueue_all(
        session,
        [
            link_message(made, endpoint, event_type, body, due_at=now, gate=gate)
            for endpoint in endpoints_wanting(session, made.partner_id, event_type)
        ],
    )
