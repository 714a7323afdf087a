"""Row ids, made before the insert so that sealed columns can be bound to them."""

import datetime as dt
import secrets
import time
import uuid


def earliest_id(at: dt.datetime) -> uuid.UUID:
    """Return what no id made at an instant of real time or later comes before."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def new_id() -> uuid.UUID:
    """Return a UUID version 7, ordered by time, so that indexes grow at one end.

    The twelve bits after the millisecond are a fraction of it, so that a process's ids sort as it made them,
    unless the clock is set back.

    Basis: RFC 9562, sections 5.7 and 6.2 (method 3).
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62))
