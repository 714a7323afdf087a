"""Applying: when it opens, until when, from which month it pays, and through whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.rules.criteria import Criteria
from app.rules.documents import Day, Document, MonthDay, SpanText, TextField

SingleAnchor = Annotated[
    str,
    Field(
        pattern=r"^(today|residence\.(from|planned_move_out_on)|(household|guardian|child|pregnancy)\.[a-z][a-z0-9_]*)$"
    ),
]
"""A date fact, a date of the current residence, or ``today``: the day asked, or the first day of a later right."""


class LatestOf(Document):
    """The latest of several dates; unknown while one of them is."""

    latest: Annotated[tuple[SingleAnchor, ...], Field(min_length=2)]


Anchor = SingleAnchor | LatestOf


class Opening(Document):
    """The first day on which one can apply: a fixed day, a span after an anchor (negative: before it), or each year.

    ``each_year`` is the last such day before the deadline that counts next, or, without one, before the day asked.
    """

    anchor: Anchor | None = None
    after: SpanText | None = None
    on: Day | None = None
    each_year: MonthDay | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Opening:
        if sum(way is not None for way in (self.anchor, self.on, self.each_year)) != 1:
            raise ValueError("expected one of anchor, on, each_year")
        if self.after is not None and self.anchor is None:
            raise ValueError("expected after only with an anchor")
        return self


class Deadline(Document):
    """Until when to apply on one occasion (birth, moved_in …).

    One of: ``anchor`` with ``within`` (期間; 初日不算入 unless ``first_day: included``) · ``anchor`` with ``end_of`` ·
    ``on``, a fixed day · ``each_year``, the next such day. ``after`` moves the anchor on by a span before anything is
    counted (a limitation of two years from eight weeks before the due date: ``after: -56d, within: 2y``); alone it is
    the last day itself. ``holiday`` moves the office day off closed days. The occasion ``refusal`` is until when a
    family may say that it does not want what it would get unasked (opt-out).
    ``no_loss`` marks the day up to which nothing is lost (児童手当の15日特例): never earlier than the last open day of
    the anchor's month, and a claim up to it pays from the month after the anchor.

    Basis: 民法 140条, 142条, 143条; 児童手当法 8条.
    """

    occasion: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    anchor: Anchor | None = None
    after: SpanText | None = None
    within: SpanText | None = None
    first_day: Literal["included", "excluded"] = "excluded"
    end_of: Literal["month", "fiscal_year"] | None = None
    on: Day | None = None
    each_year: MonthDay | None = None
    holiday: Literal["as_is", "next_working_day", "previous_working_day"] = "as_is"
    no_loss: bool = False
    when: Criteria | None = None
    note: TextField | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Deadline:
        fixed = [self.on is not None, self.each_year is not None, self.anchor is not None]
        if sum(fixed) != 1:
            raise ValueError("expected one of anchor, on, each_year")
        counted = sum(way is not None for way in (self.within, self.end_of))
        if self.anchor is not None and counted != 1 and (counted or self.after is None):
            raise ValueError("expected within or end_of (or only after) beside anchor")
        if self.anchor is None and (counted or self.after is not None or self.no_loss):
            raise ValueError("expected after, within, end_of and no_loss only beside an anchor")
        if self.no_loss and self.after is not None:
            raise ValueError("expected no_loss without after: it counts from the event itself")
        if self.within is not None and (self.within.months, self.within.days) <= (0, 0):
            raise ValueError(f"expected a deadline after its event: found within {self.within}")
        return self


def anchor_facts(anchor: Anchor | None) -> tuple[str, ...]:
    """What has to be known for an anchor's day: date facts and dates of the residence, but not ``today``."""
    singles = () if anchor is None else anchor.latest if isinstance(anchor, LatestOf) else (anchor,)
    return tuple(single for single in singles if single != "today")


class Application(Document):
    """How a right is claimed, as far as dates and money follow from it."""

    opens: Opening | None = None
    deadlines: tuple[Deadline, ...] = ()
    pays_from: Literal["month_after_claim", "month_of_claim"] | None = None


class TakeUp(Document):
    """Through whom this subject gets it: the first case that holds; ``else`` closes the list."""

    when: Criteria | None = None
    is_: Annotated[
        Literal["application", "opt_out", "automatic", "via_employer", "via_school"] | None, Field(alias="is")
    ] = None
    else_: Annotated[
        Literal["application", "opt_out", "automatic", "via_employer", "via_school"] | None, Field(alias="else")
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> TakeUp:
        if (self.when is None) != (self.is_ is None) or (self.is_ is None) == (self.else_ is None):
            raise ValueError("expected {when, is} or {else}")
        return self


class Form(Document):
    """The form to hand in: for the first right, and for a further child."""

    first: str
    further: str | None = None
