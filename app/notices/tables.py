"""Rows of notices: one thing to tell one household, and the text as it was sent."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id


class Notice(SQLModel, table=True):
    """One notice. Its key (household, programme, subject, kind, occasion) exists once, whatever is retried or swept."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("household_id", "programme_key", "subject", "kind", "occasion", name="notices_key"),
        Index("notices_due", "release_at", postgresql_where=text("state = 'planned'")),
        Index("notices_household", "household_id", "created_at"),
        Index("notices_ending", "expires_at", postgresql_where=text("state = 'released'")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    programme_key: str
    subject: str
    kind: str = Field(description="new_support, question, deadline_reminder …")
    occasion: str
    state: str = Field(default="planned", description="planned, released, superseded, cancelled, expired")
    overview_id: uuid.UUID | None = Field(
        default=None, foreign_key="notices.id", description="told as part of this one"
    )
    superseded_by: uuid.UUID | None = Field(
        default=None,
        sa_column=Column(ForeignKey("notices.id", deferrable=True, initially="DEFERRED")),
        description="the correction that took its place; both are written in one go",
    )
    sensitive: bool = False
    guardian: str | None = Field(default=None, description="the one guardian it belongs to; null = all of them")
    programme_version: dt.date
    content: dict[str, Any] = Field(sa_type=JSONB, description="the text as told: title, reason, amount, deadline …")
    deadline_on: dt.date | None = None
    release_at: dt.datetime = instant()
    expires_at: dt.datetime | None = optional_instant()
    created_at: dt.datetime = recorded_instant()
    released_at: dt.datetime | None = optional_instant()
    read_at: dt.datetime | None = optional_instant()
    closed_reason: str | None = None


class PushLog(SQLModel, table=True):
    """One message composed for one household on one day: what the weekly cap counts."""

    __tablename__ = "push_log"
    __table_args__ = (Index("push_log_household", "household_id", "day"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    household_id: uuid.UUID = Field(foreign_key="households.id", ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    day: dt.date
    dedupe_key: str = Field(description="of the delivery; one that was called back does not count")
    exempt: bool = Field(default=False, description="a deadline within seven days does not count towards the cap")


class DeskDay(SQLModel, table=True):
    """How many households are sent to one office's desk on one day; the only place where the pace is counted."""

    __tablename__ = "desk_days"

    desk: str = Field(primary_key=True, description="a telephone number, or area/name of the desk")
    day: dt.date = Field(primary_key=True)
    taken: int = 0
