"""Row ids, made before the insert so that sealed columns can be bound to them."""

import datetime as dt
import secrets
import time
import uuid


def earliest_id(at: dt.datetime) -> uuid.UUID:
    """Return what no id made at an instant of real time or later comes before."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def new_id() -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562): ordered by time, so that indexes grow at one end."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
