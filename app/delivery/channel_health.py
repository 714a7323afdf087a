"""The health of a channel as a whole, the same for all processes because it is a row: pause, rate, month's quota.

A carrier limits the account and not the process. The claim asks how much room a queue has, and pays for what it takes;
the record judges the answers. A channel without a row of its own has no limits here. `now` is real time.
"""

import datetime as dt
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from sqlalchemy import RowMapping, text
from sqlmodel import Session

from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.channels.line import MONTHLY_LIMIT
from app.delivery.channels.line_api import Quota
from app.platform.clock import japan_date
from app.platform.settings import settings

_logger = logging.getLogger(__name__)

LINE: Final = "line"
LIMITED: Final = frozenset({LINE})
#: The queue whose messages may wait or take another way; the reserve of the month is kept from it.
ORDINARY_QUEUE: Final = "line:notice"
#: Deadlines of the last week and emergencies, which may use the reserve.
URGENT_QUEUE: Final = "line:urgent"
LONGEST_PAUSE: Final = dt.timedelta(minutes=5)
#: A channel that took nothing for so long, pause after pause, needs a person.
LONGEST_REFUSED: Final = dt.timedelta(minutes=15)
_MOST_DOUBLINGS: Final = 5
_UNLIMITED: Final = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known about a channel; the fields are those of `ChannelHealth`."""

    paused_until: dt.datetime | None = None
    pause_reason: str | None = None
    refusals: int = 0
    tokens: float = 0.0
    refilled_at: dt.datetime | None = None
    quota_limit: int | None = None
    quota_used: int = 0
    quota_month: str | None = None
    quota_read_at: dt.datetime | None = None
    used_up_month: str | None = None
    refused_since: dt.datetime | None = None

    def left(self, now: dt.datetime) -> int | None:
        """Return how many messages the month still allows; None where there is no limit."""
        month = month_of(now)
        if self.used_up_month == month:
            return 0
        if self.quota_limit is None:
            return None
        return max(self.quota_limit - (self.quota_used if self.quota_month == month else 0), 0)

    def left_for_ordinary(self, now: dt.datetime) -> int | None:
        """Return what is left without the reserve, which last-week deadlines and answers to a person keep."""
        left = self.left(now)
        if left is None or self.quota_limit is None:
            return left
        return max(left - round(self.quota_limit * settings().line.reserve_share), 0)

    def is_paused(self, now: dt.datetime) -> bool:
        """Whether the whole channel rests."""
        return self.paused_until is not None and self.paused_until > now

    def is_refused_for(self, longest: dt.timedelta, now: dt.datetime) -> bool:
        """Whether something asks again after each pause, and was answered with nothing but refusals for so long."""
        if self.refused_since is None or self.paused_until is None:
            return False
        return now - self.refused_since > longest and now - self.paused_until < LONGEST_PAUSE

    def refilled(self, now: dt.datetime) -> float:
        """Return how many requests may begin at this instant."""
        most = settings().line.pushes_per_second
        if self.refilled_at is None:
            return most
        return min(most, self.tokens + most * max((now - self.refilled_at).total_seconds(), 0.0))


def month_of(now: dt.datetime) -> str:
    """Return the month that the carrier counts by: that of Japan."""
    return f"{japan_date(now):%Y-%m}"


def room(health: Health, queue: str, in_flight: int, now: dt.datetime) -> int:
    """Return how many requests of a queue may begin now."""
    if health.is_paused(now):
        return 0
    left = health.left_for_ordinary(now) if queue == ORDINARY_QUEUE else health.left(now)
    allowed = _UNLIMITED if left is None else max(left - in_flight, 0)
    return max(min(allowed, int(health.refilled(now))), 0)


def after(health: Health, results: Sequence[AttemptResult], now: dt.datetime) -> Health:
    """Return the health after some answers."""
    month = month_of(now)
    # 409 repeats an acceptance that was counted before, if its answer was not lost; the next reading puts it right.
    accepted = sum(one.outcome is Outcome.ACCEPTED and one.status_code != 409 for one in results)
    used = (health.quota_used if health.quota_month == month else 0) + accepted
    health = replace(health, quota_used=used, quota_month=month)
    refused = [one for one in results if one.outcome in (Outcome.THROTTLED, Outcome.CHANNEL_CLOSED)]
    if any(one.error == MONTHLY_LIMIT for one in refused) and health.used_up_month != month:
        health = replace(health, used_up_month=month)
    pauses = {one.error: one.retry_after_seconds for one in refused if one.retry_after_seconds is not None}
    if not pauses:
        return replace(health, refusals=0, refused_since=None) if accepted else health
    reason, seconds = max(pauses.items(), key=lambda pair: pair[1])
    wait = dt.timedelta(seconds=seconds * 2 ** min(health.refusals, _MOST_DOUBLINGS))
    return replace(
        health,
        refusals=health.refusals + 1,
        pause_reason=reason,
        paused_until=now + min(wait, LONGEST_PAUSE),
        refused_since=health.refused_since or now,
    )


def after_reading(health: Health, quota: Quota, now: dt.datetime) -> Health:
    """Return the health after the carrier said what the month allows."""
    open_again = quota.limit is None or quota.used < quota.limit
    return replace(
        health,
        quota_limit=quota.limit,
        quota_used=quota.used,
        quota_month=month_of(now),
        quota_read_at=now,
        used_up_month=None if open_again else month_of(now),
    )


def of_row(row: RowMapping | None) -> Health:
    """Return the health that a row says; a channel that was never used has none yet."""
    return Health(**{name: row[name] for name in Health.__dataclass_fields__}) if row is not None else Health()


def health_of(session: Session, channel: str) -> Health:
    """Return the health of a channel as it is now."""
    return of_row(session.execute(_READ, {"channel": channel}).mappings().first())


def healths_of(session: Session, channels: Collection[str]) -> dict[str, Health]:
    """Return the health of those channels that have limits."""
    return {channel: health_of(session, channel) for channel in sorted(LIMITED.intersection(channels))}


def short_of_quota(session: Session, now: dt.datetime) -> tuple[frozenset[str], frozenset[str]]:
    """Return the channels whose month allows only what is urgent, and those whose month allows nothing more."""
    healths = healths_of(session, LIMITED)
    reserved = frozenset(channel for channel, health in healths.items() if health.left_for_ordinary(now) == 0)
    return reserved, frozenset(channel for channel, health in healths.items() if health.left(now) == 0)


def spend(session: Session, claimed: Mapping[str, int], now: dt.datetime) -> None:
    """Pay for requests that a claim is about to begin, by channel. The last thing a claim does: the row is locked."""
    for channel in sorted(LIMITED & claimed.keys()):
        most = settings().line.pushes_per_second
        session.execute(_SPEND, {"channel": channel, "count": claimed[channel], "most": most, "now": now})


def judge(session: Session, results: Mapping[str, Sequence[AttemptResult]], now: dt.datetime) -> None:
    """Change the health of limited channels by their answers, by channel. The caller commits."""
    for channel in sorted(LIMITED & results.keys()):
        before = _locked(session, channel)
        health = after(before, results[channel], now)
        _write(session, channel, health)
        if health.pause_reason in ("token_refused", "not_entitled") and health.refusals > before.refusals:
            _logger.error("%s: %s; everything waits: look at the channel token", channel, health.pause_reason)
        elif health.pause_reason is not None and health.refusals > before.refusals:
            _logger.warning("%s: paused, %s", channel, health.pause_reason)
        if health.used_up_month != before.used_up_month:
            _logger.error("%s: the month's quota is used up; families are told by their next channel", channel)


def note_quota(session: Session, channel: str, quota: Quota, now: dt.datetime) -> Health:
    """Store what the carrier said about the month; return the health. The caller commits."""
    health = after_reading(_locked(session, channel), quota, now)
    _write(session, channel, health)
    return health


def troubles(session: Session, now: dt.datetime) -> list[str]:
    """Return what an operator has to look at in limited channels, each with its reason; empty when all is well.

    Args:
        session: of any role.
        now: the real instant.
    """
    causes = [
        f"{channel}: takes nothing since {health.refused_since.isoformat(timespec='seconds')}, {health.pause_reason}"
        for channel, health in healths_of(session, LIMITED).items()
        if health.refused_since is not None and health.is_refused_for(LONGEST_REFUSED, now)
    ]
    failing, given_up = session.execute(_LINE_EVENTS, {"now": now}).one()
    if failing:
        causes.append(f"{failing} LINE events (stop, link, buttons) fail again and again: look at the worker's log")
    if given_up:
        causes.append(f"{given_up} LINE events were given up in the last day: what their users wanted was not done")
    return causes


_LINE_EVENTS = text("SELECT failing, given_up FROM line_events_in_trouble(:now)")
_COLUMNS: Final = ", ".join(Health.__dataclass_fields__)
_READ = text(f"SELECT {_COLUMNS} FROM channel_health WHERE channel = :channel")  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM channel_health WHERE channel = :channel FOR UPDATE")  # noqa: S608
_INSERT = text(
    "INSERT INTO channel_health (channel, refusals, tokens, quota_used) VALUES (:channel, 0, 0, 0)"
    " ON CONFLICT DO NOTHING"
)
_UPDATE = text(
    f"UPDATE channel_health SET {', '.join(f'{name} = :{name}' for name in Health.__dataclass_fields__)}"  # noqa: S608
    " WHERE channel = :channel"
)
_SPEND = text(
    "INSERT INTO channel_health (channel, refusals, tokens, refilled_at, quota_used)"
    " VALUES (:channel, 0, :most - :count, :now, 0) ON CONFLICT (channel) DO UPDATE SET tokens ="
    " coalesce(least(:most, channel_health.tokens"
    " + :most * greatest(extract(epoch FROM CAST(:now AS timestamptz) - channel_health.refilled_at), 0)), :most)"
    " - :count, refilled_at = :now"
)


def _locked(session: Session, channel: str) -> Health:
    row = session.execute(_LOCK, {"channel": channel}).mappings().first()
    if row is None:
        session.execute(_INSERT, {"channel": channel})
        row = session.execute(_LOCK, {"channel": channel}).mappings().one()
    return of_row(row)


def _write(session: Session, channel: str, health: Health) -> None:
    session.execute(_UPDATE, {"channel": channel, **asdict(health)})
