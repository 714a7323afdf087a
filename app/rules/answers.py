"""Answers: what a household may be told about one programme and one subject on one day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from app.calendar.day_numbers import number_of
from app.rules.columns import NO
from app.rules.explain import VERDICT_NAMES
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

    def as_document(self) -> dict[str, Any]:
        """The result as ``todoke check --json`` prints it: short for what is refused (docs/check.md has every key)."""
        document: dict[str, Any] = {
            "programme": self.programme,
            "version": self.version,
            "subject": self.subject,
            "verdict": self.verdict,
        }
        if self.verdict == VERDICT_NAMES[NO]:
            return document if self.begins_on is None else {**document, "begins_on": self.begins_on.isoformat()}
        lacking = self.missing
        return document | {
            "amount": None if self.amount is None else self.amount.as_document(),
            "eligible_from": iso(self.eligible_from),
            "eligible_until": iso(self.eligible_until),
            "begins_on": iso(self.begins_on),
            "opens_on": iso(self.opens_on),
            "counted_on": iso(self.counted_on),
            "deadline": iso(self.deadline),
            "lapsed_on": iso(self.lapsed_on),
            "review_on": iso(self.review_on),
            "occasion": self.occasion,
            "pays_from": self.pays_from,
            "cost_of_delay": self.cost_of_delay,
            "take_up": self.take_up,
            "form": self.form,
            "only_by_judgement": self.only_by_judgement,
            "stale": self.stale,
            "certainty": self.certainty,
            "steps": [
                {"from": day.isoformat(), "amount": None if amount is None else amount.as_document()}
                for day, amount in self.steps
            ],
            "missing": [missing.fact for missing in lacking],
            "questions": [
                {"fact": missing.fact, "subject": missing.subject, "declined": missing.declined} for missing in lacking
            ],
            "reason": {} if self.reason is None else {"ja": self.reason},
        }


def iso(day: dt.date | None) -> str | None:
    """A date as ISO text; None stays."""
    return None if day is None else day.isoformat()


def horizon(on: dt.date) -> int:
    """The last day looked at from a day."""
    return number_of(on.replace(year=on.year + HORIZON_YEARS, day=1))
