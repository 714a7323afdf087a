"""Planning: which notices follow from a household's entitlements. Pure; nothing is sent or stored here.

A notice's key (household, programme, subject, kind, occasion) makes planning repeatable: what was planned once is not
planned again, whatever is retried or swept. A family's first match is one overview, its first question included, so
that nobody is greeted with fifteen notices; one question is asked at a time, the one that decides most.
"""

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.matching.tables import Entitlement
from app.notices import (
    corrections,
    information,
    losses,
    moving,
    questions,
    reminders,
    returns,
    under_moves,
    wording,
)
from app.notices.quiet_hours import next_allowed
from app.notices.rows import (
    BEFORE_A_DAY,
    HOUSEHOLD,
    OUTCOME,
    OVERVIEW,
    SUPPORT_KINDS,
    TakenUp,
    asks_a_question,
    begins_on,
    concerns,
    emptied_overviews,
    end_of,
    is_ending,
    is_worth_telling,
    key_of,
    notice_of,
    programme_of,
    support_content,
)
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.registry.loading import Registry

CONSENT_WITHDRAWN = "consent withdrawn"
NO_LONGER_SO = "no longer so"
REVIVABLE = (CONSENT_WITHDRAWN, NO_LONGER_SO, OUTCOME)
"""Why a notice ended that is planned again when consent is given anew, or an answer or an outcome turns back."""
_OF_RIGHTS = (*SUPPORT_KINDS, *BEFORE_A_DAY, "question")
"""Kinds that stand and fall with stored rights; the others are planned elsewhere and hold until they expire."""


@dataclass(slots=True)
class Plan:
    """What planning decided for one household.

    Attributes:
        notices: new rows, in the order in which they are told.
        announced: entitlements that need no further planning.
        ended: notices that no longer hold.
        superseded: told notices whose place a correction takes; who knows them hears the correction instead of an end.
        refreshed: planned notices, not told yet, whose right says something else by now.
        asked_again_on: entitlements with the day to look again: still open, or told and with an end to be told.
    """

    notices: list[Notice] = field(default_factory=list)
    announced: list[Entitlement] = field(default_factory=list)
    ended: list[Notice] = field(default_factory=list)
    superseded: list[Notice] = field(default_factory=list)
    refreshed: list[Notice] = field(default_factory=list)
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
    rights = _worth_telling(situation, registry, due, today, result)
    supports = corrections.in_place_of_ended(situation, [_support(situation, one, now) for one in rights], result.ended)
    result.superseded += supports.superseded
    result.ended = [notice for notice in result.ended if notice not in supports.superseded]
    asking = questions.ask(situation, registry, [row for row in due if asks_a_question(row)], now)
    result.announced += asking.announced
    result.asked_again_on |= asking.asked_again_on
    _tell_first(situation, supports.notices, asking.notices, now, result)
    for one in rights:
        result.notices += reminders.before_deadline(situation, one, now)
        _end_in_time(situation, one, now, result)
    _look_at_what_was_told(situation, registry, [one.row.id for one in rights], now, result)
    result.notices += losses.of(situation, registry, result.ended, now)
    result.notices = under_moves.with_moves(situation, registry, result.notices, now)
    result.notices = _only_new(situation, result.notices)
    _end_what_tells_of_nothing(situation, result)
    return result


def still_holds(situation: Situation, notice: Notice) -> bool:
    """Whether the stored rights still say what a notice says."""
    if notice.kind == moving.MOVED:
        return moving.still_holds(situation, notice)
    if notice.kind not in _OF_RIGHTS:
        return True
    if notice.kind == "question":
        asked = {"fact": notice.content["fact"], "subject": notice.content["asked_about"]}
        return any(asked in row.answer.get("missing", ()) for row in situation.entitlements)
    mine = [row for row in situation.entitlements if concerns(row, notice)]
    if is_ending(notice):
        return not mine
    if notice.kind in BEFORE_A_DAY:
        return any(
            row.verdict == "eligible" and notice.deadline_on in (row.deadline_on, row.valid_until) for row in mine
        )
    return any(row.valid_from.isoformat() == begins_on(notice) and not asks_a_question(row) for row in mine)


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


def _is_due(situation: Situation, row: Entitlement, today: dt.date) -> bool:
    return row.announced_at is None and row.announce_on <= today and row.programme_key not in situation.held


def _worth_telling(
    situation: Situation, registry: Registry, due: Iterable[Entitlement], today: dt.date, result: Plan
) -> list[TakenUp]:
    """Return the due rights that a family should hear of; all of them need no further planning."""
    found = []
    for row in due:
        if asks_a_question(row):
            continue
        result.announced.append(row)
        programme = programme_of(registry, row, today)
        if programme is not None and is_worth_telling(situation, row, programme, today):
            found.append(TakenUp(row, programme, support_content(situation, row, programme, today)))
    return found


def _tell_first(
    situation: Situation, supports: list[Notice], asked: list[Notice], now: dt.datetime, result: Plan
) -> None:
    """Add what is told at once; a family's first match is one overview, the question included."""
    supports.sort(key=lambda notice: (notice.deadline_on or dt.date.max, notice.programme_key, notice.subject))
    told = [*supports, *asked]
    if all(map(information.is_information, situation.notices)) and len(supports) > 1:
        overview = _overview(situation, supports, now)
        result.notices.append(overview)
        for notice in told:
            notice.overview_id = overview.id
    result.notices += told


def _look_at_what_was_told(
    situation: Situation, registry: Registry, planned_now: list[uuid.UUID], now: dt.datetime, result: Plan
) -> None:
    """Correct what was told of rights that go on but say something else, and move their reminders along."""
    today = japan_date(now)
    told = {(notice.programme_key, notice.subject): notice for notice in corrections.current(situation)}
    for row in situation.entitlements:
        notice = told.get((row.programme_key, row.subject))
        if notice is None or begins_on(notice) != row.valid_from.isoformat() or asks_a_question(row):
            continue
        programme = programme_of(registry, row, today)
        if programme is None or (row.id in planned_now and notice.state == "planned"):
            continue
        if row.programme_key in situation.held or not is_worth_telling(situation, row, programme, today):
            continue
        right = TakenUp(row, programme, support_content(situation, row, programme, today))
        if notice.state == "planned":
            if corrections.refresh(notice, right):
                result.refreshed.append(notice)
        elif corrected := corrections.of_a_told_right(situation, notice, right, now):
            result.notices.append(corrected)
            result.superseded.append(notice)
        else:
            notice.expires_at = end_of(row.valid_until)  # it stands as told, for as long as the right does
        if notice.deadline_on is None or notice.deadline_on >= today:
            # A deadline that merely came round again (each month) has no second ladder.
            result.notices += reminders.before_deadline(situation, right, now)
        if row.id not in planned_now:
            _end_in_time(situation, right, now, result)


def _end_in_time(situation: Situation, right: TakenUp, now: dt.datetime, result: Plan) -> None:
    """Tell that a right ends where the day to say so has come, or note that day."""
    day = reminders.ending_told_on(situation, right)
    if day is None:
        return
    if day > japan_date(now):
        result.asked_again_on[right.row.id] = day
    else:
        result.notices += reminders.before_end(situation, right, now)


def _only_new(situation: Situation, notices: list[Notice]) -> list[Notice]:
    """Leave out what was planned before; what ended for a reason that is gone by now is planned again."""
    known = {key_of(notice): notice for notice in situation.notices}
    kept: list[Notice] = []
    for notice in notices:
        if notice.kind == "new_support" and notice.programme_key != OVERVIEW:
            if (told_by := returns.told_by(situation, notice, REVIVABLE)) is not None:
                kept.append(told_by)
            continue
        earlier = known.get(key_of(notice))
        if earlier is None:
            known[key_of(notice)] = notice
            kept.append(notice)
        elif earlier.state in ("cancelled", "superseded") and earlier.closed_reason in REVIVABLE:
            kept.append(returns.revived(earlier, notice))
    return kept


def _end_what_no_longer_holds(situation: Situation, result: Plan) -> None:
    """End notices whose right is gone, began another day or has another deadline, and what was answered or is done."""
    for notice in situation.notices:
        if notice.state not in ("planned", "released") or notice.programme_key == OVERVIEW:
            continue
        if notice.programme_key in situation.held:
            continue
        if notice.kind in BEFORE_A_DAY and situation.is_closed(notice.programme_key, notice.subject):
            notice.state, notice.closed_reason = "cancelled", OUTCOME
            result.ended.append(notice)
        elif not still_holds(situation, notice):
            replaced = notice.kind == "question" or any(concerns(row, notice) for row in situation.entitlements)
            replaced = replaced or moving.is_replaced(situation, notice)
            notice.state = "superseded" if replaced else "cancelled"
            notice.closed_reason = NO_LONGER_SO
            result.ended.append(notice)
            if notice.kind == moving.MOVED:
                under_moves.let_go_of(situation, notice)


def _end_what_tells_of_nothing(situation: Situation, result: Plan) -> None:
    """End an overview with the last notice under it: an app that was told of it alone hears of its end."""
    for overview in emptied_overviews([*situation.notices, *result.notices]):
        overview.state, overview.closed_reason = "cancelled", returns.NOTHING_LEFT
        result.ended.append(overview)


def _support(situation: Situation, right: TakenUp, now: dt.datetime) -> Notice:
    return notice_of(
        situation,
        right,
        kind="new_support",
        occasion=right.row.valid_from.isoformat(),
        content=right.content,
        release_at=next_allowed(now, situation.household.id),
        last_useful_on=right.row.valid_until,
    )


def _overview(situation: Situation, supports: list[Notice], now: dt.datetime) -> Notice:
    household = situation.household
    ends = [notice.expires_at for notice in supports]
    return Notice(
        household_id=household.id,
        municipality_code=household.municipality_code,
        programme_key=OVERVIEW,
        subject=HOUSEHOLD,
        kind="new_support",
        occasion=OVERVIEW,
        programme_version=japan_date(now),
        content=overview_of(supports),
        deadline_on=min((notice.deadline_on for notice in supports if notice.deadline_on), default=None),
        release_at=next_allowed(now, household.id),
        expires_at=None if None in ends else max(end for end in ends if end is not None),
    )
