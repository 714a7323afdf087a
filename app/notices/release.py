"""Release: at its moment a notice is looked at again, and what still holds becomes messages. Pure.

Kindness stands here: no message in quiet hours, one message a day, at most two pushes in seven days; a notice whose
last useful day is within seven days is exempt from the cap. The inbox gets everything that is released.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.delivery.outbox import EmailMessage, LineMessage, WebhookMessage
from app.households.tables import ContactPoint
from app.notices import information, moving
from app.notices.app_events import CANCELLED, EXPIRED, ended_events, told_events
from app.notices.messages import URGENT_DAYS, days_left, is_urgent, push
from app.notices.planning import CONSENT_WITHDRAWN, NO_LONGER_SO, overview_of, still_holds
from app.notices.quiet_hours import morning_of, next_allowed
from app.notices.returns import NOTHING_LEFT
from app.notices.rows import BEFORE_A_DAY, OUTCOME, OVERVIEW, SUPPORT_KINDS, is_ending
from app.notices.situation import Situation
from app.notices.tables import Notice, PushLog
from app.platform.clock import japan_date

PUSHES_A_WEEK = 2
_WEEK = dt.timedelta(days=7)
_HELD_REST = dt.timedelta(minutes=10)
_VERY_URGENT_DAYS = 1
_PURPOSES = {"email": "channel:email", "line": "channel:line"}
Message = EmailMessage | LineMessage | WebhookMessage


@dataclass(slots=True)
class Release:
    """What releasing decided for one household: changed notices, messages to queue, the push to remember."""

    notices: list[Notice] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    pushes: list[PushLog] = field(default_factory=list)


def release(situation: Situation, planned: Sequence[Notice], now: dt.datetime) -> Release:
    """Decide what becomes of a household's due notices.

    Args:
        situation: of the household, as it is now; its gate is locked.
        planned: its notices in state planned with `release_at` up to now.
        now: the clock's instant.
    """
    result = Release()
    household = situation.household
    planned = [*planned, *information.waiting(situation, planned)]
    ready = _what_holds(situation, planned, now, result)
    ready = _with_overview_as_it_is_now(situation, ready, now, result)
    ready = _tell_emergencies(situation, ready, now, result)
    allowed_at = next_allowed(now, household.id)
    if allowed_at > now:
        return _postponed(result, ready, allowed_at)
    told = [notice for notice in ready if notice.overview_id is None]
    pushed = [notice for notice in told if _is_pushed(situation, notice) and _has_a_way(situation, notice, now)]
    contact = _contact(situation, pushed, now) if pushed else None
    if contact is not None:
        again_at = _not_before(situation, pushed, now)
        if again_at is not None:
            return _postponed(result, ready, again_at)
    for notice in ready:
        notice.state, notice.released_at = "released", now
        result.notices.append(notice)
    result.messages += told_events(situation, told, now)
    if contact is not None:
        message = push(situation, contact, pushed, now)
        result.messages.append(message)
        result.pushes.append(_push_log(situation, message, pushed, now))
    return result


def why_not(situation: Situation, notice: Notice, now: dt.datetime) -> tuple[str, str] | None:
    """Return (state, reason) of a notice that must not be told any more; None while it holds."""
    if notice.expires_at is not None and notice.expires_at <= now:
        return "expired", "its last useful day has passed"
    if not situation.agrees_to("matching:basic", now):
        return "cancelled", CONSENT_WITHDRAWN
    if situation.is_stopped(notice.subject):
        return "cancelled", "stopped"
    answerable = not is_ending(notice) and not information.is_information(notice)
    if answerable and situation.is_closed(notice.programme_key, notice.subject):
        return "cancelled", OUTCOME
    if notice.programme_key != OVERVIEW and not still_holds(situation, notice):
        return "cancelled", NO_LONGER_SO
    return None


def _end_on_screens(situation: Situation, notice: Notice, now: dt.datetime) -> Iterable[Message]:
    """Yield the end of what apps show already: a correction that came too late, or what was called back."""
    if situation.household.protected_at is None and situation.agrees_to("matching:basic", now):
        yield from ended_events(situation, [notice], now, EXPIRED if notice.state == "expired" else CANCELLED)


def _what_holds(situation: Situation, planned: Sequence[Notice], now: dt.datetime, result: Release) -> list[Notice]:
    """End what must not be told any more, leave what is held back, and return the rest as it is now."""
    ready = []
    for notice in planned:
        general = information.is_information(notice)
        if situation.is_changing and not general:
            continue
        ended = why_not(situation, notice, now)
        if ended is not None:
            notice.state, notice.closed_reason = ended
            result.notices.append(notice)
            result.messages += _end_on_screens(situation, notice, now)
        elif general:
            ready += [] if information.is_held(situation, notice) else [notice]
        elif notice.programme_key in situation.held and not _was_told_before(situation, notice):
            if not _waits_for_overview(situation, notice):
                notice.overview_id = None
            result.notices.append(notice)
        else:
            if notice.kind == moving.MOVED:
                notice.content = moving.as_it_is_now(situation, notice.content)
            ready.append(notice)
    return ready


def _was_told_before(situation: Situation, notice: Notice) -> bool:
    """Whether a notice says that a day comes near, of a right that was told before a campaign came to hold it."""
    return (
        notice.kind in BEFORE_A_DAY
        and notice.programme_key in situation.held_by_campaign
        and any(
            told.kind in SUPPORT_KINDS
            and told.state == "released"
            and (told.programme_key, told.subject) == (notice.programme_key, notice.subject)
            for told in situation.notices
        )
    )


def _tell_emergencies(situation: Situation, ready: Sequence[Notice], now: dt.datetime, result: Release) -> list[Notice]:
    """Tell what may not wait, each in a message of its own to every address that works; return what is left."""
    for notice in filter(information.is_emergency, ready):
        notice.state, notice.released_at = "released", now
        result.notices.append(notice)
        result.messages += told_events(situation, [notice], now)
        if _is_pushed(situation, notice):
            agreed = _agreed(situation, now)
            with_room = [contact for contact in agreed if situation.has_room(contact.kind, urgent=True)]
            result.messages += [push(situation, contact, [notice], now) for contact in with_room or agreed[:1]]
    return [notice for notice in ready if not information.is_emergency(notice)]


def _is_pushed(situation: Situation, notice: Notice) -> bool:
    return not situation.was_pushed(notice.id) and not information.keeps_quiet(situation, notice)


def _has_a_way(situation: Situation, notice: Notice, now: dt.datetime) -> bool:
    """Whether a contact is left by which a push about this notice was not given up; the inbox has it in any case."""
    agreed = _agreed(situation, now)
    return not agreed or any((contact.id, notice.id) not in situation.lost for contact in agreed)


def _with_overview_as_it_is_now(
    situation: Situation, ready: list[Notice], now: dt.datetime, result: Release
) -> list[Notice]:
    """Leave out of an overview what does not hold any more; it waits while all is held, and ends with the last of it.

    What is held goes by itself when its time comes; the overview of today goes without it.
    """
    kept, waiting = [], set()
    for notice in ready:
        if notice.programme_key == OVERVIEW:
            supports = [other for other in ready if other.overview_id == notice.id and other.kind != "question"]
            held = _held_under(situation, notice)
            if not supports and held:
                waiting.add(notice.id)
                continue
            for other in held:
                other.overview_id = None
            if not supports:
                notice.state, notice.closed_reason = "cancelled", NOTHING_LEFT
                result.notices.append(notice)
                result.messages += _end_on_screens(situation, notice, now)
                for question in ready:
                    question.overview_id = None if question.overview_id == notice.id else question.overview_id
                continue
            notice.content = overview_of(supports)
        kept.append(notice)
    # Looked at again after a while, and not at every tick.
    _postponed(result, [one for one in ready if waiting & {one.id, one.overview_id}], now + _HELD_REST)
    return [notice for notice in kept if notice.overview_id not in waiting]


def _waits_for_overview(situation: Situation, notice: Notice) -> bool:
    """Whether a family's first overview, which tells of a notice, has not been told itself."""
    return any(
        one.id == notice.overview_id and one.programme_key == OVERVIEW and one.state == "planned"
        for one in situation.notices
    )


def _held_under(situation: Situation, overview: Notice) -> list[Notice]:
    """Return the supports of an overview that a hold keeps from being told with it today."""
    return [
        other
        for other in situation.notices
        if other.overview_id == overview.id
        and other.state == "planned"
        and other.kind != "question"
        and other.programme_key in situation.held
    ]


def _contact(situation: Situation, told: Iterable[Notice], now: dt.datetime) -> ContactPoint | None:
    """Return where the push goes: the first working contact whose channel was agreed to, and has room this month."""
    told = list(told)
    ids = {notice.id for notice in told}
    lost = {contact_id for contact_id, notice_id in situation.lost if notice_id in ids}
    agreed = [contact for contact in _agreed(situation, now) if contact.id not in lost]
    urgent = is_urgent(told, japan_date(now))
    with_room = (contact for contact in agreed if situation.has_room(contact.kind, urgent=urgent))
    return next(with_room, agreed[0] if agreed else None)


def _agreed(situation: Situation, now: dt.datetime) -> list[ContactPoint]:
    """Return the working contacts whose channel was agreed to, in the family's order."""
    return [contact for contact in situation.contacts if situation.agrees_to(_PURPOSES[contact.kind], now)]


def _not_before(situation: Situation, told: Sequence[Notice], now: dt.datetime) -> dt.datetime | None:
    """Return when a push may go out again; None if it may now. Information alone gives way to a family's own news."""
    own = [notice for notice in told if not information.is_information(notice)]
    if own:
        return _capped_until(situation, own, now)
    day = information.alone_not_before(situation, now)
    return morning_of(day, situation.household.id) if day is not None else None


def _capped_until(situation: Situation, told: Iterable[Notice], now: dt.datetime) -> dt.datetime | None:
    """Return when a push may go out again; None if it may now."""
    today = japan_date(now)
    left = days_left(told, today)
    if left is not None and left <= _VERY_URGENT_DAYS:
        return None
    household_id = situation.household.id
    if any(push.day == today for push in situation.pushes):
        return morning_of(today + dt.timedelta(days=1), household_id)
    if left is not None and left <= URGENT_DAYS:
        return None
    counted = sorted(push.day for push in situation.pushes if not push.exempt and push.day > today - _WEEK)
    if len(counted) < PUSHES_A_WEEK:
        return None
    again_on = counted[-PUSHES_A_WEEK] + _WEEK
    if left is not None:  # the cap holds nothing past the first day of its last week
        again_on = min(again_on, today + dt.timedelta(days=left - URGENT_DAYS))
    return morning_of(again_on, household_id)


def _postponed(result: Release, notices: Iterable[Notice], until: dt.datetime) -> Release:
    for notice in notices:
        notice.release_at = until
        result.notices.append(notice)
    return result


def _push_log(situation: Situation, push: Message, told: Iterable[Notice], now: dt.datetime) -> PushLog:
    today = japan_date(now)
    household = situation.household
    return PushLog(
        household_id=household.id,
        municipality_code=household.municipality_code,
        day=today,
        dedupe_key=push.dedupe_key,
        exempt=is_urgent(told, today) or all(map(information.is_information, told)),
    )
