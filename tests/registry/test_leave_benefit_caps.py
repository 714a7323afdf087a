"""The caps of the childcare leave benefit belong together: one highest wage, two rates."""

import datetime as dt
from fractions import Fraction
from math import floor

import pytest

from app.registry.loading import Registry


@pytest.mark.parametrize("day", [dt.date(2025, 7, 31), dt.date(2025, 8, 1), dt.date(2026, 7, 31)])
def test_both_caps_come_from_the_same_highest_wage(registry: Registry, day: dt.date) -> None:
    """Basis: 雇用保険法 61条の7; the cap is the highest wage (休業開始時賃金月額の上限) times the rate, rounded down."""

    def figure(name: str, on: dt.date = day) -> Fraction:
        period = registry.parameters[f"childcare-leave-benefit-{name}"].on(on)
        assert period is not None
        assert period.value is not None
        return period.value

    highest_wage = figure("cap-late") / figure("rate-late")
    assert floor(highest_wage * figure("rate-early")) == figure("cap-early")


@pytest.mark.parametrize("name", ["childcare-leave-benefit-cap-early", "childcare-leave-benefit-cap-late"])
def test_no_cap_is_claimed_beyond_the_year_it_was_read_for(registry: Registry, name: str) -> None:
    assert registry.parameters[name].on(dt.date(2026, 7, 31)) is not None
    assert registry.parameters[name].on(dt.date(2026, 8, 1)) is None


def test_the_benefit_names_no_figure_while_its_cap_is_unknown(registry: Registry) -> None:
    former, current = registry.programmes["000000/childcare-leave-benefit"]
    assert former.amount is not None
    assert current.amount is None
