"""Everything planning and release need to know of many households, read in a few queries.

Read in a municipality's context. Planning and release themselves are pure functions of a `Situation`.
"""

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlmodel import Session, SQLModel, col, or_, select

from app.delivery.outbox import Lane
from app.delivery.tables import Delivery
from app.households.consent import is_given
from app.households.contacts import usable_contacts_of
from app.households.outcomes import CLOSING
from app.households.tables import Consent, ContactPoint, Household, HouseholdDocument, Outcome
from app.matching.tables import Entitlement
from app.notices.holding import Holds
from app.notices.tables import Notice, PushLog
from app.partners.tables import PartnerEndpoint, PartnerLink
from app.platform.change_queue import MATCHING, Change

PUSH = "push"
"""The one personal message of a day, by e-mail or LINE, as opposed to an event for an app's endpoint."""

Row = TypeVar("Row", bound=SQLModel)


@dataclass(slots=True)
class Situation:
    """One household at one instant."""

    household: Household
    document: dict[str, Any]
    entitlements: list[Entitlement] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    contacts: list[ContactPoint] = field(default_factory=list)
    links: list[tuple[PartnerLink, list[PartnerEndpoint]]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    pushes: list[PushLog] = field(default_factory=list)
    sent: Counter[tuple[uuid.UUID, str]] = field(default_factory=Counter)
    """How many messages went out or are on their way, by (notice, "push" or endpoint id)."""
    held: frozenset[str] = frozenset()
    """Programmes that this household is not told of now; see `app.notices.holding`."""
    is_changing: bool = False
    """Whether an evaluation is still to come: nothing is released that it might overturn."""

    def agrees_to(self, purpose: str, now: dt.datetime, recipient: str | None = None) -> bool:
        """Whether the household said yes to a purpose, for one recipient or for any."""
        return any(
            row.purpose == purpose and (recipient is None or row.recipient == recipient) and is_given(row, now)
            for row in self.consents
        )

    def is_closed(self, programme_key: str, subject: str) -> bool:
        """Whether the family said that a support is done or not for them."""
        return any(
            (row.programme_key, row.subject) == (programme_key, subject) and row.outcome in CLOSING
            for row in self.outcomes
        )

    def was_pushed(self, notice_id: uuid.UUID) -> bool:
        """Whether a personal message about a notice went out or is on its way."""
        return self.sent[notice_id, PUSH] > 0

    def events_sent(self, notice_id: uuid.UUID, endpoint_id: uuid.UUID) -> int:
        """How many events an endpoint got about a notice: created, cancelled, created again … so odd means it knows."""
        return self.sent[notice_id, str(endpoint_id)]

    def refuses(self, category: str) -> bool:
        """Whether the family was asked for a category of facts and said no, or took its yes back."""
        return any(
            row.purpose == f"matching:{category}" and row.state in ("refused", "withdrawn") for row in self.consents
        )

    def is_stopped(self, subject: str) -> bool:
        """Whether every push about this person has ended."""
        return subject in self.household.stopped_subjects


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
    contacts = _by_household(session, ContactPoint, ids)
    outcomes = _by_household(session, Outcome, ids)
    notices = _by_household(session, Notice, ids)
    pushes = _by_household(session, PushLog, ids)
    links = _links(session, ids)
    sent, live_keys = _messages(session, ids)
    changing = set(
        session.exec(select(Change.household_id).where(col(Change.household_id).in_(ids), Change.reader == MATCHING))
    )
    return [
        Situation(
            household=household,
            document=documents.get(household.id, {}),
            entitlements=entitlements[household.id],
            consents=consents[household.id],
            contacts=usable_contacts_of(household, contacts[household.id]),
            links=links[household.id],
            outcomes=[row for row in outcomes[household.id] if row.undone_at is None],
            notices=notices[household.id],
            pushes=[row for row in pushes[household.id] if row.dedupe_key in live_keys],
            sent=sent[household.id],
            held=holds.of(household.id),
            is_changing=household.id in changing,
        )
        for household in households
    ]


def _rows(session: Session, table: type[Row], ids: Sequence[uuid.UUID]) -> Sequence[Row]:
    owner = table.__table__.c.household_id  # type: ignore[attr-defined]
    order = [column for column in table.__table__.primary_key]  # type: ignore[attr-defined]
    return session.exec(select(table).where(owner.in_(ids)).order_by(*order)).all()


def _by_household(session: Session, table: type[Row], ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Row]]:
    grouped: dict[uuid.UUID, list[Row]] = defaultdict(list)
    for row in _rows(session, table, ids):
        grouped[row.household_id].append(row)  # type: ignore[attr-defined]
    return grouped


def _messages(
    session: Session, ids: Sequence[uuid.UUID]
) -> tuple[dict[uuid.UUID, Counter[tuple[uuid.UUID, str]]], set[str]]:
    """Return, by household, what went out or is on its way, and the keys of all those messages."""
    sent: dict[uuid.UUID, Counter[tuple[uuid.UUID, str]]] = defaultdict(Counter)
    keys = set()
    statement = select(Delivery).where(
        col(Delivery.household_id).in_(ids),
        Delivery.lane != Lane.TRANSACTIONAL,
        Delivery.state != "cancelled",
        # A push that its address refused for good reached nobody; the next channel may carry it.
        or_(Delivery.lane != Lane.NOTICE, Delivery.state != "failed"),
    )
    for row in session.exec(statement):
        keys.add(row.dedupe_key)
        if row.household_id is not None:
            sent[row.household_id].update((notice_id, str(row.endpoint_id or PUSH)) for notice_id in row.notice_ids)
    return sent, keys


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
