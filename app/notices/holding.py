"""What may not be told yet: one place that planning and release ask, whoever holds it back.

A row that is held stays as it is, due or planned, and is looked at again when its hold ends: whoever ends one rings
for the announcement.
"""

import uuid
from dataclasses import dataclass

from sqlmodel import Session

from app.matching.sweeps import sweeping
from app.platform.halts import HaltKind, halts_in_force


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held back in one municipality.

    Attributes:
        everything: nothing at all is told there.
        programmes: these are told to nobody.
    """

    everything: bool = False
    programmes: frozenset[str] = frozenset()

    def of(self, household_id: uuid.UUID) -> frozenset[str]:
        """Return the programmes that this household is not told of now."""
        return self.programmes


def holds_in(session: Session, municipality_code: str) -> Holds:
    """Read what is held back in a municipality: by an operator's halt, or until a publication's sweep is complete."""
    halts = halts_in_force(session)
    return Holds(
        everything=municipality_code in halts.names(HaltKind.MUNICIPALITY),
        programmes=frozenset(halts.names(HaltKind.PROGRAMME)) | sweeping(session),
    )
