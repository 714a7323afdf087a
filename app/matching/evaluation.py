"""From a snapshot to entitlements: the evaluator's periods and answers as rows, without touching the database."""

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.calendar.day_numbers import date_of, number_of
from app.matching.snapshot import Snapshot
from app.platform.rendering import phrases
from app.registry.loading import Registry
from app.rules.answers import Answer, horizon
from app.rules.columns import UNKNOWN, YES
from app.rules.details import Detail
from app.rules.evaluate import Rulebook
from app.rules.inquiry import entitlements
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.timeline import Periods

LANGUAGE = "ja"
_LEAD = dt.timedelta(days=30)
_DAYS_OF_A_MONTH = 30
_VERDICTS = {YES: "eligible", UNKNOWN: "undetermined"}


@dataclass(frozen=True, slots=True)
class Engine:
    """A published registry, compiled once."""

    registry: Registry
    rulebook: Rulebook
    phrases: Phrases

    @classmethod
    def of(cls, registry: Registry) -> "Engine":
        """Compile a registry.

        Raises:
            DocumentError: a rule does not compile; the text names its path.
        """
        rulebook = Rulebook.compile(registry.versions, registry.facts, registry.parameters)
        words = phrases(f"phrases/{LANGUAGE}")
        return cls(registry, rulebook, Phrases(LANGUAGE, words, registry.facts, registry.parameters))


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


@dataclass(frozen=True, slots=True)
class _Period:
    """One period of one household, and which row of the household's own subjects it is about."""

    household: int
    programme: str
    subject_row: int
    verdict: int
    first: int
    last: int


def rights_of(
    engine: Engine,
    snapshot: Snapshot,
    municipality_code: str,
    today: dt.date,
    programmes: Collection[str] | None = None,
) -> list[Right]:
    """Evaluate a snapshot and return every right that runs or is still to come, and every open question of today.

    Args:
        engine: the compiled registry.
        snapshot: households of one municipality.
        municipality_code: theirs; programmes that do not cover it, or are replaced there, are left out, and so are
            drafts: nobody is told of them, and nobody is asked a question for them. A consultation desk is a place
            to find when it is needed, never a notice.
        today: the day asked.
        programmes: only these (`CODE/id`); None = all that cover the municipality.
    """
    latest = {key: engine.registry.programmes[key][-1] for key in engine.registry.covering(municipality_code)}
    # Other towns' programmes that look at families who left them: the criteria say which household that is.
    latest |= {key: versions[-1] for key, versions in engine.registry.programmes.items() if versions[-1].reaches}
    verified = [key for key, one in latest.items() if one.certainty == "verified" and one.kind != "consultation"]
    wanted = [key for key in verified if programmes is None or key in programmes]
    if not wanted or not snapshot.ids:
        return []
    population = Population.from_documents(snapshot.documents, engine.registry.facts)
    first = min(engine.rulebook.versions[key][0].first for key in wanted)
    periods = entitlements(engine.rulebook, population, today, wanted, since=date_of(first))
    return [
        right
        for household, mine in groupby(_periods(engine, population, periods, today), key=lambda one: one.household)
        for right in _rights_of_household(engine, population, snapshot.ids[household], household, list(mine), today)
    ]


def _periods(engine: Engine, population: Population, found: Mapping[str, Periods], today: dt.date) -> Iterator[_Period]:
    """Yield what is worth storing, household by household: rights to their end, and the next open question of each."""
    day = number_of(today)
    kept: list[_Period] = []
    for key, periods in found.items():
        now_or_later = periods.last >= day
        is_right = (periods.verdict == YES) & now_or_later
        # What is open only after a right that is sure is a question for that day, not for today's family.
        is_open = (periods.verdict == UNKNOWN) & now_or_later
        is_open &= (periods.first <= day) | ~np.isin(periods.row, periods.row[is_right])
        chosen = periods.select(is_right | (is_open & _first_of_each_row(periods, is_open)))
        households = chosen.households(population)
        starts = np.searchsorted(population.people[chosen.subject].household, households)
        kept += [
            _Period(int(household), key, int(row - start), int(verdict), int(first), int(last))
            for household, row, start, verdict, first, last in zip(
                households, chosen.row, starts, chosen.verdict, chosen.first, chosen.last, strict=True
            )
        ]
    yield from sorted(kept, key=lambda one: (one.household, one.programme, one.subject_row, one.first))


def _first_of_each_row(periods: Periods, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which wanted periods are the first of their row; periods stand in the order of row and day."""
    positions = np.flatnonzero(wanted)
    rows = periods.row[positions]
    first = np.zeros(len(periods), dtype=np.bool_)
    first[positions[np.concatenate(([True], rows[1:] != rows[:-1]))[: len(rows)]]] = True
    return first


def _rights_of_household(
    engine: Engine,
    population: Population,
    household_id: uuid.UUID,
    household: int,
    periods: list[_Period],
    today: dt.date,
) -> Iterator[Right]:
    details: dict[dt.date, Detail] = {}
    for period in periods:
        day = max(today, date_of(period.first))
        if day not in details:
            details[day] = Detail(engine.rulebook, population, household, day, as_of=today)
        own = _as_columns(engine, period, periods)
        answer = details[day].answer(period.programme, period.subject_row, own, engine.phrases)
        yield _right(engine, household_id, period, answer, today)


def _as_columns(engine: Engine, period: _Period, periods: list[_Period]) -> Periods:
    """Return the household's periods of one programme, as the details of an answer want them."""
    mine = [one for one in periods if one.programme == period.programme]
    subject = engine.rulebook.versions[period.programme][-1].subject
    return Periods(
        period.programme,
        subject,
        np.array([one.subject_row for one in mine], dtype=np.int64),
        np.array([one.verdict for one in mine], dtype=np.int8),
        np.array([one.first for one in mine], dtype=np.int32),
        np.array([one.last for one in mine], dtype=np.int32),
    )


def _right(engine: Engine, household_id: uuid.UUID, period: _Period, answer: Answer, today: dt.date) -> Right:
    document = answer.as_document()
    first = date_of(period.first)
    until = None if period.last >= horizon(today) else date_of(period.last)
    verdict = _VERDICTS[period.verdict]
    return Right(
        household_id=household_id,
        programme_key=period.programme,
        programme_version=dt.date.fromisoformat(answer.version),
        subject=answer.subject,
        verdict=verdict,
        valid_from=first,
        valid_until=until if verdict == "eligible" else None,
        announce_on=_announce_on(engine, period.programme, first, today),
        deadline_on=answer.deadline,
        review_on=_review_on(engine, period.programme, answer, today),
        answer={
            "amount": document["amount"],
            "steps": [
                {"from": step["from"], **step["amount"]}
                for step in document["steps"]
                if step["amount"] is not None and step["from"] > max(today, first).isoformat()
            ],
            "occasion": document["occasion"],
            "opens_on": document["opens_on"],
            "counted_on": document["counted_on"],
            "lapsed_on": document["lapsed_on"],
            "pays_from": document["pays_from"],
            "cost_of_delay": document["cost_of_delay"],
            "take_up": document["take_up"],
            "form": document["form"],
            "missing": [
                {"fact": question["fact"], "subject": question["subject"]}
                for question in document["questions"]
                if not question["declined"]
            ],
            "judgement_only": answer.only_by_judgement,
            "stale": answer.stale,
            "reason": document["reason"],
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
