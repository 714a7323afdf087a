"""Planning: which notices follow from a household's entitlements. Pure; nothing is sent or stored here.

A notice's key (household, programme, subject, kind, occasion) makes planning repeatable: what was planned once is not
planned again, whatever is retried or swept. A family's first match is one overview, its first question included, so
that nobody is greeted with fifteen notices; one question is asked at a time, the one that decides most.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.calendar.spans import Span
from app.matching.tables import Entitlement
from app.notices import wording
from app.notices.quiet_hours import morning_of, next_allowed
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import at_japan_time, japan_date
from app.registry.loading import Registry
from app.registry.programme import Programme

HOUSEHOLD = "household"
OVERVIEW = "overview"
"""The programme key and occasion of a family's first overview."""
CONSENT_WITHDRAWN = "consent withdrawn"
NO_LONGER_SO = "no longer so"
REVIVABLE = (CONSENT_WITHDRAWN, NO_LONGER_SO)
"""Why a notice ended that is planned again when consent is given anew, or an answer turns back."""
QUESTION_PAUSE = dt.timedelta(days=14)
_DEFAULT_REMINDERS = (Span.parse("7d"), Span.parse("1d"))
_DAYS_OF_A_MONTH = 30
_REST = dt.timedelta(days=3)
"""A family that has just been told is not reminded within this time, but for the last step."""
_NOT_YET = ("later", "did_not_work")
_BY_APPLICATION = ("application", "opt_out")


@dataclass(slots=True)
class Plan:
    """What planning decided for one household.

    Attributes:
        notices: new rows, in the order in which they are told.
        announced: entitlements that need no further planning.
        ended: notices that no longer hold.
        asked_again_on: entitlements still open, with the day to look again.
    """

    notices: list[Notice] = field(default_factory=list)
    announced: list[Entitlement] = field(default_factory=list)
    ended: list[Notice] = field(default_factory=list)
    asked_again_on: dict[uuid.UUID, dt.date] = field(default_factory=dict)


def plan(situation: Situation, registry: Registry, now: dt.datetime) -> Plan:
    """Plan the notices that a household's due entitlements call for, and end those that no longer hold.

    Args:
        situation: of the household; its entitlements with `announce_on` up to today and no `announced_at` are due.
        registry: as published.
        now: the clock's instant; decides what is due and when notices may be released.
    """
    today = japan_date(now)
    due = [row for row in situation.entitlements if _is_due(situation, row, today)]
    result = Plan()
    _end_what_no_longer_holds(situation, result)
    worth_telling = []
    for row in due:
        if _asks_a_question(row):
            continue
        result.announced.append(row)
        programme = _programme(registry, row, today)
        if programme is not None and _is_worth_telling(situation, row, programme, today):
            worth_telling.append((row, programme))
    supports = [_support(situation, row, programme, now) for row, programme in worth_telling]
    supports.sort(key=lambda notice: (notice.deadline_on or dt.date.max, notice.programme_key, notice.subject))
    question = _question(situation, registry, [row for row in due if _asks_a_question(row)], now, result)
    told = [*supports, *question]
    if not situation.notices and len(supports) > 1:
        overview = _overview(situation, supports, now)
        result.notices.append(overview)
        for notice in told:
            notice.overview_id = overview.id
    result.notices += told
    for row, programme in worth_telling:
        result.notices += _reminders(situation, row, programme, now)
    result.notices = _only_new(situation, result.notices)
    return result


def _is_due(situation: Situation, row: Entitlement, today: dt.date) -> bool:
    return row.announced_at is None and row.announce_on <= today and row.programme_key not in situation.held


def _only_new(situation: Situation, notices: list[Notice]) -> list[Notice]:
    """Leave out what was planned before; what a withdrawal of consent cancelled untold is planned again."""
    known = {_key(notice): notice for notice in situation.notices}
    kept = []
    for notice in notices:
        earlier = known.get(_key(notice))
        if earlier is None:
            kept.append(notice)
        elif earlier.state in ("cancelled", "superseded") and earlier.closed_reason in REVIVABLE:
            earlier.state, earlier.closed_reason = "planned", None
            earlier.content, earlier.programme_version = notice.content, notice.programme_version
            earlier.release_at, earlier.expires_at = notice.release_at, notice.expires_at
            earlier.deadline_on, earlier.overview_id, earlier.released_at = notice.deadline_on, None, None
            kept.append(earlier)
    return kept


def _end_what_no_longer_holds(situation: Situation, result: Plan) -> None:
    """End notices whose right is gone, began another day or has another deadline, and questions that were answered."""
    for notice in situation.notices:
        if notice.state not in ("planned", "released") or notice.programme_key == OVERVIEW:
            continue
        if not still_holds(situation, notice):
            replaced = notice.kind == "question" or any(_concerns(row, notice) for row in situation.entitlements)
            notice.state = "superseded" if replaced else "cancelled"
            notice.closed_reason = NO_LONGER_SO
            result.ended.append(notice)


def still_holds(situation: Situation, notice: Notice) -> bool:
    """Whether the stored rights still say what a notice says."""
    if notice.kind == "question":
        asked = {"fact": notice.content["fact"], "subject": notice.content["asked_about"]}
        return any(asked in row.answer.get("missing", ()) for row in situation.entitlements)
    mine = [row for row in situation.entitlements if _concerns(row, notice)]
    if notice.kind == "deadline_reminder":
        return any(
            row.verdict == "eligible" and notice.deadline_on in (row.deadline_on, row.valid_until) for row in mine
        )
    return any(row.valid_from.isoformat() == notice.occasion and not _asks_a_question(row) for row in mine)


def _concerns(row: Entitlement, notice: Notice) -> bool:
    return (row.programme_key, row.subject) == (notice.programme_key, notice.subject)


def _asks_a_question(row: Entitlement) -> bool:
    """Whether an answer of the family would decide; a right open only through a judgement is told, not asked."""
    return row.verdict == "undetermined" and not row.answer.get("judgement_only")


def _programme(registry: Registry, row: Entitlement, today: dt.date) -> Programme | None:
    return registry.version_on(row.programme_key, max(today, row.valid_from)) or registry.version_on(
        row.programme_key, today
    )


def _is_worth_telling(situation: Situation, row: Entitlement, programme: Programme, today: dt.date) -> bool:
    return (
        programme.notifies
        and (row.valid_until is None or row.valid_until >= today)
        and _may_still_pay(row, programme)
        and not situation.is_closed(row.programme_key, row.subject)
        and not situation.is_stopped(row.subject)
        and not _receives(situation.document, row, programme)
    )


def _may_still_pay(row: Entitlement, programme: Programme) -> bool:
    """Whether a claim made now would still pay a month of the right; without one nobody is sent to a counter."""
    application = programme.application
    return application is None or application.pays_from is None or row.answer.get("pays_from") is not None


def _receives(document: dict[str, Any], row: Entitlement, programme: Programme) -> bool:
    """Whether the family said that it receives this support already, for this person or for the household."""
    return True in _said_to_receive(document, row, programme)


def _goes_without(situation: Situation, row: Entitlement, programme: Programme) -> bool:
    """Whether the family said that it does not receive this support: in its answers, or as an outcome not yet good."""
    return False in _said_to_receive(situation.document, row, programme) or any(
        (told.programme_key, told.subject) == (row.programme_key, row.subject) and told.outcome in _NOT_YET
        for told in situation.outcomes
    )


def _said_to_receive(document: dict[str, Any], row: Entitlement, programme: Programme) -> list[object]:
    _, _, person_id = row.subject.partition(":")
    people = [person for plural in ("guardians", "children", "pregnancies") for person in document.get(plural) or ()]
    owners = [document, *(person for person in people if person.get("id") == person_id)]
    names = (programme.id, row.programme_key)
    return [(owner.get("receives") or {}).get(name) for owner in owners for name in names]


def _support(situation: Situation, row: Entitlement, programme: Programme, now: dt.datetime) -> Notice:
    return _notice(
        situation,
        row,
        programme,
        kind="new_support",
        occasion=row.valid_from.isoformat(),
        content=_support_content(situation, row, programme, japan_date(now)),
        release_at=next_allowed(now, situation.household.id),
        last_useful_on=row.valid_until,
    )


def _support_content(situation: Situation, row: Entitlement, programme: Programme, today: dt.date) -> wording.Content:
    return wording.support_content(
        programme,
        row,
        wording.subject_text(row.subject, situation.document),
        today,
        not_received=_goes_without(situation, row, programme),
    )


def _overview(situation: Situation, supports: list[Notice], now: dt.datetime) -> Notice:
    household = situation.household
    return Notice(
        household_id=household.id,
        municipality_code=household.municipality_code,
        programme_key=OVERVIEW,
        subject=HOUSEHOLD,
        kind="new_support",
        occasion=OVERVIEW,
        programme_version=japan_date(now),
        content=overview_of(supports),
        deadline_on=_first(*(notice.deadline_on for notice in supports)),
        release_at=next_allowed(now, household.id),
    )


def overview_of(supports: Iterable[Notice]) -> wording.Content:
    """Return the content of an overview of the given notices."""
    return wording.overview_content(
        [
            {
                **notice.content,
                "notice_id": str(notice.id),
                "programme_key": notice.programme_key,
                "subject": notice.subject,
                "sensitive": notice.sensitive,
            }
            for notice in supports
        ]
    )


def _reminders(situation: Situation, row: Entitlement, programme: Programme, now: dt.datetime) -> Iterable[Notice]:
    """Yield one reminder for each step before the deadline that is still to come."""
    today = japan_date(now)
    content = _support_content(situation, row, programme, today)
    deadline = _iso(content["deadline_on"])
    take_up = row.answer.get("take_up") or "application"  # while the way is open, better one reminder too many
    if row.verdict != "eligible" or deadline is None or take_up not in _BY_APPLICATION:
        return
    steps = programme.notify.remind_before_deadline if programme.notify else _DEFAULT_REMINDERS
    days_before = {step: step.days + _DAYS_OF_A_MONTH * step.months for step in steps}
    for step in steps:
        day = deadline - dt.timedelta(days=days_before[step])
        is_last = days_before[step] == min(days_before.values())
        soonest = today + (dt.timedelta(days=1) if is_last else _REST)
        if day >= max(soonest, row.valid_from):
            yield _notice(
                situation,
                row,
                programme,
                kind="deadline_reminder",
                occasion=f"{deadline.isoformat()}/{step}",
                content=wording.reminder_content(content),
                release_at=morning_of(day, situation.household.id),
                last_useful_on=deadline,
            )


def _question(
    situation: Situation, registry: Registry, open_rows: list[Entitlement], now: dt.datetime, result: Plan
) -> list[Notice]:
    """Ask the one thing that decides most programmes, if any; the others are looked at again after a pause."""
    today = japan_date(now)
    later = today + QUESTION_PAUSE
    undecided: dict[tuple[str, str], list[tuple[Entitlement, Programme]]] = defaultdict(list)
    for row in [*open_rows, *_open_amounts(situation, today)]:
        programme = _programme(registry, row, today)
        if programme is None or not _is_worth_telling(situation, row, programme, today):
            if row in open_rows:
                result.announced.append(row)
            continue
        for missing in row.answer.get("missing", ()):
            if _may_be_asked(situation, registry, missing["fact"]):
                undecided[missing["subject"], missing["fact"]].append((row, programme))
        if row in open_rows:
            result.asked_again_on[row.id] = later
    for known in situation.notices:
        if known.kind == "question":
            undecided.pop((known.content["asked_about"], known.content["fact"]), None)
    if not undecided or _asked_lately(situation, now):
        return []
    (subject, fact_path), rows = min(undecided.items(), key=lambda one: _order_of_asking(registry, *one))
    fact = registry.facts[fact_path]
    assert fact.question is not None  # held by _may_be_asked
    # It is filed under what it alone decides, and names no programme for the ill to a family that told of no illness.
    rows = [pair for pair in rows if not _waits_for_intimate(registry, pair[0])] or rows
    row, programme = min(
        rows,
        key=lambda pair: (len(pair[0].answer["missing"]), -_yen_at_stake(pair[0]), pair[1].key, pair[0].subject),
    )
    decides = sorted({programme.name.in_language(wording.LANGUAGE) for _, programme in rows})
    question = fact.question.in_language(wording.LANGUAGE)
    notice = _notice(
        situation,
        row,
        programme,
        kind="question",
        occasion=f"{subject}/{fact_path}",
        content={**wording.question_content(programme, question, fact_path, decides), "asked_about": subject},
        release_at=next_allowed(now, situation.household.id),
        last_useful_on=row.valid_until,
    )
    notice.sensitive = notice.sensitive or fact.sensitive or any(programme.sensitive for _, programme in rows)
    return [notice]


def _may_be_asked(situation: Situation, registry: Registry, fact_path: str) -> bool:
    """Whether there is a question for a fact, and the family did not refuse its category."""
    fact = registry.facts.get(fact_path)
    return fact is not None and fact.question is not None and not situation.refuses(fact.consent)


def _order_of_asking(
    registry: Registry, asked: tuple[str, str], rows: list[tuple[Entitlement, Programme]]
) -> tuple[bool, int, int, Any]:
    """Order questions: how many programmes an answer decides, then how much money, then by name.

    Disability and illness are asked about only when nothing else is open: to most families such a message says nothing,
    and to some it hurts. Whoever wants to tell of them finds the questions on the family's page.
    """
    yen = sum(_yen_at_stake(row) for row, _ in rows)
    return _is_intimate(registry, asked[1]), -len({programme.key for _, programme in rows}), -yen, asked


def _is_intimate(registry: Registry, fact_path: str) -> bool:
    fact = registry.facts.get(fact_path)
    return fact is not None and fact.consent == "disability_health"


def _waits_for_intimate(registry: Registry, row: Entitlement) -> bool:
    return any(_is_intimate(registry, missing["fact"]) for missing in row.answer.get("missing", ()))


def _yen_at_stake(row: Entitlement) -> int:
    """Return the amount of a right, or the most it may be."""
    amount = row.answer.get("amount") or {}
    return int(amount.get("yen") or amount.get("most") or 0)


def _open_amounts(situation: Situation, today: dt.date) -> Iterable[Entitlement]:
    """Yield rights that are sure but whose amount an answer would settle (20歳の子を養っていますか)."""
    for row in situation.entitlements:
        amount = row.answer.get("amount") or {}
        current = row.valid_from <= today and (row.valid_until is None or today <= row.valid_until)
        if row.verdict == "eligible" and current and amount.get("yen") is None and row.answer.get("missing"):
            yield row


def _asked_lately(situation: Situation, now: dt.datetime) -> bool:
    """Whether a question is open or was asked within the pause, answered or not: the next ones wait on the page."""
    return any(
        notice.kind == "question"
        and notice.release_at > now - QUESTION_PAUSE
        and (notice.state == "planned" or notice.released_at is not None)
        for notice in situation.notices
    )


def _notice(
    situation: Situation,
    row: Entitlement,
    programme: Programme,
    *,
    kind: str,
    occasion: str,
    content: wording.Content,
    release_at: dt.datetime,
    last_useful_on: dt.date | None,
) -> Notice:
    return Notice(
        household_id=situation.household.id,
        municipality_code=situation.household.municipality_code,
        programme_key=row.programme_key,
        subject=row.subject,
        kind=kind,
        occasion=occasion,
        sensitive=programme.sensitive,
        programme_version=row.programme_version,
        content=content,
        deadline_on=_iso(content.get("deadline_on")),
        release_at=release_at,
        expires_at=at_japan_time(last_useful_on + dt.timedelta(days=1), 0) if last_useful_on else None,
    )


def _key(notice: Notice) -> tuple[str, str, str, str]:
    return notice.programme_key, notice.subject, notice.kind, notice.occasion


def _iso(day: str | None) -> dt.date | None:
    return dt.date.fromisoformat(day) if day else None


def _first(*days: dt.date | None) -> dt.date | None:
    return min((day for day in days if day is not None), default=None)
