"""What beat rings, and how often. Each entry finds its work in the database: a tick too many or too few is harmless."""

from typing import Any, Final

from app.platform import bell

SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "sweep": {
        "task": bell.SWEEP,
        "schedule": 5.0,
        "options": {"queue": bell.DELIVERY_QUEUE, "expires": 5},
    },
}
