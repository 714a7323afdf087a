"""Which differences between what was told and what holds now a family hears of."""

import datetime as dt

import pytest

from app.notices import corrections

TODAY = dt.date(2026, 11, 24)
TOLD = {
    "deadline_on": "2026-12-07", "deadline_label": "申請期限", "valid_until": "2027-03-31",
    "yen": 15000, "most_yen": 15000, "step_yen": [10000], "amount_text": "月15,000円", "name": "手当",
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "now", "labels"),
    [
        ({}, {}, []),
        ({}, {"deadline_on": "2026-11-30"}, ["申請期限"]),
        ({}, {"deadline_on": "2026-12-28"}, []),  # later: the reminders move, nobody is disturbed
        ({"deadline_on": "2026-11-20"}, {"deadline_on": "2026-11-19"}, []),  # it had passed already
        ({"deadline_on": None}, {"deadline_on": "2026-11-30"}, []),
        ({}, {"yen": 5000, "most_yen": 5000, "amount_text": "月5,000円"}, ["いくら"]),
        ({}, {"yen": 10000, "most_yen": 10000, "amount_text": "月10,000円"}, []),  # a step that was told
        ({}, {"yen": 14400, "most_yen": 14400, "amount_text": "月14,400円"}, []),  # a yearly revision
        ({}, {"yen": 20000, "most_yen": 20000, "amount_text": "月20,000円"}, []),
        ({"yen": 10000, "most_yen": 30000}, {"yen": 10000, "most_yen": 10000}, []),  # within what was told
        ({}, {"yen": 0, "most_yen": 0, "amount_text": ""}, []),  # not known any more
        ({}, {"valid_until": "2026-12-31"}, ["対象の最後の日"]),
        ({"valid_until": None}, {"valid_until": "2036-12-31"}, []),  # the horizon came nearer
        ({}, {"valid_until": None}, []),
        ({}, {"name": "新しい名前の手当", "reason": "ほかの言い方"}, []),
        ({}, {"deadline_on": "2026-11-30", "valid_until": "2026-11-30"}, ["申請期限"]),
    ],
)
def test_what_may_cost_a_family_something_is_told_again(told, now, labels):
    before, after = TOLD | told, TOLD | told | now
    changes = corrections.worth_telling(before, after, TODAY)
    assert [change["label"] for change in changes] == labels
    assert all(change["old"] != change["new"] for change in changes)


def test_old_and_new_stand_side_by_side():
    (change,) = corrections.worth_telling(TOLD, TOLD | {"deadline_on": "2026-11-30"}, TODAY)
    assert (change["old"], change["new"]) == ("2026年12月7日(月)", "2026年11月30日(月)")
