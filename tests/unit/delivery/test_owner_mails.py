"""When the owner of an endpoint hears of it: the decision alone."""

import datetime as dt

import pytest

from app.delivery.owner_mails import Standing, Step, shown_address, step

AT = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)


def standing(**changes):
    values = {"disabled_reason": None, "failing_since": None, "waiting": True, "told": None, "working_since": None}
    return Standing(**values | changes)


def ago(**delta):
    return AT - dt.timedelta(**delta)


@pytest.mark.parametrize(
    ("failing_since", "told", "mail"),
    [
        (ago(minutes=59), None, None),
        (ago(hours=1), None, "hour"),
        (ago(hours=23), "hour", None),
        (ago(hours=24), "hour", "day"),
        (ago(hours=24), None, "day"),
        (ago(days=4), "day", "four_days"),
        (ago(days=6), "four_days", None),
        (ago(hours=2), "day", None),
    ],
)
def test_a_failing_endpoint_is_told_once_a_stage(failing_since, told, mail):
    taken = step(standing(failing_since=failing_since, told=told), AT)
    assert (taken.mail, taken.told) == (mail, mail or told)


def test_what_concerns_nothing_is_not_told():
    assert step(standing(failing_since=ago(days=2), waiting=False), AT) == Step(mail=None, told=None)


@pytest.mark.parametrize(
    ("reason", "told", "mail"),
    [("failing", "four_days", "disabled"), ("gone", None, "disabled"), ("gone", "disabled", None), ("by_partner", "hour", None)],
)  # fmt: skip
def test_the_end_is_told_once_unless_the_partner_chose_it(reason, told, mail):
    assert step(standing(disabled_reason=reason, told=told), AT) == Step(mail=mail, told=mail or told)


def test_it_works_again_after_a_quarter_of_an_hour_or_a_test():
    first = step(standing(told="day"), AT)
    assert first == Step(mail=None, told="day", working_since=AT)
    assert step(standing(told="day", working_since=ago(minutes=14)), AT).mail is None
    assert step(standing(told="day", working_since=ago(minutes=15)), AT) == Step(mail="recovered", told=None)
    again = step(standing(told="day", working_since=ago(minutes=14), failing_since=ago(minutes=1)), AT)
    assert again == Step(mail=None, told="day", working_since=None)
    assert step(standing(told="disabled", failing_since=ago(hours=2)), AT) == Step(mail="recovered", told=None)
    assert step(standing(), AT) == Step(mail=None, told=None)


def test_an_address_is_shown_without_what_may_be_a_token():
    assert shown_address("https://hooks.sorairo.example:8443/in/1?token=x") == "https://hooks.sorairo.example:8443/in/1"
