"""From a snapshot to entitlements: the evaluator's periods and answers as rows, without touching the database."""

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import date_of, number_of
from app.matching.faults import Fault
from app.matching.snapshot import Snapshot
from app.platform.rendering import phrases
from app.registry.loading import Registry
from app.rules.answer_table import Asked, answer_table
from app.rules.answers import Answer, horizon, iso
from app.rules.columns import UNKNOWN, YES
from app.rules.dependencies import circles
from app.rules.documents import FAULTS
from app.rules.evaluate import Rulebook
from app.rules.inquiry import entitlements
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading_out import told_answers
from app.rules.timeline import Periods

LANGUAGE = "ja"
_LEAD = dt.timedelta(days=30)
_DAYS_OF_A_MONTH = 30
ELIGIBLE = "eligible"


@dataclass(frozen=True, slots=True)
class Engine:
    """A published registry, compiled once. What does not compile is `broken` and stands in the way of nothing else."""

    registry: Registry
    rulebook: Rulebook
    phrases: Phrases
    broken: Mapping[str, Fault]

    @classmethod
    def of(cls, registry: Registry) -> "Engine":
        """Compile a registry; a programme that cannot be read or does not compile is left out and named in `broken`."""
        broken = {key: Fault.of_rule(one.error) for key, one in registry.unreadable.items()}
        try:
            rulebook = registry.rulebook
        except FAULTS:
            broken |= _broken_in(registry)
            sound = [version for version in registry.versions if version.key not in broken]
            rulebook = Rulebook.compile(sound, registry.facts, registry.parameters, registry.replacements)
        words = Phrases(LANGUAGE, phrases(f"phrases/{LANGUAGE}"), registry.facts, registry.parameters, registry.names)
        return cls(registry, rulebook, words, broken)


def _broken_in(registry: Registry) -> dict[str, Fault]:
    """Return the programmes that do not compile on their own, and those that wait for each other in a circle."""
    broken = {key: Fault("Circle", " → ".join(circle)) for key, circle in circles(iter(registry.versions)).items()}
    for key, versions in registry.programmes.items():
        try:
            Rulebook.compile(versions, registry.facts, registry.parameters, registry.replacements)
        except FAULTS as error:
            broken.setdefault(key, Fault.of_rule(error))
    return broken


@dataclass(frozen=True, slots=True)
class Right:
    """One entitlement as the evaluator sees it; equal rights are stored as the same row."""

    household_id: uuid.UUID
    programme_key: str
    programme_version: dt.date
    subject: str
    verdict: str
    valid_from: dt.date
    valid_until: dt.date | None
    announce_on: dt.date
    deadline_on: dt.date | None
    review_on: dt.date | None
    answer: dict[str, Any]


def programmes_told(
    engine: Engine, municipality_code: str, programmes: Collection[str] | None, but_not: Collection[str] = ()
) -> list[str]:
    """Return the programmes to evaluate for families in a municipality, in the order of the registry.

    Programmes that do not cover it, or are replaced there, are left out, and so are those that notify nobody
    (`Programme.notifies`): nobody is asked a question for them either.

    Args:
        engine: the compiled registry.
        municipality_code: where the families live.
        programmes: only these (`CODE/id`); None = all.
        but_not: those in quarantine.
    """
    skipped = {*but_not, *engine.broken}
    told = engine.registry.told_in(municipality_code)
    return [key for key in told if key not in skipped and (programmes is None or key in programmes)]


def population_of(engine: Engine, snapshot: Snapshot) -> Population:
    """Return the households of a snapshot as columns."""
    return Population.from_documents(snapshot.documents, engine.registry.facts)


def rights_of(
    engine: Engine,
    snapshot: Snapshot,
    municipality_code: str,
    today: dt.date,
    programmes: Collection[str] | None = None,
) -> list[Right]:
    """Evaluate a snapshot for the programmes told in its municipality, as `rights_in` does."""
    wanted = programmes_told(engine, municipality_code, programmes)
    return rights_in(engine, snapshot, population_of(engine, snapshot), today, wanted)


def rights_in(
    engine: Engine,
    snapshot: Snapshot,
    population: Population,
    today: dt.date,
    wanted: Collection[str] | Mapping[str, NDArray[np.bool_]],
) -> list[Right]:
    """Evaluate a population and return every right that runs or is still to come, and every open question of today.

    Args:
        engine: the compiled registry.
        snapshot: the households.
        population: the same as columns.
        today: the day asked.
        wanted: the programmes, as `programmes_told` names them; for households of several towns, with the rows of those
            that are told of each.
    """
    if not wanted or not snapshot.ids:
        return []
    first = min(engine.rulebook.versions[key][0].first for key in wanted)
    periods = entitlements(engine.rulebook, population, today, wanted, since=date_of(first))
    if isinstance(wanted, Mapping):
        periods = {key: one.select(wanted[key][one.households(population)]) for key, one in periods.items()}
    found = [one for key in wanted for one in _rights_of_programme(engine, snapshot, population, periods[key], today)]
    return [right for _, right in sorted(found, key=lambda one: one[0])]


Place = tuple[int, str, int, dt.date]
"""(household row, programme, row of its subject, first day): the order in which rights are returned."""


def _rights_of_programme(
    engine: Engine, snapshot: Snapshot, population: Population, periods: Periods, today: dt.date
) -> Iterator[tuple[Place, Right]]:
    """Describe what is worth storing of one programme, each right on its first day or today."""
    chosen, last_day = _stored(periods, number_of(today)), horizon(today)
    days = np.maximum(chosen.first, np.int32(number_of(today)))
    dated = _Dated(engine, periods.programme, today)
    told = {version.version for version in engine.registry.programmes[periods.programme] if version.notifies}
    for rule in engine.rulebook.versions[periods.programme]:
        if rule.rule.version not in told:
            continue
        places = np.flatnonzero((rule.first <= days) & (days <= rule.last))
        if not len(places):
            continue
        mine = chosen.select(places)
        asked = Asked(rule, population, mine.row, days[places], mine.verdict, periods, number_of(today), last_day)
        for answer, home, row, first, last in zip(
            told_answers(answer_table(asked), engine.phrases), mine.households(population).tolist(), mine.row.tolist(),
            mine.first.tolist(), mine.last.tolist(), strict=True,
        ):  # fmt: skip
            begins = date_of(first)
            until = None if last >= last_day else date_of(last)
            yield (home, periods.programme, row, begins), _right(snapshot.ids[home], answer, begins, until, dated)


def _stored(periods: Periods, day: int) -> Periods:
    """Return what is worth storing: rights to their end, and the next open question of each row."""
    now_or_later = periods.last >= day
    is_right = (periods.verdict == YES) & now_or_later
    # What is open only after a right that is sure is a question for that day, not for today's family.
    is_open = (periods.verdict == UNKNOWN) & now_or_later
    is_open &= (periods.first <= day) | ~np.isin(periods.row, periods.row[is_right])
    return periods.select(is_right | (is_open & _first_of_each_row(periods, is_open)))


def _first_of_each_row(periods: Periods, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which wanted periods are the first of their row; periods stand in the order of row and day."""
    positions = np.flatnonzero(wanted)
    rows = periods.row[positions]
    first = np.zeros(len(periods), dtype=np.bool_)
    first[positions[np.concatenate(([True], rows[1:] != rows[:-1]))[: len(rows)]]] = True
    return first


@dataclass(frozen=True, slots=True)
class _Dated:
    """The days that follow from a programme's document, each worked out once."""

    engine: Engine
    programme: str
    today: dt.date
    announced: dict[dt.date, dt.date] = field(default_factory=dict)
    reviewed: dict[tuple[Any, ...], dt.date | None] = field(default_factory=dict)

    def announce_on(self, first: dt.date) -> dt.date:
        if first not in self.announced:
            self.announced[first] = _announce_on(self.engine, self.programme, first, self.today)
        return self.announced[first]

    def review_on(self, answer: Answer) -> dt.date | None:
        key = (answer.review_on, answer.deadline, answer.occasion)
        if key not in self.reviewed:
            self.reviewed[key] = _review_on(self.engine, self.programme, answer, self.today)
        return self.reviewed[key]


def _right(household_id: uuid.UUID, answer: Answer, first: dt.date, until: dt.date | None, dated: _Dated) -> Right:
    described_on = max(dated.today, first)
    review_on = dated.review_on(answer)
    if answer.verdict != ELIGIBLE and until is not None:
        # A question whose time is over would be asked for nothing.
        review_on = min(until + dt.timedelta(days=1), review_on or dt.date.max)
    return Right(
        household_id=household_id,
        programme_key=answer.programme,
        programme_version=dt.date.fromisoformat(answer.version),
        subject=answer.subject,
        verdict=answer.verdict,
        valid_from=first,
        valid_until=until if answer.verdict == ELIGIBLE else None,
        announce_on=dated.announce_on(first),
        deadline_on=answer.deadline,
        review_on=review_on,
        answer={
            "amount": None if answer.amount is None else answer.amount.as_document(),
            "steps": [
                {"from": day.isoformat(), **amount.as_document()}
                for day, amount in answer.steps
                if amount is not None and day > described_on
            ],
            "occasion": answer.occasion,
            "opens_on": iso(answer.opens_on),
            "counted_on": iso(answer.counted_on),
            "lapsed_on": iso(answer.lapsed_on),
            "pays_from": answer.pays_from,
            "cost_of_delay": answer.cost_of_delay,
            "take_up": answer.take_up,
            "form": answer.form,
            "missing": [
                {"fact": missing.fact, "subject": missing.subject} for missing in answer.missing if not missing.declined
            ],
            "judgement_only": answer.only_by_judgement,
            "stale": answer.stale,
            "reason": {} if answer.reason is None else {LANGUAGE: answer.reason},
            "checked": list(answer.checked),
        },
    )


def _review_on(engine: Engine, key: str, answer: Answer, today: dt.date) -> dt.date | None:
    """Return the day on which time alone makes the stored answer old.

    A stated income stops counting; a deadline that comes again each month or year passes; the programme's check is due.
    """
    programme = engine.registry.version_on(key, today) or engine.registry.programmes[key][-1]
    days = [answer.review_on]
    if programme.next_check_on is not None:
        days.append(programme.next_check_on + dt.timedelta(days=1))
    for deadline in programme.application.deadlines if programme.application else ():
        comes_again = deadline.anchor == "today" or deadline.each_year is not None
        if answer.deadline is not None and deadline.occasion == answer.occasion and comes_again:
            days.append(answer.deadline + dt.timedelta(days=1))
    return min((day for day in days if day is not None and day > today), default=None)


def _announce_on(engine: Engine, key: str, first: dt.date, today: dt.date) -> dt.date:
    """Return when a right is told first: its programme's lead before it begins, at once where it has begun."""
    programme = engine.registry.version_on(key, max(first, today)) or engine.registry.programmes[key][-1]
    lead = programme.notify.lead if programme.notify else None
    days = dt.timedelta(days=lead.days + _DAYS_OF_A_MONTH * lead.months) if lead else _LEAD
    return max(first - days, today) if first > today else first
