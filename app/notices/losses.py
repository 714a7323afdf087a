"""Losses: a right that was told is there no more. The family hears it once, kindly, with why and where to ask. Pure.

Nobody hears of it where it goes without saying: the right had run its course, was only possible, has another in its
place, or its family said that it is not for them, took a person back or the consent to facts that the right depends
on, or moved away (that has its own notice).
"""

import datetime as dt
from collections.abc import Iterable

from app.households.outcomes import CLOSING
from app.matching.evaluation import Engine
from app.notices import wording
from app.notices.quiet_hours import next_allowed
from app.notices.rows import HOUSEHOLD, SUPPORT_KINDS, concerns, is_ending, is_same_right, next_round
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.registry.loading import Registry
from app.rules.municipality_code import covers

_READABLE = dt.timedelta(days=30)
"""How long the message is worth pushing; the inbox keeps it."""
_NOT_THEIRS = CLOSING & {"told_not_eligible", "not_wanted"}


def of(situation: Situation, registry: Registry, ended: Iterable[Notice], now: dt.datetime) -> list[Notice]:
    """Return what to tell of the notices that planning has just cancelled because their right is gone."""
    if not situation.agrees_to("matching:basic", now):
        return []
    ended = list(ended)
    lately = {notice.subject for notice in situation.notices if notice in ended or _was_told_lately(notice, now)}
    return [
        _loss(situation, registry, notice, now)
        for notice in ended
        if _is_felt(situation, registry, notice, now)
        and _is_part_of(situation, {notice.subject} if ":" in notice.subject else lately)
    ]


def _was_told_lately(notice: Notice, now: dt.datetime) -> bool:
    """Whether a notice stands, or stood until lately: whom it is about may be why something else ends."""
    lately = notice.released_at is not None and notice.released_at > now - _READABLE
    return notice.state in ("planned", "released") or (notice.state != "expired" and lately)


def _is_felt(situation: Situation, registry: Registry, notice: Notice, now: dt.datetime) -> bool:
    """Whether a family believes in a right that it has lost, and does not know why."""
    return (
        notice.state == "cancelled"
        and notice.kind in SUPPORT_KINDS
        and not is_ending(notice)
        and situation.first_told_as(notice).released_at is not None
        and (notice.expires_at is None or notice.expires_at > now)
        and not notice.content.get("perhaps")
        and notice.programme_key not in situation.held
        and not situation.is_stopped(notice.subject)
        and covers(notice.programme_key.partition("/")[0], situation.household.municipality_code)
        and not _has_another_in_its_place(situation, registry, notice)
        and not _is_open_in_mourning(situation, notice)
        and not _was_turned_down(situation, notice)
        and not _consent_was_taken_back(situation, registry, notice)
    )


def _is_part_of(situation: Situation, subjects: Iterable[str]) -> bool:
    """Whether persons are still in the family's answers: the person, or for the household all it heard of lately.

    Who was taken out of them is not spoken of, not even by the loss of what the family had for that person.
    """
    plurals = ("guardians", "children", "pregnancies")
    family = {person.get("id") for plural in plurals for person in situation.document.get(plural) or ()}
    return all(one.partition(":")[2] in family for one in subjects if ":" in one)


def _has_another_in_its_place(situation: Situation, registry: Registry, notice: Notice) -> bool:
    """Whether a local variant of the programme, or its original, holds for the same person now."""
    mine = {row.programme_key for row in situation.entitlements if row.subject in (notice.subject, HOUSEHOLD)}
    pairs = {
        (key, versions[-1].based_on)
        for key, versions in registry.programmes.items()
        if versions[-1].based_on is not None
    }
    key = notice.programme_key
    return any((one == key and other in mine) or (other == key and one in mine) for one, other in pairs)


def _is_open_in_mourning(situation: Situation, notice: Notice) -> bool:
    """Whether a guardian's death made the right uncertain; nobody is sent that."""
    return any(concerns(row, notice) and situation.is_open_in_mourning(row) for row in situation.entitlements)


def _was_turned_down(situation: Situation, notice: Notice) -> bool:
    return any(
        (told.programme_key, told.subject) == (notice.programme_key, notice.subject) and told.outcome in _NOT_THEIRS
        for told in situation.outcomes
    )


def _consent_was_taken_back(situation: Situation, registry: Registry, notice: Notice) -> bool:
    """Whether the family closed a category of facts that the right depends on, since it was told of it.

    Without those facts nothing can be said, for or against. What does not read them, or still held without them when
    it was told, is lost for another reason.
    """
    told_at = max(
        one.released_at for one in (notice, situation.first_told_as(notice)) if one.released_at is not None
    )  # held by _is_felt: the family heard of it
    closed = {category for category, at in situation.taken_back.items() if at >= told_at}
    if not closed:
        return False
    versions = Engine.of(registry).rulebook.versions.get(notice.programme_key)
    if versions is None:
        return True  # nobody can tell what it depended on
    read = {path for version in versions for path in version.reads}
    return any(fact.consent in closed for fact in registry.facts if fact.path in read)


def _loss(situation: Situation, registry: Registry, notice: Notice, now: dt.datetime) -> Notice:
    programme = registry.version_on(notice.programme_key, japan_date(now))
    if programme is None or not programme.notifies:
        why = "programme_ended"
    else:
        why = "programme_changed" if programme.version != notice.content.get("version") else "facts_changed"
    told = {
        other.occasion
        for other in situation.notices
        if is_ending(other) and is_same_right(other, notice) and other.released_at is not None
    }
    return Notice(
        household_id=situation.household.id,
        municipality_code=situation.household.municipality_code,
        programme_key=notice.programme_key,
        subject=notice.subject,
        kind="correction",
        occasion=next_round(f"ended/{notice.kind}/{notice.occasion}", told),
        sensitive=notice.sensitive,
        guardian=notice.guardian,
        programme_version=notice.programme_version,
        content=wording.loss_content(notice.content, why),
        release_at=next_allowed(now, situation.household.id),
        expires_at=now + _READABLE,
    )
