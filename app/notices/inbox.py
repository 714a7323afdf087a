"""The inbox: the record of everything a household was told, and the three things to do now.

Read in the household's context. Texts are those of the day they were told, never looked up again.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session, col, select

from app.households.outcomes import CLOSING, current_outcomes, outcome_choices
from app.households.tables import Household, Outcome
from app.notices import digest, wording
from app.notices.information import INFORMATION
from app.notices.moving import MOVED
from app.notices.rows import OVERVIEW, SUPPORT_KINDS
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.platform.errors import NotFound
from app.platform.rendering import phrases

AT_ONCE = 3
_HURRY_DAYS = 7
_ENDED = ("superseded", "cancelled", "expired")
_SHOWN_AT_ONCE = (*SUPPORT_KINDS, "question", MOVED, INFORMATION)
_TO_DO = (*SUPPORT_KINDS, MOVED)
"""Kinds that may be read before their push: quiet hours and caps hold back the disturbance, not the page."""
_MUCH = 10**9


@dataclass(frozen=True, slots=True)
class Card:
    """One notice in a list.

    Attributes:
        days_left: days from today to `deadline_on`; negative when it has passed, None without a deadline.
        urgency: now, soon, later or none, for order and colour.
        finished: an outcome closed it, or it no longer holds.
    """

    notice_id: uuid.UUID
    programme_key: str
    kind: str
    title: str
    subject_text: str
    reason: str
    verdict_text: str
    amount_text: str
    deadline_label: str
    deadline_text: str
    deadline_on: dt.date | None
    days_left: int | None
    minutes: int | None
    documents: Sequence[str]
    urgency: str
    state: str
    read: bool
    finished: bool
    outcome: str | None
    released_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class NoticePage:
    """One notice with everything it says, in the order of a page.

    Attributes:
        changes: what a correction changed, each as `label`, `old`, `new`.
        newer_id: the correction that took its place; None while it stands.
        older_id: the notice that it corrects, which stays readable as it was told.
        body: paragraphs of information for everybody in an area; with it `title_easy`, `body_easy`, `source` (who tells
            it), `to_text` and `valid_text`. Empty for all other kinds.
        closing: that the town decides; empty where nobody's right is told.
    """

    card: Card
    changes: Sequence[dict[str, str]]
    newer_id: uuid.UUID | None
    older_id: uuid.UUID | None
    steps: Sequence[str]
    cost_of_delay_text: str
    received_text: str
    pays_from_text: str
    period_text: str
    how: Sequence[str]
    online_url: str | None
    contact: str
    checked: Sequence[str]
    check_yourself: Sequence[str]
    source_url: str
    source_title: str
    source_checked_on: dt.date | None
    version: str
    programme_key: str
    outcome_choices: Sequence[tuple[str, str]]
    current_outcome: Outcome | None
    items: Sequence[Card]
    parts: Sequence[dict[str, Any]]
    unknown_town: str
    body: Sequence[str]
    title_easy: str
    body_easy: Sequence[str]
    source: str
    to_text: str
    valid_text: str
    closing: str


def todo(session: Session, household_id: uuid.UUID, today: dt.date, guardian: str | None = None) -> list[Card]:
    """Return at most three cards: what to do now, by legal deadline, then amount, then effort.

    A programme is one card that names all its children; it leads to the most pressing of them. With a guardian, what
    belongs to the other one leaves no trace.
    """
    cards = [
        (card, content)
        for card, content in _cards(session, household_id, today, guardian)
        if not card.finished and card.kind in _TO_DO and not content.get("ended")
    ]
    cards.sort(key=lambda pair: _order(*pair))
    programmes: dict[tuple[str, str], list[tuple[Card, dict[str, Any]]]] = defaultdict(list)
    for card, content in cards:
        programmes[card.kind if card.kind == MOVED else "", card.programme_key].append((card, content))
    return [_together(members) for members in list(programmes.values())[:AT_ONCE]]


def all_notices(
    session: Session, household_id: uuid.UUID, today: dt.date | None = None, guardian: str | None = None
) -> list[Card]:
    """Return every notice that was told, the newest first; an overview is shown through its items."""
    cards = [card for card, _ in _cards(session, household_id, today, guardian)]
    return sorted(cards, key=_newest_last, reverse=True)


def read_notice(session: Session, household_id: uuid.UUID, notice_id: uuid.UUID, now: dt.datetime) -> NoticePage:
    """Return one notice and remember that it was read. The caller commits.

    Raises:
        NotFound: no such notice of this household.
    """
    notice = session.get(Notice, notice_id)
    stopped = session.get_one(Household, household_id).stopped_subjects
    if notice is None or notice.household_id != household_id or not (_is_shown(notice) or notice.subject in stopped):
        raise NotFound("there is no such notice in this inbox")
    if notice.read_at is None:
        notice.read_at = now
        session.add(notice)
    outcomes = current_outcomes(session, household_id)
    today = japan_date(now)
    items = session.exec(
        select(Notice).where(Notice.overview_id == notice.id).order_by(col(Notice.deadline_on).asc().nulls_last())
    ).all()
    content = notice.content
    checked_on = content.get("source_checked_on")
    return NoticePage(
        card=_card(notice, outcomes, today),
        changes=content.get("changes", ()),
        newer_id=notice.superseded_by,
        older_id=session.exec(select(Notice.id).where(Notice.superseded_by == notice.id)).first(),
        steps=content.get("steps", ()),
        cost_of_delay_text=content.get("cost_of_delay_text", ""),
        received_text=content.get("received_text", ""),
        pays_from_text=content.get("pays_from_text", ""),
        period_text=content.get("period_text", ""),
        how=content.get("how", ()),
        online_url=content.get("online_url"),
        contact=content.get("contact", ""),
        checked=content.get("checked", ()),
        check_yourself=content.get("check_yourself", ()),
        source_url=content.get("source_url", ""),
        source_title=content.get("source_title", ""),
        source_checked_on=dt.date.fromisoformat(checked_on) if checked_on else None,
        version=content.get("version", ""),
        programme_key=notice.programme_key,
        outcome_choices=() if notice.kind in (MOVED, INFORMATION) or content.get("ended") else _choices(content),
        current_outcome=_outcome_of(notice, outcomes),
        items=[_card(item, outcomes, today) for item in items],
        parts=content.get("parts", ()),
        unknown_town=content.get("unknown_town", ""),
        body=content.get("body", ()),
        title_easy=content.get("title_easy", ""),
        body_easy=content.get("body_easy", ()),
        source=content.get("source", ""),
        to_text=content.get("to_text", ""),
        valid_text=content.get("valid_text", ""),
        closing="" if notice.kind == INFORMATION else wording.closing(),
    )


def _cards(
    session: Session, household_id: uuid.UUID, today: dt.date | None, guardian: str | None
) -> list[tuple[Card, dict[str, Any]]]:
    stopped = session.get_one(Household, household_id).stopped_subjects
    outcomes = current_outcomes(session, household_id)
    rows = session.exec(
        select(Notice).where(
            Notice.household_id == household_id,
            Notice.programme_key != OVERVIEW,
            col(Notice.subject).not_in(stopped),
        )
    )
    mine = [row for row in rows if guardian is None or row.guardian in (None, guardian)]
    return [(_card(row, outcomes, today), row.content) for row in mine if _is_shown(row)]


def _together(members: Sequence[tuple[Card, dict[str, Any]]]) -> Card:
    """Return the first card of a programme, with everybody named whom it is about; what differs is said of each."""
    first, _ = members[0]
    if len(members) == 1:
        return first
    whole = digest.combined([content for _, content in members])
    return replace(
        first,
        subject_text=whole["subject_text"],
        amount_text=whole["amount_text"],
        deadline_text=whole["deadline_text"],
        read=all(card.read for card, _ in members),
    )


def _is_shown(notice: Notice) -> bool:
    """Whether a notice stands in the inbox: what was told, and what is planned and may be read already."""
    return notice.released_at is not None or (notice.state == "planned" and notice.kind in _SHOWN_AT_ONCE)


def _card(notice: Notice, outcomes: Sequence[Outcome], today: dt.date | None) -> Card:
    content = notice.content
    outcome = _outcome_of(notice, outcomes)
    days_left = (notice.deadline_on - today).days if notice.deadline_on and today else None
    return Card(
        notice_id=notice.id,
        programme_key=notice.programme_key,
        kind=notice.kind,
        title=content["title"],
        subject_text=content.get("subject_text", ""),
        reason=wording.told_reason(content),
        verdict_text=content.get("verdict_text", ""),
        amount_text=content.get("amount_text", ""),
        deadline_label=content.get("deadline_label", ""),
        deadline_text=content.get("deadline_text", ""),
        deadline_on=notice.deadline_on,
        days_left=days_left,
        minutes=content.get("minutes"),
        documents=content.get("documents", ()),
        urgency=_urgency(days_left),
        state=notice.state,
        read=notice.read_at is not None,
        finished=_is_over(notice, today) or (outcome is not None and outcome.outcome in CLOSING),
        outcome=outcome.outcome if outcome else None,
        released_at=notice.released_at,
    )


def _is_over(notice: Notice, today: dt.date | None) -> bool:
    """Whether a notice no longer holds, or its last useful day has passed."""
    if notice.state in _ENDED:
        return True
    return notice.expires_at is not None and today is not None and japan_date(notice.expires_at) <= today


def _outcome_of(notice: Notice, outcomes: Sequence[Outcome]) -> Outcome | None:
    if notice.kind == INFORMATION:
        return None
    for row in outcomes:
        if (row.programme_key, row.subject) == (notice.programme_key, notice.subject):
            return row
    return None


def _choices(content: dict[str, Any]) -> list[tuple[str, str]]:
    kind = content.get("programme_kind", "")
    catalogue = phrases("notices/phrases.ja")
    words = catalogue["outcome"] | catalogue["outcome_of_kind"].get(kind, {})
    return [(choice, words[choice]) for choice in outcome_choices(kind)]


def quiet_notices(session: Session, household_id: uuid.UUID, guardian: str | None = None) -> list[Card]:
    """Return what concerns a person whose pushes were stopped: shown only on a page that the family opens itself."""
    stopped = session.get_one(Household, household_id).stopped_subjects
    outcomes = current_outcomes(session, household_id)
    rows = session.exec(
        select(Notice).where(
            Notice.household_id == household_id,
            col(Notice.kind).in_(SUPPORT_KINDS),
            col(Notice.superseded_by).is_(None),
            col(Notice.subject).in_(stopped),
        )
    )
    return [_card(row, outcomes, None) for row in rows if guardian is None or row.guardian in (None, guardian)]


def _newest_last(card: Card) -> tuple[float, uuid.UUID]:
    return card.released_at.timestamp() if card.released_at else 0.0, card.notice_id


def _urgency(days_left: int | None) -> str:
    if days_left is None:
        return "none"
    return "now" if days_left <= _HURRY_DAYS else "soon" if days_left <= 30 else "later"


def _order(card: Card, content: dict[str, Any]) -> tuple[bool, int, int, int]:
    """Order by deadline still to come, then by what a month of waiting costs, then by effort."""
    days = card.days_left if card.days_left is not None and card.days_left >= 0 else _MUCH
    return card.outcome == "later", days, -int(content.get("yen") or 0), card.minutes or _MUCH
