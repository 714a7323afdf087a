"""Rows of figures: counts only. The web role reads these and can never count households itself."""

import datetime as dt

from sqlmodel import Field, SQLModel

from app.platform.columns import instant


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
