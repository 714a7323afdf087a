"""Halts: what an operator holds back at once, for a programme, a channel, a partner or a municipality.

Nothing is lost by a halt. What is not planned yet stays due, what is planned stays planned, what is queued waits, and
all of it goes on when the halt ends. Planning, release and the claim each ask for the halts in force, so one takes
effect without any process being told.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, Session, SQLModel, col, select

from app.platform.columns import instant, optional_instant
from app.platform.errors import Conflict, NotFound
from app.platform.halt_kinds import HaltKind
from app.platform.identifiers import new_id


class Halt(SQLModel, table=True):
    """One thing that is, or was, held back."""

    __tablename__ = "halts"
    __table_args__ = (
        CheckConstraint("kind IN ('programme', 'channel', 'partner', 'municipality')", name="halts_kind"),
        Index("halts_in_force", "kind", "name", unique=True, postgresql_where=text("resumed_at IS NULL")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    kind: str
    name: str = Field(description="programme key, channel, partner id or municipality code")
    reason: str
    halted_at: dt.datetime = instant()
    resumed_at: dt.datetime | None = optional_instant()


@dataclass(frozen=True, slots=True)
class Halts:
    """The halts in force, as (kind, name) → id."""

    ids: dict[tuple[str, str], uuid.UUID]

    def names(self, kind: HaltKind) -> list[str]:
        """Return what is held back of one kind."""
        return [name for found, name in self.ids if found == kind]

    def halting(
        self, *, channel: str, partner_id: uuid.UUID | None, municipality_code: str, programme_keys: Collection[str]
    ) -> uuid.UUID | None:
        """Return a halt that holds a message back, a programme's first; None where it may go."""
        asked: Iterable[tuple[str, str]] = (
            *((HaltKind.PROGRAMME, key) for key in programme_keys),
            (HaltKind.CHANNEL, channel),
            (HaltKind.PARTNER, str(partner_id)),
            (HaltKind.MUNICIPALITY, municipality_code),
        )
        return next((self.ids[one] for one in asked if one in self.ids), None) if self.ids else None


def halts_in_force(session: Session) -> Halts:
    """Read the halts in force."""
    rows = session.execute(text("SELECT id, kind, name FROM halts WHERE resumed_at IS NULL"))
    return Halts({(kind, name): halt_id for halt_id, kind, name in rows})


def begin(session: Session, kind: HaltKind, name: str, reason: str, at: dt.datetime) -> Halt:
    """Hold something back from now on; the session is the owner's.

    Raises:
        Conflict: it is held back already.
    """
    found = _in_force(session, kind, name)
    if found is not None:
        raise Conflict(f"{kind} {name} is halted already, since {found.halted_at.isoformat()}: {found.reason}")
    made = Halt(kind=kind, name=name, reason=reason, halted_at=at)
    session.add(made)
    session.flush()
    return made


def end(session: Session, kind: HaltKind, name: str, at: dt.datetime) -> Halt:
    """End a halt; the session is the owner's. What waits in the outbox is let go by `app.delivery.halting`.

    Raises:
        NotFound: it is not held back.
    """
    found = _in_force(session, kind, name)
    if found is None:
        others = ", ".join(f"{known} {what}" for known, what in halts_in_force(session).ids) or "nothing"
        raise NotFound(f"found no halt of {kind} {name}; halted now: {others}")
    found.resumed_at = at
    session.add(found)
    session.flush()
    return found


def _in_force(session: Session, kind: HaltKind, name: str) -> Halt | None:
    statement = select(Halt).where(Halt.kind == kind, Halt.name == name, col(Halt.resumed_at).is_(None))
    return session.exec(statement).first()
