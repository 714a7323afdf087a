"""What may not be told yet: one place that planning and release ask, whoever holds it back.

A row that is held stays as it is, due or planned, and is looked at again when its hold ends: whoever ends one rings
for the announcement. A look at a family that passed over something told of a held programme waits in the change queue,
under a reader of its own and by that programme. It goes on once nothing holds the programme any more, whoever held it:
the announcement asks what is held, and no ending of a hold has to remember anybody.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, text
from sqlalchemy.orm import Mapped
from sqlmodel import Session

from app.matching.campaigns import Held, held
from app.matching.sweeps import sweeping
from app.platform.change_queue import NOTICES
from app.platform.halt_kinds import HaltKind
from app.platform.halts import halts_in_force

READER = "held"
"""In the change queue: looks that passed over a held programme, one row for each household and programme."""


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held back in one municipality.

    Attributes:
        everything: nothing at all is told there.
        programmes: these are told to nobody: halted, in quarantine, or not evaluated for everybody yet.
        halted: of these, by an operator.
        campaigns: what is told to nobody, or to a few, until a person or the first few have decided.
    """

    everything: bool = False
    programmes: frozenset[str] = frozenset()
    halted: frozenset[str] = frozenset()
    campaigns: Held = field(default_factory=Held)

    def of(self, household_id: uuid.UUID) -> frozenset[str]:
        """Return the programmes that this household is not told of now."""
        return self.programmes | self.campaigns.of(household_id)

    def by_campaign_alone(self, household_id: uuid.UUID) -> frozenset[str]:
        """Return the programmes of these that only a campaign holds: what was told before them is still reminded of."""
        return self.campaigns.of(household_id) - self.programmes

    def lets_through(self, programme_key: Mapped[str], household_id: Mapped[uuid.UUID]) -> ColumnElement[bool]:
        """Return the condition that a row of a programme and a household may be told."""
        return and_(programme_key.not_in(self.programmes), self.campaigns.lets_through(programme_key, household_id))


def holds_in(session: Session, municipality_code: str) -> Holds:
    """Read what is held back in a municipality: by an operator's halt, a sweep that runs, or a campaign."""
    halts = halts_in_force(session)
    halted = frozenset(halts.names(HaltKind.PROGRAMME))
    return Holds(
        everything=municipality_code in halts.names(HaltKind.MUNICIPALITY),
        programmes=halted | sweeping(session),
        halted=halted,
        campaigns=held(session),
    )


def look_again(session: Session, household_id: uuid.UUID, municipality_code: str, held: Collection[str]) -> None:
    """Queue another look at a household for when these programmes are held no more; the caller commits."""
    session.execute(
        text(
            "INSERT INTO changes (household_id, municipality_code, reader, reason, programme_key)"
            " SELECT CAST(:id AS uuid), CAST(:code AS text), CAST(:reader AS text), 'held', key"
            " FROM unnest(CAST(:held AS text[])) AS key WHERE NOT EXISTS"
            "  (SELECT FROM changes WHERE household_id = :id AND reader = :reader AND programme_key = key)"
        ),
        {"id": household_id, "code": municipality_code, "reader": READER, "held": sorted(held)},
    )


def pass_back(session: Session, municipality_code: str | None = None) -> None:
    """Let the notices look again where a programme is held no more; the caller commits.

    Args:
        session: of the worker.
        municipality_code: only there; None = everywhere.
    """
    holds = holds_in(session, municipality_code or "")
    session.execute(
        text(
            "UPDATE changes SET reader = :notices WHERE reader = :reader AND programme_key <> ALL(:held)"
            " AND (CAST(:code AS text) IS NULL OR municipality_code = :code)"
        ),
        {
            "notices": NOTICES,
            "reader": READER,
            "held": [*holds.programmes, *holds.campaigns.programmes, *holds.campaigns.canaries],
            "code": municipality_code,
        },
    )
