"""Rows of figures: counts only. The web role reads these and can never count households itself."""

import datetime as dt
import uuid

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant
from app.platform.identifiers import new_id


class ProgrammeFigures(SQLModel, table=True):
    """How many households of one municipality one programme concerns, as counted at an instant."""

    __tablename__ = "programme_figures"

    municipality_code: str = Field(primary_key=True, max_length=6)
    programme_key: str = Field(primary_key=True)
    eligible: int
    undetermined: int
    told: int
    applied: int
    counted_at: dt.datetime = instant()


class Measure(SQLModel, table=True):
    """One measured value; see `app.insight.measures`."""

    __tablename__ = "measures"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    name: str
    labels: dict[str, str] = Field(sa_type=JSONB)
    value: float
    measured_at: dt.datetime = instant()
