"""What beat rings, and how often. Each entry finds its work in the database: a tick too many or too few is harmless."""

from typing import Any, Final

from app.platform import bell
from app.platform.settings import settings

_MATCH_SECONDS: Final = 5.0
_DAY_SECONDS: Final = 60.0
"""How soon after midnight a right that begins that day is seen; the look-up is by index and evaluates nobody."""

_QUOTA_SECONDS: Final = 300.0
_REACH_SECONDS: Final = 10.0
_MEASURE_SECONDS: Final = 15.0


def _every(seconds: float, task: str, queue: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": seconds}}


SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "sweep": _every(settings().delivery.sweep_seconds, bell.SWEEP, bell.DELIVERY_QUEUE),
    "match": _every(_MATCH_SECONDS, bell.MATCH, bell.WORK_QUEUE),
    "announce": _every(_DAY_SECONDS, bell.ANNOUNCE, bell.WORK_QUEUE),
    "oversee": _every(_DAY_SECONDS, bell.OVERSEE, bell.WORK_QUEUE),
    "reach": _every(_REACH_SECONDS, bell.REACH, bell.WORK_QUEUE),
    "review": _every(_DAY_SECONDS, bell.REVIEW, bell.WORK_QUEUE),
    "replay": _every(_DAY_SECONDS, bell.REPLAY, bell.WORK_QUEUE),
    "owners": _every(_DAY_SECONDS, bell.OWNERS, bell.WORK_QUEUE),
    "measure": _every(_MEASURE_SECONDS, bell.MEASURE, bell.WORK_QUEUE),
    "release": _every(_MATCH_SECONDS, bell.RELEASE, bell.WORK_QUEUE),
    "bulletins": _every(_MATCH_SECONDS, bell.BULLETINS, bell.WORK_QUEUE),
    "line events": _every(_MATCH_SECONDS, bell.LINE_EVENTS, bell.WORK_QUEUE),
    "line quota": _every(_QUOTA_SECONDS, bell.LINE_QUOTA, bell.WORK_QUEUE),
}
