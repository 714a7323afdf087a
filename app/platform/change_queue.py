"""The change queue: a lower room writes what changed in its own transaction, a higher one drains it.

A row names a household or a programme and the room that should look at it, never what changed. `matching` evaluates;
where that changes a stored right, `notices` looks again at what was planned and told. Several rows are one look.

What a sweep changes waits under a reader of its own until the sweep is complete, and goes on to `notices` then.
"""

import datetime as dt
import uuid
from collections.abc import Collection

from sqlalchemy import Index, text
from sqlmodel import Field, Session, SQLModel

from app.platform.columns import recorded_instant

MATCHING = "matching"
NOTICES = "notices"


class Change(SQLModel, table=True):
    """Something to look at again."""

    __tablename__ = "changes"
    __table_args__ = (Index("changes_of_reader", "reader", "municipality_code"),)

    id: int | None = Field(default=None, primary_key=True)
    household_id: uuid.UUID | None = Field(default=None, foreign_key="households.id", index=True, ondelete="CASCADE")
    programme_key: str | None = None
    municipality_code: str = Field(max_length=6, index=True)
    reader: str = Field(default=MATCHING, description="matching, notices, or what it waits for before notices reads it")
    reason: str
    queued_at: dt.datetime = recorded_instant()


def household_changed(session: Session, household_id: uuid.UUID, municipality_code: str, reason: str) -> None:
    """Queue the re-evaluation of one household, in the caller's transaction."""
    session.add(Change(household_id=household_id, municipality_code=municipality_code, reason=reason))


def rights_changed(session: Session, household_id: uuid.UUID, municipality_code: str) -> None:
    """Queue another look at what a household was or will be told, in the caller's transaction."""
    session.add(
        Change(household_id=household_id, municipality_code=municipality_code, reader=NOTICES, reason="rights changed")
    )


def many_rights_changed(
    session: Session, household_ids: Collection[uuid.UUID], municipality_code: str, readers: Collection[str]
) -> None:
    """Queue another look at many households of one municipality, once for each reader, in the caller's transaction."""
    if household_ids:
        session.execute(
            text(
                "INSERT INTO changes (household_id, municipality_code, reader, reason)"
                " SELECT id, :code, reader, 'rights changed'"
                " FROM unnest(CAST(:ids AS uuid[])) AS id, unnest(CAST(:readers AS text[])) AS reader"
                " ORDER BY reader, id"
            ),
            {"code": municipality_code, "ids": sorted(household_ids), "readers": sorted(readers)},
        )


def pass_on(session: Session, reader: str, to: str) -> None:
    """Let another reader see everything that waits for one; the first keeps its own rows."""
    session.execute(
        text(
            "INSERT INTO changes (household_id, municipality_code, reader, reason, queued_at)"
            " SELECT household_id, municipality_code, :to, reason, queued_at FROM changes WHERE reader = :reader"
        ),
        {"reader": reader, "to": to},
    )


def forget(session: Session, reader: str) -> None:
    """Drop everything that waits for a reader."""
    session.execute(text("DELETE FROM changes WHERE reader = :reader"), {"reader": reader})


def programme_changed(session: Session, programme_key: str, reason: str) -> None:
    """Queue the evaluation of one programme for its whole area, in the caller's transaction."""
    session.add(
        Change(programme_key=programme_key, municipality_code=programme_key.split("/", maxsplit=1)[0], reason=reason)
    )
