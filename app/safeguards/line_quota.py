"""What the month still allows on LINE: read from the account, and who waits for it hears by the next channel.

Families that have no other channel wait in the queue: what is still useful next month goes then, and the inbox has it.
"""

import logging
import uuid
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, select

from app.delivery import channel_health
from app.delivery.channel_health import LINE, ORDINARY_QUEUE, URGENT_QUEUE
from app.delivery.channels.line_api import LineApi, LineUnavailable, line_api_from_settings
from app.households import consent
from app.households.contacts import usable_contacts
from app.households.tables import Household
from app.notices.recall import compose_anew
from app.platform import bell, clock
from app.platform.database import Context, worker_session
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

    Looked for each time the quota is read: what was under way comes back later, and release counts what is used, not
    what is queued already, so that a wave may queue more than the month has left.
    """
    with worker_session() as session:
        queues = _closed_queues(session)
        codes = session.execute(_MUNICIPALITIES, {"queues": queues}).scalars().all() if queues else []
    return sum(_turn_away_in(code) for code in codes)


def _turn_away_in(municipality_code: str) -> int:
    turned, after = 0, uuid.UUID(int=0)
    while True:
        with worker_session(Context(municipality=municipality_code)) as session:
            named = {"queues": _closed_queues(session), "code": municipality_code, "after": after, "most": _BATCH}
            waiting = session.execute(_WAITING, named).scalars().all()
            turned += sum(_turn_away(session, household_id) for household_id in waiting)
            session.commit()
        if not waiting:
            return turned
        after = waiting[-1]


def _closed_queues(session: Session) -> list[str]:
    """Return the queues of notices for which the month has nothing left."""
    health, now = channel_health.health_of(session, LINE), clock.real_now()
    left = {ORDINARY_QUEUE: health.left_for_ordinary(now), URGENT_QUEUE: health.left(now)}
    return [queue for queue, count in left.items() if count == 0]


_OF_QUEUES = "d.queue = ANY(:queues) AND d.state IN ('scheduled', 'retrying')"
_MUNICIPALITIES = text(f"SELECT DISTINCT municipality_code FROM deliveries d WHERE {_OF_QUEUES} ORDER BY 1")  # noqa: S608
#: Who has no other address at all is not looked at each time anew.
_WAITING = text(
    f"SELECT DISTINCT d.household_id FROM deliveries d WHERE {_OF_QUEUES} AND d.municipality_code = :code"  # noqa: S608
    " AND d.household_id > :after AND EXISTS (SELECT FROM contact_points c WHERE c.household_id = d.household_id"
    " AND c.kind <> 'line' AND c.confirmed_at IS NOT NULL AND c.suspended_at IS NULL)"
    " ORDER BY d.household_id LIMIT :most"
)


def _turn_away(session: Session, household_id: uuid.UUID) -> bool:
    household = session.exec(select(Household).where(Household.id == household_id).with_for_update()).one_or_none()
    if household is None:  # it has moved, and its rows with it
        return False
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
    called_back = sum(
        compose_anew(session, household_id, QUOTA_USED_UP, contact_point_id=contact.id) for contact in lines
    )
    return bool(called_back)
