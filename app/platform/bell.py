"""The doorbell: tells workers that there may be something to do. Best effort, never awaited, never an error.

A ring carries a task's name and ids, never data. It is rung from a thread of its own, so that a broker that is slow or
gone costs the caller nothing; a lost ring costs seconds, because a sweep finds whatever is due. Rings are told apart by
name and ids only: a hundred equal ones are one, and while one waits to be heard no process rings another. Otherwise
busy workers, or none, would let them pile up, and what is new would wait behind them.

This is the one module below `workers` that may know Celery.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from celery import Celery

from app.platform.settings import settings

_logger = logging.getLogger(__name__)

DISPATCH: Final = "todoke.dispatch"
SWEEP: Final = "todoke.sweep"
MATCH: Final = "todoke.match"
ANNOUNCE: Final = "todoke.announce"
RELEASE: Final = "todoke.release"
BULLETINS: Final = "todoke.bulletins"
COUNT: Final = "todoke.count"
REVIEW: Final = "todoke.review"
OVERSEE: Final = "todoke.oversee"
REACH: Final = "todoke.reach"
MEASURE: Final = "todoke.measure"
OWNERS: Final = "todoke.owners"
REPLAY: Final = "todoke.replay"
LINE_EVENTS: Final = "todoke.line_events"
LINE_QUOTA: Final = "todoke.line_quota"

#: The queue of everything that sends, and the one of everything else.
DELIVERY_QUEUE: Final = "delivery"
WORK_QUEUE: Final = "work"

#: A ring that nobody heard within this time is dropped: the sweep has seen to it.
_FORGOTTEN_AFTER_SECONDS: Final = 30
#: A ring that a worker took and never began is missed no longer than this.
_MARKED_SECONDS: Final = 5
_SOCKET_SECONDS: Final = 1
_MOST_WAITING: Final = 1000
_LAST_RINGS_SECONDS: Final = 1.0

_Ring = tuple[str, tuple[str, ...], str]


def ring_dispatch() -> None:
    """Say that deliveries are due. Call it after the commit."""
    ring(DISPATCH, queue=DELIVERY_QUEUE)


def ring(task: str, *ids: str, queue: str = WORK_QUEUE) -> None:
    """Ask workers to run a task. Returns at once, whatever becomes of it.

    Args:
        task: the task's name.
        ids: what it is about; never data.
        queue: which workers take it.
    """
    if settings().redis.url:
        _ringer().add((task, ids, queue))


def flush(seconds: float = _LAST_RINGS_SECONDS) -> None:
    """Wait until what was rung so far has gone out, or the time is up: at the end of a short-lived process."""
    _ringer().flush(seconds)


class _Ringer:
    """The waiting rings of one process and the thread that rings them."""

    def __init__(self) -> None:
        self._waiting: dict[_Ring, None] = {}
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def add(self, wanted: _Ring) -> None:
        with self._changed:
            if len(self._waiting) < _MOST_WAITING:
                self._waiting[wanted] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        with self._changed:
            while (self._waiting or self._busy) and (left := give_up_at - time.monotonic()) > 0:
                self._changed.wait(left)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._waiting:
                    self._changed.wait()
                wanted = next(iter(self._waiting))
                del self._waiting[wanted]
                self._busy = True
            _ring_now(*wanted)


def _ring_now(task: str, ids: tuple[str, ...], queue: str) -> None:
    try:
        client = _client(settings().redis.url)
        with client.producer_or_acquire() as producer:
            if producer.channel.client.set(_mark(task, ids), "", nx=True, ex=_MARKED_SECONDS):
                client.send_task(
                    task,
                    args=ids,
                    queue=queue,
                    expires=_FORGOTTEN_AFTER_SECONDS,
                    retry=False,
                    ignore_result=True,
                    producer=producer,
                )
    except Exception as error:
        # Whatever is wrong with the broker, the sweep will see to the work.
        _logger.warning("bell: %s could not be rung (%s)", task, type(error).__name__)


def heard(task: str, ids: Sequence[str]) -> None:
    """Say that a worker begins what was rung for: who rings from now on rings again."""
    try:
        with _client(settings().redis.url).producer_or_acquire() as producer:
            producer.channel.client.delete(_mark(task, ids))
    except Exception as error:
        _logger.warning("bell: %s could not be marked as heard (%s)", task, type(error).__name__)


def _mark(task: str, ids: Sequence[str]) -> str:
    return ":".join(("rung", task, *ids))


@lru_cache(maxsize=4)
def _client(url: str) -> Celery:
    client = Celery("todoke-bell", broker=url, set_as_current=False)
    client.conf.update(
        task_serializer="json",
        task_ignore_result=True,
        broker_connection_timeout=_SOCKET_SECONDS,
        broker_connection_retry=False,
        broker_connection_max_retries=0,
        broker_pool_limit=1,
        broker_transport_options={
            "socket_timeout": _SOCKET_SECONDS,
            "socket_connect_timeout": _SOCKET_SECONDS,
            "retry_on_timeout": False,
            "max_retries": 0,
        },
    )
    return client


@lru_cache(maxsize=1)
def _ringer() -> _Ringer:
    return _Ringer()


def _begin_anew_in_child() -> None:
    # Neither the thread nor the broker's connection survives a fork.
    _ringer.cache_clear()
    _client.cache_clear()


os.register_at_fork(after_in_child=_begin_anew_in_child)
atexit.register(flush)
