"""What is said before a day: the ladder before a deadline, and that a right ends. Pure.

Both stop when the family says that it is done or not for them. Nobody is sent to an office that is closed, where a day
before it would do.
"""

import datetime as dt
from collections.abc import Iterable

from app.calendar.day_numbers import date_of, number_of
from app.calendar.spans import Span
from app.calendar.working_days import previous_open_days
from app.notices import wording
from app.notices.quiet_hours import morning_of
from app.notices.rows import TakenUp, day_of, notice_of
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date

_DEFAULT_STEPS = (Span.parse("7d"), Span.parse("1d"))
_DAYS_OF_A_MONTH = 30
_REST = dt.timedelta(days=3)
"""A family that has just been told is not reminded within this time, but for the last step."""
_BY_APPLICATION = ("application", "opt_out")
_NOT_AT_AN_OFFICE = ("vaccination", "checkup")
"""Kinds of support that are had at a clinic, which opens on other days than an office."""
_ENDING_LEAD = dt.timedelta(days=30)
_LONG_ENOUGH = dt.timedelta(days=60)
"""A right that lasts less is still fresh when it ends: nothing is said again."""
_SAME_DAY = dt.timedelta(days=7)
"""Who is reminded of a deadline so near to the end hears of that one day only."""
_WITHOUT_AN_END = ("procedure", "consultation", "information")


def before_deadline(situation: Situation, right: TakenUp, now: dt.datetime) -> Iterable[Notice]:
    """Yield one reminder for each step before the deadline that is still to come."""
    today = japan_date(now)
    deadline = day_of(right.content["deadline_on"])
    if right.row.verdict != "eligible" or deadline is None or not _takes_an_application(right):
        return
    notify = right.programme.notify
    steps = notify.remind_before_deadline if notify else _DEFAULT_STEPS
    days_before = {step: step.days + _DAYS_OF_A_MONTH * step.months for step in steps}
    for step in steps:
        day = deadline - dt.timedelta(days=days_before[step])
        is_last = days_before[step] == min(days_before.values())
        soonest = max(today + (dt.timedelta(days=1) if is_last else _REST), right.row.valid_from)
        if day >= soonest:
            yield notice_of(
                situation,
                right,
                kind="deadline_reminder",
                occasion=f"{deadline.isoformat()}/{step}",
                content=wording.reminder_content(right.content),
                release_at=morning_of(_when_somebody_is_there(day, soonest, right), situation.household.id),
                last_useful_on=deadline,
            )


def ending_told_on(situation: Situation, right: TakenUp) -> dt.date | None:
    """Return the day to say that a right ends: thirty days before its last useful day.

    None where there is nothing to say: it has no end, goes on in another period, is looked at again before it ends
    (an income year, a yearly check: it may well be renewed), came without an application, was short, or a reminder of
    a deadline at that time says it already.
    """
    row, until = right.row, right.row.valid_until
    if row.verdict != "eligible" or until is None or right.programme.kind in _WITHOUT_AN_END:
        return None
    following = until + dt.timedelta(days=1)
    goes_on = any(
        (other.programme_key, other.subject, other.valid_from) == (row.programme_key, row.subject, following)
        for other in situation.entitlements
    )
    is_renewed = row.review_on is not None and row.review_on <= following
    deadline = day_of(right.content["deadline_on"])
    is_reminded_of = deadline is not None and abs(until - deadline) <= _SAME_DAY
    is_over = deadline is None and row.answer.get("lapsed_on") is not None
    if goes_on or is_renewed or is_reminded_of or is_over or not _takes_an_application(right):
        return None
    return _last_useful_day(right, until) - _ENDING_LEAD if until - row.valid_from >= _LONG_ENOUGH else None


def before_end(situation: Situation, right: TakenUp, now: dt.datetime) -> Iterable[Notice]:
    """Yield the notice that a right ends, for the next morning; none where its last useful day is over by then."""
    until = right.row.valid_until
    assert until is not None  # held by ending_told_on
    last, tomorrow = _last_useful_day(right, until), japan_date(now) + dt.timedelta(days=1)
    if tomorrow <= last:
        yield notice_of(
            situation,
            right,
            kind="ending_soon",
            occasion=until.isoformat(),
            content=wording.ending_content(right.content, until, last),
            release_at=morning_of(_when_somebody_is_there(tomorrow, tomorrow, right), situation.household.id),
            last_useful_on=last,
        )


def _takes_an_application(right: TakenUp) -> bool:
    """Whether somebody has to do something; while the way is open, better one reminder too many."""
    return (right.row.answer.get("take_up") or "application") in _BY_APPLICATION


def _last_useful_day(right: TakenUp, until: dt.date) -> dt.date:
    """Return the last day on which a claim still pays: in the month before the last, if it pays from the next."""
    application = right.programme.application
    if application is not None and application.pays_from == "month_after_claim":
        return until.replace(day=1) - dt.timedelta(days=1)
    return until


def _when_somebody_is_there(day: dt.date, soonest: dt.date, right: TakenUp) -> dt.date:
    """Return the day itself, or the last open day before it where only an office can help and it is not too soon."""
    if right.programme.kind in _NOT_AT_AN_OFFICE or right.content.get("online_url"):
        return day
    earlier = date_of(int(previous_open_days(number_of(day))))
    return earlier if earlier >= soonest else day
