"""The dead-man alarm: scheduled work leaves a sign when it has been done, and a sign that is missing is a cause.

Only rows and a clock are asked, so that the web process finds out that beat is dead although nothing rings any more. By
real time throughout: a shifted clock neither hides nor raises an alarm.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from app.platform.clock import real_now
from app.platform.database import worker_session

_MINUTES: Final = dt.timedelta(minutes=1)

EXPECTED: Final[Mapping[str, dt.timedelta]] = {
    "match": 15 * _MINUTES,
    "announce": 180 * _MINUTES,
    "review": 180 * _MINUTES,
    "release": 15 * _MINUTES,
    "bulletins": 15 * _MINUTES,
    "sweep": 5 * _MINUTES,
    "oversee": 60 * _MINUTES,
    "shard": 15 * _MINUTES,
    "audit": dt.timedelta(days=8),
}
"""How old the last sign of each piece of work may be.

`announce` is the nightly look-up, rung every minute: three hours cover a morning's wave. `sweep` looks for deliveries
that are due, `shard` is a publication's sweep that somebody should be going on with, `oversee` is what rings the audit
and this alarm.
"""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A piece of work without a sign for too long; `since` is its last sign, or when it should have begun."""

    name: str
    since: dt.datetime
    expected: dt.timedelta


def beat(name: str) -> None:
    """Leave a sign that a piece of scheduled work has been done to its end; call it after the work's own commit."""
    with worker_session() as session:
        session.execute(
            text(
                "INSERT INTO heartbeats (name, done_at) VALUES (:name, :now)"
                " ON CONFLICT (name) DO UPDATE SET done_at = greatest(heartbeats.done_at, excluded.done_at)"
            ),
            {"name": name, "now": real_now()},
        )
        session.commit()


def overdue(session: Session, now: dt.datetime) -> list[Overdue]:
    """Return what is overdue at an instant of real time, by name.

    Args:
        session: of any role; the web role asks the same.
        now: the real instant.
    """
    rows = session.execute(text("SELECT name, at FROM signs_of_work()")).all()
    return overdue_among({name: at for name, at in rows if at is not None}, now)


def overdue_among(signs: Mapping[str, dt.datetime], now: dt.datetime) -> list[Overdue]:
    """Return which of the last signs are too old; what has left none and is not expected to is none."""
    return [
        Overdue(name, at, EXPECTED[name])
        for name, at in sorted(signs.items())
        if name in EXPECTED and now - at > EXPECTED[name]
    ]
