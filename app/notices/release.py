"""Release: at its moment a notice is looked at again, and what still holds becomes messages. Pure.

Kindness stands here: no message in quiet hours, one message a day, at most two pushes in seven days; a notice whose
last useful day is within seven days is exempt from the cap. The inbox gets everything that is released.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.delivery.channels.line import flex_message
from app.delivery.outbox import EmailMessage, Gate, Lane, LineMessage, WebhookMessage
from app.households.contacts import address_of, unsubscribe_token
from app.households.tables import ContactPoint
from app.notices import digest, wording
from app.notices.planning import CONSENT_WITHDRAWN, NO_LONGER_SO, OVERVIEW, overview_of, still_holds
from app.notices.quiet_hours import morning_of, next_allowed
from app.notices.situation import Situation
from app.notices.tables import Notice, PushLog
from app.partners import events
from app.partners.links import pairwise_event_id
from app.partners.tables import PartnerEndpoint, PartnerLink
from app.platform.clock import japan_date
from app.platform.rendering import render
from app.platform.settings import settings

PUSHES_A_WEEK = 2
_WEEK = dt.timedelta(days=7)
_URGENT_DAYS = 7
_VERY_URGENT_DAYS = 1
_PURPOSES = {"email": "channel:email", "line": "channel:line"}
Message = EmailMessage | LineMessage | WebhookMessage


@dataclass(slots=True)
class Release:
    """What releasing decided for one household: changed notices, messages to queue, the push to remember."""

    notices: list[Notice] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    pushes: list[PushLog] = field(default_factory=list)


def release(situation: Situation, planned: Sequence[Notice], now: dt.datetime) -> Release:
    """Decide what becomes of a household's due notices.

    Args:
        situation: of the household, as it is now; its gate is locked.
        planned: its notices in state planned with `release_at` up to now.
        now: the clock's instant.
    """
    result = Release()
    household = situation.household
    if situation.is_changing:
        return result
    ready = []
    for notice in planned:
        ended = _why_not(situation, notice, now)
        if ended is not None:
            notice.state, notice.closed_reason = ended
            result.notices.append(notice)
        elif notice.programme_key in situation.held:
            # It goes by itself when its time comes; an overview of today goes without it.
            notice.overview_id = None
            result.notices.append(notice)
        else:
            ready.append(notice)
    ready = _with_overview_as_it_is_now(ready, result)
    allowed_at = next_allowed(now, household.id)
    if allowed_at > now:
        return _postponed(result, ready, allowed_at)
    told = [notice for notice in ready if notice.overview_id is None]
    pushed = [notice for notice in told if not situation.was_pushed(notice.id)]
    contact = _contact(situation, now) if pushed else None
    if contact is not None:
        again_at = _capped_until(situation, pushed, now)
        if again_at is not None:
            return _postponed(result, ready, again_at)
    for notice in ready:
        notice.state, notice.released_at = "released", now
        result.notices.append(notice)
    result.messages += _events(situation, told, now)
    if contact is not None:
        push = _push(situation, contact, pushed, now)
        result.messages.append(push)
        result.pushes.append(_push_log(situation, push, pushed, now))
    return result


def ended_events(situation: Situation, ended: Iterable[Notice], now: dt.datetime) -> Iterable[WebhookMessage]:
    """Yield `notice.cancelled` for every endpoint that was told of a notice which no longer holds."""
    notices = list(ended)
    for link, endpoints in situation.links:
        for notice in notices:
            for endpoint in endpoints:
                earlier = situation.events_sent(notice.id, endpoint.id)
                if earlier % 2 and _wants(endpoint, "notice.cancelled"):
                    body = events.notice_cancelled(
                        subject_id=link.subject_id, notice_id=notice.id, sequence=earlier + 1, at=now
                    )
                    yield _event(situation, link, endpoint, notice, now, "notice.cancelled", body)


def _why_not(situation: Situation, notice: Notice, now: dt.datetime) -> tuple[str, str] | None:
    """Return (state, reason) of a notice that must not be told any more; None while it holds."""
    if notice.expires_at is not None and notice.expires_at <= now:
        return "expired", "its last useful day has passed"
    if not situation.agrees_to("matching:basic", now):
        return "cancelled", CONSENT_WITHDRAWN
    if situation.is_stopped(notice.subject):
        return "cancelled", "stopped"
    if situation.is_closed(notice.programme_key, notice.subject):
        return "cancelled", "outcome"
    if notice.programme_key != OVERVIEW and not still_holds(situation, notice):
        return "cancelled", NO_LONGER_SO
    return None


def _with_overview_as_it_is_now(ready: list[Notice], result: Release) -> list[Notice]:
    """Leave out of an overview what does not hold any more, and the whole overview where nothing is left."""
    kept = []
    for notice in ready:
        if notice.programme_key == OVERVIEW:
            supports = [other for other in ready if other.overview_id == notice.id and other.kind != "question"]
            if not supports:
                notice.state, notice.closed_reason = "cancelled", "nothing left to tell"
                result.notices.append(notice)
                continue
            notice.content = overview_of(supports)
        kept.append(notice)
    return kept


def _contact(situation: Situation, now: dt.datetime) -> ContactPoint | None:
    """Return where the push goes: the first working contact whose channel was agreed to."""
    for contact in situation.contacts:
        if situation.agrees_to(_PURPOSES[contact.kind], now):
            return contact
    return None


def _capped_until(situation: Situation, told: Iterable[Notice], now: dt.datetime) -> dt.datetime | None:
    """Return when a push may go out again; None if it may now."""
    today = japan_date(now)
    days_left = min(((notice.deadline_on - today).days for notice in told if notice.deadline_on), default=None)
    if days_left is not None and days_left <= _VERY_URGENT_DAYS:
        return None
    household_id = situation.household.id
    if any(push.day == today for push in situation.pushes):
        return morning_of(today + dt.timedelta(days=1), household_id)
    if days_left is not None and days_left <= _URGENT_DAYS:
        return None
    counted = sorted(push.day for push in situation.pushes if not push.exempt and push.day > today - _WEEK)
    if len(counted) < PUSHES_A_WEEK:
        return None
    return morning_of(counted[-PUSHES_A_WEEK] + _WEEK, household_id)


def _postponed(result: Release, notices: Iterable[Notice], until: dt.datetime) -> Release:
    for notice in notices:
        notice.release_at = until
        result.notices.append(notice)
    return result


def _push(situation: Situation, contact: ContactPoint, told: Sequence[Notice], now: dt.datetime) -> Message:
    """Compose the day's one message to a contact."""
    household = situation.household
    sections, hidden = _readable_unsigned(situation, told, japan_date(now))
    inbox_url = f"{settings().public_url}/home"
    unsubscribe_url = f"{settings().public_url}/unsubscribe/{unsubscribe_token(household.id, contact.id)}"
    values: dict[str, Any] = {
        "sections": sections,
        "hidden": hidden,
        "inbox_url": inbox_url,
        "unsubscribe_url": unsubscribe_url,
        "closing": wording.closing(),
    }
    common: dict[str, Any] = {
        "dedupe_key": f"push:{household.consent_epoch}:{contact.id}:{told[0].id}",
        "event_id": f"push_{told[0].id.hex}",
        "event_type": "notice.push",
        "due_at": now,
        "expires_at": _latest_use(told),
        "gate": _gate(situation, told),
        "notice_ids": tuple(notice.id for notice in told),
        "lane": Lane.NOTICE,
        "address": address_of(contact),
        "contact_point_id": contact.id,
        "contact_confirmed_at": contact.confirmed_at,
    }
    if contact.kind == "line":
        lock_screen = render("notices/message/line.txt", **values)
        bubble = json.loads(render("notices/message/line.json", **values))
        return LineMessage(**common, messages=(flex_message(lock_screen, bubble),), fallback_text=lock_screen)
    return EmailMessage(
        **common,
        subject=render("notices/message/subject.txt", **values),
        text=render("notices/message/email.txt", **values),
        html=render("notices/message/email.html", **values),
        composed_at=now,
        unsubscribe_url=unsubscribe_url,
    )


def _readable_unsigned(
    situation: Situation, told: Iterable[Notice], today: dt.date
) -> tuple[list[wording.Content], int]:
    """Split notices into what a message may say, and how many it may not: sensitive ones, all under protection."""
    sections: list[wording.Content] = []
    hidden = 0
    for together in _sections(told):
        if situation.household.protected_at is not None or any(notice.sensitive for notice in together):
            hidden += 1
            continue
        content = digest.combined([notice.content for notice in together])
        unsaid = {item["programme_key"] for item in content["items"] if item.get("sensitive")}
        shown = [item for item in content["items"] if item["programme_key"] not in unsaid]
        sections.append({**content, **digest.overview_parts(shown, today), "hidden_items": len(unsaid)})
    return sections, hidden


def _sections(told: Iterable[Notice]) -> list[list[Notice]]:
    """Put the reminders of one programme and day together: one section for all children; any other stands alone."""
    sections: dict[object, list[Notice]] = defaultdict(list)
    for notice in told:
        is_reminder = notice.kind == "deadline_reminder"
        sections[(notice.programme_key, notice.deadline_on) if is_reminder else notice.id].append(notice)
    return [sorted(together, key=lambda notice: notice.subject) for together in sections.values()]


def _events(situation: Situation, told: Sequence[Notice], now: dt.datetime) -> Iterable[WebhookMessage]:
    """Yield one event per notice for every endpoint of every linked app that the family agreed to share with."""
    if situation.household.protected_at is not None:
        return
    for link, endpoints in situation.links:
        if not situation.agrees_to("share:partner", now, recipient=str(link.partner_id)):
            continue
        for notice in told:
            for endpoint in endpoints:
                earlier = situation.events_sent(notice.id, endpoint.id)
                if not earlier % 2 and _wants(endpoint, "notice.created"):
                    body = events.notice_created(_event_content(link, notice, earlier + 1, now), at=now)
                    yield _event(situation, link, endpoint, notice, now, "notice.created", body)


def _wants(endpoint: PartnerEndpoint, event_type: str) -> bool:
    return not endpoint.event_types or event_type in endpoint.event_types


def _event_content(link: PartnerLink, notice: Notice, sequence: int, now: dt.datetime) -> events.NoticeContent:
    overview = notice.programme_key == OVERVIEW
    sensitive = notice.sensitive or overview
    return events.notice_content(
        subject_id=link.subject_id,
        notice_id=notice.id,
        programme_id=None if sensitive else notice.programme_key,
        category=notice.content.get("programme_kind", "overview") if sensitive else None,
        kind="overview" if overview else notice.kind,  # type: ignore[arg-type]  # a notice's kind is one of them
        deadline_on=notice.deadline_on,
        sequence=sequence,
        today=japan_date(now),
    )


def _event(
    situation: Situation,
    link: PartnerLink,
    endpoint: PartnerEndpoint,
    notice: Notice,
    now: dt.datetime,
    event_type: str,
    body: bytes,
) -> WebhookMessage:
    sequence = situation.events_sent(notice.id, endpoint.id) + 1
    return WebhookMessage(
        dedupe_key=f"{event_type}:{situation.household.consent_epoch}:{endpoint.id}:{notice.id}:{sequence}",
        event_id=pairwise_event_id(link.subject_id, event_type, str(notice.id), sequence),
        event_type=event_type,
        due_at=now,
        expires_at=notice.expires_at,
        gate=_gate(situation, [notice]),
        notice_ids=(notice.id,),
        partner_id=link.partner_id,
        endpoint_id=endpoint.id,
        body=body.decode(),
    )


def _gate(situation: Situation, told: Sequence[Notice]) -> Gate:
    household = situation.household
    subjects = {notice.subject for notice in told} | {
        item["subject"] for notice in told for item in notice.content.get("items") or ()
    }
    return Gate(
        household_id=household.id,
        municipality_code=household.municipality_code,
        consent_epoch=household.consent_epoch,
        programme_keys=tuple(sorted(_programmes_told(told))),
        subjects=tuple(sorted(subject for subject in subjects if ":" in subject)),
    )


def _programmes_told(told: Iterable[Notice]) -> set[str]:
    items = (item["programme_key"] for notice in told for item in notice.content.get("items") or ())
    return {notice.programme_key for notice in told if notice.programme_key != OVERVIEW} | set(items)


def _latest_use(told: Iterable[Notice]) -> dt.datetime | None:
    """Return when the whole message has lost its meaning: when its last notice has."""
    ends: list[dt.datetime] = []
    for notice in told:
        if notice.expires_at is None:
            return None
        ends.append(notice.expires_at)
    return max(ends, default=None)


def _push_log(situation: Situation, push: Message, told: Iterable[Notice], now: dt.datetime) -> PushLog:
    today = japan_date(now)
    household = situation.household
    urgent = any(notice.deadline_on and (notice.deadline_on - today).days <= _URGENT_DAYS for notice in told)
    return PushLog(
        household_id=household.id,
        municipality_code=household.municipality_code,
        day=today,
        dedupe_key=push.dedupe_key,
        exempt=urgent,
    )
