"""Calling notices back: what is planned but must not be told, and what was queued but did not go out."""

import datetime as dt
import uuid
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session, col, or_, select

from app.delivery.outbox import KEY_GIVEN_AWAY, Lane
from app.households.outcomes import CLOSING, current_outcomes
from app.households.tables import Household
from app.notices.rows import BEFORE_A_DAY, OUTCOME
from app.notices.tables import Notice
from app.platform.change_queue import rights_changed


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


def queued_notices(
    session: Session, household_id: uuid.UUID, *, confirmed_after: dt.datetime | None = None
) -> set[uuid.UUID]:
    """Return the notices of a household whose messages have not gone out yet; to any contact, or to newer ones only."""
    rows = session.execute(
        text(
            "SELECT DISTINCT unnest(notice_ids) FROM deliveries"
            " WHERE household_id = :household_id AND state IN ('scheduled', 'retrying')"
            " AND (CAST(:after AS timestamptz) IS NULL OR contact_confirmed_at > :after)"
        ),
        {"household_id": household_id, "after": confirmed_after},
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


def call_back(session: Session, household_id: uuid.UUID, notice_ids: Collection[uuid.UUID], reason: str) -> int:
    """Call back messages that tell of these notices and have not gone out; return how many.

    What else such a message told is told again. An event of which an app may have seen an attempt stays: the next one
    follows it by its `sequence`.

    Args:
        session: in the household's context or the worker's, its gate locked.
        household_id: whose notices.
        notice_ids: notices that no longer hold, or are done.
        reason: a stable word for the delivery log.
    """
    if not notice_ids:
        return 0
    rows = session.execute(
        text(
            "UPDATE deliveries SET state = 'cancelled', last_error = :reason, finished_at = now(), halt_id = NULL,"  # noqa: S608
            f" {KEY_GIVEN_AWAY} WHERE household_id = :household_id AND notice_ids && :notice_ids"
            " AND state IN ('scheduled', 'retrying') AND (lane = :push OR (lane = :event AND requests = 0))"
            " RETURNING notice_ids"
        ),
        {
            "household_id": household_id, "notice_ids": list(notice_ids), "reason": reason,
            "push": Lane.NOTICE, "event": Lane.EVENT,
        },
    ).all()  # fmt: skip
    told = {notice_id for (together,) in rows for notice_id in together}
    tell_again(session, household_id, told - set(notice_ids))
    return len(rows)


def outcome_changed(session: Session, household_id: uuid.UUID, programme_key: str, subject: str) -> None:
    """Stop reminding at once where a family's outcome closes a support, in the transaction that records it.

    Planned reminders are cancelled, queued messages about the support called back; the look that is queued makes apps
    hear of it, and plans the reminders again where the outcome was taken back.
    """
    household = session.exec(
        select(Household).where(Household.id == household_id).with_for_update(key_share=True)
    ).one()
    rights_changed(session, household_id, household.municipality_code)
    if not any(
        (told.programme_key, told.subject) == (programme_key, subject) and told.outcome in CLOSING
        for told in current_outcomes(session, household_id)
    ):
        return
    mine = session.exec(
        select(Notice).where(
            Notice.household_id == household_id,
            Notice.programme_key == programme_key,
            Notice.subject == subject,
            col(Notice.state).in_(("planned", "released")),
        )
    ).all()
    for notice in mine:
        if notice.state == "planned" and notice.kind in BEFORE_A_DAY:
            notice.state, notice.closed_reason = "cancelled", OUTCOME
            session.add(notice)
    session.flush()
    call_back(session, household_id, [notice.id for notice in mine if notice.state == "released"], OUTCOME)


def compose_again(session: Session, halt_id: uuid.UUID) -> int:
    """Call back every message that a halt holds and put what it told back into the plan; return how many messages.

    Args:
        session: the owner's, for all municipalities at once.
        halt_id: of a programme's halt.
    """
    called_back = session.execute(
        text(
            "UPDATE deliveries SET state = 'cancelled', last_error = 'halted', finished_at = now(), halt_id = NULL,"  # noqa: S608
            f" {KEY_GIVEN_AWAY} WHERE halt_id = :halt_id RETURNING notice_ids"
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
