"""How often something may be tried: a sliding window for each key, kept in this process.

It slows guessing down; what makes guessing hopeless are the attempts that each code itself allows, kept in its row.
"""

import threading
import time
from collections import OrderedDict, deque

from starlette.requests import Request

_LARGEST = 20_000


class TooMany(Exception):
    """Too many tries; `seconds` until the next one is allowed."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class RateLimit:
    """At most `times` in `seconds` for each key."""

    def __init__(self, times: int, seconds: int) -> None:
        self.times = times
        self.seconds = seconds
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, key: str) -> None:
        """Count one try of this key.

        Raises:
            TooMany: this one is more than allowed; it is not counted.
        """
        now = time.monotonic()
        with self._lock:
            tries = self._tries.setdefault(key, deque())
            self._tries.move_to_end(key)
            while tries and tries[0] <= now - self.seconds:
                tries.popleft()
            if len(tries) >= self.times:
                raise TooMany(max(1, int(tries[0] + self.seconds - now)))
            tries.append(now)
            while len(self._tries) > _LARGEST:
                self._tries.popitem(last=False)


def client_address(request: Request) -> str:
    """Return the network address of the caller as the server sees it."""
    return request.client.host if request.client else "unknown"
