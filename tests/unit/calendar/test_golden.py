import datetime as dt

import numpy as np
import pytest

from app.calendar.day_counting import period_ends
from app.calendar.day_numbers import date_of, number_of
from app.calendar.era import era_date, era_year
from app.calendar.fiscal_year import class_ages, fiscal_year_ends, school_grades
from app.calendar.holidays import national_holidays
from app.calendar.legal_age import corresponding_days
from app.calendar.spans import Span
from app.calendar.windows import age_fiscal_year_end, closing, opening
from app.calendar.working_days import (
    closed_days,
    next_open_days,
    no_loss_days,
    previous_open_days,
)

D = dt.date.fromisoformat
BORN = D("2026-11-21")
DUE = D("2027-03-01")


def numbers(*texts):
    return np.array([number_of(D(text)) for text in texts], dtype=np.int32)


def dates(days):
    return [date_of(int(day)).isoformat() for day in np.atleast_1d(days)]


def first(day, span, reckoning="birthday"):
    return date_of(int(opening(Span.parse(span), reckoning).days(number_of(day))))


def last(day, span, reckoning="birthday", until_end_of=None):
    return date_of(int(closing(Span.parse(span), reckoning, until_end_of).days(number_of(day))))


def year_end(day, age):
    return date_of(int(age_fiscal_year_end(age).days(number_of(day))))


@pytest.mark.parametrize(
    ("birth", "attained", "ends"),
    [
        ("2008-04-01", "2026-03-31", "2026-03-31"),
        ("2008-04-02", "2026-04-01", "2027-03-31"),
        ("2008-03-31", "2026-03-30", "2026-03-31"),
        ("2008-02-29", "2026-02-28", "2026-03-31"),
    ],
)
def test_age_18_is_attained_the_day_before_and_the_year_ends_on_31_march(birth, attained, ends):
    assert first(D(birth), "18y", "reached") == D(attained)
    assert year_end(D(birth), 18) == D(ends)


def test_born_29_february_attains_on_28_february_in_leap_years_too():
    assert first(D("2008-02-29"), "16y", "reached") == D("2024-02-28")


@pytest.mark.parametrize(("birth", "ends"), [("2004-04-01", "2026-03-31"), ("2004-04-02", "2027-03-31")])
def test_fiscal_year_end_of_22(birth, ends):
    assert year_end(D(birth), 22) == D(ends)


def test_primary_entry():
    births = numbers("2020-04-01", "2020-04-02", "2020-02-29")
    entries = numbers("2026-04-01", "2027-04-01", "2026-04-01")
    assert list(school_grades(births, entries)) == [1, 1, 1]
    assert list(school_grades(births, entries - 1)) == [0, 0, 0]
    assert list(class_ages(births, entries - 1)) == [5, 5, 5]


@pytest.mark.parametrize(("birth", "ends"), [("2023-11-01", "2026-10-31"), ("2023-11-02", "2026-11-30")])
def test_last_month_of_the_rate_under_three(birth, ends):
    assert last(D(birth), "3y", "reached", "month") == D(ends)


def test_birth_registration_counts_the_birth_day():
    assert dates(period_ends(numbers("2026-11-21"), Span.parse("14d"), "included")) == ["2026-12-04"]


def test_no_loss_days():
    counted, office = no_loss_days(numbers("2026-11-21", "2026-12-14", "2026-11-01", "2026-10-05"))
    assert dates(counted) == ["2026-12-06", "2026-12-29", "2026-11-30", "2026-10-31"]
    assert dates(office) == ["2026-12-07", "2027-01-04", "2026-11-30", "2026-10-30"]


def test_moving_to_another_ward_counts_from_the_planned_day():
    assert dates(period_ends(numbers("2026-12-10"), Span.parse("15d"))) == ["2026-12-25"]


@pytest.mark.parametrize(("span", "expected"), [("1y", "2027-11-19"), ("3y", "2029-11-19")])
def test_until_the_day_before_an_age_is_reached(span, expected):
    assert last(BORN, span, "until_reached") == D(expected)


def test_rota_windows():
    assert first(BORN, "6w0d") == D("2027-01-02")
    assert last(BORN, "14w6d", "included") == D("2027-03-05")
    assert last(BORN, "24w0d", "included") == D("2027-05-08")
    assert last(BORN, "32w0d", "included") == D("2027-07-03")


def test_pregnancy_weeks_count_back_from_the_due_date():
    assert first(DUE, "-40w") == D("2026-05-25")
    assert first(DUE, "-18w") == D("2026-10-26")
    assert first(DUE, "-84d") == D("2026-12-07")
    assert last(DUE, "-22d", "included") == D("2027-02-07")
    assert first(DUE, "-8w") == D("2027-01-04")
    assert first(DUE, "-41d") == D("2027-01-19")
    assert first(DUE, "-97d") == D("2026-11-24")


def test_the_end_of_december_moves_back_to_the_last_open_day():
    assert dates(previous_open_days(numbers("2026-12-31", "2026-12-28"))) == ["2026-12-28", "2026-12-28"]
    assert dates(next_open_days(numbers("2026-12-29", "2027-01-04"))) == ["2027-01-04", "2027-01-04"]


def test_months_without_the_day():
    assert dates(corresponding_days(numbers("2026-01-31"), Span.parse("1m"))) == ["2026-03-01"]
    assert last(D("2026-01-31"), "1m", "reached") == D("2026-02-28")
    assert dates(period_ends(numbers("2026-01-30"), Span.parse("1m"))) == ["2026-02-28"]
    assert dates(period_ends(numbers("2026-11-21"), Span.parse("1y"))) == ["2027-11-21"]


def test_fiscal_year_ends():
    assert dates(fiscal_year_ends(numbers("2026-03-31", "2026-04-01"))) == ["2026-03-31", "2027-03-31"]


def test_holidays_of_2026_hold_the_day_between_two_holidays():
    assert sorted(day.strftime("%m-%d") for day in national_holidays(2026)) == [
        "01-01",
        "01-12",
        "02-11",
        "02-23",
        "03-20",
        "04-29",
        "05-03",
        "05-04",
        "05-05",
        "05-06",
        "07-20",
        "08-11",
        "09-21",
        "09-22",
        "09-23",
        "10-12",
        "11-03",
        "11-23",
    ]


def test_holidays_of_special_years():
    assert {D("2019-04-30"), D("2019-05-01"), D("2019-05-02"), D("2019-10-22")} <= national_holidays(2019)
    assert D("2019-12-23") not in national_holidays(2019)
    assert {D("2020-07-23"), D("2020-07-24"), D("2020-08-10")} <= national_holidays(2020)
    assert D("2020-10-12") not in national_holidays(2020)
    assert {D("2021-07-22"), D("2021-07-23"), D("2021-08-08"), D("2021-08-09")} <= national_holidays(2021)
    assert D("2015-09-22") in national_holidays(2015)
    assert D("2024-02-12") in national_holidays(2024)
    assert {D("2009-05-06"), D("2009-09-22")} <= national_holidays(2009)


@pytest.mark.parametrize(
    ("year", "spring", "autumn"),
    [
        (2007, 21, 23),
        (2012, 20, 22),
        (2024, 20, 22),
        (2025, 20, 23),
        (2026, 20, 23),
        (2027, 21, 23),
        (2028, 20, 22),
        (2050, 20, 23),
    ],
)
def test_equinoxes(year, spring, autumn):
    assert dt.date(year, 3, spring) in national_holidays(year)
    assert dt.date(year, 9, autumn) in national_holidays(year)


def test_holidays_outside_the_known_years_are_refused():
    with pytest.raises(ValueError, match="2006"):
        national_holidays(2006)
    with pytest.raises(ValueError, match="2007"):
        closed_days(numbers("2006-12-31"))


def test_closed_days():
    days = numbers("2026-11-20", "2026-11-21", "2026-11-23", "2026-12-28", "2026-12-29", "2027-01-03", "2027-01-04")
    assert list(closed_days(days)) == [False, True, True, False, True, True, False]


@pytest.mark.parametrize(
    ("day", "text"),
    [
        ("2026-11-21", "令和8年11月21日"),
        ("2019-05-01", "令和元年5月1日"),
        ("2019-04-30", "平成31年4月30日"),
        ("1989-01-07", "昭和64年1月7日"),
    ],
)
def test_era(day, text):
    assert era_date(D(day)) == text
    assert text.startswith(era_year(D(day)))


@pytest.mark.parametrize(
    ("text", "months", "days"),
    [
        ("2m", 2, 0),
        ("1y6m", 18, 0),
        ("14w6d", 0, 104),
        ("-84d", 0, -84),
        ("0d", 0, 0),
    ],
)
def test_span(text, months, days):
    assert Span.parse(text) == Span(months, days)
    assert Span.parse(str(Span.parse(text))) == Span(months, days)


@pytest.mark.parametrize(("day", "span", "back"), [
    ("2026-08-31", "-6m", "2026-02-28"), ("2026-03-31", "-1m", "2026-02-28"), ("2028-03-31", "-1m", "2028-02-29"),
    ("2026-08-15", "-1y6m", "2025-02-15"), ("2028-02-29", "-1y", "2027-02-28"), ("2026-01-01", "-1m", "2025-12-01"),
])
def test_counting_back_ends_with_the_months_last_day(day, span, back):
    assert dates(corresponding_days(number_of(D(day)), Span.parse(span))) == [back]
    assert str(Span.parse(span)) == span


@pytest.mark.parametrize(("span", "start_of", "first"), [
    ("-1m", "month", "2027-02-01"), ("2m", "month", "2027-05-01"), ("1m", "school_year", "2027-04-01"),
    ("-1d", "school_year", "2026-04-01"),
])
def test_a_window_may_open_with_its_month_or_school_year(span, start_of, first):
    assert dates(opening(Span.parse(span), from_start_of=start_of).days(numbers("2027-03-31"))) == [first]
    if start_of == "school_year":
        assert dates(opening(Span(), from_start_of=start_of).days(numbers("2027-04-01"))) == ["2027-04-01"]


def test_a_window_may_count_from_a_moved_day():
    lapse = closing(Span.parse("2y"), "included", base=Span.parse("-56d"))
    assert dates(lapse.days(numbers("2027-03-01"))) == ["2029-01-04"]
    assert date_of(lapse.last_date(number_of(D("2029-01-04")))) == D("2027-03-01")


@pytest.mark.parametrize("text", ["", "m", "1", "-", "1m-2d", "1m3d", "3d1m", "2.5m"])
def test_bad_span(text):
    with pytest.raises(ValueError, match=r"found"):
        Span.parse(text)
