"""Single answers read out of columns: names, dates and words for the rows that are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.calendar.day_numbers import date_of
from app.rules.amounts_over_time import KNOWN, NOTHING, UNSAID, AmountColumns, pays
from app.rules.answer_table import AnswerTable, Asked, answer_table, bounds
from app.rules.answers import AmountAnswer, Answer
from app.rules.columns import NO, Rows
from app.rules.evaluate import CompiledRule
from app.rules.explain import VERDICT_NAMES
from app.rules.outlines import named
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Reading
from app.rules.told import Told, told, told_alike
from app.rules.trace import Missing


def answers_of(asked: Asked, phrases: Phrases | None = None) -> list[Answer]:
    """The answer of every asked row, in their order; with phrases also why, and what was checked."""
    result: list[Any] = [None] * len(asked.row)
    refused, open_to = np.flatnonzero(asked.verdict == NO), np.flatnonzero(asked.verdict != NO)
    if len(refused):
        for place, answer in zip(refused.tolist(), _refusals(asked.at(refused), phrases), strict=True):
            result[place] = answer
    if len(open_to):
        for place, answer in zip(open_to.tolist(), told_answers(answer_table(asked.at(open_to)), phrases), strict=True):
            result[place] = answer
    return result


def _refusals(asked: Asked, phrases: Phrases | None) -> list[Answer]:
    """Answers of refused rows: when a right begins later, and why not now."""
    rule, found = asked.rule, bounds(asked)
    words: Sequence[Told | None] = [None] * len(asked.row)
    if phrases is not None:
        moment, place = asked.on(asked.day)
        words = told(rule, Reading(moment, rule.rule), place, NO, phrases, rule.capped(asked.as_of))
    stale = rule.capped(asked.as_of)
    return [
        Answer(
            home, rule.rule.key, rule.rule.version, subject, VERDICT_NAMES[NO], rule.rule.certainty,
            begins_on=begins, stale=stale, reason=None if said is None else said.reason,
        )
        for (home, subject), begins, said in zip(
            _names(asked.population, rule.subject, asked.row), _dates(found.begins_on), words, strict=True
        )
    ]  # fmt: skip


def told_answers(table: AnswerTable, phrases: Phrases | None = None) -> list[Answer]:
    """The answers of a table, in the order of its rows."""
    asked, rule, claims = table.asked, table.rule, table.claims
    words = words_of(table, phrases)
    amounts = amount_answers(rule, table.amounts) if table.amounts is not None else [None] * len(table)
    course = _courses(table)
    lacks = _lacks(table)
    judged = [
        outline is not None and outline.only_by_judgement and not table.stale for outline in table.outline.by_row()
    ]
    form, ways = rule.rule.form, [way for _, way in rule.take_up]
    forms = [] if form is None else [form.first, form.further or form.first]
    occasions = [deadline.occasion for deadline, _ in rule.deadlines]
    key, version, certainty, stale = rule.rule.key, rule.rule.version, rule.rule.certainty, table.stale
    return [
        Answer(
            home, key, version, subject, VERDICT_NAMES[verdict], certainty, amount, steps, since, until, begins, opens,
            None if occasion < 0 else occasions[occasion], counted, deadline, lapsed, month_of(month),
            None if cost < 0 else cost, None if way < 0 else ways[way], None if paper < 0 else forms[paper],
            missing, judgement, stale, review, None if said is None else said.reason,
            () if said is None else said.checked,
        )
        for (home, subject), verdict, amount, steps, since, until, begins, opens, occasion, counted, deadline, lapsed,
        month, cost, way, paper, missing, judgement, review, said in zip(
            _names(asked.population, rule.subject, asked.row), asked.verdict.tolist(), amounts, course,
            _dates(table.bounds.since), _dates(table.bounds.until), _dates(table.bounds.begins_on),
            _dates(claims.opens_on), claims.occasion.tolist(), _dates(claims.counted_on), _dates(claims.deadline),
            _dates(claims.lapsed_on), claims.pays_from.tolist(), table.cost_of_delay.tolist(), claims.take_up.tolist(),
            claims.form.tolist(), lacks, judged, _dates(table.review_on), words, strict=True,
        )
    ]  # fmt: skip


@lru_cache(maxsize=100_000)
def day_of(number: int) -> dt.date | None:
    """A date; None for ``NO_DAY``."""
    return None if number == NO_DAY else date_of(number)


def _dates(days: NDArray[Any]) -> list[dt.date | None]:
    return [day_of(number) for number in days.tolist()]


@lru_cache(maxsize=10_000)
def month_of(number: int) -> str | None:
    """A month such as 2026-12, counted from 1970-01; None where it is negative."""
    return None if number < 0 else f"{1970 + number // 12}-{number % 12 + 1:02d}"


def _names(population: Population, kind: str, rows: Rows) -> list[tuple[str, str]]:
    """(household, subject) of each row."""
    people = population.people[kind]
    homes = [population.ids[home] for home in people.household[rows].tolist()]
    if kind == "household":
        return [(home, kind) for home in homes]
    return [(home, f"{kind}:{people.ids[row]}") for home, row in zip(homes, rows.tolist(), strict=True)]


def amount_answers(rule: CompiledRule, amounts: AmountColumns) -> list[AmountAnswer | None]:
    """What may be said of each amount; None where no case can hold."""
    kinds = pays(rule)
    return [
        None if state == NOTHING else _amount(*kinds[per], state, yen, least, most)
        for state, per, yen, least, most in zip(*(column.tolist() for column in amounts.columns), strict=True)
    ]


@lru_cache(maxsize=100_000)
def _amount(per: str, each: str, state: int, yen: int, least: int, most: int) -> AmountAnswer:
    if state == KNOWN:
        return AmountAnswer(per, each, yen)
    return AmountAnswer(per, each, None, None if least == UNSAID else least, None if most == UNSAID else most)


def _courses(table: AnswerTable) -> list[tuple[tuple[dt.date, AmountAnswer | None], ...]]:
    """The amounts of each row over time."""
    if table.steps is None:
        return [()] * len(table)
    steps: list[Any] = list(zip(_dates(table.steps.day), amount_answers(table.rule, table.steps.amount), strict=True))
    offsets = table.steps.offsets.tolist()
    return [tuple(steps[first:last]) for first, last in pairwise(offsets)]


def _lacks(table: AnswerTable) -> list[tuple[Missing, ...]]:
    """What each row lacks, with names: what its verdict is open for, then its amount."""
    people, kind = table.asked.population.people, table.rule.subject
    return [
        () if outline is None and not figure
        else tuple(dict.fromkeys(named((*(outline.missing if outline else ()), *(figure or ())), people, kind, row)))
        for outline, figure, row in zip(
            table.outline.by_row(), table.figure.by_row(), table.asked.row.tolist(), strict=True
        )
    ]  # fmt: skip


def words_of(table: AnswerTable, phrases: Phrases | None, places: Rows | None = None) -> list[Told | None]:
    """Why each row, or those at some places of the table, is told what it is told."""
    chosen = np.arange(len(table)) if places is None else places
    words: list[Told | None] = [None] * len(chosen)
    if phrases is None:
        return words
    for shared in (table.grounds, table.outline):
        mine = np.flatnonzero(shared.index[chosen] >= 0)
        if len(mine):
            rows = chosen[mine]
            alike = replace(shared, index=shared.index[rows])
            said = told_alike(alike, table.rule, table.reading, table.place[rows], phrases, table.stale)
            for place, one in zip(mine.tolist(), said, strict=True):
                words[place] = one
    return words
