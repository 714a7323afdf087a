"""One notice row from one stored right, and what every planner asks about a right. Pure."""

import datetime as dt
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from app.matching.tables import Entitlement
from app.notices import wording
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import at_japan_time
from app.registry.loading import Registry
from app.registry.programme import Programme

HOUSEHOLD = "household"
OVERVIEW = "overview"
"""The programme key and occasion of a family's first overview."""
SUPPORT_KINDS = ("new_support", "correction")
"""Kinds that say what a family may have: the correction of a notice stands in its place."""
BEFORE_A_DAY = ("deadline_reminder", "ending_soon")
"""Kinds that say that a day comes near; they stop the moment a family says that it is done or not for them."""
OUTCOME = "outcome"
"""Why a notice ended whose support the family said is done or not for them."""
_NOT_YET = ("later", "did_not_work")


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A stored right that a family should hear of, with its programme and what there is to say of it today."""

    row: Entitlement
    programme: Programme
    content: wording.Content


def is_ending(notice: Notice) -> bool:
    """Whether a notice says that a right which was told is lost."""
    return notice.kind == "correction" and bool(notice.content.get("ended"))


def concerns(row: Entitlement, notice: Notice) -> bool:
    """Whether a notice is about a stored right's programme and person."""
    return (row.programme_key, row.subject) == (notice.programme_key, notice.subject)


def is_same_right(one: Notice, other: Notice) -> bool:
    """Whether two notices are about the same programme and person."""
    return (one.programme_key, one.subject) == (other.programme_key, other.subject)


def emptied_overviews(notices: Sequence[Notice]) -> list[Notice]:
    """Return the told overviews of a household of which nothing stands any more: they end with the last of it."""
    standing = {one.overview_id for one in notices if one.state in ("planned", "released")}
    return [one for one in notices
            if one.programme_key == OVERVIEW and one.state == "released" and one.id not in standing]  # fmt: skip


def next_round(occasion: str, taken: Container[str]) -> str:
    """Return an occasion that is not taken yet: as it is, numbered from the second round on."""
    rounds = (occasion if number == 1 else f"{occasion}/{number}" for number in count(1))
    return next(one for one in rounds if one not in taken)


def asks_a_question(row: Entitlement) -> bool:
    """Whether an answer of the family would decide; a right open only through a judgement is told, not asked."""
    return row.verdict == "undetermined" and not row.answer.get("judgement_only")


def programme_of(registry: Registry, row: Entitlement, today: dt.date) -> Programme | None:
    """Return the version that a right is told by: of its first day or today; None when it is published no more."""
    return registry.version_on(row.programme_key, max(today, row.valid_from)) or registry.version_on(
        row.programme_key, today
    )


def is_worth_telling(situation: Situation, row: Entitlement, programme: Programme, today: dt.date) -> bool:
    """Whether a family should hear of a right: it may still be used, and nobody said that it is done or stopped."""
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


def goes_without(situation: Situation, row: Entitlement, programme: Programme) -> bool:
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


def support_content(situation: Situation, row: Entitlement, programme: Programme, today: dt.date) -> wording.Content:
    """Return what a family is told of a right, as of a day."""
    return wording.support_content(
        programme,
        row,
        wording.subject_text(row.subject, situation.document),
        today,
        not_received=goes_without(situation, row, programme),
    )


def notice_of(
    situation: Situation,
    right: TakenUp,
    *,
    kind: str,
    occasion: str,
    content: wording.Content,
    release_at: dt.datetime,
    last_useful_on: dt.date | None,
) -> Notice:
    """Return a planned notice about a right; it expires with the end of its last useful day."""
    return Notice(
        household_id=situation.household.id,
        municipality_code=situation.household.municipality_code,
        programme_key=right.row.programme_key,
        subject=right.row.subject,
        kind=kind,
        occasion=occasion,
        sensitive=right.programme.sensitive,
        programme_version=right.row.programme_version,
        content=content,
        deadline_on=day_of(content.get("deadline_on")),
        release_at=release_at,
        expires_at=end_of(last_useful_on),
    )


def key_of(notice: Notice) -> tuple[str, str, str, str]:
    """Return what makes a notice the same one within its household."""
    return notice.programme_key, notice.subject, notice.kind, notice.occasion


def day_of(day: str | None) -> dt.date | None:
    """Return a day from a content, where it stands as text."""
    return dt.date.fromisoformat(day) if day else None


def end_of(last_useful_on: dt.date | None) -> dt.datetime | None:
    """Return the midnight after a last useful day; None where there is none."""
    return at_japan_time(last_useful_on + dt.timedelta(days=1), 0) if last_useful_on else None


def begins_on(notice: Notice) -> str:
    """Return the first day of the right that a notice of a support tells, as text."""
    return str(notice.content.get("valid_from") or notice.occasion)
