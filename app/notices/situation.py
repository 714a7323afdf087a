"""Everything planning and release need to know of many households, read in a few queries.

Read in a municipality's context. Planning and release themselves are pure functions of a `Situation`.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import select as select_columns
from sqlmodel import Session, SQLModel, col, or_, select

from app.delivery import channel_health
from app.delivery.outbox import Lane
from app.delivery.tables import Delivery
from app.households.consent import is_given, taken_back_at
from app.households.contacts import usable_contacts_of
from app.households.outcomes import CLOSING
from app.households.tables import Consent, ContactPoint, Household, HouseholdDocument, Move, Outcome
from app.matching.tables import Entitlement
from app.notices.holding import Holds
from app.notices.tables import Notice, PushLog
from app.partners.tables import PartnerEndpoint, PartnerLink
from app.platform.change_queue import MATCHING, Change
from app.platform.clock import real_now

CAN_BE_CALLED_BACK = ("scheduled", "retrying")
OF_MOURNING = ("household.single_parent", "household.child_support_agreed", "household.divorced_since_april_2026")
"""Facts that no message asks a family for in which a guardian died."""
"""States of a delivery that has not gone out yet."""

Row = TypeVar("Row", bound=SQLModel)


@dataclass(slots=True)
class Situation:
    """One household at one instant."""

    household: Household
    document: dict[str, Any]
    entitlements: list[Entitlement] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    taken_back: dict[str, dt.datetime] = field(default_factory=dict)
    """Categories of facts that the family opened to matching and closed again, each with since when."""
    contacts: list[ContactPoint] = field(default_factory=list)
    links: list[tuple[PartnerLink, list[PartnerEndpoint]]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    pushes: list[PushLog] = field(default_factory=list)
    pushed: set[uuid.UUID] = field(default_factory=set)
    """Notices of which a personal message went out or is on its way."""
    lost: set[tuple[uuid.UUID | None, uuid.UUID]] = field(default_factory=set)
    """(contact, notice) of LINE pushes that were given up: perhaps one arrived, so no second one goes there."""
    events: dict[tuple[uuid.UUID, uuid.UUID], list[str]] = field(default_factory=dict)
    """Types of the events that went out or are on their way, oldest first, by (notice, endpoint)."""
    waiting: set[uuid.UUID] = field(default_factory=set)
    """Notices with a message that has not gone out yet and may still be called back."""
    held: frozenset[str] = frozenset()
    """Programmes that this household is not told of now, nor is anything taken back; see `app.notices.holding`."""
    halted: frozenset[str] = frozenset()
    """Of these, what an operator halted."""
    held_by_campaign: frozenset[str] = frozenset()
    """Of these, what a campaign alone holds: a day that comes near of what was told before it is still told."""
    reserved: frozenset[str] = frozenset()
    """Kinds of contacts whose month allows only what is urgent."""
    used_up: frozenset[str] = frozenset()
    """Kinds of contacts whose month allows nothing more."""
    is_changing: bool = False
    """Whether an evaluation is still to come: nothing is released that it might overturn."""

    def agrees_to(self, purpose: str, now: dt.datetime, recipient: str | None = None) -> bool:
        """Whether the household said yes to a purpose, for one recipient or for any."""
        return any(
            row.purpose == purpose and (recipient is None or row.recipient == recipient) and is_given(row, now)
            for row in self.consents
        )

    def has_room(self, kind: str, *, urgent: bool) -> bool:
        """Whether a push may go by a kind of contact this month; who has no other one waits for the next month."""
        return kind not in (self.used_up if urgent else self.reserved | self.used_up)

    def is_closed(self, programme_key: str, subject: str) -> bool:
        """Whether the family said that a support is done or not for them."""
        return any(
            (row.programme_key, row.subject) == (programme_key, subject) and row.outcome in CLOSING
            for row in self.outcomes
        )

    def was_pushed(self, notice_id: uuid.UUID) -> bool:
        """Whether a personal message about a notice went out or is on its way."""
        return notice_id in self.pushed

    def events_to(self, notice_id: uuid.UUID, endpoint_id: uuid.UUID) -> Sequence[str]:
        """Return the types of the events that an endpoint got about a notice, oldest first."""
        return self.events.get((notice_id, endpoint_id), ())

    def is_known_to(self, notice_id: uuid.UUID, endpoint_id: uuid.UUID) -> bool:
        """Whether an app shows a notice: the last that it heard is that there is one."""
        return self.events_to(notice_id, endpoint_id)[-1:] in (["notice.created"], ["notice.updated"])

    def first_told_as(self, notice: Notice) -> Notice:
        """Return the notice that a correction corrects in the end: apps know it by that one's name."""
        before = {other.superseded_by: other for other in self.notices if other.superseded_by is not None}
        while notice.id in before:
            notice = before[notice.id]
        return notice

    def refuses(self, category: str) -> bool:
        """Whether the family was asked for a category of facts and said no, or took its yes back."""
        return any(
            row.purpose == f"matching:{category}" and row.state in ("refused", "withdrawn") for row in self.consents
        )

    def is_stopped(self, subject: str) -> bool:
        """Whether every push about this person has ended."""
        return subject in self.household.stopped_subjects

    def mourns(self) -> bool:
        """Whether a guardian of the family died."""
        return any(subject.startswith("guardian:") for subject in self.household.stopped_subjects)

    def is_open_in_mourning(self, row: Entitlement) -> bool:
        """Whether a right waits for an answer that no message asks for: it stands on the family's own pages."""
        return self.mourns() and any(missing["fact"] in OF_MOURNING for missing in row.answer.get("missing", ()))


def read_situations(session: Session, household_ids: Collection[uuid.UUID], holds: Holds) -> list[Situation]:
    """Read the situations of households of one municipality, in the order of their ids, and lock their gates.

    The lock makes a withdrawal or another planner of the same household come before or after, never in between.
    """
    ids = sorted(household_ids)
    households = session.exec(
        select(Household).where(col(Household.id).in_(ids)).order_by(col(Household.id)).with_for_update(key_share=True)
    ).all()
    documents = {row.household_id: row.document for row in _rows(session, HouseholdDocument, ids)}
    entitlements = _by_household(session, Entitlement, ids)
    consents = _by_household(session, Consent, ids)
    taken_back = taken_back_at(session, [row for rows in consents.values() for row in rows])
    contacts = _by_household(session, ContactPoint, ids)
    outcomes = _by_household(session, Outcome, ids)
    moves = _by_household(session, Move, ids)
    notices = _by_household(session, Notice, ids)
    pushes = _by_household(session, PushLog, ids)
    links = _links(session, ids)
    messages = _messages(session, ids)
    changing = set(
        session.exec(select(Change.household_id).where(col(Change.household_id).in_(ids), Change.reader == MATCHING))
    )
    reserved, used_up = channel_health.short_of_quota(session, real_now())
    situations = [
        Situation(
            household=household,
            document=documents.get(household.id, {}),
            entitlements=entitlements[household.id],
            consents=consents[household.id],
            taken_back=taken_back.get(household.id, {}),
            contacts=usable_contacts_of(household, contacts[household.id]),
            links=links[household.id],
            outcomes=[row for row in outcomes[household.id] if row.undone_at is None],
            moves=moves[household.id],
            notices=notices[household.id],
            pushes=pushes[household.id],
            held=holds.of(household.id),
            halted=holds.halted,
            held_by_campaign=holds.by_campaign_alone(household.id),
            reserved=reserved,
            used_up=used_up,
            is_changing=household.id in changing,
        )
        for household in households
    ]
    for situation in situations:
        _know_messages(situation, messages[situation.household.id])
    return situations


def read_messages_again(session: Session, situation: Situation) -> None:
    """Bring what a situation knows of messages up to date after some were called back."""
    household_id = situation.household.id
    situation.pushes = list(_rows(session, PushLog, [household_id]))
    _know_messages(situation, _messages(session, [household_id])[household_id])


def _rows(session: Session, table: type[Row], ids: Sequence[uuid.UUID]) -> Sequence[Row]:
    owner = table.__table__.c.household_id  # type: ignore[attr-defined]
    order = [column for column in table.__table__.primary_key]  # type: ignore[attr-defined]
    return session.exec(select(table).where(owner.in_(ids)).order_by(*order)).all()


def _by_household(session: Session, table: type[Row], ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Row]]:
    grouped: dict[uuid.UUID, list[Row]] = defaultdict(list)
    for row in _rows(session, table, ids):
        grouped[row.household_id].append(row)  # type: ignore[attr-defined]
    return grouped


@dataclass(frozen=True, slots=True)
class _Sent:
    """What planning knows of one message that was not called back."""

    dedupe_key: str
    notice_ids: Sequence[uuid.UUID]
    endpoint_id: uuid.UUID | None
    contact_point_id: uuid.UUID | None
    event_type: str
    state: str


def _know_messages(situation: Situation, messages: Sequence[_Sent]) -> None:
    live_keys = {message.dedupe_key for message in messages if message.state != "failed" or message.endpoint_id}
    # One that was called back and told again has two rows of one key, and was one message.
    counted = {row.dedupe_key: row for row in situation.pushes if row.dedupe_key in live_keys}
    situation.pushes = list(counted.values())
    situation.pushed, situation.events, situation.waiting = set(), {}, set()
    situation.lost = set()
    for message in messages:
        if message.state == "failed" and message.endpoint_id is None:
            situation.lost.update((message.contact_point_id, notice_id) for notice_id in message.notice_ids)
            continue
        if message.state in CAN_BE_CALLED_BACK:
            situation.waiting.update(message.notice_ids)
        if message.endpoint_id is None:
            situation.pushed.update(message.notice_ids)
            continue
        for notice_id in message.notice_ids:
            situation.events.setdefault((notice_id, message.endpoint_id), []).append(message.event_type)


def _messages(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[_Sent]]:
    """Return, by household, what went out or is on its way, oldest first; never the sealed contents."""
    whose = (Delivery.household_id, Delivery.dedupe_key, Delivery.notice_ids)
    columns = (*whose, Delivery.endpoint_id, Delivery.contact_point_id)
    statement = (
        select_columns(*columns, Delivery.event_type, Delivery.state)  # type: ignore[call-overload]  # columns, not rows
        .where(
            col(Delivery.household_id).in_(ids),
            col(Delivery.lane) != Lane.TRANSACTIONAL,
            col(Delivery.state) != "cancelled",
            # A push that its address refused for good reached nobody; the next channel may carry it. Of one that was
            # given up on LINE, nobody knows.
            or_(col(Delivery.lane) != Lane.NOTICE, col(Delivery.state) != "failed", Delivery.channel == "line"),
        )
        .order_by(col(Delivery.id))
    )
    sent: dict[uuid.UUID, list[_Sent]] = defaultdict(list)
    for household_id, *message in session.execute(statement):
        sent[household_id].append(_Sent(*message))
    return sent


def _links(
    session: Session, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[tuple[PartnerLink, list[PartnerEndpoint]]]]:
    endpoints: dict[uuid.UUID, list[PartnerEndpoint]] = defaultdict(list)
    for endpoint in session.exec(select(PartnerEndpoint).where(col(PartnerEndpoint.disabled_at).is_(None))):
        endpoints[endpoint.partner_id].append(endpoint)
    grouped: dict[uuid.UUID, list[tuple[PartnerLink, list[PartnerEndpoint]]]] = defaultdict(list)
    for link in _rows(session, PartnerLink, ids):
        if link.revoked_at is None:
            grouped[link.household_id].append((link, endpoints[link.partner_id]))
    return grouped
