"""Expiry: when the last useful day of a told notice has passed, it counts as over, and apps take it off the screen."""

import datetime as dt
import uuid
from collections.abc import Sequence

from sqlmodel import Session, col, select

from app.delivery.outbox import WebhookMessage, enqueue_all
from app.notices.app_events import EXPIRED, ended_events
from app.notices.holding import holds_in
from app.notices.returns import NOTHING_LEFT
from app.notices.rows import emptied_overviews
from app.notices.setting_aside import forgive, is_not_set_aside, one_by_one_if_need_be
from app.notices.situation import read_situations
from app.notices.tables import Notice
from app.platform.database import Context, worker_session

HOUSEHOLDS_AT_ONCE = 500


def expire_due(now: dt.datetime) -> int:
    """Expire every told notice whose `expires_at` has come; return how many events for apps were queued."""
    done: list[int] = []
    last = uuid.UUID(int=0)
    while households := _households(now, last):
        last = households[-1][0]
        by_municipality: dict[str, list[uuid.UUID]] = {}
        for household_id, code in households:
            by_municipality.setdefault(code, []).append(household_id)
        for code, ids in by_municipality.items():
            one_by_one_if_need_be(code, ids, lambda some, code=code: done.append(_expire_in(code, some, now)))  # type: ignore[misc]
    return sum(done)


def _households(now: dt.datetime, after: uuid.UUID) -> list[tuple[uuid.UUID, str]]:
    """Return the next households, by id, that have a told notice which is over."""
    with worker_session() as session:
        rows = session.exec(
            select(Notice.household_id, Notice.municipality_code)
            .where(Notice.state == "released", col(Notice.expires_at) <= now, Notice.household_id > after)
            .where(is_not_set_aside(col(Notice.household_id)))
            .distinct()
            .order_by(col(Notice.household_id))
            .limit(HOUSEHOLDS_AT_ONCE)
        )
        return [(household_id, code) for household_id, code in rows]


def _expire_in(municipality_code: str, ids: Sequence[uuid.UUID], now: dt.datetime) -> int:
    with worker_session(Context(municipality=municipality_code)) as session:
        queued = _expire(session, municipality_code, ids, now)
        forgive(session, ids)
        session.commit()
    return queued


def _expire(session: Session, municipality_code: str, ids: Sequence[uuid.UUID], now: dt.datetime) -> int:
    messages: list[WebhookMessage] = []
    for situation in read_situations(session, ids, holds_in(session, municipality_code)):
        over = [
            notice
            for notice in situation.notices
            if notice.state == "released" and notice.expires_at is not None and notice.expires_at <= now
        ]
        for notice in over:
            notice.state, notice.closed_reason = "expired", "its last useful day has passed"
        for overview in emptied_overviews(situation.notices):
            overview.state, overview.closed_reason = "expired", NOTHING_LEFT
            over.append(overview)
        messages += ended_events(situation, over, now, EXPIRED)
    session.flush()
    return len(enqueue_all(session, messages))
