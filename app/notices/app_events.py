"""Events for linked apps: one for each notice and endpoint, thin, never digested, only what the family shares. Pure.

An app knows a notice by the name of the first of its kind: a correction is `notice.updated` of the notice it corrects,
and `sequence` rises with every event about it.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.delivery.outbox import Gate, WebhookMessage
from app.notices import information, moving
from app.notices.rows import OVERVIEW, is_ending
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.partners import events
from app.partners.links import pairwise_event_id
from app.partners.tables import PartnerEndpoint, PartnerLink
from app.platform.clock import japan_date

CREATED, UPDATED, CANCELLED, EXPIRED = "notice.created", "notice.updated", "notice.cancelled", "notice.expired"


def told_events(situation: Situation, told: Sequence[Notice], now: dt.datetime) -> Iterable[WebhookMessage]:
    """Yield `notice.created`, or `notice.updated` of what it corrects, for every endpoint the family shares with."""
    if situation.household.protected_at is not None:
        return
    for link, endpoints in situation.links:
        if not situation.agrees_to("share:partner", now, recipient=str(link.partner_id)):
            continue
        for notice in told:
            if is_ending(notice) or information.keeps_quiet(situation, notice):
                continue  # apps heard notice.cancelled, or are not to
            first = situation.first_told_as(notice)
            for endpoint in endpoints:
                known = situation.is_known_to(first.id, endpoint.id)
                if known and notice is first:
                    continue
                event_type = UPDATED if known else CREATED
                if _wants(endpoint, event_type):
                    yield _told(situation, link, endpoint, notice, now, event_type)


def ended_events(
    situation: Situation, ended: Iterable[Notice], now: dt.datetime, event_type: str = CANCELLED
) -> Iterable[WebhookMessage]:
    """Yield `notice.cancelled` or `notice.expired` for every endpoint that shows a notice which has ended."""
    notices = [situation.first_told_as(notice) for notice in ended]
    for link, endpoints in situation.links:
        for notice in notices:
            for endpoint in endpoints:
                if situation.is_known_to(notice.id, endpoint.id) and _wants(endpoint, event_type):
                    sequence = _sequence(situation, notice, endpoint)
                    write = events.notice_expired if event_type == EXPIRED else events.notice_cancelled
                    body = write(subject_id=link.subject_id, notice_id=notice.id, sequence=sequence, at=now)
                    # It is worth telling however late it comes: the notice stands on a screen until then.
                    yield _event(situation, link, endpoint, [notice], now, event_type, body, expires_at=None)


def gate_of(situation: Situation, told: Iterable[Notice]) -> Gate:
    """Return what must still hold of the household when a message about these notices goes out."""
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


def _told(
    situation: Situation,
    link: PartnerLink,
    endpoint: PartnerEndpoint,
    notice: Notice,
    now: dt.datetime,
    event_type: str,
) -> WebhookMessage:
    first = situation.first_told_as(notice)
    content = _content(link, first, notice, _sequence(situation, first, endpoint), now)
    write = events.notice_updated if event_type == UPDATED else events.notice_created
    named = [first] if first is notice else [first, notice]
    return _event(
        situation, link, endpoint, named, now, event_type, write(content, at=now), expires_at=notice.expires_at
    )


def _wants(endpoint: PartnerEndpoint, event_type: str) -> bool:
    return not endpoint.event_types or event_type in endpoint.event_types


def _sequence(situation: Situation, first: Notice, endpoint: PartnerEndpoint) -> int:
    return len(situation.events_to(first.id, endpoint.id)) + 1


def _content(link: PartnerLink, first: Notice, notice: Notice, sequence: int, now: dt.datetime) -> events.NoticeContent:
    overview = notice.programme_key == OVERVIEW
    nameless = notice.programme_key == information.BULLETIN or notice.content.get("programme_sensitive")
    sensitive = notice.sensitive or overview or notice.kind == moving.MOVED or nameless
    return events.notice_content(
        subject_id=link.subject_id,
        notice_id=first.id,
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
    named: Sequence[Notice],
    now: dt.datetime,
    event_type: str,
    body: bytes,
    *,
    expires_at: dt.datetime | None,
) -> WebhookMessage:
    first = named[0]
    sequence = _sequence(situation, first, endpoint)
    gate = gate_of(situation, named[-1:])
    if event_type in (CANCELLED, EXPIRED):
        # An end tells nothing of a person: it comes even when every message about that person has ended.
        gate = replace(gate, subjects=())
    return WebhookMessage(
        dedupe_key=f"{event_type}:{situation.household.consent_epoch}:{endpoint.id}:{first.id}:{sequence}",
        event_id=pairwise_event_id(link.subject_id, event_type, str(first.id), sequence),
        event_type=event_type,
        due_at=now,
        expires_at=expires_at,
        gate=gate,
        notice_ids=tuple(notice.id for notice in named),
        partner_id=link.partner_id,
        endpoint_id=endpoint.id,
        body=body.decode(),
    )
