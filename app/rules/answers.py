"""Answers: what a household may be told about one programme and one subject on one day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from app.calendar.day_numbers import number_of
from app.rules.trace import Missing

HORIZON_YEARS = 30
"""How far ahead periods are looked for; a right that runs that far has no end."""


@dataclass(frozen=True)
class AmountAnswer:
    """Yen, or their least and most while something is open; ``per`` month, once or year."""

    per: str
    each: str
    yen: int | None = None
    least: int | None = None
    most: int | None = None

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        if self.yen is not None:
            return {"yen": self.yen, "per": self.per}
        bounds = {name: value for name, value in (("least", self.least), ("most", self.most)) if value is not None}
        return {"yen": None, "per": self.per, **bounds}


@dataclass(frozen=True)
class Answer:
    """One programme, one subject, one day. Days are dates; ``pays_from`` is a month such as ``2026-12``.

    Where the rule pays from the month of a claim and none of the right is left, there is no ``pays_from``, no deadline
    and no ``cost_of_delay``: a claim would pay nothing any more.

    ``eligible_from``/``eligible_until`` bound the continuous right (None: no end in sight, or no right);
    ``begins_on`` is the first day of a later right. ``cost_of_delay`` is yen lost for each month of waiting past the
    deadline. ``only_by_judgement``: open through a human's judgement alone (never a question). ``stale``: overdue for
    checking. ``review_on``: a stated income stops counting then. ``checked``: the tests a right rests on, in words.
    """

    household: str
    programme: str
    version: str
    subject: str
    verdict: str
    certainty: str
    amount: AmountAnswer | None = None
    steps: tuple[tuple[dt.date, AmountAnswer | None], ...] = ()
    eligible_from: dt.date | None = None
    eligible_until: dt.date | None = None
    begins_on: dt.date | None = None
    opens_on: dt.date | None = None
    occasion: str | None = None
    counted_on: dt.date | None = None
    deadline: dt.date | None = None
    lapsed_on: dt.date | None = None
    pays_from: str | None = None
    cost_of_delay: int | None = None
    take_up: str | None = None
    form: str | None = None
    missing: tuple[Missing, ...] = ()
    only_by_judgement: bool = False
    stale: bool = False
    review_on: dt.date | None = None
    reason: str | None = None
    checked: tuple[str, ...] = ()


def iso(day: dt.date | None) -> str | None:
    """A date as ISO text; None stays."""
    return None if day is None else day.isoformat()


def horizon(on: dt.date) -> int:
    """The last day looked at from a day."""
    return number_of(on.replace(year=on.year + HORIZON_YEARS, day=1))
