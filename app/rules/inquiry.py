"""Many households asked at once: verdicts and periods for all, details only for the rows that are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.rules.answers import Answer, horizon
from app.rules.columns import YES
from app.rules.details import Detail
from app.rules.evaluate import Rulebook
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Moment
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


def answers_on(
    rulebook: Rulebook,
    population: Population,
    on: dt.date,
    programmes: Iterable[str] | None = None,
    phrases: Phrases | None = None,
) -> list[HouseholdAnswers]:
    """Answers for every household. Programmes that are named are always answered, others only where their area covers.

    While a household's municipality is unknown, its local programmes are one question (``municipality_open``).
    Raises ``KeyError`` for a programme that the rulebook does not have.
    """
    named = programmes is not None
    chosen = {key: rulebook.on(key, on) for key in (rulebook if programmes is None else programmes)}
    in_force = {key: rule for key, rule in chosen.items() if rule is not None}
    moment = Moment.on(population, on)
    covered = {key: rule.covered(moment) == YES for key, rule in in_force.items()}
    unknown = moment.codes() <= UNKNOWN_CODE
    told = {key: covered[key] | named for key in in_force}
    periods = {key: _told_periods(rulebook, population, on, key, told[key]) for key in in_force}
    results = []
    for row in range(population.size):
        detail = Detail(rulebook, population, row, on)
        answers = []
        for key, rule in in_force.items():
            offsets = population.people[rule.subject].offsets
            first, last = int(offsets[row]), int(offsets[row + 1])
            if told[key][row] and first < last:
                mine = periods[key].rows_between(first, last)
                answers += [detail.answer(key, subject, mine, phrases) for subject in range(last - first)]
        results.append(HouseholdAnswers(population.ids[row], on, tuple(answers), bool(unknown[row])))
    return results


def _told_periods(rulebook: Rulebook, population: Population, on: dt.date, key: str, told: Any) -> Periods:
    """The periods of the households that are told about a programme, from its first version to the horizon."""
    versions = rulebook.versions[key]
    part = population if told.all() else population.subset(np.flatnonzero(told))
    periods = programme_periods(versions, part, on, versions[0].first, horizon(on))
    if part is population:
        return periods
    rows = population.people[periods.subject].rows_of(np.flatnonzero(told))
    return replace(periods, row=rows[periods.row])
