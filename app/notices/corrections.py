"""Corrections (訂正): what was told of a right says something else now. Pure.

A correction takes the place of the notice it corrects: the old one stays readable as it was told, and is not told a
second time beside the new. It says what changed, the old and the new, in the same message. What is worth a message is
what may cost a family something: an earlier deadline, a lower amount, a right that ends earlier, another beginning. A
later deadline moves the reminders and says nothing; another wording says nothing; an amount that was told for that day
(a step), or that a yearly revision lowers by less than a tenth, says nothing.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.notices import wording
from app.notices.quiet_hours import next_allowed
from app.notices.rows import (
    SUPPORT_KINDS,
    TakenUp,
    begins_on,
    day_of,
    end_of,
    is_ending,
    is_same_right,
    next_round,
    notice_of,
)
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.platform.identifiers import new_id

CORRECTED = "corrected"
_WORTH_TELLING = 0.9
"""An amount below this part of the one that was told is told again."""
_TOLD = ("deadline_on", "valid_until", "amount_text", "name", "reason", "contact", "version")


@dataclass(slots=True)
class Replaced:
    """New notices, some of them corrections by now, and the told notices whose place those take."""

    notices: list[Notice] = field(default_factory=list)
    superseded: list[Notice] = field(default_factory=list)


def current(situation: Situation) -> Iterable[Notice]:
    """Yield what stands as told, or as planned, of each right."""
    for notice in situation.notices:
        if notice.kind in SUPPORT_KINDS and notice.state in ("planned", "released") and not is_ending(notice):
            yield notice


def in_place_of_ended(situation: Situation, supports: Iterable[Notice], ended: Iterable[Notice]) -> Replaced:
    """Make a correction of each new support whose right was told with another beginning and would still run.

    Args:
        situation: of the household.
        supports: as planned for the rights that are due.
        ended: notices that planning has just ended.
    """
    result = Replaced()
    told = {
        (notice.programme_key, notice.subject): notice
        for notice in ended
        if notice.state == "superseded" and notice.kind in SUPPORT_KINDS and notice.released_at is not None
        and not is_ending(notice)  # the loss of a right that comes back is no support to correct
    }  # fmt: skip
    for notice in supports:
        old = told.pop((notice.programme_key, notice.subject), None)
        if old is not None and (old.expires_at is None or old.expires_at > notice.release_at):
            changes = [*_beginning(old, notice.content), *_every_difference(old.content, notice.content)]
            _become_correction(situation, old, notice, changes)
            result.superseded.append(old)
        result.notices.append(notice)
    return result


def of_a_told_right(situation: Situation, told: Notice, right: TakenUp, now: dt.datetime) -> Notice | None:
    """Return the correction of a told notice whose right goes on; None where nothing changed that is worth a message.

    The told notice becomes superseded.
    """
    changes = worth_telling(told.content, right.content, japan_date(now))
    if not changes:
        return None
    notice = notice_of(
        situation,
        right,
        kind="correction",
        occasion="",
        content=right.content,
        release_at=next_allowed(now, situation.household.id),
        last_useful_on=right.row.valid_until,
    )
    _become_correction(situation, told, notice, changes)
    return notice


def refresh(planned: Notice, right: TakenUp) -> bool:
    """Make a notice that nobody was told yet say what its right says now; return whether it changed."""
    if all(planned.content.get(name) == right.content.get(name) for name in _TOLD):
        return False
    planned.content = said_anew(planned, right.content)
    planned.programme_version = right.row.programme_version
    planned.deadline_on = day_of(right.content["deadline_on"])
    planned.expires_at = end_of(right.row.valid_until)
    return True


def said_anew(notice: Notice, content: wording.Content) -> wording.Content:
    """Return what a notice says with another content of its right: a correction stays one, with what it corrected."""
    kept = {"kind", "title", "changes"} & notice.content.keys() if notice.kind == "correction" else ()
    return {**content, **{name: notice.content[name] for name in kept}}


def worth_telling(told: wording.Content, new: wording.Content, today: dt.date) -> list[wording.Content]:
    """Return what changed for the worse, each as `label`, `old`, `new`; empty where nothing did.

    Args:
        told: the content of a notice as it was told.
        new: what would be told now.
        today: a deadline that has passed is not corrected by the next one.
    """
    changes = []
    old_day, new_day = day_of(told.get("deadline_on")), day_of(new.get("deadline_on"))
    if old_day and new_day and new_day < old_day and old_day >= today:
        changes.append(wording.changed_day(new["deadline_label"], old_day, new_day))
    if _pays_less(told, new):
        changes.append(wording.changed_amount(told["amount_text"], new["amount_text"]))
    old_end, new_end = day_of(told.get("valid_until")), day_of(new.get("valid_until"))
    if old_end and new_end and new_end < old_end and new_end != new_day:
        changes.append(wording.changed_end(old_end, new_end))
    return changes


def _pays_less(told: wording.Content, new: wording.Content) -> bool:
    """Whether an amount lies clearly below all that was told, and was not told as a step."""
    least, now_most = int(told.get("yen") or 0), int(new.get("most_yen") or 0)
    foreseen = (int(step) for step in told.get("step_yen") or ())
    return 0 < now_most < least * _WORTH_TELLING and not any(now_most >= step for step in foreseen)


def _beginning(old: Notice, new: wording.Content) -> list[wording.Content]:
    return [wording.changed_beginning(dt.date.fromisoformat(begins_on(old)), dt.date.fromisoformat(new["valid_from"]))]


def _every_difference(told: wording.Content, new: wording.Content) -> list[wording.Content]:
    """Return the deadline and the amount where they differ in any way: the right is told with other days as a whole."""
    changes = []
    old_day, new_day = day_of(told.get("deadline_on")), day_of(new.get("deadline_on"))
    if old_day and new_day and old_day != new_day:
        changes.append(wording.changed_day(new["deadline_label"], old_day, new_day))
    if told.get("amount_text") and new["amount_text"] and told["amount_text"] != new["amount_text"]:
        changes.append(wording.changed_amount(told["amount_text"], new["amount_text"]))
    return changes


def _become_correction(situation: Situation, old: Notice, notice: Notice, changes: list[wording.Content]) -> None:
    """Turn a new notice into the correction of a told one. Its occasion is the version, numbered from the second on."""
    notice.id = notice.id or new_id()
    notice.kind = "correction"
    notice.content = wording.correction_content(notice.content, changes)
    earlier = {
        other.occasion for other in situation.notices if other.kind == "correction" and is_same_right(other, notice)
    }
    notice.occasion = next_round(notice.programme_version.isoformat(), earlier)
    old.state, old.closed_reason, old.superseded_by = "superseded", CORRECTED, notice.id
