"""What may not be told yet: one place that planning and release ask, whoever holds it back.

A row that is held stays as it is, due or planned, and is looked at again when its hold ends: whoever ends one rings
for the announcement.
"""

import uuid
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_
from sqlmodel import Session, col

from app.matching.campaigns import Held, held
from app.matching.sweeps import sweeping
from app.matching.tables import Entitlement
from app.platform.halt_kinds import HaltKind
from app.platform.halts import halts_in_force


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held back in one municipality.

    Attributes:
        everything: nothing at all is told there.
        programmes: these are told to nobody.
        sweeping: of these, whose publication has not been evaluated for everybody.
        campaigns: what is told to nobody, or to a few, until a person or the first few have decided.
    """

    everything: bool = False
    programmes: frozenset[str] = frozenset()
    sweeping: frozenset[str] = frozenset()
    campaigns: Held = field(default_factory=Held)

    def of(self, household_id: uuid.UUID) -> frozenset[str]:
        """Return the programmes that this household is not told of now."""
        return self.programmes | self.campaigns.of(household_id)

    def unsettled(self, household_id: uuid.UUID) -> frozenset[str]:
        """Return the programmes whose stored rights nobody vouches for yet: what was told of them is not taken back."""
        return self.sweeping | self.campaigns.of(household_id)

    def lets_through(self) -> ColumnElement[bool]:
        """Return the condition that a stored right may be told."""
        return and_(col(Entitlement.programme_key).not_in(self.programmes), self.campaigns.lets_through())


def holds_in(session: Session, municipality_code: str) -> Holds:
    """Read what is held back in a municipality: by an operator's halt, a sweep that runs, or a campaign."""
    halts, running = halts_in_force(session), sweeping(session)
    return Holds(
        everything=municipality_code in halts.names(HaltKind.MUNICIPALITY),
        programmes=frozenset(halts.names(HaltKind.PROGRAMME)) | running,
        sweeping=running,
        campaigns=held(session),
    )
