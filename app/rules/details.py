"""Details of single rows: one household alone, worked out by the same code as the population."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from app.calendar.day_numbers import UNKNOWN as NO_DAY
from app.calendar.day_numbers import as_days, date_of, number_of
from app.rules.answers import AmountAnswer, Answer, horizon
from app.rules.building import ANY_PROGRAMME, NO_YEAR
from app.rules.columns import NO, UNKNOWN, YES
from app.rules.deadlines import next_deadlines, opening_days
from app.rules.evaluate import CompiledRule, Rulebook, walk
from app.rules.explain import VERDICT_NAMES, Explanation, explain
from app.rules.money import Amounts, CaseNode
from app.rules.nodes import Node
from app.rules.people_nodes import people_verdicts
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Moment, Reading, income_years, switch_days
from app.rules.reasons import checked, reason
from app.rules.timeline import Periods, programme_periods, schedule
from app.rules.trace import Missing, Trace, decisive, missing_of_term, only_by_judgement, subject_name, trace


class Detail:
    """One household alone on one day: cheap details of single rows, worked out by the same code as everything else.

    ``as_of`` is the day of asking where it is not ``on``: a right that begins later is described on its first day.
    """

    def __init__(
        self, rulebook: Rulebook, population: Population, household_row: int, on: dt.date, as_of: dt.date | None = None
    ) -> None:
        self.rulebook = rulebook
        self.population = population.subset([household_row])
        self.on = on
        self.day = number_of(on)
        self.as_of = number_of(as_of or on)
        self.moment = Moment.on(self.population, on, self.as_of)
        self._moments: dict[int, Moment] = {self.day: self.moment}
        self._amounts: dict[tuple[str, int], Amounts | None] = {}

    def moment_on(self, day: int) -> Moment:
        """The household on another day, asked today."""
        if day not in self._moments:
            self._moments[day] = Moment.on(self.population, day, self.as_of)
        return self._moments[day]

    def amounts_on(self, rule: CompiledRule, day: int) -> Amounts | None:
        """A rule's amounts for all its subjects in the household on a day."""
        key = (rule.rule.key, day)
        if key not in self._amounts:
            self._amounts[key] = rule.amounts(self.moment_on(day))
        return self._amounts[key]

    def traced(self, rule: CompiledRule, row: int, day: int | None = None) -> tuple[Trace, Reading]:
        """The trace of a subject's verdict, area included, on the day asked or another."""
        reading = Reading(self.moment if day is None else self.moment_on(day), rule.rule)
        return trace(rule.whole, reading, rule.subject, row), reading

    def answer(self, key: str, row: int, periods: Periods | None = None, phrases: Phrases | None = None) -> Answer:
        """The answer for one row of the programme's subject.

        ``periods`` are this household's, if the caller has them (rows counted within the household).
        """
        rule = self.rulebook.on(key, self.day)
        if rule is None:
            raise ValueError(f"found no version of {key} on {self.on}; expected a day on which it is law")
        if periods is None:
            periods = self.periods(key)
        root, reading = self.traced(rule, row)
        stale = rule.capped(self.as_of)
        verdict = min(root.verdict, UNKNOWN) if stale else root.verdict
        answer = Answer(
            self.population.ids[0],
            key,
            rule.rule.version,
            subject_name(reading, rule.subject, row),
            VERDICT_NAMES[verdict],
            rule.rule.certainty,
            stale=stale,
            only_by_judgement=only_by_judgement(root) and not stale,
            review_on=self.review_on(rule) if verdict != NO else None,
            missing=decisive(root) if verdict == UNKNOWN else (),
            reason=None if phrases is None else reason(root, phrases, reading, stale),
            checked=() if phrases is None else checked(root, phrases, reading),
        )
        answer = _with_period(answer, periods, row, self.day, verdict, horizon(self.on))
        if verdict == NO:
            return answer
        return self._with_claim(self._with_amount(answer, rule, row, reading, periods), rule, row, periods)

    def periods(self, key: str) -> Periods:
        """The household's periods of a programme, from its first version to the horizon."""
        versions = self.rulebook.versions[key]
        return programme_periods(versions, self.population, self.as_of, versions[0].first, horizon(self.on))

    def _with_amount(self, answer: Answer, rule: CompiledRule, row: int, reading: Reading, periods: Periods) -> Answer:
        amounts = self.amounts_on(rule, self.day)
        if amounts is None:
            return answer
        amount = _amount(rule, amounts, row)
        missing = answer.missing
        if amounts.open[row]:
            found = [lack for case in rule.cases for lack in self._lacking(case, reading, rule.subject, row)]
            missing = tuple(dict.fromkeys((*missing, *found)))
        return replace(answer, amount=amount, missing=missing, steps=self._steps(rule, row, periods))

    @staticmethod
    def _lacking(case: CaseNode, reading: Reading, scope: str, row: int) -> Iterable[Missing]:
        """What an amount case lacks: its condition, else the facts of its figure."""
        if case.when is not None:
            condition = trace(case.when, reading, scope, row)
            if condition.verdict == NO:
                return []
            if condition.verdict == UNKNOWN:
                return decisive(condition)
        figure = case.yen.evaluate(reading, scope)
        if figure.known[row]:
            return []
        return missing_of_term(case.yen, reading, scope, row)

    def _steps(self, rule: CompiledRule, row: int, periods: Periods) -> tuple[tuple[dt.date, AmountAnswer | None], ...]:
        """The amounts from today on, as far as the right (or the open question) runs: (first day, amount)."""
        current = (periods.row == row) & (periods.first <= self.day) & (self.day <= periods.last)
        last = min(int(periods.last[current].max(initial=self.day)), rule.last)
        nodes: list[Node] = [node for case in rule.cases if case.when is not None for node in walk(case.when)]
        plan = schedule(nodes, rule, self.population, self.as_of, self.day, last)
        terms = {day for case in rule.cases for day in case.yen.changes(self.day, last)}
        steps: list[tuple[dt.date, AmountAnswer | None]] = []
        for day in sorted({int(found) for found in plan.days} | terms):
            amounts = self.amounts_on(rule, day)
            amount = None if amounts is None else _amount(rule, amounts, row)
            if not steps or steps[-1][1] != amount:
                steps.append((date_of(day), amount))
        return tuple(steps)

    def _with_claim(self, answer: Answer, rule: CompiledRule, row: int, periods: Periods) -> Answer:
        """Deadlines, the month it pays from, take-up and form."""
        start = max(self.day, number_of(answer.begins_on or answer.eligible_from or self.on))
        reading = Reading(self.moment_on(start), rule.rule)
        today = np.full(self.population.people[rule.subject].size, start, dtype=np.int32)
        upcoming = next_deadlines(rule, reading, today)
        position = int(upcoming.position[row])
        deadline = None if position < 0 else rule.deadlines[position][0]
        application = rule.rule.application
        opens = opening_days(application.opens if application else None, reading, rule.subject, today)
        month = int(upcoming.pays_from[row])
        amount = answer.amount
        monthly = amount is not None and amount.per == "month" and month >= 0
        return replace(
            answer,
            occasion=None if deadline is None else deadline.occasion,
            counted_on=None if deadline is None else date_of(int(upcoming.counted_on[row])),
            deadline=None if deadline is None else date_of(int(upcoming.office_on[row])),
            lapsed_on=None if upcoming.lapsed_on[row] == NO_DAY else date_of(int(upcoming.lapsed_on[row])),
            opens_on=date_of(int(opens.values[row])) if opens.known[row] else None,
            pays_from=None if month < 0 else f"{1970 + month // 12}-{month % 12 + 1:02d}",
            cost_of_delay=amount.yen if monthly and amount is not None else None,
            take_up=self._take_up(rule, reading, row),
            form=self._form(rule, row, answer, periods),
        )

    @staticmethod
    def _take_up(rule: CompiledRule, reading: Reading, row: int) -> str | None:
        """The first case that holds; None while an earlier one is open."""
        for when, way in rule.take_up:
            verdict = int(people_verdicts(when, rule.subject, reading)[row])
            if verdict == YES:
                return way
            if verdict == UNKNOWN:
                return None
        return None

    def _form(self, rule: CompiledRule, row: int, answer: Answer, periods: Periods) -> str | None:
        """The form for a further child where an older right of the household exists, else for the first."""
        form = rule.rule.form
        if form is None or form.further is None or answer.eligible_from is None:
            return None if form is None else form.first
        rights = periods.with_verdict(YES)
        earlier = (rights.row != row) & (rights.first < number_of(answer.eligible_from)) & (rights.last >= self.day)
        return form.further if earlier.any() else form.first

    def review_on(self, rule: CompiledRule) -> dt.date | None:
        """The next day on which a stated income of this household stops being the one that counts."""
        reckoning = rule.rule.income_year
        if reckoning is None:
            return None
        years = [
            year
            for path in rule.reads
            for (programme, year), column in self.population.stated(path).items()
            if year != NO_YEAR and programme in (ANY_PROGRAMME, rule.rule.id, rule.rule.key) and column.known.any()
        ]
        now = int(income_years(reckoning, as_days(self.day)))
        if not years or max(years) < now:
            return None
        for day in switch_days(reckoning, self.day + 1, self.day + 366 * (max(years) - now + 2)):
            if int(income_years(reckoning, as_days(day))) > max(years):
                return date_of(day)
        return None

    def explanation(self, key: str, row: int, phrases: Phrases) -> Explanation:
        """The whole tree in words; raises ``ValueError`` where the programme is not law on the day."""
        rule = self.rulebook.on(key, self.day)
        if rule is None:
            raise ValueError(f"found no version of {key} on {self.on}; expected a day on which it is law")
        root, reading = self.traced(rule, row)
        return explain(root, reading, phrases)


def _with_period(answer: Answer, periods: Periods, row: int, day: int, verdict: int, last: int) -> Answer:
    """The bounds of the right that runs on the day, or the first day of a later one."""
    rights = periods.select((periods.row == row) & (periods.verdict == YES))
    if verdict == YES:
        current = np.flatnonzero((rights.first <= day) & (day <= rights.last))
        first, until = int(rights.first[current[0]]), int(rights.last[current[0]])
        return replace(answer, eligible_from=date_of(first), eligible_until=None if until >= last else date_of(until))
    later = rights.first[rights.first > day]
    return replace(answer, begins_on=date_of(int(later.min()))) if len(later) else answer


def _amount(rule: CompiledRule, amounts: Amounts, row: int) -> AmountAnswer | None:
    """What may be said of the amount of one row; None where no case can hold."""
    case = rule.cases[max(int(amounts.case[row]), 0)]
    if amounts.known[row]:
        return AmountAnswer(case.per, case.each, int(amounts.yen[row]))
    if not amounts.open[row]:
        return None
    least = int(amounts.least[row]) if amounts.least_known[row] else None
    most = int(amounts.most[row]) if amounts.most_known[row] else None
    return AmountAnswer(case.per, case.each, None, least, most)
