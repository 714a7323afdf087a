"""Calling notices back: what is planned but must not be told, and what was queued but did not go out."""

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, or_, select

from app.delivery.outbox import TELLS, cancel_queued, cancel_where, renew_consent
from app.households.outcomes import CLOSING, current_outcomes
from app.households.tables import Household
from app.notices.rows import BEFORE_A_DAY, OUTCOME
from app.notices.tables import Notice
from app.platform.change_queue import rights_changed
from app.platform.database import worker_session


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


def cancel_questions_about(session: Session, household_id: uuid.UUID, facts: Collection[str], reason: str) -> None:
    """Cancel the planned questions about some facts; what asked them already must be back in the plan."""
    statement = select(Notice).where(
        Notice.household_id == household_id, Notice.state == "planned", Notice.kind == "question"
    )
    for notice in session.exec(statement):
        if notice.content["fact"] in facts:
            notice.state, notice.closed_reason = "cancelled", reason
            session.add(notice)


def queued_notices(session: Session, household_id: uuid.UUID, *, confirmed_after: dt.datetime | None) -> set[uuid.UUID]:
    """Return the notices of a household that wait for a contact confirmed after an instant."""
    rows = session.execute(
        text(
            "SELECT DISTINCT unnest(notice_ids) FROM deliveries WHERE household_id = :household_id"
            " AND state IN ('scheduled', 'retrying') AND contact_confirmed_at > :after"
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
    where = f"household_id = :household_id AND notice_ids && :notice_ids AND {_UNSEEN}"
    named = {"household_id": household_id, "notice_ids": list(notice_ids)}
    called_back = cancel_where(session, reason, where, named)
    tell_again(session, household_id, called_back.notice_ids - set(notice_ids))
    return called_back.messages


def compose_anew(
    session: Session, household_id: uuid.UUID, reason: str, *, contact_point_id: uuid.UUID | None = None
) -> int:
    """Call back whatever tells a household of notices, and let release put it together anew; return how many.

    What begins or ends something for an app goes on as it is, whatever consent was withdrawn or stop was set: it says
    nothing new about the family, and an app that never heard the end would show a dead notice for ever.

    Args:
        session: in the household's context or the worker's, its gate locked.
        household_id: whose messages.
        reason: a stable word for the delivery log.
        contact_point_id: only what goes to this address.
    """
    called_back = cancel_queued(
        session, reason, household_id=household_id, contact_point_id=contact_point_id, telling_only=True
    )
    tell_again(session, household_id, called_back.notice_ids)
    renew_consent(session, household_id)
    return called_back.messages


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


def compose_what_is_halted() -> int:
    """Call back what the halt of a programme holds and put what it told back into the plan; return how many messages.

    Release tells the rest without that programme, and the programme when its halt has ended, as it is then. What begins
    or ends something, and events of which an app may have seen an attempt, wait for the end of the halt as they are.
    """
    composed = 0
    while True:
        with worker_session() as session:
            ids = session.execute(_HALTED, {"most": _HOUSEHOLDS_AT_ONCE}).scalars().all()
            if not ids:
                return composed
            # The gates first, in the order of planners, whom this must neither meet halfway nor overtake.
            session.execute(_LOCK_GATES, {"ids": ids})
            where = f"household_id = ANY(:ids) AND {_HELD_BY_PROGRAMME} AND {_UNSEEN}"
            called_back = cancel_where(session, "halted", where, {"ids": ids})
            session.execute(_PLAN_AGAIN, {"ids": ids, "notice_ids": sorted(called_back.notice_ids)})
            session.commit()
        composed += called_back.messages


#: What tells of a notice and was seen by nobody for sure, or is a push, which has no sequence.
_UNSEEN: Final = f"{TELLS} AND (lane = 'notice' OR requests = 0)"
_HELD_BY_PROGRAMME: Final = "halt_id IS NOT NULL AND halt_id IN (SELECT id FROM halts WHERE kind = 'programme')"
_HALTED: Final = text(
    "SELECT DISTINCT household_id FROM deliveries WHERE household_id IS NOT NULL"  # noqa: S608
    f" AND state IN ('scheduled', 'retrying') AND {_HELD_BY_PROGRAMME} AND {_UNSEEN} ORDER BY 1 LIMIT :most"
)
_LOCK_GATES: Final = text("SELECT FROM households WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_PLAN_AGAIN: Final = text(
    "UPDATE notices SET state = 'planned' WHERE household_id = ANY(:ids) AND state = 'released'"
    " AND (id = ANY(:notice_ids) OR overview_id = ANY(:notice_ids))"
)
_HOUSEHOLDS_AT_ONCE: Final = 500
