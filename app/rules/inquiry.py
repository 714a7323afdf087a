"""Many households asked at once: verdicts and periods for all, details only for the rows that are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.rules.answer_table import Asked
from app.rules.answers import Answer, horizon
from app.rules.columns import YES
from app.rules.evaluate import CompiledRule, Rulebook
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Moment
from app.rules.reading_out import answers_of
from app.rules.residence import UNKNOWN_CODE
from app.rules.timeline import Periods, programme_periods


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
    return {
        key: programme_periods(rulebook.versions[key], population, on, since or on, horizon(on))
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
    instead_of: Mapping[str, str] | None = None,
) -> Inquiry:
    """Ask about programmes that are named, or about all whose area covers a household.

    ``instead_of``: programme → the one whose place it takes for the households that it is told to (only where none
    are named). Raises ``KeyError`` for a programme that the rulebook does not have.
    """
    named = programmes is not None
    chosen = {key: rulebook.on(key, on) for key in (rulebook if programmes is None else programmes)}
    in_force = {key: rule for key, rule in chosen.items() if rule is not None}
    moment = Moment.on(population, on)
    told = {key: (rule.covered(moment) == YES) | named for key, rule in in_force.items()}
    for key, original in ({} if named else instead_of or {}).items():
        if key in told and original in told:
            has_subjects = np.diff(population.people[in_force[key].subject].offsets) > 0
            told[original] = told[original] & ~(told[key] & has_subjects)
    asked = {key: _asked(rulebook, rule, moment, told[key], on) for key, rule in in_force.items()}
    return Inquiry(asked, moment.codes() <= UNKNOWN_CODE)


def _asked(rulebook: Rulebook, rule: CompiledRule, moment: Moment, told: NDArray[np.bool_], on: dt.date) -> Asked:
    population = moment.population
    rows = population.people[rule.subject].rows_of(np.flatnonzero(told))
    verdict = rule.verdicts(moment)[rows]
    periods = _told_periods(rulebook, population, on, rule.rule.key, told)
    days = np.full(len(rows), moment.as_of, dtype=np.int32)
    return Asked(rule, population, rows, days, verdict, periods, moment.as_of, horizon(on))


def answers_on(
    rulebook: Rulebook,
    population: Population,
    on: dt.date,
    programmes: Iterable[str] | None = None,
    phrases: Phrases | None = None,
    instead_of: Mapping[str, str] | None = None,
) -> list[HouseholdAnswers]:
    """Answers for every household; see ``inquire`` for which.

    While a household's municipality is unknown, its local programmes are one question (``municipality_open``).
    """
    inquiry = inquire(rulebook, population, on, programmes, instead_of)
    found: list[list[Answer]] = [[] for _ in range(population.size)]
    for asked in inquiry.asked.values():
        homes = population.people[asked.rule.subject].household[asked.row]
        for home, answer in zip(homes.tolist(), answers_of(asked, phrases), strict=True):
            found[home].append(answer)
    return [
        HouseholdAnswers(population.ids[row], on, tuple(answers), bool(inquiry.municipality_open[row]))
        for row, answers in enumerate(found)
    ]


def _told_periods(rulebook: Rulebook, population: Population, on: dt.date, key: str, told: Any) -> Periods:
    """The periods of the households that are told about a programme, from its first version to the horizon."""
    versions = rulebook.versions[key]
    part = population if told.all() else population.subset(np.flatnonzero(told))
    periods = programme_periods(versions, part, on, versions[0].first, horizon(on))
    if part is population:
        return periods
    rows = population.people[periods.subject].rows_of(np.flatnonzero(told))
    return replace(periods, row=rows[periods.row])
