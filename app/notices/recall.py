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


def compose_again(session: Session, halt_id: uuid.UUID) -> int:
    """Call back every message that a halt holds and put what it told back into the plan; return how many messages.

    A message that was called back gives its key away: what is composed next from the same notices is another one.

    Args:
        session: the owner's, for all municipalities at once.
        halt_id: of a programme's halt.
    """
    called_back = session.execute(
        text(
            "UPDATE deliveries SET state = 'cancelled', last_error = 'halted', finished_at = now(), halt_id = NULL,"
            " dedupe_key = dedupe_key || ':' || id WHERE halt_id = :halt_id RETURNING notice_ids"
        ),
        {"halt_id": halt_id},
    )
    told = [notice_ids for (notice_ids,) in called_back]
    ids = sorted({notice_id for notice_ids in told for notice_id in notice_ids})
    session.execute(
        text(
            "UPDATE notices SET state = 'planned' WHERE state = 'released'"
            " AND (id = ANY(:ids) OR overview_id = ANY(:ids))"
        ),
        {"ids": ids},
    )
    return len(told)
