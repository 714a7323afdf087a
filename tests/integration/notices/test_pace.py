"""The pace of a desk: how many families are sent to one office's telephones on one day."""

import datetime as dt
import threading
import uuid

import pytest
from sqlalchemy import text

from app.notices import pace
from app.notices.tables import Notice
from app.platform import clock
from app.platform.database import owner_session, worker_session
from app.platform.settings import settings

TUESDAY = dt.date(2026, 11, 24)


def news(household_id=None, deadline_on=None, kind="new_support", desk="03-0000-0000", day=TUESDAY):
    return Notice(
        household_id=household_id or uuid.uuid4(),
        municipality_code="131121",
        programme_key="131121/some-support",
        subject="household",
        kind=kind,
        occasion="2026-11-24",
        programme_version=TUESDAY,
        content={"desk": desk},
        deadline_on=deadline_on,
        release_at=clock.at_japan_time(day, 10),
    )


@pytest.fixture
def two_a_day(world, monkeypatch):
    monkeypatch.setattr(settings().notices, "desk_pace", [2, 2, 2, 2, 2, 0, 0])


def kept(planned):
    with worker_session() as session:
        pace.keep(session, planned)
        session.commit()
    return [clock.japan_date(notice.release_at) for notice in planned]


def taken():
    with owner_session() as session:
        return dict(session.execute(text("SELECT day, taken FROM desk_days ORDER BY day")).all())


def test_what_is_over_the_pace_waits_for_the_next_working_day(two_a_day):
    days = kept([news() for _ in range(9)])
    weekdays = [TUESDAY, dt.date(2026, 11, 25), dt.date(2026, 11, 26), dt.date(2026, 11, 27), dt.date(2026, 11, 30)]
    assert sorted(days) == sorted([*weekdays, *weekdays])[:9], "28 and 29 November are a weekend"
    assert set(taken().values()) <= {0, 1, 2}
    assert kept([news()]) == [dt.date(2026, 11, 30)], "counted in rows: the next run goes on where this one ended"


def test_the_nearest_deadline_goes_first_and_the_last_week_does_not_wait(two_a_day):
    later = [news(deadline_on=dt.date(2027, 2, 1)) for _ in range(2)]
    sooner = [news(deadline_on=dt.date(2026, 12, 10)) for _ in range(2)]
    urgent = [news(deadline_on=dt.date(2026, 11, 30)) for _ in range(3)]
    days = kept([*later, *sooner, *urgent])
    assert days == [dt.date(2026, 11, 25)] * 2 + [TUESDAY] * 2 + [TUESDAY] * 3


def test_nobody_waits_longer_than_two_weeks_or_into_the_last_week(two_a_day):
    planned = [news() for _ in range(60)] + [news(deadline_on=dt.date(2026, 12, 4)) for _ in range(10)]
    days = kept(planned)
    assert max(days[:60]) <= TUESDAY + pace.LONGEST_WAIT
    assert max(days[60:]) <= dt.date(2026, 12, 4) - pace.LAST_WEEK
    assert not {day for day in days if day.weekday() >= 5}
    assert sum(taken().values()) == 70 and max(taken().values()) - min(taken().values()) <= 6, "spread evenly"


def test_children_of_one_family_are_one_call_and_other_kinds_do_not_wait(two_a_day):
    family = uuid.uuid4()
    assert kept([news(family), news(family), news(family)]) == [TUESDAY] * 3
    assert taken()[TUESDAY] == 1
    assert kept([news(kind=kind) for kind in ("deadline_reminder", "correction", "question")]) == [TUESDAY] * 3
    assert kept([news(desk="") for _ in range(5)]) == [TUESDAY] * 5


def test_news_of_a_weekend_or_a_holiday_wait_for_the_office(two_a_day):
    assert kept([news(day=dt.date(2026, 11, 28))]) == [dt.date(2026, 11, 30)]


def test_two_workers_never_give_the_same_place_away_twice(two_a_day):
    with worker_session():  # one engine, made before two threads could each make one and leave the other's open
        start = threading.Barrier(2)
    days: list[dt.date] = []

    def plan():
        start.wait()
        for _ in range(5):
            days.extend(kept([news(), news(desk="03-1111-1111")])[:1])

    workers = [threading.Thread(target=plan) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(days) == sorted([TUESDAY + dt.timedelta(days=n) for n in (0, 1, 2, 3, 6)] * 2)
