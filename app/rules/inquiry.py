"""Many households asked at once: verdicts and periods for all, details only for the rows that are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from app.rules.answers import Answer, horizon
from app.rules.columns import YES
from app.rules.details import Detail
from app.rules.evaluate import CompiledRule, Rulebook
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


def entitlements(rulebook: Rulebook, population: Population, on: dt.date, programmes: Iterable[str] | None = None,
                 *, since: dt.date | None = None) -> dict[str, Periods]:
    """Periods of every programme from ``since`` (``on`` unless given) to the horizon, asked on ``on``; columns only.

    What matching stores: ``with_verdict(2)`` are the rights, ``with_verdict(1)`` the open questions. Local programmes of
    a household whose municipality is unknown come out undetermined.
    """
    return {key: programme_periods(rulebook.versions[key], population, on, since or on, horizon(on))
            for key in (rulebook if programmes is None else programmes)}


def answers_on(rulebook: Rulebook, population: Population, on: dt.date, programmes: Iterable[str] | None = None,
               phrases: Phrases | None = None) -> list[HouseholdAnswers]:
    """Answers for every household. Programmes that are named are always answered, others only where their area covers.

    While a household's municipality is unknown, its local programmes are one question (``municipality_open``).
    Raises ``KeyError`` for a programme that the rulebook does not have.
    """
    named = programmes is not None
    chosen = {key: rulebook.on(key, on) for key in (rulebook if programmes is None else programmes)}
    in_force = {key: rule for key, rule in chosen.items() if rule is not None}
    moment = Moment.on(population, on)
    covered = {key: rule.covered(moment) == YES for key, rule in in_force.items()}
    unknown = moment.codes() == UNKNOWN_CODE
    results = []
    for row in range(population.size):
        detail = Detail(rulebook, population, row, on)
        told = [key for key in in_force if named or covered[key][row]]
        answers = [answer for key in told for answer in _of_programme(detail, key, in_force[key], phrases)]
        results.append(HouseholdAnswers(population.ids[row], on, tuple(answers), bool(unknown[row])))
    return results


def _of_programme(detail: Detail, key: str, rule: CompiledRule, phrases: Phrases | None) -> list[Answer]:
    subjects = detail.population.people[rule.subject].size
    if not subjects:
        return []
    periods = detail.periods(key)
    return [detail.answer(key, row, periods, phrases) for row in range(subjects)]
