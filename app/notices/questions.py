"""The question (質問): the one thing to ask a family, the one that decides most. Pure."""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from app.matching.tables import Entitlement
from app.notices import wording
from app.notices.quiet_hours import next_allowed
from app.notices.rows import TakenUp, is_worth_telling, notice_of, programme_of
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.registry.loading import Registry
from app.registry.programme import Programme

QUESTION_PAUSE = dt.timedelta(days=14)
_Undecided = dict[tuple[str, str], list[tuple[Entitlement, Programme]]]
"""By (subject, fact): the rights that an answer would decide."""


@dataclass(slots=True)
class Asking:
    """The question to ask, if any; which open rights need no more planning, and when to look at the others again."""

    notices: list[Notice] = field(default_factory=list)
    announced: list[Entitlement] = field(default_factory=list)
    asked_again_on: dict[uuid.UUID, dt.date] = field(default_factory=dict)


def ask(situation: Situation, registry: Registry, open_rows: Collection[Entitlement], now: dt.datetime) -> Asking:
    """Ask the one thing that decides most programmes, if any; the others are looked at again after a pause."""
    result = Asking()
    today = japan_date(now)
    later = today + QUESTION_PAUSE
    undecided: _Undecided = defaultdict(list)
    for row in [*open_rows, *_open_amounts(situation, today)]:
        programme = programme_of(registry, row, today)
        if programme is None or not is_worth_telling(situation, row, programme, today):
            if row in open_rows:
                result.announced.append(row)
            continue
        for missing in row.answer.get("missing", ()) if not situation.is_open_in_mourning(row) else ():
            if _may_be_asked(situation, registry, missing["fact"]):
                undecided[missing["subject"], missing["fact"]].append((row, programme))
        if row in open_rows:
            result.asked_again_on[row.id] = later
    for known in situation.notices:
        if known.kind == "question":
            undecided.pop((known.content["asked_about"], known.content["fact"]), None)
    if undecided and not _asked_lately(situation, now):
        result.notices.append(_question(situation, registry, undecided, now))
    return result


def _question(situation: Situation, registry: Registry, undecided: _Undecided, now: dt.datetime) -> Notice:
    """Return the question that decides most, filed under the programme it settles."""
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
    content = {**wording.question_content(programme, question, fact_path, decides), "asked_about": subject}
    notice = notice_of(
        situation,
        TakenUp(row, programme, content),
        kind="question",
        occasion=f"{subject}/{fact_path}",
        content=content,
        release_at=next_allowed(now, situation.household.id),
        last_useful_on=row.valid_until,
    )
    notice.sensitive = notice.sensitive or fact.sensitive or any(programme.sensitive for _, programme in rows)
    return notice


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
