"""Rows of a household. All but the gate row itself are visible only in the household's or its municipality's context.

The `households` row is the gate that every send passes: municipality, consent epoch, protection and stopped subjects.
It holds no fact about anybody, so the worker may see all of them.
"""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id

UNKNOWN_MUNICIPALITY = "000000"


class Household(SQLModel, table=True):
    """The gate of one household (世帯)."""

    __tablename__ = "households"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6, index=True, description="000000 while unknown")
    consent_epoch: int = Field(default=0, description="raised by each withdrawal and stop; older work may not go out")
    protected_at: dt.datetime | None = optional_instant()
    stopped_subjects: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))  # type: ignore[call-overload]
    example_name: str | None = Field(default=None, unique=True, description="named example household (demo only)")
    created_at: dt.datetime = recorded_instant()


class HouseholdFact(SQLModel, table=True):
    """One fact as it was told (append-only): an attribute of a person or the household with value, source and date."""

    __tablename__ = "household_facts"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    subject: str = Field(description="household, guardian:g1, child:c1, pregnancy:p1 …")
    path: str = Field(description="path in the catalogue of facts, such as child.birth_date")
    value: Any = Field(default=None, sa_type=JSONB, nullable=True, description='null = taken back; "declined" = asked')
    valid_from: dt.date | None = None
    source: str = Field(description="parent, example, import …")
    recorded_by: str
    recorded_at: dt.datetime = recorded_instant()


class HouseholdDocument(SQLModel, table=True):
    """The household document as it stands: what the matcher reads."""

    __tablename__ = "household_documents"
    __table_args__ = (Index("household_documents_in_order", "municipality_code", "household_id"),)

    household_id: uuid.UUID = Field(foreign_key="households.id", primary_key=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6, index=True)
    document: dict[str, Any] = Field(sa_type=JSONB)
    version: int = 1
    updated_at: dt.datetime = recorded_instant()


class Consent(SQLModel, table=True):
    """One consent (同意): purpose, recipient, items and the text that was shown (fields of ISO/IEC TS 27560)."""

    __tablename__ = "consents"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    purpose: str
    recipient: str = Field(description="todoke, or the id of one partner")
    items: list[str] = Field(default_factory=list, sa_type=JSONB)
    text_version: str
    text_language: str
    text_sha256: str = Field(max_length=64)
    source: str
    given_by: str
    on_behalf_of: list[str] = Field(default_factory=list, sa_type=JSONB)
    state: str = Field(description="requested, deferred, given, refused, withdrawn, expired, invalidated")
    starts_at: dt.datetime = instant()
    expires_at: dt.datetime | None = optional_instant()
    withdrawal: str = Field(description="path of the page on which it is withdrawn")


class ConsentEvent(SQLModel, table=True):
    """One step in a consent's life (append-only)."""

    __tablename__ = "consent_events"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    consent_id: uuid.UUID = Field(foreign_key="consents.id", index=True, ondelete="CASCADE")
    household_id: uuid.UUID = Field(foreign_key="households.id", ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    state: str
    by: str
    via: str
    at: dt.datetime = instant()


class ContactPoint(SQLModel, table=True):
    """An address that one guardian gave: e-mail or LINE-style user id, sealed."""

    __tablename__ = "contact_points"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    guardian: str
    kind: str = Field(description="email or line")
    address_sealed: bytes
    address_index: bytes = Field(index=True)
    preference: int = Field(default=0, description="lower is tried first")
    confirmed_at: dt.datetime | None = optional_instant()
    suspended_at: dt.datetime | None = optional_instant()
    suspended_reason: str | None = None
    created_at: dt.datetime = recorded_instant()


class ContactConfirmation(SQLModel, table=True):
    """A code sent to a contact point: single use, ten minutes, bound to the browser that asked."""

    __tablename__ = "contact_confirmations"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    contact_point_id: uuid.UUID = Field(foreign_key="contact_points.id", index=True, ondelete="CASCADE")
    household_id: uuid.UUID = Field(foreign_key="households.id", ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    code_digest: bytes
    browser_digest: bytes
    attempts_left: int = 5
    expires_at: dt.datetime = instant()
    used_at: dt.datetime | None = optional_instant()


class ProtectionEvent(SQLModel, table=True):
    """A protection measure (支援措置) raised or cleared (append-only)."""

    __tablename__ = "protection_events"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    change: str = Field(description="raised or cleared")
    by: str
    second_person: str | None = None
    reason: str | None = None
    at: dt.datetime = instant()


class PersonStop(SQLModel, table=True):
    """Every push about one person ends (death, stillbirth, miscarriage); append-only."""

    __tablename__ = "person_stops"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    subject: str
    reason: str
    by: str
    at: dt.datetime = instant()


class Move(SQLModel, table=True):
    """A move from one municipality to another, of the household or of one person, told before or after its day."""

    __tablename__ = "moves"
    __table_args__ = (Index("moves_announced", "moved_on", postgresql_where=text("state = 'announced'")),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6, description="of the household now, as in every row of it")
    subject: str = Field(default="household", description="household, or the one person who moved: child:c1")
    from_code: str = Field(max_length=6)
    to_code: str = Field(max_length=6)
    moved_on: dt.date = Field(description="the first day in the new town")
    planned_move_out_on: dt.date | None = Field(default=None, description="転出予定日, as declared in the old town")
    state: str = Field(description="announced, done, superseded or undone")
    rights_before: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=JSONB, description="the stored rights of the day before it took effect"
    )
    residence_before: list[dict[str, Any]] | None = Field(default=None, sa_type=JSONB, nullable=True)
    by: str
    recorded_at: dt.datetime = instant()
    carried_out_at: dt.datetime | None = optional_instant()
    closed_at: dt.datetime | None = optional_instant()


class Outcome(SQLModel, table=True):
    """What the family says became of a support, such as applied or told not eligible."""

    __tablename__ = "outcomes"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    programme_key: str
    subject: str
    outcome: str
    reason: str | None = None
    by: str
    at: dt.datetime = instant()
    undone_at: dt.datetime | None = optional_instant()


class LineLinkToken(SQLModel, table=True):
    """A link token that was asked of the LINE-style platform for one of its users; nobody's household is known yet."""

    __tablename__ = "line_link_tokens"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    digest: bytes = Field(unique=True)
    user_index: bytes = Field(description="blind index of the user it was issued for")
    expires_at: dt.datetime = instant()


class LineNonce(SQLModel, table=True):
    """A signed-in guardian on the way to linking: single use, ten minutes, one for each link token."""

    __tablename__ = "line_nonces"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    digest: bytes = Field(unique=True)
    link_token_digest: bytes = Field(unique=True)
    user_index: bytes
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    guardian: str
    session_id: uuid.UUID = Field(description="the session in which it was made")
    made_at: dt.datetime = instant()
    expires_at: dt.datetime = instant()
    used_at: dt.datetime | None = optional_instant()
