"""Rows of notices: one thing to tell one household, and the text as it was sent."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint, text
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
        Index(
            "notices_told",
            "programme_key",
            "household_id",
            postgresql_where=text("kind IN ('new_support', 'correction')"),
        ),
        Index("notices_bulletin", "occasion", "household_id", postgresql_where=text("kind = 'information'")),
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


class Bulletin(SQLModel, table=True):
    """What a town, a prefecture or the state tells everybody who lives there; it becomes one notice for each household.

    The cursor (`at_municipality`, `at_household`) stands here, so that whoever goes on knows where; no count of
    families does. The database refuses to send what its own author approved.
    """

    __tablename__ = "bulletins"
    __table_args__ = (
        CheckConstraint(
            "state IN ('written', 'approved', 'sending', 'sent', 'cancelled', 'corrected')", name="bulletins_state"
        ),
        CheckConstraint(
            "state IN ('written', 'cancelled') OR (approved_by IS NOT NULL AND approved_by <> written_by)",
            name="bulletins_two_people",
        ),
        CheckConstraint("link IS NULL OR link LIKE 'https://%'", name="bulletins_link"),
        CheckConstraint("valid_from <= valid_until", name="bulletins_period"),
        Index("bulletins_to_work_off", "urgent", "sent_at", postgresql_where=text("work_left")),
        Index("bulletins_area", "municipality_code", "written_at"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6, description="the area: a municipality, a prefecture, or 000000 = all")
    title: str
    body: str
    title_easy: str | None = None
    body_easy: str | None = None
    source: str = Field(description="who tells it, such as 港区 防災課")
    contact: str
    link: str | None = Field(default=None, description="https, on the host of a public body; shown on the page only")
    programme_key: str | None = Field(default=None, description="the programme that it concerns, if one")
    urgent: bool = Field(default=False, description="disaster or special benefit: at any hour, past every cap")
    valid_from: dt.date
    valid_until: dt.date
    corrects: uuid.UUID | None = Field(default=None, foreign_key="bulletins.id", description="takes this one's place")
    state: str = "written"
    written_by: str
    written_at: dt.datetime = instant()
    approved_by: str | None = None
    approved_at: dt.datetime | None = optional_instant()
    sent_by: str | None = None
    sent_at: dt.datetime | None = optional_instant()
    ended_by: str | None = None
    ended_at: dt.datetime | None = optional_instant()
    ended_reason: str | None = None
    work_left: bool = Field(default=False, description="households are still to be told, or called back")
    at_municipality: str = Field(default="", max_length=6)
    at_household: uuid.UUID | None = None
    rounds: int = Field(default=0, description="how often everybody was gone through; the second time finds who moved")
    finished_at: dt.datetime | None = optional_instant()
