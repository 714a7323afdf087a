"""Storing rights as entitlements: only what differs is written, so that equal evaluations leave equal rows.

The evaluated rights are copied into a temporary table and compared with the stored rows where these are: three
statements for however many households, and no row travels twice.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlmodel import Session

from app.matching.evaluation import ELIGIBLE, Right
from app.platform.change_queue import NOTICES, many_rights_changed
from app.platform.clock import now
from app.platform.identifiers import new_id

COMPARED: Final = (
    "programme_version",
    "verdict",
    "valid_until",
    "deadline_on",
    "review_on",
    "answer",
)
"""What makes a stored row another one than the evaluated right."""

_COLUMNS: Final = (
    "id", "household_id", "programme_key", "programme_version", "subject", "verdict", "valid_from", "valid_until",
    "announce_on", "deadline_on", "review_on", "answer",
)  # fmt: skip
_MANY = 200
"""From so many rows on, the planner is told how many there are before they are compared."""

_TABLE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS evaluated_rights (
        id uuid, household_id uuid, programme_key text, programme_version date, subject text, verdict text,
        valid_from date, valid_until date, announce_on date, deadline_on date, review_on date, answer jsonb,
        rights_from date[]
    ) ON COMMIT DELETE ROWS
"""
# A right is found by its beginning; the open question of a programme and subject has no beginning of its own.
_SAME = (
    "r.household_id = e.household_id AND r.programme_key = e.programme_key AND r.subject = e.subject AND"
    f" (r.verdict = '{ELIGIBLE}' AND e.verdict = '{ELIGIBLE}' AND r.valid_from = e.valid_from"
    f"  OR r.verdict <> '{ELIGIBLE}' AND e.verdict <> '{ELIGIBLE}')"
)
_DELETE = (
    "DELETE FROM entitlements e WHERE {scope}"  # noqa: S608
    f" AND NOT EXISTS (SELECT FROM evaluated_rights r WHERE {_SAME}) RETURNING e.household_id"
)
# Where another answer would decide now, an open question has to be looked at anew. And where a right begins on the
# day on which the question used to, the question moves to its own first day: no two rows begin on one day.
_UPDATE = (
    "UPDATE entitlements e SET evaluated_at = :now,"  # noqa: S608
    f" {', '.join(f'{name} = r.{name}' for name in COMPARED)},"
    f" announced_at = CASE WHEN e.verdict = '{ELIGIBLE}' OR e.answer = r.answer THEN e.announced_at END,"
    f" announce_on = CASE WHEN e.verdict = '{ELIGIBLE}' OR e.answer = r.answer THEN e.announce_on"
    " ELSE r.announce_on END,"
    " valid_from = CASE WHEN e.valid_from = ANY(r.rights_from) THEN r.valid_from ELSE e.valid_from END"
    f" FROM evaluated_rights r WHERE {{scope}} AND {_SAME} AND (e.valid_from = ANY(r.rights_from)"
    f" OR ({', '.join(f'e.{name}' for name in COMPARED)}) IS DISTINCT FROM"
    f" ({', '.join(f'r.{name}' for name in COMPARED)})) RETURNING e.household_id"
)
_INSERT = (
    f"INSERT INTO entitlements (municipality_code, evaluated_at, {', '.join(_COLUMNS)})"  # noqa: S608
    f" SELECT :code, :now, {', '.join(_COLUMNS)} FROM evaluated_rights r"
)
_STORED = ", ".join(f"e.{name}" for name in COMPARED)
_EVALUATED = ", ".join(f"r.{name}" for name in COMPARED)
_NAMES = ", ".join(f"CASE WHEN e.{name} IS DISTINCT FROM r.{name} THEN '{name}' END" for name in COMPARED)
_COMPARE = (
    "SELECT e.household_id, e.programme_key, e.subject, 'too many' AS kind, ARRAY[]::text[] AS fields,"  # noqa: S608
    " NULL::jsonb, NULL::jsonb"
    f" FROM entitlements e WHERE {{scope}} AND NOT EXISTS (SELECT FROM evaluated_rights r WHERE {_SAME})"
    " UNION ALL SELECT r.household_id, r.programme_key, r.subject, 'missing', ARRAY[]::text[], NULL, NULL"
    f" FROM evaluated_rights r WHERE NOT EXISTS (SELECT FROM entitlements e WHERE {{scope}} AND {_SAME})"
    f" UNION ALL SELECT e.household_id, e.programme_key, e.subject, 'different', array_remove(ARRAY[{_NAMES}], NULL),"
    " e.answer, r.answer"
    f" FROM entitlements e JOIN evaluated_rights r ON {_SAME} WHERE {{scope}}"
    f" AND ({_STORED}) IS DISTINCT FROM ({_EVALUATED}) ORDER BY 1, 2, 3"
)
_IF_NEW = f" WHERE NOT EXISTS (SELECT FROM entitlements e WHERE {{scope}} AND {_SAME})"


@dataclass(slots=True)
class Differences:
    """How many rows were written."""

    added: int = 0
    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """What could not be evaluated, so that its stored rows stay as they are."""

    programmes: Collection[str] = ()
    pairs: Collection[tuple[uuid.UUID, str]] = ()
    """(household, programme)."""


NOTHING: Final = LeftAlone()


def store(
    session: Session,
    municipality_code: str,
    household_ids: Collection[uuid.UUID],
    rights: Iterable[Right],
    programmes: Collection[str] | None = None,
    *,
    left_alone: LeftAlone = NOTHING,
    readers: Collection[str] = (NOTICES,),
) -> Differences:
    """Make the stored entitlements of the households equal to the evaluated rights.

    A row whose right goes on keeps its id and what was announced. A right that begins another day is another right.

    Args:
        session: in the municipality's context.
        municipality_code: of the households.
        household_ids: everybody who was looked at; who has no right in `rights` has none.
        rights: as evaluated, of these households and programmes.
        programmes: only rows of these were looked at; None = all.
        left_alone: rows that stay as they are, evaluated or not.
        readers: who is told, through the change queue, whose rows were changed or removed.
    """
    copied = _copy(session, rights)
    scope, values = _scope(household_ids, programmes, left_alone)
    values |= {"now": now(), "code": municipality_code}
    found = Differences()
    if session.execute(text(f"SELECT EXISTS (SELECT FROM entitlements e WHERE {scope})"), values).scalar_one():  # noqa: S608
        _analyse(session, copied)
        removed = session.execute(text(_DELETE.format(scope=scope)), values).scalars().all()
        changed = session.execute(text(_UPDATE.format(scope=scope)), values).scalars().all() if copied else []
        many_rights_changed(session, {*removed, *changed}, municipality_code, readers)
        found.removed, found.changed = len(removed), len(changed)
        insert = _INSERT + _IF_NEW.format(scope=scope)
    else:
        insert = _INSERT
    if copied:
        found.added = session.execute(text(insert), values).rowcount  # type: ignore[attr-defined]
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """One stored row that an evaluation does not say, says otherwise, or one that it says and nobody stored.

    Attributes:
        kind: missing, too many or different.
        fields: names of the columns that differ; empty unless different.
        answers: stored and evaluated, where they differ.
    """

    household_id: uuid.UUID
    programme_key: str
    subject: str
    kind: str
    fields: tuple[str, ...] = ()
    answers: tuple[Mapping[str, Any], Mapping[str, Any]] | None = field(default=None, repr=False, compare=False)


def compare(
    session: Session,
    household_ids: Collection[uuid.UUID],
    rights: Iterable[Right],
    left_alone: LeftAlone,
    today: dt.date,
) -> list[Difference]:
    """Return where the stored entitlements of households are not what was evaluated; nothing is written.

    A stored right that is over needs no evaluated one.

    Args:
        session: in the municipality's context.
        household_ids: everybody who was looked at.
        rights: as evaluated, of these households.
        left_alone: rows that are not compared.
        today: the day of the evaluation.
    """
    _analyse(session, _copy(session, rights))
    scope, values = _scope(household_ids, None, left_alone)
    scope += " AND (e.valid_until IS NULL OR e.valid_until >= :today)"
    found = session.execute(text(_COMPARE.format(scope=scope)), values | {"today": today})
    return [
        Difference(household_id, key, subject, kind, tuple(fields), (stored, evaluated) if "answer" in fields else None)
        for household_id, key, subject, kind, fields, stored, evaluated in found
    ]


def _scope(
    household_ids: Collection[uuid.UUID], programmes: Collection[str] | None, left_alone: LeftAlone
) -> tuple[str, dict[str, Any]]:
    """Return the condition for the stored rows `e` that are compared, and its values."""
    # Written out here: the driver would quote every id again for each of the statements.
    ids = f"{{{','.join(map(str, household_ids))}}}"
    conditions = ["e.household_id = ANY(CAST(:ids AS uuid[]))"]
    values: dict[str, Any] = {"ids": ids}
    if programmes is not None:
        conditions.append("e.programme_key = ANY(:programmes)")
        values["programmes"] = list(programmes)
    if left_alone.programmes:
        conditions.append("e.programme_key <> ALL(:broken)")
        values["broken"] = list(left_alone.programmes)
    if left_alone.pairs:
        conditions.append("e.household_id || ' ' || e.programme_key <> ALL(:pairs)")
        values["pairs"] = [f"{household_id} {key}" for household_id, key in left_alone.pairs]
    return " AND ".join(conditions), values


def _copy(session: Session, rights: Iterable[Right]) -> int:
    """Copy rights into the temporary table; one right for each beginning, one open question for each subject."""
    connection = session.connection()
    connection.exec_driver_sql(_TABLE)
    connection.exec_driver_sql("DELETE FROM evaluated_rights")
    wanted = {_key(right): right for right in rights}
    if not wanted:
        return 0
    beginnings = _beginnings_beside_questions(wanted.values())
    driver: Any = connection.connection.driver_connection
    copying = f"COPY evaluated_rights ({', '.join(_COLUMNS)}, rights_from) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(copying) as copy:
        copy.write("".join(_line(right, beginnings.get(_subject(right))) for right in wanted.values()))
    return len(wanted)


def _analyse(session: Session, copied: int) -> None:
    if copied >= _MANY:
        session.connection().exec_driver_sql("ANALYZE evaluated_rights")


def _key(right: Right) -> tuple[Any, ...]:
    return (*_subject(right), right.valid_from if right.verdict == ELIGIBLE else None)


def _subject(right: Right) -> tuple[uuid.UUID, str, str]:
    return right.household_id, right.programme_key, right.subject


def _beginnings_beside_questions(rights: Collection[Right]) -> dict[tuple[uuid.UUID, str, str], str]:
    """Return the first days of the rights of every subject that also has an open question, as the database reads it."""
    asked = {_subject(right) for right in rights if right.verdict != ELIGIBLE}
    beginnings: dict[tuple[uuid.UUID, str, str], list[str]] = {}
    for right in rights:
        if right.verdict == ELIGIBLE and _subject(right) in asked:
            beginnings.setdefault(_subject(right), []).append(right.valid_from.isoformat())
    return {subject: f"{{{','.join(days)}}}" for subject, days in beginnings.items()}


_NULL = "\\N"


def _line(right: Right, beginnings: str | None) -> str:
    """Return a right as COPY reads it."""
    values = (
        str(new_id()),
        str(right.household_id),
        _escaped(right.programme_key),
        right.programme_version.isoformat(),
        _escaped(right.subject),
        right.verdict,
        right.valid_from.isoformat(),
        _NULL if right.valid_until is None else right.valid_until.isoformat(),
        right.announce_on.isoformat(),
        _NULL if right.deadline_on is None else right.deadline_on.isoformat(),
        _NULL if right.review_on is None else right.review_on.isoformat(),
        _escaped(orjson.dumps(right.answer).decode()),
        _NULL if right.verdict == ELIGIBLE or beginnings is None else beginnings,
    )
    return "\t".join(values) + "\n"


def _escaped(value: str) -> str:
    if "\\" in value or "\t" in value or "\n" in value or "\r" in value:
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return value
