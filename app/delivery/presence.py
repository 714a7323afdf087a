"""Presence: a process that sends holds an advisory lock for as long as it lives, so that its death is seen at once.

A lease protects against a process that is frozen or cut off; one that was killed needs no such patience. The lock
belongs to the connection on which the process claims; the system closes it with the process, whatever ended that. Where
only the connection was lost and the process lives, its leases may end early: what it sends then carries the same id,
and no request of it starts later than the sweep may notice, because a claimed row is on the wire or given back by then.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Session

from app.platform.database import LoopDatabase, run_on

_T = TypeVar("_T")

#: The first of the two numbers of the lock; the second is the process's own.
_LOCKS: Final = 8_150
#: Younger claims are left alone: their process may have lost its connection before they were on the wire.
_SETTLED_SECONDS: Final = 2.0
_LOOK_EVERY_SECONDS: Final = 2.0
# The table of deliveries changes faster than its statistics, and every query of a claim has its index.
_APPEAR: Final = text("SELECT nextval('delivery_processes') FROM set_config('enable_seqscan', 'off', false)")
_STAY: Final = text("SELECT pg_advisory_lock(:locks, :number)")


class Presence:
    """The connection on which one process claims, and by which it is seen; used from its event loop only."""

    def __init__(self, database: LoopDatabase) -> None:
        self._database = database
        self._connection: AsyncConnection | None = None
        self._number = 0
        self._looked_at = 0.0

    async def run(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Return what `work(session, number, *arguments)` returns, on the connection by which that number is present.

        One call at a time.

        Raises:
            SQLAlchemyError: it was lost, among others. The next call is present again, under another number.
        """
        if self._connection is None or self._connection.invalidated:
            await self._appear()
        assert self._connection is not None
        return await run_on(self._connection, work, self._number, *arguments)

    async def _appear(self) -> None:
        await self.close()
        connection = await self._database.connect()
        try:
            self._number = (await connection.execute(_APPEAR)).scalar_one()
            await connection.execute(_STAY, {"locks": _LOCKS, "number": self._number})
            await connection.commit()
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    def looks_around(self) -> bool:
        """Say whether it is time to see who is no longer there: a busy process must not wait for the sweep to tell."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_SECONDS:
            return False
        self._looked_at = now
        return True

    async def close(self) -> None:
        """Be present no more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                await connection.invalidate()
                await connection.close()


_END_LEASES: Final = text(
    "UPDATE deliveries SET lease_until = clock_timestamp() WHERE queue = ANY(:queues) AND state = 'sending'"
    " AND lease_until BETWEEN clock_timestamp() AND clock_timestamp() + make_interval(secs => :settled)"
    " AND claimed_by <> ALL (SELECT CAST(objid AS integer) FROM pg_locks WHERE locktype = 'advisory'"
    " AND classid = :locks AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


def end_leases_of_the_dead(session: Session, queues: list[str], lease_seconds: float) -> int:
    """End the leases of processes that are no longer there; return how many rows that frees. The caller commits."""
    values = {"queues": queues, "settled": lease_seconds - _SETTLED_SECONDS, "locks": _LOCKS}
    return session.execute(_END_LEASES, values).rowcount  # type: ignore[no-any-return, attr-defined]
