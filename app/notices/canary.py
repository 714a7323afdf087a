"""Moving campaigns on: what came of the first few families decides whether everybody else is told.

The wait counts from when half of the few were told, because quiet hours and mornings lie between a decision and a
phone. Where too many of their messages failed for good, or too many of those told answered that it is not theirs, the
rest waits for a person.
"""

import datetime as dt
import logging
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Subquery, and_, func, or_
from sqlmodel import Session, col, select

from app.delivery.tables import Delivery
from app.households.tables import Outcome
from app.matching import campaigns
from app.matching.faults import OF_ONE, Fault
from app.matching.oversight_tables import Campaign
from app.notices.tables import Notice
from app.platform.database import Context, enter, worker_session
from app.platform.settings import settings
from app.platform.small_counts import rounded

_MOVING = ("approved", "canary")
_logger = logging.getLogger(__name__)


def advance(now: dt.datetime) -> int:
    """Move on every campaign that can be; return how many were opened to all.

    Called before each announcement, so that what is opened is told by it. One that fails stays as it is, and everything
    it holds with it; the others move on.
    """
    with worker_session() as session:
        moving = select(Campaign.id).where(col(Campaign.state).in_(_MOVING)).order_by(col(Campaign.id))
        ids = session.exec(moving).all()
    opened = 0
    for campaign_id in ids:
        try:
            opened += _advance(campaign_id, now)
        except OF_ONE as error:
            fault = Fault.of(error)
            _logger.error("campaign %s stays held: %s at %s", campaign_id, fault.error_class, fault.text)
    return opened


def _advance(campaign_id: uuid.UUID, now: dt.datetime) -> bool:
    """Move on one campaign, unless somebody else does or did; True where it is open to all now."""
    with worker_session() as session:
        statement = select(Campaign).where(Campaign.id == campaign_id, col(Campaign.state).in_(_MOVING))
        campaign = session.exec(statement.with_for_update(skip_locked=True)).one_or_none()
        if campaign is None:
            return False
        if campaign.state == "canary":
            _judge(session, campaign, now)
        if campaign.state == "approved":
            campaigns.next_step(campaign, now)
        is_open = campaign.state == "open"
        if is_open:
            campaigns.let_go(session, campaign)
        session.add(campaign)
        session.commit()
    return is_open


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What came of the first few: their notices planned and told, messages sent and failed, and what they answered."""

    planned: int
    told: int
    half_told_at: dt.datetime | None
    sent: int
    failed: int
    contradicted: int

    def ripe(self, began_at: dt.datetime, now: dt.datetime) -> bool:
        """Say whether enough time has passed to judge: since half of them were told, or where nobody is to be told."""
        if self.planned and self.half_told_at is None:
            return False
        wait = dt.timedelta(minutes=settings().campaigns.canary_minutes)
        return now >= (self.half_told_at or began_at) + wait

    @property
    def is_bad(self) -> bool:
        """Say whether a person has to look."""
        limits = settings().campaigns
        return self._exceeds(self.failed, self.sent, limits.most_failed) or self._exceeds(
            self.contradicted, self.told, limits.most_contradicted
        )

    def _exceeds(self, part: int, whole: int, most: float) -> bool:
        return whole >= settings().campaigns.least_judged and part > most * whole

    @property
    def shown(self) -> dict[str, Any]:
        """The same as people may see it."""
        names = ("told", "sent", "failed", "contradicted")
        return {"canary": {name: rounded(getattr(self, name)) for name in names}}


def _judge(session: Session, campaign: Campaign, now: dt.datetime) -> None:
    aftermath = read_aftermath(session, campaign)
    assert campaign.canary_began_at is not None
    if not aftermath.ripe(campaign.canary_began_at, now):
        return
    if aftermath.is_bad:
        campaigns.pause(campaign, campaigns.CANARY, aftermath.shown)
    else:
        campaign.state, campaign.figures = "approved", {**(campaign.figures or {}), **aftermath.shown}


def read_aftermath(session: Session, campaign: Campaign) -> Aftermath:
    """Read what came of a campaign's first notices, as the worker; the session enters municipalities on the way."""
    few = _few(campaign)
    told = session.exec(select(func.count(), func.count(few.c.released_at)).select_from(few)).one()
    half = func.percentile_disc(0.5).within_group(few.c.released_at)
    half_told_at = session.exec(select(half)).one() if 2 * told[1] >= told[0] else None
    about = or_(few.c.id == func.any(Delivery.notice_ids), few.c.overview_id == func.any(Delivery.notice_ids))
    messages = (
        select(Delivery.id, Delivery.state)
        .join(few, and_(col(Delivery.household_id) == few.c.household_id, about))
        .where(col(Delivery.state).in_(("delivered", "accepted", "failed")))
        .distinct()
    )
    states = [state for _, state in session.exec(messages)]
    contradicted = 0
    for code in session.exec(select(few.c.municipality_code).distinct()).all():
        enter(session, Context(municipality=code))
        answers = select(func.count(func.distinct(Outcome.household_id))).where(
            Outcome.programme_key == campaign.programme_key,
            col(Outcome.outcome).in_(("told_not_eligible", "not_wanted")),
            col(Outcome.undone_at).is_(None),
            col(Outcome.household_id).in_(select(few.c.household_id)),
        )
        contradicted += session.exec(answers).one()
    return Aftermath(told[0], told[1], half_told_at, len(states), states.count("failed"), contradicted)


def _few(campaign: Campaign) -> Subquery:
    """Return the notices by which the few heard of a campaign, or will."""
    assert campaign.canary_share is not None
    assert campaign.canary_began_at is not None
    few: Subquery = (
        select(  # type: ignore[call-overload]
            Notice.id, Notice.overview_id, Notice.household_id, Notice.municipality_code, Notice.released_at
        )
        .where(
            Notice.programme_key == campaign.programme_key,
            col(Notice.kind).in_(("new_support", "correction")),
            or_(col(Notice.state) == "planned", col(Notice.released_at) >= campaign.canary_began_at),
            campaigns.are_canaries(campaign.id, campaign.canary_share, col(Notice.household_id)),
        )
        .subquery()
    )
    return few
