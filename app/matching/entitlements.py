"""Storing rights as entitlements: only what differs is written, so that equal evaluations leave equal rows."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, update
from sqlmodel import Session, col, select

from app.matching.evaluation import Right
from app.matching.tables import Entitlement
from app.platform.change_queue import rights_changed
from app.platform.clock import now
from app.platform.identifiers import new_id

_COMPARED = (
    "programme_version",
    "verdict",
    "valid_until",
    "deadline_on",
    "review_on",
    "answer",
)
_HOUSEHOLDS_AT_ONCE = 2_000


@dataclass(slots=True)
class Differences:
    """How many rows were written."""

    added: int = 0
    changed: int = 0
    removed: int = 0


def store(
    session: Session,
    municipality_code: str,
    household_ids: Collection[uuid.UUID],
    rights: Iterable[Right],
    programmes: Collection[str] | None = None,
) -> Differences:
    """Make the stored entitlements of the households equal to the evaluated rights.

    A row whose right goes on keeps its id and what was announced. A right that begins another day is another right.

    Args:
        session: in the municipality's context.
        municipality_code: of the households.
        household_ids: everybody who was looked at; who has no right in `rights` has none.
        rights: as evaluated.
        programmes: only rows of these were looked at; None = all.
    """
    wanted = _Wanted(rights)
    found = Differences()
    ids = list(household_ids)
    for start in range(0, len(ids), _HOUSEHOLDS_AT_ONCE):
        _store_some(session, municipality_code, ids[start : start + _HOUSEHOLDS_AT_ONCE], wanted, programmes, found)
    new = wanted.rest()
    if new:
        session.execute(insert(Entitlement), [_row(right, municipality_code) for right in new])
    found.added = len(new)
    return found


def _store_some(
    session: Session,
    municipality_code: str,
    ids: list[uuid.UUID],
    wanted: "_Wanted",
    programmes: Collection[str] | None,
    found: Differences,
) -> None:
    """Compare the stored rows of some households; what is left in `wanted` afterwards is new."""
    statement = select(Entitlement).where(col(Entitlement.household_id).in_(ids))
    if programmes is not None:
        statement = statement.where(col(Entitlement.programme_key).in_(programmes))
    gone, changes = [], []
    touched: set[uuid.UUID] = set()
    for row in session.exec(statement):
        right = wanted.take(row)
        if right is None:
            gone.append(row.id)
        elif any(getattr(row, name) != getattr(right, name) for name in _COMPARED):
            changes.append(_changed(row, right))
        else:
            continue
        touched.add(row.household_id)
    session.expunge_all()
    for household_id in sorted(touched):
        rights_changed(session, household_id, municipality_code)
    if gone:
        session.execute(delete(Entitlement).where(col(Entitlement.id).in_(gone)))
    if changes:
        session.execute(update(Entitlement), changes)
    found.changed += len(changes)
    found.removed += len(gone)


def _changed(row: Entitlement, right: Right) -> dict[str, Any]:
    changed = {"id": row.id, "evaluated_at": now(), **{name: getattr(right, name) for name in _COMPARED}}
    if row.verdict == "undetermined" and row.answer != right.answer:
        # Another answer would decide now: it has to be looked at anew.
        changed |= {"announced_at": None, "announce_on": right.announce_on}
    return changed


def _row(right: Right, municipality_code: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "household_id": right.household_id,
        "municipality_code": municipality_code,
        "programme_key": right.programme_key,
        "subject": right.subject,
        "valid_from": right.valid_from,
        "announce_on": right.announce_on,
        "evaluated_at": now(),
        **{name: getattr(right, name) for name in _COMPARED},
    }


class _Wanted:
    """The rights that should be stored, found by the row that holds them already.

    A right is found by its beginning; the open question of a programme and subject has no beginning of its own.
    """

    def __init__(self, rights: Iterable[Right]) -> None:
        self._rights = {self._key(right): right for right in rights}

    @staticmethod
    def _key(right: Right | Entitlement) -> tuple[Any, ...]:
        beginning = right.valid_from if right.verdict == "eligible" else None
        return right.household_id, right.programme_key, right.subject, beginning

    def take(self, row: Entitlement) -> Right | None:
        """Return and forget the right that a stored row holds; None when there is none any more."""
        return self._rights.pop(self._key(row), None)

    def rest(self) -> list[Right]:
        """Return the rights that no stored row holds."""
        return list(self._rights.values())
