"""Links: one family lets one partner app receive its events.

A link has a random subject id of that pair alone: two partners cannot find out that they serve the same family, and a
family that links again after revoking is a stranger. Revoking here ends the row; `safeguards` cancels, in the same
transaction, what is queued for the pair.
"""

import datetime as dt
import secrets as randomness
import uuid
from collections.abc import Iterable

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from app.partners.tables import PartnerLink
from app.platform.identifiers import new_id
from app.platform.sealing import blind_index

_SUBJECT_BYTES = 16


def link_household(
    session: Session,
    *,
    partner_id: uuid.UUID,
    household_id: uuid.UUID,
    municipality_code: str,
    at: dt.datetime,
) -> PartnerLink:
    """Return the live link of the pair, made now if there is none (in the household's context)."""
    session.execute(
        insert(PartnerLink)
        .values(
            id=new_id(),
            partner_id=partner_id,
            household_id=household_id,
            municipality_code=municipality_code,
            subject_id="sub_" + randomness.token_hex(_SUBJECT_BYTES),
            linked_at=at,
        )
        .on_conflict_do_nothing()
    )
    link = live_link(session, partner_id=partner_id, household_id=household_id)
    if link is None:
        raise RuntimeError("a link was written but is not visible; the session is in another household's context")
    return link


def revoke_link(session: Session, link: PartnerLink, *, at: dt.datetime) -> PartnerLink:
    """End a link. One that has ended already keeps its first instant. Its subject id is never used again."""
    if link.revoked_at is None:
        link.revoked_at = at
    session.add(link)
    session.flush()
    return link


def live_link(session: Session, *, partner_id: uuid.UUID, household_id: uuid.UUID) -> PartnerLink | None:
    """Return the live link of a pair, in the context of one of them or of the household's municipality (worker)."""
    return session.exec(
        select(PartnerLink).where(
            PartnerLink.partner_id == partner_id,
            PartnerLink.household_id == household_id,
            col(PartnerLink.revoked_at).is_(None),
        )
    ).one_or_none()


def live_links_of_household(session: Session, household_id: uuid.UUID) -> list[PartnerLink]:
    """Return a household's live links, oldest first."""
    return list(
        session.exec(
            select(PartnerLink)
            .where(PartnerLink.household_id == household_id, col(PartnerLink.revoked_at).is_(None))
            .order_by(col(PartnerLink.id))
        )
    )


def pairwise_notice_id(subject_id: str, notice_id: uuid.UUID) -> str:
    """Return the name of a notice for one pair: stable, and different for every partner that is told of it.

    Our own notice id would let two partners compare lists and find the families they share.
    """
    return "ntc_" + blind_index(f"{subject_id}/{notice_id}", "partner_notice").hex()[:32]


def pairwise_event_id(subject_id: str, event_type: str, about: str, sequence: int = 1) -> str:
    """Return the `webhook-id` of an event for one pair: the same however often it is planned, sent or replayed.

    Args:
        subject_id: the link's.
        event_type: such as `notice.created`.
        about: what the event is about, such as the notice id; may be our own, it cannot be read back.
        sequence: which telling of it this is.
    """
    return "evt_" + blind_index(f"{subject_id}/{event_type}/{about}/{sequence}", "partner_event").hex()[:32]


def notice_behind(pairwise_id: str, subject_ids: Iterable[str], notice_ids: Iterable[uuid.UUID]) -> uuid.UUID | None:
    """Find which of a household's notices a partner's name for it means; None if none of them.

    Args:
        pairwise_id: from the address that a partner app opened.
        subject_ids: of the household's links.
        notice_ids: of the household.
    """
    notices = list(notice_ids)
    for subject_id in subject_ids:
        for notice_id in notices:
            if pairwise_notice_id(subject_id, notice_id) == pairwise_id:
                return notice_id
    return None
