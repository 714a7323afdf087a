"""Calling notices back: what is planned but must not be told, and what was queued but did not go out."""

import uuid
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session, col, or_, select

from app.notices.tables import Notice


def cancel_planned(session: Session, household_id: uuid.UUID, reason: str, *, subject: str | None = None) -> int:
    """Cancel what is planned and not released yet, for one subject or for all; return how many."""
    statement = select(Notice).where(Notice.household_id == household_id, Notice.state == "planned")
    if subject is not None:
        statement = statement.where(Notice.subject == subject)
    rows = session.exec(statement).all()
    for notice in rows:
        notice.state, notice.closed_reason = "cancelled", reason
        session.add(notice)
    return len(rows)


def queued_notices(session: Session, household_id: uuid.UUID) -> set[uuid.UUID]:
    """Return the notices of a household whose messages have not gone out yet."""
    rows = session.execute(
        text(
            "SELECT DISTINCT unnest(notice_ids) FROM deliveries"
            " WHERE household_id = :household_id AND state IN ('scheduled', 'retrying')"
        ),
        {"household_id": household_id},
    )
    return set(rows.scalars())


def tell_again(session: Session, household_id: uuid.UUID, notice_ids: Collection[uuid.UUID]) -> None:
    """Put released notices whose messages were cancelled back into the plan: release looks at them anew.

    What reached somebody already is not sent there again: release knows every message that went out.
    """
    if not notice_ids:
        return
    statement = select(Notice).where(
        Notice.household_id == household_id,
        Notice.state == "released",
        or_(col(Notice.id).in_(notice_ids), col(Notice.overview_id).in_(notice_ids)),
    )
    for notice in session.exec(statement):
        notice.state = "planned"
        session.add(notice)
