"""Rows of matching: entitlements as periods, the runs and sweeps that made them, and what was set aside on the way."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
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
        Index("entitlements_due", "municipality_code", "announce_on", postgresql_where=text("announced_at IS NULL")),
        Index("entitlements_programme", "programme_key", "municipality_code"),
        Index(
            "entitlements_review",
            "municipality_code",
            "review_on",
            postgresql_where=text("review_on IS NOT NULL"),
        ),
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


class Sweep(SQLModel, table=True):
    """The evaluation of published programmes for everybody, from their publication until all shards are complete.

    No counts of families stand here, because staff may see this row: how far it has come is a share.
    """

    __tablename__ = "sweeps"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'complete', 'failed', 'superseded')", name="sweeps_state"),
        Index("sweeps_running", "id", postgresql_where=text("state = 'running'")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    programme_keys: list[str] = Field(
        sa_type=ARRAY(Text),
        description="CODE/id; one that is published again while this runs is taken out: its newer sweep has it",
    )
    reason: str = Field(description="published, or lifted (out of quarantine)")
    state: str = "running"
    share_done: int = Field(default=0, description="of the households, in hundredths, rounded down")
    started_at: dt.datetime = instant()
    finished_at: dt.datetime | None = optional_instant()


class SweepShard(SQLModel, table=True):
    """One municipality of a sweep, looked at in chunks of households in the order of their ids."""

    __tablename__ = "sweep_shards"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'complete')", name="sweep_shards_state"),
        Index("sweep_shards_waiting", "sweep_id", "municipality_code", postgresql_where=text("state = 'waiting'")),
    )

    sweep_id: uuid.UUID = Field(foreign_key="sweeps.id", primary_key=True, ondelete="CASCADE")
    municipality_code: str = Field(primary_key=True, max_length=6)
    programme_keys: list[str] = Field(
        sa_type=ARRAY(Text),
        description="those of the sweep whose area covers it",
    )
    state: str = "waiting"
    last_household_id: uuid.UUID | None = Field(default=None, description="everybody up to this id was looked at")
    households_expected: int = Field(description="who lived there when the sweep began")
    households: int = Field(default=0, description="looked at")
    rights_added: int = 0
    rights_changed: int = 0
    rights_removed: int = 0
    started_at: dt.datetime | None = optional_instant()
    finished_at: dt.datetime | None = optional_instant()


class QuarantinedProgramme(SQLModel, table=True):
    """A programme whose rules broke: it is evaluated for nobody until it is published anew or an operator lifts it."""

    __tablename__ = "quarantined_programmes"

    programme_key: str = Field(primary_key=True)
    registry_fingerprint: str = Field(description="of the registry in which it broke")
    error_class: str
    error_text: str = Field(description="where in the rules or the program; never a value of a household")
    since: dt.datetime = instant()


class SetAsideHousehold(SQLModel, table=True):
    """A household that could not be evaluated, alone or for one programme; tried again whenever it is looked at."""

    __tablename__ = "set_aside_households"

    household_id: uuid.UUID = Field(foreign_key="households.id", primary_key=True, ondelete="CASCADE")
    programme_key: str = Field(primary_key=True, description="* = its document could not be read at all")
    error_class: str
    error_text: str = Field(description="where in the program; never a value of the household")
    since: dt.datetime = instant()
