"""Rows of the registry: municipalities, programmes with their versions, parameters; drafts, changes, upkeep decisions.

What is published is readable by all roles and append-only in knowledge time: a row says what was held true from
`known_from` until `known_until` (None = still), so that any past decision can be made again. The database refuses to
alter or delete such a row. Drafts and upkeep decisions are seen only in their municipality's context.
"""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, Identity, Index, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant, optional_instant
from app.platform.identifiers import new_id

OPEN_STATES = ("draft", "in_review")
_KEY_IN_MUNICIPALITY = "starts_with(programme_key, municipality_code || '/')"


class MunicipalityRow(SQLModel, table=True):
    """A municipality (自治体), a prefecture or the nation, by its six-digit code."""

    __tablename__ = "municipalities"

    code: str = Field(primary_key=True, max_length=6)
    name: str


class ProgrammeRow(SQLModel, table=True):
    """A support programme (制度) offered by one municipality; its contents are in its versions."""

    __tablename__ = "programmes"

    key: str = Field(primary_key=True, description="municipality code / id")
    municipality_code: str = Field(foreign_key="municipalities.code", index=True)


class ProgrammeVersionRow(SQLModel, table=True):
    """One version of a programme (制度の版) as known in a span of time: the whole document, law from `valid_from`."""

    __tablename__ = "programme_versions"
    __table_args__ = (
        Index(
            "programme_versions_current",
            "programme_key",
            "valid_from",
            unique=True,
            postgresql_where=text("known_until IS NULL"),
        ),
        CheckConstraint(_KEY_IN_MUNICIPALITY, name="programme_versions_own_key"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    programme_key: str = Field(foreign_key="programmes.key", index=True)
    municipality_code: str = Field(foreign_key="municipalities.code")
    valid_from: dt.date
    valid_until: dt.date | None = None
    document: dict[str, Any] = Field(sa_type=JSONB)
    sha256: str = Field(max_length=64)
    template_sha256: str | None = Field(
        default=None, max_length=64, description="the template version it was derived from; see `following`"
    )
    kind: str = Field(description="published, changed, retired or rolled_back: what made this row")
    draft_id: uuid.UUID | None = Field(default=None, description="the approved draft; null = the registry's files")
    approver_id: uuid.UUID | None = None
    reason: str | None = None
    known_from: dt.datetime = instant()
    known_until: dt.datetime | None = optional_instant()


class ParameterRow(SQLModel, table=True):
    """A dated amount, limit or table that rules name (パラメータ), as known in a span of time."""

    __tablename__ = "parameters"
    __table_args__ = (Index("parameters_current", "name", unique=True, postgresql_where=text("known_until IS NULL")),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    name: str
    document: dict[str, Any] = Field(sa_type=JSONB)
    sha256: str = Field(max_length=64)
    kind: str = Field(description="published or changed")
    known_from: dt.datetime = instant()
    known_until: dt.datetime | None = optional_instant()


class RegistryChange(SQLModel, table=True):
    """One published change, written by a trigger wherever a version or parameter is. See `changes`."""

    __tablename__ = "registry_changes"
    __table_args__ = (Index("registry_changes_order", "transaction_id", "seq"),)

    seq: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    # pg_current_xact_id() as a number: xid8 counts on without wrapping, and a bigint needs no type of our own.
    transaction_id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger, server_default=text("(pg_current_xact_id()::text)::bigint"), nullable=False),
    )
    programme_key: str | None = None
    parameter_name: str | None = None
    valid_from: dt.date | None = None
    kind: str = Field(description="published, changed, retired or rolled_back")
    sha256: str = Field(max_length=64)
    at: dt.datetime = instant()


class ProgrammeDraft(SQLModel, table=True):
    """A version being written (下書き), or an end or roll-back waiting for a second person."""

    __tablename__ = "programme_drafts"
    __table_args__ = (
        Index(
            "programme_drafts_open",
            "programme_key",
            "valid_from",
            unique=True,
            postgresql_where=text("state IN ('draft', 'in_review')"),
        ),
        CheckConstraint(_KEY_IN_MUNICIPALITY, name="programme_drafts_own_key"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    programme_key: str
    municipality_code: str = Field(max_length=6, index=True)
    valid_from: dt.date
    kind: str = Field(default="version", description="version, retirement or roll_back")
    state: str = Field(default="draft", description="draft, in_review, published or withdrawn")
    document: dict[str, Any] = Field(sa_type=JSONB)
    sha256: str = Field(max_length=64)
    ends_on: dt.date | None = Field(default=None, description="retirement: the programme's last day")
    template_sha256: str | None = Field(default=None, max_length=64, description="the template it was derived from")
    revision: int = 1
    author_ids: list[uuid.UUID] = Field(
        default_factory=list, sa_type=ARRAY(Uuid), description="written by a trigger, from the account in context"
    )
    approver_id: uuid.UUID | None = None
    comment: str | None = None
    created_at: dt.datetime = instant()
    changed_at: dt.datetime = instant()
    decided_at: dt.datetime | None = optional_instant()


class ProgrammeDraftRevision(SQLModel, table=True):
    """A revision of a draft that a later one replaced (append-only), to say what changed and by whom."""

    __tablename__ = "programme_draft_revisions"

    draft_id: uuid.UUID = Field(foreign_key="programme_drafts.id", primary_key=True, ondelete="CASCADE")
    revision: int = Field(primary_key=True)
    municipality_code: str = Field(max_length=6)
    document: dict[str, Any] = Field(sa_type=JSONB)
    replaced_by: uuid.UUID | None = None
    replaced_at: dt.datetime = instant()


class UpkeepDecision(SQLModel, table=True):
    """What staff decided about something that ends or is due for checking (年度更新); the latest row counts."""

    __tablename__ = "upkeep_decisions"
    __table_args__ = (Index("upkeep_decisions_subject", "municipality_code", "subject", "due_on"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6)
    subject: str = Field(description="programme key, or parameter:NAME")
    due_on: dt.date
    decision: str = Field(description="continue, change, end or waiting")
    note: str | None = None
    decided_by: uuid.UUID | None = None
    decided_at: dt.datetime = instant()
