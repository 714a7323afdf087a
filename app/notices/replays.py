"""Replays: an endpoint hears what exists for its partner's families and was never told to it.

It was added later, its event types were widened, or it was disabled meanwhile. Events are made anew, from notices and
links that still hold; no old body is sent. Each household is looked at under its gate's lock, like at any release, and
what was queued is known by the outbox, so that a replay may be begun again at any point.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.delivery.link_events import link_message
from app.delivery.outbox import WebhookMessage, enqueue_all
from app.delivery.recovery import MOST_AT_ONCE
from app.delivery.tables import Delivery, EndpointReplay
from app.matching.sweep import municipalities_with_households
from app.notices.app_events import CANCELLED, EXPIRED, ended_events, gate_of, told_events
from app.notices.holding import holds_in
from app.notices.release import why_not
from app.notices.situation import Situation, read_situations
from app.partners import events
from app.partners.tables import PartnerEndpoint, PartnerLink
from app.platform import bell, clock
from app.platform.database import Context, worker_session

_BATCH = 200
#: How long households that are being evaluated are waited for.
_PATIENCE = dt.timedelta(hours=1)
#: A replay that nobody worked on for so long was lost with its worker.
_LOST_AFTER = "5 minutes"


def work_off() -> list[EndpointReplay]:
    """Work off every open replay that nobody is working on; return those that were, as they are now."""
    worked = []
    while (replay_id := _take_next()) is not None:
        worked.append(_work(replay_id))
    if any(replay.queued for replay in worked):
        bell.ring_dispatch()
    return worked


def missing_events(
    situation: Situation, endpoint: PartnerEndpoint, since: dt.datetime, now: dt.datetime
) -> Iterable[WebhookMessage]:
    """Yield the events about one household that an endpoint should have got since an instant and never did.

    Args:
        situation: of the household, as it is now; its gate is locked.
        endpoint: enabled.
        since: what was released, or ended, before is left out.
        now: the clock's instant.
    """
    links = [link for link, _all in situation.links if link.partner_id == endpoint.partner_id]
    alone = replace(situation, links=[(link, [endpoint]) for link in links])
    yield from _links_told(alone, since, now)
    lately = [notice for notice in situation.notices if notice.released_at and notice.released_at >= since]
    told = [
        notice
        for notice in lately
        if notice.state == "released"
        and notice.overview_id is None
        and notice.programme_key not in situation.held
        and not situation.events_to(notice.id, endpoint.id)
        and why_not(situation, notice, now) is None
    ]
    yield from told_events(alone, told, now)
    lately = [notice for notice in situation.notices if notice.released_at is not None]
    for state, event_type in (("cancelled", CANCELLED), ("expired", EXPIRED)):
        yield from ended_events(alone, [notice for notice in lately if notice.state == state], now, event_type)


def _links_told(situation: Situation, since: dt.datetime, now: dt.datetime) -> Iterable[WebhookMessage]:
    """Yield `link.created` for links made since, told or not."""
    if situation.household.protected_at is not None:
        return
    for link, endpoints in situation.links:
        agreed = situation.agrees_to("share:partner", now, recipient=str(link.partner_id))
        for endpoint in endpoints:
            wanted = not endpoint.event_types or "link.created" in endpoint.event_types
            if agreed and wanted and link.linked_at >= since:
                body = events.link_created(subject_id=link.subject_id, at=link.linked_at)
                gate = gate_of(situation, ())
                yield link_message(link, endpoint, "link.created", body, due_at=now, gate=gate)


def _take_next() -> uuid.UUID | None:
    with worker_session() as session:
        replay_id: uuid.UUID | None = session.execute(_TAKE, {"at": clock.real_now()}).scalar_one_or_none()
        session.commit()
    return replay_id


def _work(replay_id: uuid.UUID) -> EndpointReplay:
    with worker_session() as session:
        replay = session.get_one(EndpointReplay, replay_id)
        replay.households = replay.postponed = 0
        session.add(replay)
        session.commit()
    outcome: str | None = None
    for code in municipalities_with_households():
        last = uuid.UUID(int=0)
        while outcome is None:
            last, outcome = _work_batch(replay_id, code, last)
            if last == uuid.UUID(int=0):
                break
    return _finish(replay_id, outcome)


def _work_batch(replay_id: uuid.UUID, municipality_code: str, after: uuid.UUID) -> tuple[uuid.UUID, str | None]:
    """Look at the next households in a town; return the last one (zero: none was left), and why the replay ends."""
    now = clock.now()
    with worker_session(Context(municipality=municipality_code)) as session:
        replay = session.get_one(EndpointReplay, replay_id)
        endpoint = session.get_one(PartnerEndpoint, replay.endpoint_id)
        if endpoint.disabled_at is not None:
            return after, "endpoint_disabled"
        ids = _linked_households(session, endpoint.partner_id, after)
        if not ids:
            return uuid.UUID(int=0), None
        messages: list[WebhookMessage] = []
        for situation in read_situations(session, ids, holds_in(session, municipality_code)):
            replay.households += 1
            if situation.is_changing:
                replay.postponed += 1
            else:
                messages += missing_events(situation, endpoint, replay.since, now)
        messages = _never_told(session, endpoint, ids, messages)
        left = MOST_AT_ONCE - replay.queued
        replay.queued += len(enqueue_all(session, messages[:left]))
        replay.worked_at = clock.real_now()
        session.add(replay)
        session.commit()
    return ids[-1], "limit_reached" if len(messages) > left else None


def _never_told(
    session: Session, endpoint: PartnerEndpoint, household_ids: Sequence[uuid.UUID], messages: list[WebhookMessage]
) -> list[WebhookMessage]:
    """Leave out events that are on their way or were told: what was recovered has given its key away before."""
    known = set(
        session.exec(
            select(Delivery.event_id).where(
                col(Delivery.household_id).in_(household_ids),
                Delivery.endpoint_id == endpoint.id,
                Delivery.state != "cancelled",
            )
        )
    )
    return [message for message in messages if message.event_id not in known]


def _finish(replay_id: uuid.UUID, outcome: str | None) -> EndpointReplay:
    at = clock.real_now()
    with worker_session() as session:
        replay = session.get_one(EndpointReplay, replay_id)
        if outcome is None and replay.postponed:
            outcome = "postponed"
        replay.outcome = outcome or "complete"
        if outcome != "postponed" or at - replay.asked_at >= _PATIENCE:
            replay.finished_at = at
        session.add(replay)
        session.commit()
    return replay


def _linked_households(session: Session, partner_id: uuid.UUID, after: uuid.UUID) -> Sequence[uuid.UUID]:
    return session.exec(
        select(PartnerLink.household_id)
        .where(
            PartnerLink.partner_id == partner_id,
            col(PartnerLink.revoked_at).is_(None),
            PartnerLink.household_id > after,
        )
        .order_by(col(PartnerLink.household_id))
        .limit(_BATCH)
    ).all()


_TAKE = text(
    "UPDATE endpoint_replays SET worked_at = :at WHERE id = (SELECT id FROM endpoint_replays"  # noqa: S608
    f" WHERE finished_at IS NULL AND coalesce(worked_at, '-infinity') < :at - interval '{_LOST_AFTER}'"
    " ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"
)
