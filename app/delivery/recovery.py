"""Recovery: what an endpoint failed to take is queued again, with the same event ids and the whole schedule ahead.

Never what the family or the law stopped, what has expired, what belongs to a link that has ended, and, looked at once
more by the claim, what no longer holds. A row that is queued already is not queued twice.
"""

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.delivery.tables import EndpointReplay
from app.partners.tables import PartnerEndpoint
from app.platform.errors import Conflict, InvalidInput, NotFound

LONGEST_WINDOW: Final = dt.timedelta(days=14)
MOST_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What one call did with the deliveries of an endpoint that ended badly since an instant.

    Attributes:
        queued: they are on their way again.
        left: there were more than one call takes; call again for them.
        expired: they have lost their meaning.
        stopped: by the family, by a protection measure or by the end of a link.
    """

    queued: int
    left: int
    expired: int
    stopped: int


def recover(
    session: Session, endpoint: PartnerEndpoint, *, since: dt.datetime, at: dt.datetime, now: dt.datetime
) -> Recovered:
    """Queue again what an endpoint failed to take since an instant. The caller commits and rings.

    Args:
        session: in the partner's context.
        endpoint: enabled.
        since: the real instant after which the deliveries failed; 14 days back at most.
        at: the real instant.
        now: of `app.platform.clock`; what expired by it stays where it is.

    Raises:
        InvalidInput: `since` is in the future, or too long ago.
    """
    values = {
        "partner_id": endpoint.partner_id,
        "endpoint_id": endpoint.id,
        "since": checked_since(since, at),
        "now": now,
        "most": MOST_AT_ONCE,
    }
    queued = len(session.execute(_RECOVER, values).all())
    rest = session.execute(_COUNT_REST, values).one()
    return Recovered(queued=queued, left=rest.left_over, expired=rest.expired, stopped=rest.stopped)


def ask_for_replay(
    session: Session, endpoint: PartnerEndpoint, *, since: dt.datetime, at: dt.datetime, now: dt.datetime
) -> EndpointReplay:
    """Write down that a partner wants an endpoint told what it was never told since an instant. The caller commits.

    Workers do it, because only they see what a family was told. One that is open already is that one.

    Args:
        session: in the partner's context.
        endpoint: enabled.
        since: an instant of `app.platform.clock`, 14 days back at most.
        at: the real instant.
        now: of `app.platform.clock`.

    Raises:
        InvalidInput: `since` is in the future, or too long ago.
        Conflict: another replay of this endpoint is open, with another `since`.
    """
    checked_since(since, now)
    session.refresh(endpoint, with_for_update={"key_share": True})
    is_open = (EndpointReplay.endpoint_id == endpoint.id, col(EndpointReplay.finished_at).is_(None))
    open_one = session.exec(select(EndpointReplay).where(*is_open)).first()
    if open_one is not None and open_one.since != since:
        raise Conflict(f"found replay {open_one.id} of this endpoint under way; wait until it is finished")
    if open_one is not None:
        return open_one
    replay = EndpointReplay(partner_id=endpoint.partner_id, endpoint_id=endpoint.id, since=since, asked_at=at)
    session.add(replay)
    session.flush()
    return replay


def replay_by_id(session: Session, endpoint: PartnerEndpoint, replay_id: uuid.UUID) -> EndpointReplay:
    """Return one replay of an endpoint.

    Raises:
        NotFound: there is none with this id.
    """
    replay = session.get(EndpointReplay, replay_id)
    if replay is None or replay.endpoint_id != endpoint.id:
        raise NotFound(f"found no replay {replay_id}; expected the id of a replay of this endpoint")
    return replay


def last_replay(session: Session, endpoint: PartnerEndpoint) -> EndpointReplay | None:
    """Return the replay of an endpoint that was asked for last, if any was."""
    return session.exec(
        select(EndpointReplay)
        .where(EndpointReplay.endpoint_id == endpoint.id)
        .order_by(col(EndpointReplay.id).desc())
        .limit(1)
    ).first()


def checked_since(since: dt.datetime, at: dt.datetime) -> dt.datetime:
    """Return the instant back to which an endpoint may be told again.

    Raises:
        InvalidInput: it is in the future, or more than 14 days before `at`.
    """
    if not at - LONGEST_WINDOW <= since <= at:
        raise InvalidInput(
            f"since: found {since.isoformat()}; expected an instant between "
            f"{(at - LONGEST_WINDOW).isoformat(timespec='seconds')} and now",
            field="since",
        )
    return since


def link_has_ended(session: Session, delivery_id: uuid.UUID) -> bool:
    """Say whether a delivery is about a family whose link is over, or is a new one (in the partner's context)."""
    statement = text(f"SELECT NOT {_LINKED} FROM deliveries d WHERE d.id = :id")  # noqa: S608
    return bool(session.execute(statement, {"id": delivery_id}).scalar_one())


def told_again(session: Session, delivery_id: uuid.UUID) -> uuid.UUID | None:
    """Return the message by which the same event was told again, or None (in the partner's context)."""
    found: uuid.UUID | None = session.execute(
        text(
            "SELECT o.id FROM deliveries o JOIN deliveries d ON o.household_id = d.household_id"
            " AND o.endpoint_id = d.endpoint_id AND o.event_id = d.event_id"
            " WHERE d.id = :id AND o.id <> d.id AND o.state <> 'cancelled' LIMIT 1"
        ),
        {"id": delivery_id},
    ).scalar_one_or_none()
    return found


def ended_since(session: Session, delivery_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return which of these deliveries tell of notices that no longer hold (worker): for what is sent again."""
    rows = session.execute(
        text(
            "SELECT id FROM deliveries d WHERE id = ANY(:ids) AND event_type <> ALL(:ends) AND notice_ids <> '{}'"
            " AND NOT EXISTS (SELECT FROM notices n WHERE n.id = ANY(d.notice_ids) AND n.state = 'released')"
        ),
        {"ids": list(delivery_ids), "ends": ["notice.cancelled", "notice.expired"]},
    )
    return set(rows.scalars())


#: The link under which a row was written still lives; `subject_id` is another one after linking again. Ids begin with
#: 48 bits of time.
_LINKED: Final = (
    "(d.household_id IS NULL OR EXISTS (SELECT FROM partner_links l WHERE l.partner_id = d.partner_id"
    " AND l.household_id = d.household_id AND l.revoked_at IS NULL"
    " AND left(CAST(l.id AS text), 13) <= left(CAST(d.id AS text), 13)))"
)
_OF_ENDPOINT: Final = (
    "d.partner_id = :partner_id AND d.endpoint_id = :endpoint_id AND d.finished_at >= :since"
    " AND d.state IN ('failed', 'cancelled', 'expired') AND d.event_type <> 'test.ping'"
)
_FAILED: Final = (
    "d.stop_reason IS NULL AND (d.state = 'failed' OR (d.state = 'cancelled' AND d.last_error = 'endpoint_disabled'))"
)
#: The same event was told again, as another message: that one counts.
_TOLD_AGAIN: Final = (
    "EXISTS (SELECT FROM deliveries o WHERE o.household_id = d.household_id AND o.endpoint_id = d.endpoint_id"
    " AND o.event_id = d.event_id AND o.id <> d.id AND (o.state <> 'cancelled' OR o.id > d.id))"
)
_IN_TIME: Final = "(d.expires_at IS NULL OR d.expires_at > :now)"
_RECOVER: Final = text(f"""
WITH chosen AS (
    SELECT d.id FROM deliveries d WHERE {_OF_ENDPOINT} AND {_FAILED} AND {_IN_TIME} AND {_LINKED}
        AND NOT {_TOLD_AGAIN}
    ORDER BY d.id LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET state = 'scheduled', next_attempt_at = :now, retries = 0, losses = 0, last_error = NULL,
    finished_at = NULL, first_attempted_at = NULL, resent_at = clock_timestamp()
FROM chosen WHERE d.id = chosen.id RETURNING d.id
""")  # noqa: S608
_COUNT_REST: Final = text(f"""
SELECT count(*) FILTER (WHERE {_FAILED} AND {_IN_TIME} AND linked) AS left_over,
    count(*) FILTER (WHERE state = 'expired' OR ({_FAILED} AND NOT {_IN_TIME})) AS expired,
    count(*) FILTER (WHERE state <> 'expired' AND (NOT ({_FAILED}) OR ({_IN_TIME} AND NOT linked))) AS stopped
FROM (
    SELECT d.state, d.stop_reason, d.last_error, d.expires_at, {_LINKED} AS linked FROM deliveries d
    WHERE {_OF_ENDPOINT} AND NOT {_TOLD_AGAIN}
) AS d
""")  # noqa: S608
