"""Mails to the owner of an endpoint that fails: after an hour, a day, four days, at its end, and when it works again.

Not the sending path but a look every minute at how endpoints stand: what was told last is written beside their health.
Each mail has a dedupe key of its stage and day, so that an endpoint that comes and goes writes one of each a day at
most; an owner whose own address refuses mail is tried again once a day.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlmodel import Session

from app.delivery.outbox import enqueue_email
from app.delivery.partner_mail import partner_mail
from app.partners.endpoints import FAILING, GONE
from app.partners.registration import contact_of, partner_by_id
from app.platform import bell, clock
from app.platform.database import worker_session
from app.platform.settings import settings

Stage = Literal["hour", "day", "four_days", "disabled", "recovered"]

#: After how long without one success the owner hears of it.
AFTER: Final[dict[Stage, dt.timedelta]] = {
    "hour": dt.timedelta(hours=1),
    "day": dt.timedelta(hours=24),
    "four_days": dt.timedelta(days=4),
}
#: It works again when it has worked for so long.
WORKING_FOR: Final = dt.timedelta(minutes=15)
_LIFE: Final = dt.timedelta(days=2)
EVENT_TYPE: Final = "endpoint.owner_mail"

_ORDER: Final[tuple[Stage, ...]] = ("hour", "day", "four_days")
#: An end that is older than this was told, or is no news.
_NEWS_FOR: Final = dt.timedelta(days=7)
_REFUSED_REST: Final = dt.timedelta(hours=24)
_COUNTED_UP_TO: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an endpoint stands, and what its owner was told of it.

    Attributes:
        disabled_reason: None while it is enabled.
        waiting: whether anything waits for it; a failure that concerns nothing is not worth a mail.
        told: the last mail of this failure; None before the first.
        working_since: since when it works again after a mail, as far as was seen.
    """

    disabled_reason: str | None
    failing_since: dt.datetime | None
    waiting: bool
    told: Stage | None
    working_since: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a look at an endpoint comes to: a mail or none, and what to remember."""

    mail: Stage | None
    told: Stage | None
    working_since: dt.datetime | None = None


def step(standing: Standing, at: dt.datetime) -> Step:
    """Decide what the owner hears now. Pure; all instants are real time."""
    told = standing.told
    if standing.disabled_reason is not None:
        ended = standing.disabled_reason in (FAILING, GONE) and told != "disabled"
        return Step(mail="disabled" if ended else None, told="disabled" if ended else told)
    if told == "disabled":
        return Step(mail="recovered", told=None)  # it was enabled again by a test that it received
    if standing.failing_since is not None:
        reached = [stage for stage in _ORDER if at - standing.failing_since >= AFTER[stage]]
        if reached and standing.waiting and (told is None or _ORDER.index(reached[-1]) > _ORDER.index(told)):
            return Step(mail=reached[-1], told=reached[-1])
        return Step(mail=None, told=told)
    if told is None:
        return Step(mail=None, told=None)
    since = standing.working_since or at
    if at - since >= WORKING_FOR:
        return Step(mail="recovered", told=None)
    return Step(mail=None, told=told, working_since=since)


def tell_owners(at: dt.datetime | None = None) -> int:
    """Look at every endpoint that fails or failed, each in a transaction of its own; return how many mails were queued.

    Args:
        at: the real instant; now unless given.
    """
    at = at or clock.real_now()
    queued = 0
    with worker_session() as session:
        endpoint_ids = session.execute(_TO_LOOK_AT, {"at": at, "news_since": at - _NEWS_FOR}).scalars().all()
    for endpoint_id in endpoint_ids:
        with worker_session() as session:
            queued += _look_at(session, endpoint_id, at)
            session.commit()
    if queued:
        bell.ring_dispatch()
    return queued


def _look_at(session: Session, endpoint_id: uuid.UUID, at: dt.datetime) -> bool:
    row = session.execute(_STANDING, {"id": endpoint_id, "most": _COUNTED_UP_TO}).mappings().one_or_none()
    if row is None:
        return False  # somebody else looks at it, or records for it, right now: the next look is in a minute
    standing = Standing(
        disabled_reason=(row["disabled_reason"] or "by_partner") if row["disabled_at"] is not None else None,
        failing_since=row["failing_since"],
        waiting=row["waiting"] > 0,
        told=row["owner_told"],
        working_since=row["working_since"],
    )
    taken = step(standing, at)
    mailed = False
    if taken.mail is not None:
        if _refused_lately(session, row["partner_id"], at):
            return False
        mailed = _queue(session, taken.mail, row, at)
    session.execute(_REMEMBER, {"id": endpoint_id, "told": taken.told, "working_since": taken.working_since})
    return mailed


def _queue(session: Session, stage: Stage, row: Any, at: dt.datetime) -> bool:
    partner = partner_by_id(session, row["partner_id"])
    address = contact_of(partner)
    if address is None:
        return False
    folder = f"partner/mail/{'failing' if stage in _ORDER else stage}"
    values = {
        "stage": stage,
        "app_name": partner.app_name,
        "address": shown_address(row["url"]),
        "error": row["last_error"] or "unknown",
        "since": (row["disabled_at"] or row["failing_since"] or at).astimezone(clock.JAPAN),
        "gone": row["disabled_reason"] == GONE,
        "waiting": row["waiting"] if stage in _ORDER else row["ended"],
        "most": _COUNTED_UP_TO,
        "portal": f"{settings().public_url.rstrip('/')}/partner/endpoints/{row['id']}",
    }
    message = partner_mail(
        partner,
        address,
        folder,
        values,
        dedupe_key=f"endpoint-owner:{row['id']}:{stage}:{clock.japan_date(at).isoformat()}",
        event_id=f"owner_{row['id'].hex}_{stage}",
        event_type=EVENT_TYPE,
        life=_LIFE,
    )
    return enqueue_email(session, message) is not None


def shown_address(url: str) -> str:
    """Return an endpoint's address without its query, where a partner may keep a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _refused_lately(session: Session, partner_id: uuid.UUID, at: dt.datetime) -> bool:
    """Say whether the last mail to this owner came to nothing within a day."""
    row = session.execute(_LAST_MAIL, {"partner_id": partner_id, "event_type": EVENT_TYPE}).one_or_none()
    return row is not None and row.state == "failed" and row.finished_at > at - _REFUSED_REST


_TO_LOOK_AT = text(
    "SELECT h.endpoint_id FROM endpoint_health h JOIN partner_endpoints e ON e.id = h.endpoint_id"
    " WHERE e.removed_at IS NULL AND (h.owner_told IS NOT NULL OR h.failing_since <= :at - interval '1 hour'"
    " OR (e.disabled_reason IN ('failing', 'gone') AND e.disabled_at > :news_since)) ORDER BY h.endpoint_id"
)
_STANDING = text("""
SELECT e.id, e.partner_id, e.url, e.disabled_at, e.disabled_reason, h.failing_since, h.last_error, h.owner_told,
    h.working_since,
    (SELECT count(*) FROM (SELECT FROM deliveries d WHERE d.queue = 'webhook:' || e.id
        AND d.state IN ('scheduled', 'sending', 'retrying') LIMIT :most) AS live) AS waiting,
    (SELECT count(*) FROM (SELECT FROM deliveries d WHERE d.endpoint_id = e.id AND d.finished_at > now() - interval
        '14 days' AND (d.state = 'failed' OR (d.state = 'cancelled' AND d.last_error = 'endpoint_disabled'))
        LIMIT :most) AS failed) AS ended
FROM endpoint_health h JOIN partner_endpoints e ON e.id = h.endpoint_id
WHERE h.endpoint_id = :id AND e.removed_at IS NULL FOR UPDATE OF h SKIP LOCKED
""")
_REMEMBER = text(
    "UPDATE endpoint_health SET owner_told = :told, working_since = :working_since WHERE endpoint_id = :id"
)
_LAST_MAIL = text(
    "SELECT state, finished_at FROM deliveries WHERE partner_id = :partner_id AND lane = 'transactional'"
    " AND event_type = :event_type"
    " AND created_at > now() - interval '7 days' ORDER BY created_at DESC LIMIT 1"
)
