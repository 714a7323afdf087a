"""Column types that several rooms' tables share."""

from typing import Any

from sqlalchemy import DateTime, text
from sqlmodel import Field


def instant(*, index: bool = False) -> Any:
    """Return a column for an instant with time zone that must be given."""
    return Field(sa_type=DateTime(timezone=True), index=index)


def optional_instant(*, index: bool = False) -> Any:
    """Return a column for an instant with time zone that may be missing."""
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=True, index=index)


def recorded_instant() -> Any:
    """Return a column for the real instant at which the row was written, set by the database."""
    return Field(
        default=None,
        sa_type=DateTime(timezone=True),
        nullable=False,
        sa_column_kwargs={"server_default": text("now()")},
    )
