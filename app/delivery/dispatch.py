"""The dispatcher: claims, sends and records in a rolling window.

There is one in each worker process. Its event loop has a thread of its own and outlives the Celery task that asks for
a window, and so do the channels' connections and the requests that are still open: a target that hangs keeps its own
few sockets, never the process and never the task. Claims and records run in that loop too, as ordinary functions of a
session: a thread of their own would only wait for the interpreter (measured: a tenth of the throughput).
"""

import asyncio
import datetime as dt
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import InternalError, OperationalError
from sqlmodel import Session

from app.delivery import claim as claims
from app.delivery import queues
from app.delivery.channels.contract import AttemptResult, Channel, Outcome, Stopwatch
from app.delivery.channels.line import LineChannel
from app.delivery.channels.webhook import WebhookChannel
from app.delivery.claim import Claimed
from app.delivery.halting import hold_back
from app.delivery.mail_setup import email_channel
from app.delivery.outgoing import outgoing_of
from app.delivery.presence import Presence, end_leases_of_the_dead
from app.delivery.record import Finished, Recorded, give_back, record
from app.platform import bell, clock
from app.platform.database import LoopDatabase, worker_session
from app.platform.outbound import AllowedNetwork, EndpointGuard
from app.platform.settings import settings

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Requests open at once in one process; as many more may have ended and wait to be recorded. No more are claimed …
SOCKETS: Final = {"webhook": 400, "line": 20}
#: … but for mails: they are on the wire for milliseconds, so up to this many wait for each socket while the database
#: takes its turn. A relay that lets one wait for a second is given no more than it has sockets.
_WAITING: Final = {"email": 16}
_WINDOW_SECONDS: Final = 30.0
_TURN_SECONDS: Final = 0.1
_NEXT_RECORD_AFTER: Final = 100
_BEGUN_AT_ONCE: Final = 20
_LEAVE_AFTER_SECONDS: Final = 1.0
_AFTER_FAILURE_SECONDS: Final = 1.0
#: Also of one that has become a standby, or that cut off who waited too long.
_DATABASE_AWAY: Final = (OperationalError, InternalError)
_UNSENT_LIMIT_SECONDS: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Options:
    """What tests shorten.

    Attributes:
        lease_seconds: longer than any channel's total deadline.
        window_seconds: how long one window claims at most.
        sockets: by channel.
    """

    lease_seconds: float = field(default_factory=lambda: settings().delivery.lease_seconds)
    window_seconds: float = _WINDOW_SECONDS
    sockets: Mapping[str, int] = field(default_factory=lambda: SOCKETS | {"email": settings().email.connections})


@dataclass(slots=True)
class Summary:
    """What happened during one window: rows claimed, rows given back unsent, results by state, results too late."""

    claimed: int = 0
    given_back: int = 0
    late: int = 0
    states: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        states = " ".join(f"{state}={count}" for state, count in sorted(self.states.items()))
        return f"claimed={self.claimed} given_back={self.given_back} late={self.late} {states}".strip()


class Dispatcher:
    """Everything one process needs to send.

    Args:
        channels: by name; used from this dispatcher's event loop only.
        options: see `Options`.
    """

    def __init__(self, channels: Mapping[str, Channel[Any]], options: Options | None = None) -> None:
        self._channels = channels
        self._options = options or Options()
        # By token too: who slept past its own lease may claim a row again while its first request is still open.
        self._in_flight: dict[tuple[uuid.UUID, uuid.UUID], Claimed] = {}
        self._finished: list[Finished] = []
        self._unsent: list[Claimed] = []
        self._resting: dict[str, float] = {}
        self._sockets = {name: asyncio.Semaphore(most) for name, most in self._options.sockets.items()}
        self._rows_per_socket = dict.fromkeys(self._options.sockets, 1)
        self._most_unrecorded = sum(self._options.sockets.values())
        self._sends: set[asyncio.Task[None]] = set()
        self._wake_at = 1
        self._claims = self._being_recorded = self._last_recorded = 0
        self._closing = False
        self._summary = Summary()
        self._database = LoopDatabase()
        self._presence = Presence(self._database)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="delivery", daemon=True)
        self._thread.start()
        self._one_window, self._ended, self._room = asyncio.Lock(), asyncio.Event(), asyncio.Event()
        self._recorder = asyncio.run_coroutine_threadsafe(self._keep_recording(), self._loop)

    def run_window(self) -> Summary:
        """Send what is due until nothing is, or until the window is over. Requests still open then go on by themselves.

        Another window of this process that is under way already does the same work: then nothing is done here.
        """
        return self._call(self._window())

    def close(self, seconds: float = 5.0) -> None:
        """Stop claiming, give open requests some seconds to end, record, and close every connection.

        What is still open then is left to its lease.
        """
        self._closing = True
        try:
            self._call(self._close(seconds))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _window(self) -> Summary:
        # The lock is the loop's: a task whose time is up leaves while its window goes on here.
        if self._closing or self._one_window.locked():
            return Summary()
        async with self._one_window:
            self._summary = Summary()
            until = time.monotonic() + self._options.window_seconds
            while not self._closing and time.monotonic() < until:
                try:
                    await self._send_what_is_due(until)
                    break
                except _DATABASE_AWAY as error:
                    _logger.warning("delivery: the claim waits for the database (%s)", type(error).__name__)
                    await asyncio.sleep(_AFTER_FAILURE_SECONDS)
            return self._summary

    async def _send_what_is_due(self, until: float) -> None:
        last_useful = time.monotonic()
        while not self._closing and time.monotonic() < until:
            if self._presence.looks_around():
                await self._database.run(_free_what_the_dead_held, self._options.lease_seconds)
            roomier = self._room.is_set()
            self._room.clear()
            claimed = await self._claim()
            now = time.monotonic()
            if claimed or roomier:
                last_useful = now
            elif (not self._busy() or now - last_useful > _LEAVE_AFTER_SECONDS) and not await self._more_may_come():
                break
            await _wait(self._room, _TURN_SECONDS)

    async def _more_may_come(self) -> bool:
        return await self._database.run(queues.waits_for_pace, clock.now()) or self._room.is_set()

    def _busy(self) -> bool:
        return bool(self._in_flight or self._unrecorded())

    def _unrecorded(self) -> int:
        return len(self._finished) + len(self._unsent) + self._being_recorded

    async def _claim(self) -> int:
        """Claim for the free sockets and begin to send; return how many rows were claimed.

        Where records do not get through, nothing more is claimed: whatever ended unrecorded would be sent again.
        """
        request = self._request()
        if not any(request.free.values()) or self._unrecorded() >= self._most_unrecorded:
            return 0
        claimed = await self._presence.run(_claim, request)
        self._summary.claimed += len(claimed)
        self._in_flight |= {(row.id, row.token): row for row in claimed}
        for number, row in enumerate(claimed, start=1):
            task = self._loop.create_task(self._send(row))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)
            if number % _BEGUN_AT_ONCE == 0:
                await asyncio.sleep(0)  # the record under way goes on in between
        return len(claimed)

    async def _keep_recording(self) -> None:
        """Record what has ended, during a window and after it, until everything is recorded after the last one."""
        while not self._closing or self._sends or self._unrecorded():
            await self._wait_for_ended()
            if self._finished or self._unsent:
                try:
                    await self._record()
                    self._room.set()
                    if not self._one_window.locked():
                        self._ring_for_what_waits()
                except _DATABASE_AWAY as error:
                    _logger.warning("delivery: results wait for the database (%s)", type(error).__name__)
                    await asyncio.sleep(_AFTER_FAILURE_SECONDS)
                except Exception:
                    # Their rows keep the lease; whoever claims them then sends them with the same ids.
                    _logger.exception("delivery: results could not be recorded")

    def _ring_for_what_waits(self) -> None:
        """Ask for a window: sockets are free again."""
        bell.ring_dispatch()

    async def _wait_for_ended(self) -> None:
        """Wait until enough is there to be worth a record, or a tenth of a second has passed."""
        self._wake_at = min(_NEXT_RECORD_AFTER, max(len(self._in_flight) // 2, self._last_recorded // 2, 1))
        self._ended.clear()
        if len(self._finished) < self._wake_at:
            await _wait(self._ended, _TURN_SECONDS)

    async def _record(self) -> None:
        """Record what has ended so far.

        Results that meet no database stay for the next time; they are late if somebody else has the rows by then.
        """
        finished, self._finished = self._finished, []
        unsent, self._unsent = self._unsent, []
        self._being_recorded = self._last_recorded = len(finished) + len(unsent)
        try:
            recorded = await self._database.run(_record, finished, unsent)
        except _DATABASE_AWAY:
            self._finished, self._unsent = finished + self._finished, unsent + self._unsent
            raise
        finally:
            self._being_recorded = 0
        self._fit_to_pace(unsent, finished)
        self._summary.late += recorded.late
        self._summary.states.update(recorded.states)
        for municipality_code in recorded.turned_away_in:
            bell.ring(bell.ANNOUNCE, municipality_code)

    def _fit_to_pace(self, unsent: Sequence[Claimed], finished: Sequence[Finished]) -> None:
        """Let more rows wait for a socket as long as some end and none of them waits too long."""
        for channel, most in _WAITING.items():
            now = self._rows_per_socket.get(channel, 1)
            if any(row.channel == channel for row in unsent):
                self._rows_per_socket[channel] = 1
            elif any(one.claimed.channel == channel for one in finished):
                self._rows_per_socket[channel] = min(2 * now, most)

    def _request(self) -> claims.Request:
        used = Counter(row.channel for row in self._in_flight.values())
        now = time.monotonic()
        self._resting = {queue: until for queue, until in self._resting.items() if until > now}
        self._claims += 1
        return claims.Request(
            free={
                channel: max(most * self._rows_per_socket[channel] - used[channel], 0)
                for channel, most in self._options.sockets.items()
            },
            resting=tuple(self._resting),
            turn=self._claims,
            lease_seconds=self._options.lease_seconds,
        )

    async def _send(self, row: Claimed) -> None:
        try:
            async with self._sockets[row.channel]:
                await self._send_or_leave(row)
        finally:
            del self._in_flight[row.id, row.token]
            if len(self._finished) >= self._wake_at:
                self._ended.set()

    async def _send_or_leave(self, row: Claimed) -> None:
        if self._closing or time.monotonic() - row.claimed_at > _UNSENT_LIMIT_SECONDS:
            self._unsent.append(row)
            self._summary.given_back += 1
            return
        started_at = clock.real_now()
        result = await self._attempt(row, started_at)
        self._finished.append(Finished(claimed=row, result=result, started_at=started_at))
        if result.outcome is Outcome.THROTTLED and row.endpoint_id is None:
            self._resting[row.queue] = time.monotonic() + (result.retry_after_seconds or 0.0)

    async def _attempt(self, row: Claimed, started_at: dt.datetime) -> AttemptResult:
        watch = Stopwatch()
        if row.unreadable:
            for_good = row.unreadable == claims.CONTENT_UNREADABLE
            return watch.result(Outcome.PERMANENT_FAILURE if for_good else Outcome.RETRY, error=row.unreadable)
        try:
            return await self._channels[row.channel].send(outgoing_of(row, started_at))
        except Exception:
            _logger.exception("delivery %s: the %s channel broke", row.id, row.channel)
            return watch.result(Outcome.RETRY, error="internal")

    async def _close(self, seconds: float) -> None:
        if self._sends:
            await asyncio.wait(self._sends, timeout=seconds)
        for task in list(self._sends):
            task.cancel()
        await asyncio.gather(*self._sends, return_exceptions=True)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wrap_future(self._recorder)
        except TimeoutError:
            _logger.warning("delivery: %d results are left to their leases", self._unrecorded())
        finally:
            for channel in self._channels.values():
                await channel.close()
            await self._presence.close()
            await self._database.close()


def channels_from_settings() -> dict[str, Channel[Any]]:
    """Make the channels of this installation. Nothing is connected before the first message."""
    line = settings().line
    guard = EndpointGuard(AllowedNetwork.parse(network) for network in settings().outbound.allowed_private)
    return {
        "webhook": WebhookChannel(guard, connections=SOCKETS["webhook"]),
        "email": email_channel(),
        "line": LineChannel(line.base_url, line.channel_token.get_secret_value(), connections=SOCKETS["line"]),
    }


_own: Dispatcher | None = None


def run_window() -> Summary:
    """Run one window with this process's own dispatcher, made on first use: never before a fork."""
    global _own  # noqa: PLW0603 - it lives exactly as long as the process
    if _own is None:
        _own = Dispatcher(channels_from_settings())
    return _own.run_window()


def close_own() -> None:
    """Close this process's dispatcher, if it ever sent anything."""
    global _own
    own, _own = _own, None
    if own is not None:
        own.close()


def something_due() -> bool:
    """Say whether a window would find anything to do now: for the sweep.

    What is halted is put aside first, and what a dead process held is freed.
    """
    with worker_session() as session:
        while hold_back(session, clock.now()):
            session.commit()
        _free_what_the_dead_held(session, settings().delivery.lease_seconds)
        return queues.something_due(session, clock.now())


def _free_what_the_dead_held(session: Session, lease_seconds: float) -> None:
    end_leases_of_the_dead(session, queues.live_queues(session), lease_seconds)
    session.commit()


def _claim(session: Session, process: int, request: claims.Request) -> list[Claimed]:
    claimed = claims.claim(session, clock.now(), replace(request, claimed_by=process))
    session.commit()
    return claimed


def _record(session: Session, finished: list[Finished], unsent: list[Claimed]) -> Recorded:
    """Record and commit; once more where another transaction stood in the way, so that no result is thrown away."""
    try:
        recorded = record(session, finished, clock.now())
    except OperationalError as error:
        if not isinstance(error.orig, DeadlockDetected):
            raise
        session.rollback()
        recorded = record(session, finished, clock.now())
    give_back(session, unsent)
    session.commit()
    return recorded


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
