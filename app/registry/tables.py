"""Rows of the registry: municipalities, programmes with their versions, parameters. Readable by all roles."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant
from app.platform.identifiers import new_id


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
    """One version of a programme (制度の版): the whole document, in force from `valid_from`."""

    __tablename__ = "programme_versions"
    __table_args__ = (UniqueConstraint("programme_key", "valid_from", name="programme_versions_start"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    programme_key: str = Field(foreign_key="programmes.key", index=True)
    municipality_code: str = Field(foreign_key="municipalities.code")
    valid_from: dt.date
    valid_until: dt.date | None = None
    document: dict[str, Any] = Field(sa_type=JSONB)
    sha256: str = Field(max_length=64)
    published_at: dt.datetime = instant()


class ParameterRow(SQLModel, table=True):
    """A dated amount, limit or table that rules name (パラメータ)."""

    __tablename__ = "parameters"

    name: str = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_type=JSONB)
    sha256: str = Field(max_length=64)
    published_at: dt.datetime = instant()
