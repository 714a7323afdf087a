"""Liveness by progress: not whether a process is up, but whether what is due gets done. Read from rows alone.

The web process and the command line ask the same function, so that a beat, a broker or a worker that is dead without
knowing it is found by somebody who is not.
"""

import datetime as dt
from typing import Final

from sqlmodel import Session, col, select

from app.delivery import channel_health
from app.insight.measures import OLDEST_DUE
from app.insight.tables import Measure
from app.matching.watch import overdue

LONGEST_UNMEASURED: Final = dt.timedelta(minutes=3)
#: A delivery that could go and waits longer than this is not being looked after: a lease lasts 40 seconds.
LONGEST_DUE: Final = dt.timedelta(seconds=90)


def stalled(session: Session, real: dt.datetime) -> list[str]:
    """Return what does not go on as it should, each with where to look; empty when all is well.

    Args:
        session: of any role.
        real: the real instant.
    """
    rows = session.exec(select(Measure).where(col(Measure.name).in_([OLDEST_DUE, _MEASURED]))).all()
    measured_at = max((row.measured_at for row in rows), default=None)
    if measured_at is None:
        return ["nothing was ever measured: start beat and a worker for the queue `work`"]
    causes = []
    if real - measured_at > LONGEST_UNMEASURED:
        causes.append(
            f"nothing was measured since {measured_at.isoformat(timespec='seconds')}:"
            " look at beat, the broker and the workers of the queue `work`"
        )
    oldest = max((row.value for row in rows if row.name == OLDEST_DUE and row.labels["able"] == "true"), default=0.0)
    if oldest > LONGEST_DUE.total_seconds():
        causes.append(
            f"a delivery that could go has waited for {oldest:.0f} s: look at the workers of the queue `delivery`"
        )
    causes += [
        f"{work.name}: no sign since {work.since.isoformat(timespec='seconds')}; expected one every {work.expected}"
        for work in overdue(session, real)
    ]
    return causes + channel_health.troubles(session, real)


_MEASURED: Final = "todoke_measured_timestamp_seconds"
