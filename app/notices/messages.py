"""From notices to one message for one address: what it may say, in the words of its channel. Pure.

Every word comes through `values_of` and the templates, so that what a test or a lint looks at is what is sent.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.delivery.channels.line import flex_message
from app.delivery.outbox import EmailMessage, Lane, LineMessage
from app.households.contacts import address_of, unsubscribe_token
from app.households.tables import ContactPoint
from app.notices import digest, information, postbacks, wording
from app.notices.app_events import gate_of
from app.notices.rows import BEFORE_A_DAY, OVERVIEW
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.platform.rendering import render
from app.platform.settings import settings

URGENT_DAYS = 7
_MAIL_PARTS = ("subject.txt", "email.txt", "email.html")
_NOT_PRESSING = ("correction", "question", information.INFORMATION)
"""Kinds whose expiry is no day by which a family has to do something."""


def push(
    situation: Situation, contact: ContactPoint, told: Sequence[Notice], now: dt.datetime
) -> EmailMessage | LineMessage:
    """Compose one message to a contact: a mail, or a LINE-style push."""
    household = situation.household
    today = japan_date(now)
    unsubscribe_url = f"{settings().public_url}/unsubscribe/{unsubscribe_token(household.id, contact.id)}"
    values = values_of(told, today, unsubscribe_url, protected=household.protected_at is not None)
    common: dict[str, Any] = {
        "dedupe_key": f"push:{household.consent_epoch}:{contact.id}:{told[0].id}",
        "event_id": f"push_{told[0].id.hex}",
        "event_type": "notice.push",
        "due_at": now,
        "expires_at": _latest_use(told),
        "gate": gate_of(situation, told),
        "notice_ids": tuple(notice.id for notice in told),
        "lane": Lane.NOTICE,
        "address": address_of(contact),
        "contact_point_id": contact.id,
        "contact_confirmed_at": contact.confirmed_at,
        "urgent": values["emergency"],
    }
    if contact.kind == "line":
        lock_screen, bubble = line_words(values, postbacks.buttons(contact, _only_support(told, values["hidden"]), now))
        common["urgent"] = values["emergency"] or is_urgent(told, today)
        return LineMessage(**common, messages=(flex_message(lock_screen, bubble),), fallback_text=lock_screen)
    subject, text, html = mail_words(values)
    return EmailMessage(
        **common, subject=subject, text=text, html=html, composed_at=now, unsubscribe_url=unsubscribe_url
    )


def values_of(told: Sequence[Notice], today: dt.date, unsubscribe_url: str, *, protected: bool) -> dict[str, Any]:
    """Return what the templates of a message are rendered with.

    Args:
        told: the notices of one message.
        today: in Japan.
        unsubscribe_url: of the contact it goes to.
        protected: whether nothing may be said until the family has signed in.
    """
    sections, hidden = _readable_unsigned(told, today, protected=protected)
    return {
        "sections": sections,
        "hidden": hidden,
        "inbox_url": f"{settings().public_url}/home",
        "unsubscribe_url": unsubscribe_url,
        "closing": "" if all(map(information.is_information, told)) else wording.closing(),
        "emergency": any(map(information.is_emergency, told)),
    }


def mail_words(values: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return subject, text and HTML of a mail."""
    subject, text, html = (render(f"notices/message/{part}", **values) for part in _MAIL_PARTS)
    return subject, text, html


def line_words(values: Mapping[str, Any], buttons: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, Any]]:
    """Return what the lock screen shows of a LINE-style push, and its bubble."""
    bubble = json.loads(render("notices/message/line.json", **values, buttons=buttons))
    return render("notices/message/line.txt", **values), bubble


def is_urgent(told: Iterable[Notice], today: dt.date) -> bool:
    """Whether the last week of something has begun: caps and the reserve of a month do not hold it back."""
    left = days_left(told, today)
    return left is not None and left <= URGENT_DAYS


def days_left(told: Iterable[Notice], today: dt.date) -> int | None:
    """Return how many days the most pressing notice leaves: to its deadline, or to its last useful day."""
    days = []
    for notice in told:
        if notice.deadline_on is not None:
            days.append((notice.deadline_on - today).days)
        elif notice.expires_at is not None and notice.kind not in _NOT_PRESSING:
            days.append((japan_date(notice.expires_at) - today).days - 1)
    return min(days, default=None)


def _only_support(told: Sequence[Notice], hidden: int) -> Notice | None:
    """Return the one support that a message tells of openly, if it tells of one alone: an outcome can be said of it."""
    alone = len(told) == 1 and not hidden and told[0].programme_key != OVERVIEW
    return told[0] if alone and told[0].kind in ("new_support", "deadline_reminder") else None


def _readable_unsigned(told: Iterable[Notice], today: dt.date, *, protected: bool) -> tuple[list[wording.Content], int]:
    """Split notices into what a message may say, and how many it may not: sensitive ones, all under protection."""
    sections: list[wording.Content] = []
    hidden = 0
    for together in _sections(told):
        if protected or any(notice.sensitive for notice in together):
            hidden += 1
            continue
        content = digest.combined([notice.content for notice in together])
        unsaid = {item["programme_key"] for item in content["items"] if item.get("sensitive")}
        shown = [item for item in content["items"] if item["programme_key"] not in unsaid]
        parts = digest.overview_parts(shown, today)
        title_seen = wording.title_that_fits(content["title"])
        sections.append({**content, **parts, "title_seen": title_seen, "hidden_items": len(unsaid)})
    return sections, hidden


def _sections(told: Iterable[Notice]) -> list[list[Notice]]:
    """Put what says the same of several children together: reminders of one day, corrections of the same change."""
    sections: dict[object, list[Notice]] = defaultdict(list)
    for notice in told:
        sections[_same_section(notice)].append(notice)
    return [sorted(together, key=lambda notice: notice.subject) for together in sections.values()]


def _same_section(notice: Notice) -> object:
    if notice.kind in BEFORE_A_DAY:
        return notice.kind, notice.programme_key, notice.deadline_on
    if notice.kind == "correction":
        changed = json.dumps([notice.content["changes"], notice.content["ended"], notice.content["reason"]])
        return notice.kind, notice.programme_key, changed
    return notice.id


def _latest_use(told: Iterable[Notice]) -> dt.datetime | None:
    """Return when the whole message has lost its meaning: when its last notice has."""
    ends: list[dt.datetime] = []
    for notice in told:
        if notice.expires_at is None:
            return None
        ends.append(notice.expires_at)
    return max(ends, default=None)
