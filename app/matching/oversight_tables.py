"""Rows of what watches over matching: reach previews, campaigns, audits, heartbeats.

Each is two tables: what staff may see (states, and figures already rounded), and the counts themselves, which only the
worker reads, because the web role must not be able to count families.
"""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id


class ReachRequest(SQLModel, table=True):
    """What staff ask about a draft: whom would it reach? And the answer, in figures that people may see."""

    __tablename__ = "reach_requests"
    __table_args__ = (
        CheckConstraint("state IN ('asked', 'counted', 'failed')", name="reach_requests_state"),
        Index("reach_requests_asked", "asked_at", postgresql_where=text("state = 'asked'")),
        Index("reach_requests_draft", "draft_id", "asked_at"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6, description="whose draft it is")
    programme_key: str
    draft_id: uuid.UUID
    sha256: str = Field(max_length=64, description="of the draft's contents when it was asked")
    template_sha256: str | None = Field(default=None, max_length=64)
    document: dict[str, Any] = Field(sa_type=JSONB, description="those contents")
    ends_on: dt.date | None = Field(default=None, description="the programme's last day, where its end is asked for")
    looked_at_on: dt.date = Field(description="the day that is compared")
    asked_by: uuid.UUID
    asked_at: dt.datetime = instant()
    state: str = Field(default=None, nullable=False, sa_column_kwargs={"server_default": "asked"})
    problem: str | None = Field(default=None, description="why it could not be counted")
    published_sha256: str | None = Field(default=None, max_length=64, description="of the contents as published")
    figures: list[dict[str, Any]] | None = Field(default=None, sa_type=JSONB, description="one for each municipality")
    counted_at: dt.datetime | None = optional_instant()


class ReachCount(SQLModel, table=True):
    """The households of one municipality, counted for one request as far as `last_household_id`."""

    __tablename__ = "reach_counts"

    request_id: uuid.UUID = Field(foreign_key="reach_requests.id", primary_key=True, ondelete="CASCADE")
    municipality_code: str = Field(primary_key=True, max_length=6)
    households: int = 0
    gains: int = 0
    loses: int = 0
    stays: int = 0
    becomes_open: int = 0
    closes: int = 0
    gets_more: int = 0
    gets_less: int = 0
    last_household_id: uuid.UUID | None = None
    finished_at: dt.datetime | None = optional_instant()


class Campaign(SQLModel, table=True):
    """What one publication of one programme may send: held while it is counted, or until somebody has decided."""

    __tablename__ = "campaigns"
    __table_args__ = (
        CheckConstraint(
            "state IN ('counting', 'canary', 'paused', 'approved', 'rejected', 'open', 'superseded')",
            name="campaigns_state",
        ),
        Index(
            "campaigns_holding",
            "programme_key",
            unique=True,
            postgresql_where=text("state IN ('counting', 'canary', 'paused', 'approved', 'rejected')"),
        ),
        Index("campaigns_sweep", "sweep_id"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    sweep_id: uuid.UUID
    programme_key: str
    municipality_code: str = Field(max_length=6, description="whose programme it is")
    state: str = "counting"
    question: str | None = Field(default=None, description="why it is paused: size, no_preview, earlier or canary")
    follows: str | None = Field(default=None, description="state of the campaign whose place it took, if that held")
    looked_at_on: dt.date = Field(description="the day on which gains and losses are counted")
    request_id: uuid.UUID | None = Field(default=None, foreign_key="reach_requests.id", ondelete="SET NULL")
    figures: dict[str, Any] | None = Field(default=None, sa_type=JSONB, description="expected and found, as shown")
    canary_share: float | None = None
    canary_began_at: dt.datetime | None = optional_instant()
    begun_at: dt.datetime = instant()
    counted_at: dt.datetime | None = optional_instant()
    opened_at: dt.datetime | None = optional_instant()
    decided_by: str | None = Field(default=None, description="staff:<id>, or the operator by name")
    decided_at: dt.datetime | None = optional_instant()
    comment: str | None = None


class CampaignCount(SQLModel, table=True):
    """How many households of one municipality gained, lost or kept something else by a campaign's sweep."""

    __tablename__ = "campaign_counts"

    campaign_id: uuid.UUID = Field(foreign_key="campaigns.id", primary_key=True, ondelete="CASCADE")
    municipality_code: str = Field(primary_key=True, max_length=6)
    gains: int = 0
    loses: int = 0
    changes: int = 0


class Audit(SQLModel, table=True):
    """One audit of one municipality: everybody evaluated anew and compared with the stored rows."""

    __tablename__ = "audits"
    __table_args__ = (
        Index("audits_unfinished", "municipality_code", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6)
    started_at: dt.datetime = instant()
    finished_at: dt.datetime | None = optional_instant()
    is_clean: bool | None = Field(default=None, description="no difference found; null until it has finished")


class AuditCount(SQLModel, table=True):
    """How far an audit has come, and what it found."""

    __tablename__ = "audit_counts"

    audit_id: uuid.UUID = Field(foreign_key="audits.id", primary_key=True, ondelete="CASCADE")
    households: int = 0
    skipped: int = Field(default=0, description="with a change that was still to be evaluated")
    differences: int = 0
    last_household_id: uuid.UUID | None = None


class AuditDifference(SQLModel, table=True):
    """One stored row that a full evaluation does not say, or says otherwise."""

    __tablename__ = "audit_differences"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    audit_id: uuid.UUID = Field(foreign_key="audits.id", index=True, ondelete="CASCADE")
    household_id: uuid.UUID = Field(foreign_key="households.id", ondelete="CASCADE")
    programme_key: str
    subject: str
    kind: str = Field(description="missing, too many or different")
    fields: list[str] = Field(sa_type=JSONB, description="names of the fields that differ")
    found_at: dt.datetime = recorded_instant()


class Heartbeat(SQLModel, table=True):
    """When a piece of scheduled work was last done to its end, by real time."""

    __tablename__ = "heartbeats"

    name: str = Field(primary_key=True)
    done_at: dt.datetime = instant()
