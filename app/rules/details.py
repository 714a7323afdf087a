"""Details of one household: its answers, and the whole tree of one row in words."""

from __future__ import annotations

import datetime as dt

import numpy as np

from app.calendar.day_numbers import as_days, number_of
from app.rules.answer_table import Asked
from app.rules.answers import Answer, horizon
from app.rules.evaluate import CompiledRule, Rulebook
from app.rules.explain import Explanation, explain
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.reading_out import answers_of
from app.rules.timeline import Periods, programme_periods
from app.rules.trace import trace


class Detail:
    """One household on one day: a population of one, so that nothing here is worked out in another way.

    ``as_of`` is the day of asking where it is not ``on``: a right that begins later is described on its first day.
    """

    def __init__(
        self, rulebook: Rulebook, population: Population, household_row: int, on: dt.date, as_of: dt.date | None = None
    ) -> None:
        self.rulebook = rulebook
        self.population = population.subset([household_row])
        self.on = on
        self.as_of = number_of(as_of or on)
        self.moment = Moment.on(self.population, on, self.as_of)

    def answers(self, key: str, phrases: Phrases | None = None, periods: Periods | None = None) -> list[Answer]:
        """The answer of every row of the programme's subject; ``periods`` are this household's, if the caller has them.

        Raises ``ValueError`` where the programme is not law on the day.
        """
        rule, day = self._rule(key), number_of(self.on)
        verdict = rule.verdicts(self.moment)
        rows = np.arange(len(verdict))
        periods = self.periods(key) if periods is None else periods
        days = as_days(np.full(len(verdict), day))
        return answers_of(
            Asked(rule, self.population, rows, days, verdict, periods, self.as_of, horizon(self.on)), phrases
        )

    def periods(self, key: str) -> Periods:
        """The household's periods of a programme, from its first version to the horizon."""
        versions = self.rulebook.versions[key]
        return programme_periods(versions, self.population, self.as_of, versions[0].first, horizon(self.on))

    def explanation(self, key: str, row: int, phrases: Phrases) -> Explanation:
        """The whole tree in words; raises ``ValueError`` where the programme is not law on the day."""
        rule = self._rule(key)
        reading = Reading(self.moment, rule.rule)
        return explain(trace(rule.whole, reading, rule.subject, row), reading, phrases)

    def _rule(self, key: str) -> CompiledRule:
        rule = self.rulebook.on(key, self.on)
        if rule is None:
            raise ValueError(f"found no version of {key} on {self.on}; expected a day on which it is law")
        return rule
