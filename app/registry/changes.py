"""What was published, in an order that a reader can follow without ever missing a late commit.

Numbers are given when a row is written, not when it is committed: a reader that remembers the highest number it saw
skips what a slower transaction commits later. So rows are ordered by their transaction first, and shown only when no
transaction that began before theirs ended is still running; whatever commits afterwards sorts behind the cursor.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session, select

from app.platform.errors import InvalidInput
from app.registry.tables import RegistryChange

BEGINNING = "0-0"
MOST_AT_ONCE = 1_000
_CURSOR = re.compile(r"^([0-9a-f]{1,16})-([0-9a-f]{1,16})$")
_LARGEST = 2**63 - 1
_SETTLED = "transaction_id < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint"


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Changes in their order, and the cursor to ask for what comes after them (the one asked with, where none came)."""

    changes: Sequence[RegistryChange]
    cursor: str


def changes_since(session: Session, cursor: str = BEGINNING, limit: int = MOST_AT_ONCE) -> ChangesPage:
    """Return up to `limit` published changes after a cursor.

    Args:
        session: of any role; the feed is public.
        cursor: `BEGINNING`, or the cursor of an earlier page. Callers keep it as it is.
        limit: 1 … MOST_AT_ONCE.

    Raises:
        InvalidInput: the cursor was not made here, or the limit is out of range.
    """
    transaction, seq = _read_cursor(cursor)
    if not 1 <= limit <= MOST_AT_ONCE:
        raise InvalidInput(f"found the limit {limit}; expected 1 … {MOST_AT_ONCE}", field="limit")
    # Literal column names: the comparison of rows is what uses the index registry_changes_order.
    condition = text(f"(transaction_id, seq) > (:transaction, :seq) AND {_SETTLED}").bindparams(
        transaction=transaction, seq=seq
    )
    statement = select(RegistryChange).where(condition).order_by(text("transaction_id, seq")).limit(limit)
    rows = session.exec(statement).all()
    if not rows:
        return ChangesPage((), cursor)
    return ChangesPage(rows, f"{rows[-1].transaction_id:x}-{rows[-1].seq:x}")


def latest_changes(session: Session, limit: int) -> Sequence[RegistryChange]:
    """Return the last `limit` changes that `changes_since` would show, the latest first."""
    order = text("transaction_id DESC, seq DESC")
    return session.exec(select(RegistryChange).where(text(_SETTLED)).order_by(order).limit(limit)).all()


def _read_cursor(cursor: str) -> tuple[int, int]:
    found = _CURSOR.match(cursor)
    numbers = tuple(int(part, 16) for part in found.groups()) if found else ()
    if len(numbers) != 2 or max(numbers) > _LARGEST:
        raise InvalidInput(f"found the cursor {cursor!r}; expected one that an earlier answer gave", field="cursor")
    return numbers[0], numbers[1]
