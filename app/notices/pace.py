"""Pace: how many families are sent to one office's desk on one day, so that its telephones can be answered.

Counted in rows (`desk_days`), locked in the order of their key until the planning transaction ends, so that two workers
never give the same place away twice. What is over a day's pace waits for the next working day, nearest deadline first;
nobody waits longer than fourteen days or into the last week before the day that matters, whatever the counts say. Only
news of a support is paced: a family's first overview answers the family, a reminder or a correction cannot wait.
"""

import datetime as dt
import hashlib
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from app.calendar.day_numbers import number_of
from app.calendar.working_days import closed_days
from app.notices.quiet_hours import morning_of
from app.notices.rows import OVERVIEW
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.platform.settings import settings

LONGEST_WAIT = dt.timedelta(days=14)
LAST_WEEK = dt.timedelta(days=7)


@dataclass(slots=True)
class Visit:
    """One household that its notices send to one desk; several notices are one call."""

    household_id: uuid.UUID
    desk: str
    notices: list[Notice] = field(default_factory=list)

    @property
    def first_on(self) -> dt.date:
        """The day on which it would be told if there were no pace."""
        return min(japan_date(notice.release_at) for notice in self.notices)

    @property
    def needed_by(self) -> dt.date:
        """The first day that matters to the family: a deadline, or the last useful day of a right."""
        return min((_last_useful_on(notice) for notice in self.notices), default=dt.date.max)

    def days(self) -> list[dt.date]:
        """Return the working days on which it may be told; none where it cannot wait."""
        last = min(self.first_on + LONGEST_WAIT, max(self.needed_by, dt.date.min + LAST_WEEK) - LAST_WEEK)
        all_days = (self.first_on + dt.timedelta(days=ahead) for ahead in range((last - self.first_on).days + 1))
        return [day for day in all_days if capacity(self.area, day)]

    @property
    def area(self) -> str:
        """The area whose desk it is."""
        return self.notices[0].programme_key.partition("/")[0]

    @property
    def order(self) -> tuple[dt.date, bytes]:
        """Who is told first: the nearest deadline, then by a lot that is drawn once for each family and desk."""
        return self.needed_by, hashlib.sha256(self.household_id.bytes + self.desk.encode()).digest()


def keep(session: Session, planned: Iterable[Notice]) -> int:
    """Move the release of news that are over the pace of their desk to a later working day; return how many families.

    Args:
        session: of the worker, in the transaction that plans; it holds the desks' counts until it ends.
        planned: new notices of any number of households.
    """
    desks: dict[str, list[Visit]] = defaultdict(list)
    for visit in _visits(planned):
        desks[visit.desk].append(visit)
    return sum(_keep_at(session, desk, desks[desk]) for desk in sorted(desks))


def capacity(area: str, day: dt.date) -> int:
    """Return how many households may be sent to one desk of an area on a day; 0 where it is closed."""
    pace = settings().notices
    if bool(closed_days(number_of(day))):
        return 0
    return pace.desk_pace_in.get(area, pace.desk_pace)[day.weekday()]


def _visits(planned: Iterable[Notice]) -> Collection[Visit]:
    visits: dict[tuple[uuid.UUID, str], Visit] = {}
    for notice in planned:
        desk = notice.content.get("desk")
        if desk and notice.kind == "new_support" and notice.programme_key != OVERVIEW and notice.overview_id is None:
            visit = visits.setdefault((notice.household_id, desk), Visit(notice.household_id, desk))
            visit.notices.append(notice)
    return visits.values()


def _keep_at(session: Session, desk: str, visits: Sequence[Visit]) -> int:
    """Give each visit to one desk its day; return how many had to wait."""
    open_days = {id(visit): visit.days() for visit in visits}
    every_day = sorted({day for days in open_days.values() for day in days})
    taken = _lock(session, desk, every_day)
    before = dict(taken)
    waiting = 0
    for visit in sorted(visits, key=lambda one: one.order):
        days = open_days[id(visit)]
        if not days:
            continue
        free = (day for day in days if taken[day] < capacity(visit.area, day))
        # Where every day is full the emptiest takes one more: a bound on waiting goes before a bound on calls.
        day = next(free, None) or min(days, key=lambda one: (taken[one] / capacity(visit.area, one), one))
        taken[day] += 1
        if day > visit.first_on:
            waiting += 1
            for notice in visit.notices:
                notice.release_at = morning_of(day, visit.household_id)
    changed = [{"desk": desk, "day": day, "taken": taken[day]} for day in every_day if taken[day] != before[day]]
    if changed:
        session.execute(text("UPDATE desk_days SET taken = :taken WHERE desk = :desk AND day = :day"), changed)
    return waiting


def _lock(session: Session, desk: str, days: Sequence[dt.date]) -> dict[dt.date, int]:
    """Lock the counts of a desk on some days, in their order, and return them."""
    if not days:
        return {}
    named = {"desk": desk, "days": list(days)}
    session.execute(
        text(
            "INSERT INTO desk_days (desk, day, taken) SELECT :desk, day, 0 FROM unnest(CAST(:days AS date[])) AS day"
            " ORDER BY day ON CONFLICT DO NOTHING"
        ),
        named,
    )
    rows = session.execute(
        text("SELECT day, taken FROM desk_days WHERE desk = :desk AND day = ANY(:days) ORDER BY day FOR UPDATE"), named
    )
    return {day: taken for day, taken in rows}


def _last_useful_on(notice: Notice) -> dt.date:
    if notice.deadline_on is not None:
        return notice.deadline_on
    return japan_date(notice.expires_at) - dt.timedelta(days=1) if notice.expires_at else dt.date.max
