"""The Celery application of a chaos run: the real one, whose processes kill themselves where they are told to.

    celery -A tests.chaos.worker worker -Q delivery,work

An order is a file in the run's folder, `orders/<number>-<point>[-whole]`. The process that takes it away is its victim:
it writes down what it held and ends itself with SIGKILL (with `-whole` all processes of its worker). Production code
has no hook for this: the functions of `app.delivery` are wrapped here.

| point | where |
| --- | --- |
| before_claim | about to claim |
| claiming | the claim is written and not committed |
| after_claim | the claim is committed, nothing is sent |
| mid_send | the request is under way, no answer yet |
| after_yes | the receiver has said yes, nothing is recorded |
"""

import asyncio
import faulthandler
import os
import random
import signal
import time
from pathlib import Path
from typing import Any, Final

from celery import signals

from app.delivery import claim, dispatch
from app.delivery.channels.contract import Outcome
from tests.chaos import broken
from tests.chaos.evidence import append
from workers.celery_app import app

_FOLDER: Final = Path(os.environ["CHAOS_FOLDER"])
_ORDERS: Final = _FOLDER / "orders"
#: A request may wait this long before it goes out, and a claim before it commits: so that there is a race at all.
_DAWDLE_SECONDS: Final = 0.08

__all__ = ["app"]


def take_order(point: str) -> str | None:
    """Take one order for this point away; None if there is none, or somebody else was quicker."""
    for name in os.listdir(_ORDERS):
        if name.split("-")[1] == point:
            try:
                (_ORDERS / name).unlink()
            except FileNotFoundError:
                continue
            return name
    return None


def die(order: str, held: set[Any]) -> None:
    """End this process, or its whole worker, as kill -9 does."""
    whole = order.endswith("-whole")
    point = order.split("-")[1]
    append(_FOLDER / "kills.jsonl", at=time.time(), point=point, whole=whole, held=sorted(map(str, held)))
    if whole:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _held() -> set[Any]:
    own = dispatch._own
    if own is None:
        return set()
    return (
        {row.id for row in own._in_flight.values()}
        | {one.claimed.id for one in own._finished}
        | {row.id for row in own._unsent}
    )


def _channels_in_time() -> dict[str, Any]:
    """Make the channels of this installation with the total deadline of the run, where it has one."""
    channels = _channels_from_settings()
    if "CHAOS_TOTAL_SECONDS" in os.environ:
        for channel in channels.values():
            channel._total_seconds = float(os.environ["CHAOS_TOTAL_SECONDS"])  # type: ignore[attr-defined]
    return channels


_channels_from_settings = dispatch.channels_from_settings
_claim, _claim_and_commit = claim.claim, dispatch._claim
_attempt = dispatch.Dispatcher._attempt


def _claiming(*arguments: Any, **named: Any) -> Any:
    if order := take_order("before_claim"):
        die(order, _held())
    claimed = _claim(*arguments, **named)
    if claimed and random.random() < 0.2:
        time.sleep(random.uniform(0, _DAWDLE_SECONDS))
    if claimed and (order := take_order("claiming")):
        die(order, _held())
    return claimed


def _claiming_and_committing(*arguments: Any, **named: Any) -> Any:
    claimed = _claim_and_commit(*arguments, **named)
    if claimed and (order := take_order("after_claim")):
        die(order, _held() | {row.id for row in claimed})
    return claimed


async def _attempting(self: dispatch.Dispatcher, row: Any, *arguments: Any, **named: Any) -> Any:
    if random.random() < 0.3:
        await asyncio.sleep(random.uniform(0, _DAWDLE_SECONDS))
    sending = asyncio.ensure_future(_attempt(self, row, *arguments, **named))
    if any(name.split("-")[1] == "mid_send" for name in os.listdir(_ORDERS)):
        await asyncio.wait([sending], timeout=random.uniform(0.005, 0.04))
        if not sending.done() and (order := take_order("mid_send")):
            die(order, _held())
    result = await sending
    if result.outcome in (Outcome.DELIVERED, Outcome.ACCEPTED) and (order := take_order("after_yes")):
        die(order, _held() | {row.id})
    return result


claim.claim = _claiming
dispatch._claim = _claiming_and_committing
dispatch.channels_from_settings = _channels_in_time
dispatch.Dispatcher._attempt = _attempting  # type: ignore[method-assign]
broken.break_worker(os.environ.get("CHAOS_BROKEN", ""))
# Whoever does not come to rest is asked where it stands; the answer is in its log.
faulthandler.register(signal.SIGUSR2)


@signals.worker_process_init.connect
def _sign_what_we_write(**_: Any) -> None:
    # The database's log names the process that changed a row: who writes a result must be who claimed it.
    os.environ["PGAPPNAME"] = f"worker-{os.getpid()}"
    random.seed()
