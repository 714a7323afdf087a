"""Read back: a version of a programme as plain sentences for a clerk, from the same tree that runs.

An approver approves this text, so it says everything that decides: whose right it is, the conditions with the dates and
figures they mean on a day, what refuses, what families check themselves, the amounts with their arithmetic, how and
until when to apply, and how families are told. What each part says is in `read_back_conditions`, `read_back_amounts`,
`read_back_application`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from app.calendar.day_numbers import as_days, number_of
from app.rules.evaluate import CompiledRule
from app.rules.municipality_code import NATIONAL
from app.rules.phrases import Phrases, days_in_words
from app.rules.read_back_amounts import amounts_read_back
from app.rules.read_back_application import application_read_back, telling_read_back
from app.rules.read_back_conditions import Line, Shown, tree_read_back
from app.rules.reading import income_years


def read_back(rule: CompiledRule, phrases: Phrases, on: dt.date | None = None) -> list[Line]:
    """(depth, sentence) for each condition, headed by whose right it is; what refuses it comes last.

    ``on``: the day whose dates and figures are shown; without one the rules alone are said.
    """
    return _conditions(rule, phrases, Shown(_within_validity(rule, on)))


def full_read_back(rule: CompiledRule, phrases: Phrases, on: dt.date | None = None) -> list[Line]:
    """(depth, sentence) of everything a version says: what an approver approves."""
    shown = Shown(_within_validity(rule, on))
    return [
        *_conditions(rule, phrases, shown),
        *_area(rule, phrases),
        *_unmodelled(rule, phrases),
        *_income_year(rule, phrases, shown.day),
        *amounts_read_back(rule, phrases, shown),
        *application_read_back(rule, phrases, shown),
        *telling_read_back(rule, phrases),
        *_validity(rule, phrases),
    ]


def amounts_and_dates_read_back(rule: CompiledRule, phrases: Phrases, on: dt.date | None = None) -> list[Line]:
    """(depth, sentence) of how much, through whom, until when: what families ask first."""
    shown = Shown(_within_validity(rule, on))
    return [*amounts_read_back(rule, phrases, shown), *application_read_back(rule, phrases, shown)]


def as_text(lines: list[Line]) -> str:
    """Sentences as indented text."""
    return "\n".join(f"{'  ' * depth}{sentence}" for depth, sentence in lines)


def read_back_text(rule: CompiledRule, phrases: Phrases, on: dt.date | None = None) -> str:
    """``read_back`` as indented text."""
    return as_text(read_back(rule, phrases, on))


def _within_validity(rule: CompiledRule, on: dt.date | None) -> int | None:
    return None if on is None else min(max(number_of(on), rule.first), rule.last)


def _conditions(rule: CompiledRule, phrases: Phrases, shown: Shown) -> list[Line]:
    head = (0, phrases.say(f"read_back_subject.{rule.subject}"))
    return [head, *tree_read_back(rule.criteria, 1, phrases, shown), *_refusals(rule, phrases, shown)]


def _area(rule: CompiledRule, phrases: Phrases) -> Iterator[Line]:
    reaches = rule.rule.reaches
    if reaches is not None:
        yield 0, phrases.say("read_back.area_and_left", span=phrases.span(reaches.left_within))
    elif rule.rule.municipality != NATIONAL:
        yield 0, phrases.say("read_back.area")


def _refusals(rule: CompiledRule, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    if rule.contradictions:
        yield 0, phrases.say("read_back_refused")
    for node in rule.contradictions:
        yield from tree_read_back(node.inner, 1, phrases, shown)


def _unmodelled(rule: CompiledRule, phrases: Phrases) -> Iterator[Line]:
    """What families are asked to check themselves, each with the reason why the rule does not test it."""
    if rule.rule.unmodelled:
        yield 0, phrases.say("read_back.unmodelled")
    for condition in rule.rule.unmodelled:
        yield 1, condition.in_language(phrases.language)
        reason = getattr(condition, "reason", None)
        if reason is not None and phrases.language == "ja":
            yield 2, phrases.say("read_back.unmodelled_reason", reason=reason)


def _income_year(rule: CompiledRule, phrases: Phrases, day: int | None) -> Iterator[Line]:
    reckoning = rule.rule.income_year
    if reckoning is None:
        return
    month, day_of_month = reckoning.switches
    switch = phrases.say("month_day", month=month, day=day_of_month)
    yield 0, phrases.say(f"read_back.income_year.{reckoning.uses}", switch=switch)
    if day is not None:
        year = int(income_years(reckoning, as_days(day)))
        yield 1, phrases.say("read_back.income_year.today", day=phrases.day(day), year=year)


def _validity(rule: CompiledRule, phrases: Phrases) -> Iterator[Line]:
    valid = rule.rule.valid
    until = None if valid.until is None else number_of(valid.until)
    yield 0, phrases.say("read_back.valid", days=days_in_words(number_of(valid.from_), until, phrases))
