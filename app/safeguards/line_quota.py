"""What the month still allows on LINE: read from the account, and who waits for it hears by the next channel.

Families that have no other channel wait in the queue: what is still useful next month goes then, and the inbox has it.
"""

import datetime as dt
import logging
import uuid
from collections import defaultdict
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, select

from app.delivery import channel_health
from app.delivery.channel_health import LINE, ORDINARY_QUEUE
from app.delivery.channels.line_api import LineApi, LineUnavailable, line_api_from_settings
from app.delivery.outbox import cancel_queued
from app.households import consent
from app.households.contacts import usable_contacts
from app.households.tables import Household
from app.notices.recall import queued_notices, tell_again
from app.platform import bell, clock
from app.platform.database import Context, enter, worker_session
from app.platform.settings import settings

_logger = logging.getLogger(__name__)

QUOTA_USED_UP: Final = "quota_used_up"
_BATCH: Final = 200


def read_quota(api: LineApi | None = None) -> None:
    """Ask the account what the month allows, and turn away who waits for a month that is used up."""
    if not settings().line.channel_token.get_secret_value():
        return
    try:
        quota = (api or line_api_from_settings()).quota()
    except LineUnavailable as error:
        _logger.warning("line: the month's quota could not be read: %s", error)
    else:
        with worker_session() as session:
            channel_health.note_quota(session, LINE, quota, clock.real_now())
            session.commit()
    turned = turn_away()
    if turned:
        _logger.info("line: %d families are told by their next channel", turned)
        bell.ring(bell.RELEASE)


def turn_away() -> int:
    """Have families told by their next channel whose push waits for a quota that is used up; return how many.

    Done once a month: from then on, release itself passes LINE over.
    """
    turned, after = 0, uuid.UUID(int=0)
    while True:
        now = clock.real_now()
        with worker_session() as session:
            health = channel_health.health_of(session, LINE)
            if health.left_for_ordinary(now) != 0 or _was_done_this_month(health, now):
                return turned
            waiting = _waiting(session, after)
            for code, ids in waiting.items():
                enter(session, Context(municipality=code))
                turned += sum(_turn_away(session, household_id) for household_id in sorted(ids))
            if not waiting:
                channel_health.note_turned_away(session, LINE, now)
            after = max((max(ids) for ids in waiting.values()), default=after)
            session.commit()


def _was_done_this_month(health: channel_health.Health, now: dt.datetime) -> bool:
    done = health.turned_away_at
    return done is not None and channel_health.month_of(done) == channel_health.month_of(now)


def _waiting(session: Session, after: uuid.UUID) -> dict[str, set[uuid.UUID]]:
    rows = session.execute(
        text(
            "SELECT DISTINCT household_id, municipality_code FROM deliveries WHERE queue = :queue"
            " AND state IN ('scheduled', 'retrying') AND household_id > :after ORDER BY household_id LIMIT :most"
        ),
        {"queue": ORDINARY_QUEUE, "after": after, "most": _BATCH},
    )
    found: dict[str, set[uuid.UUID]] = defaultdict(set)
    for row in rows:
        found[row.municipality_code].add(row.household_id)
    return found


def _turn_away(session: Session, household_id: uuid.UUID) -> bool:
    household = session.exec(select(Household).where(Household.id == household_id).with_for_update()).one()
    answers = consent.current(session, household_id)
    now = clock.now()
    others = [
        contact
        for contact in usable_contacts(session, household)
        if contact.kind != LINE and consent.is_given(answers.get(f"channel:{contact.kind}"), now)
    ]
    if not others:
        return False
    lines = [contact for contact in usable_contacts(session, household) if contact.kind == LINE]
    waiting = queued_notices(session, household_id)
    called_back = sum(
        cancel_queued(session, QUOTA_USED_UP, household_id=household_id, contact_point_id=contact.id)
        for contact in lines
    )
    if called_back:
        tell_again(session, household_id, waiting)
    return bool(called_back)
