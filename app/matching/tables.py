"""Rows of matching: entitlements as periods, and the runs that made them."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

import app.matching.oversight_tables  # noqa: F401 - who loads the room's tables loads all of them
from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id


class Entitlement(SQLModel, table=True):
    """A right over a period, or one open question whether there is one.

    `announced_at` is set when notices were planned for the row; the nightly job reads only the index on
    `announce_on` of rows not yet announced.
    """

    __tablename__ = "entitlements"
    __table_args__ = (
        UniqueConstraint("household_id", "programme_key", "subject", "valid_from", name="entitlements_period"),
        Index("entitlements_due", "announce_on", postgresql_where=text("announced_at IS NULL")),
        Index("entitlements_programme", "programme_key", "municipality_code"),
        Index("entitlements_review", "review_on", postgresql_where=text("review_on IS NOT NULL")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    programme_key: str
    programme_version: dt.date
    subject: str
    verdict: str = Field(description="eligible or undetermined")
    valid_from: dt.date
    valid_until: dt.date | None = None
    announce_on: dt.date
    deadline_on: dt.date | None = Field(default=None, description="the office day")
    review_on: dt.date | None = Field(default=None, description="evaluate this household again on that day")
    answer: dict[str, Any] = Field(sa_type=JSONB, description="amount, steps, counted_on, pays_from, missing, reason …")
    evaluated_at: dt.datetime = recorded_instant()
    announced_at: dt.datetime | None = optional_instant()


class EvaluationRun(SQLModel, table=True):
    """One evaluation: what asked for it and how many households it looked at. The proof that nights evaluate nobody."""

    __tablename__ = "evaluation_runs"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6)
    programme_key: str | None = Field(default=None, description="null = all programmes of the households")
    reason: str
    households: int
    entitlements_added: int = 0
    entitlements_changed: int = 0
    entitlements_removed: int = 0
    started_at: dt.datetime = instant()
    finished_at: dt.datetime = instant()
