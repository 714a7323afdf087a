"""Many households asked at once: verdicts and periods for all, details only for the rows that are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.rules.answer_table import Asked
from app.rules.answers import Answer, horizon
from app.rules.columns import YES, Verdicts
from app.rules.evaluate import CompiledRule, Rulebook
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Moment
from app.rules.reading_out import answers_of
from app.rules.residence import UNKNOWN_CODE
from app.rules.timeline import Periods, periods_from, stitched


@dataclass(frozen=True)
class HouseholdAnswers:
    """All answers of one household on a day. ``municipality_open``: local programmes wait for one question."""

    household: str
    on: dt.date
    answers: tuple[Answer, ...]
    municipality_open: bool


def entitlements(
    rulebook: Rulebook,
    population: Population,
    on: dt.date,
    programmes: Iterable[str] | None = None,
    *,
    since: dt.date | None = None,
) -> dict[str, Periods]:
    """Periods of every programme from ``since`` (``on`` unless given) to the horizon, asked on ``on``; columns only.

    What matching stores: ``with_verdict(2)`` are the rights, ``with_verdict(1)`` the open questions. Local programmes
    of a household whose municipality is unknown come out undetermined.
    """
    moment, last = Moment.on(population, since or on, on), horizon(on)
    return {
        key: periods_from(rulebook.versions[key], moment, last)
        for key in (rulebook if programmes is None else programmes)
    }


@dataclass(frozen=True)
class Inquiry:
    """Programmes asked about on a day: which households each is told to, and the rows asked with their verdicts."""

    asked: dict[str, Asked]
    municipality_open: NDArray[np.bool_]


def inquire(
    rulebook: Rulebook,
    population: Population,
    on: dt.date,
    programmes: Iterable[str] | None = None,
) -> Inquiry:
    """Ask about programmes that are named, or about all whose area covers a household.

    Raises ``KeyError`` for a programme that the rulebook does not have.
    """
    named = programmes is not None
    chosen = {key: rulebook.on(key, on) for key in (rulebook if programmes is None else programmes)}
    in_force = {key: rule for key, rule in chosen.items() if rule is not None}
    moment = Moment.on(population, on)
    told = {key: (rule.covered(moment) == YES) | named for key, rule in in_force.items()}
    asked = {
        key: _asked(rulebook.versions[key], rule, moment, told[key], on)
        for key, rule in in_force.items() if named or told[key].any()
    }  # fmt: skip
    return Inquiry(asked, moment.codes() <= UNKNOWN_CODE)


def _asked(
    versions: tuple[CompiledRule, ...], rule: CompiledRule, moment: Moment, told: NDArray[np.bool_], on: dt.date
) -> Asked:
    """The rows of the households that are told; those that are told alike are looked at as one population."""
    population, homes = moment.population, np.flatnonzero(told)
    part = moment if told.all() else moment.part(f"told {np.packbits(told).tobytes().hex()}", told)[0]
    verdict = rule.verdicts(part)
    rows = population.people[rule.subject].rows_of(homes)
    periods = _periods(versions, rule, part, verdict, on)
    days = np.full(len(rows), moment.as_of, dtype=np.int32)
    periods = replace(periods, row=rows[periods.row])
    return Asked(rule, population, rows, days, verdict, periods, moment.as_of, horizon(on))


def _periods(
    versions: tuple[CompiledRule, ...], rule: CompiledRule, moment: Moment, verdict: Verdicts, on: dt.date
) -> Periods:
    """What is to come for everybody, and for households with a right of today what was, from the first version on."""
    ahead = periods_from(versions, moment, horizon(on))
    population = moment.population
    people = population.people[rule.subject]
    homes = np.unique(people.household[verdict == YES])
    today, first = moment.as_of, versions[0].first
    if not len(homes) or first >= today:
        return ahead
    before = periods_from(versions, Moment.on(population.subset(homes), first, today), today - 1)
    return stitched([replace(before, row=people.rows_of(homes)[before.row]), ahead])


def answers_on(
    rulebook: Rulebook,
    population: Population,
    on: dt.date,
    programmes: Iterable[str] | None = None,
    phrases: Phrases | None = None,
) -> list[HouseholdAnswers]:
    """Answers for every household; see ``inquire`` for which.

    While a household's municipality is unknown, its local programmes are one question (``municipality_open``).
    """
    inquiry = inquire(rulebook, population, on, programmes)
    found: list[list[Answer]] = [[] for _ in range(population.size)]
    for asked in inquiry.asked.values():
        homes = population.people[asked.rule.subject].household[asked.row]
        for home, answer in zip(homes.tolist(), answers_of(asked, phrases), strict=True):
            found[home].append(answer)
    return [
        HouseholdAnswers(population.ids[row], on, tuple(answers), bool(inquiry.municipality_open[row]))
        for row, answers in enumerate(found)
    ]
