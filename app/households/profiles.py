"""A household's profile: one current document, every attribute in it also an append-only fact.

Room functions: they take the session (in the household's context), never commit, and queue the re-evaluation.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, select

from app.households.facts import Document, catalogue, differences, document_from, facts_of
from app.households.tables import UNKNOWN_MUNICIPALITY, Household, HouseholdDocument, HouseholdFact
from app.platform import clock
from app.platform.change_queue import household_changed
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id
from app.rules.documents import DocumentError
from app.rules.household import read_household

_PEOPLE_PREFIX = {"guardians": "g", "children": "c", "pregnancies": "p", "co_residents": "r"}


def create_household(
    session: Session,
    document: Mapping[str, Any],
    *,
    source: str,
    by: str,
    household_id: uuid.UUID | None = None,
    example_name: str | None = None,
) -> Household:
    """Store a new household with its first document.

    The session must be in the context of `household_id` already: row-level security lets nobody write for another.

    Raises:
        InvalidInput: a fact, date or code in the document is wrong, or a 個人番号 stands in it.
    """
    household, rows = new_household(
        document, source=source, by=by, household_id=household_id, example_name=example_name
    )
    session.add(household)
    session.flush()
    session.add_all(rows)
    household_changed(session, household.id, household.municipality_code, "created")
    return household


def new_household(
    document: Mapping[str, Any],
    *,
    source: str,
    by: str,
    household_id: uuid.UUID | None = None,
    example_name: str | None = None,
) -> tuple[Household, list[HouseholdDocument | HouseholdFact]]:
    """Return the rows of a new household, to be written after its gate row.

    Raises:
        InvalidInput: as in `create_household`.
    """
    checked = _checked(document)
    household = Household(
        id=household_id or new_id(), municipality_code=_municipality_of(checked), example_name=example_name
    )
    current = HouseholdDocument(
        household_id=household.id, municipality_code=household.municipality_code, document=checked
    )
    return household, [current, *_facts(household, {}, checked, source, by)]


def read_document(session: Session, household_id: uuid.UUID) -> HouseholdDocument:
    """Return the current document with its version.

    Raises:
        NotFound: no such household in this context.
    """
    row = session.get(HouseholdDocument, household_id)
    if row is None:
        raise NotFound("this household is not stored, or not visible here")
    return row


def save_document(
    session: Session,
    household_id: uuid.UUID,
    document: Mapping[str, Any],
    *,
    expected_version: int,
    source: str,
    by: str,
) -> HouseholdDocument:
    """Replace the current document; what differs is recorded as facts, and the household is evaluated again.

    Raises:
        Conflict: somebody saved another version since `expected_version` was read; nothing is written.
        InvalidInput: as in `create_household`; nothing is written.
    """
    checked = _checked(document)
    row = session.exec(
        select(HouseholdDocument).where(HouseholdDocument.household_id == household_id).with_for_update()
    ).one_or_none()
    household = session.get(Household, household_id)
    if row is None or household is None:
        raise NotFound("this household is not stored, or not visible here")
    if row.version != expected_version:
        raise Conflict(f"the household is at version {row.version}, the form was filled in for {expected_version}")
    if checked == row.document:
        return row
    before = row.document
    if household.municipality_code != _municipality_of(checked):
        # The database carries the household's other rows over to the new municipality (migration 0002).
        household.municipality_code = _municipality_of(checked)
        session.add(household)
        session.flush()
        session.refresh(row)
    row.document = checked
    row.version += 1
    session.add(row)
    session.add_all(_facts(household, facts_of(before), checked, source, by))
    household_changed(session, household_id, household.municipality_code, "profile")
    return row


def document_at(session: Session, household_id: uuid.UUID, recorded_until: dt.datetime) -> Document:
    """Return the document as it was known at an instant, put together from the append-only facts."""
    rows = session.exec(
        select(HouseholdFact)
        .where(HouseholdFact.household_id == household_id, HouseholdFact.recorded_at <= recorded_until)
        .order_by(HouseholdFact.recorded_at, HouseholdFact.id)  # type: ignore[arg-type]
    )
    known: dict[tuple[str, str], Any] = {}
    for row in rows:
        known[row.subject, row.path] = row.value
    return document_from({key: value for key, value in known.items() if value is not None})


def _checked(document: Mapping[str, Any]) -> Document:
    completed = _with_ids(document)
    try:
        read_household(completed, catalogue())
    except DocumentError as error:
        raise InvalidInput(str(error), field=error.problems[0].path if error.problems else None) from None
    plain: Document = _plain(completed)
    return plain


def _plain(value: Any) -> Any:
    """Return what JSON can hold: dates as text, nothing that is unknown."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _with_ids(document: Mapping[str, Any]) -> Document:
    """Give every person an id, so that a right can name its subject from now on."""
    completed: Document = {key: value for key, value in document.items() if key not in ("id", "note")}
    for plural, prefix in _PEOPLE_PREFIX.items():
        people = completed.get(plural)
        if not isinstance(people, list):
            continue
        taken = {person.get("id") for person in people if isinstance(person, dict)}
        free = (f"{prefix}{number}" for number in range(1, 1000) if f"{prefix}{number}" not in taken)
        completed[plural] = [
            person if not isinstance(person, dict) or person.get("id") else {"id": next(free), **person}
            for person in people
        ]
    return completed


def _municipality_of(document: Document) -> str:
    return str(document.get("municipality") or UNKNOWN_MUNICIPALITY)


def _facts(
    household: Household,
    before: Mapping[tuple[str, str], Any],
    document: Document,
    source: str,
    by: str,
) -> list[HouseholdFact]:
    recorded_at = clock.now()  # the time by which the registry says what it knew, so that both can be read as of then
    return [
        HouseholdFact(
            household_id=household.id,
            municipality_code=household.municipality_code,
            subject=subject,
            path=path,
            value=value,
            source=source,
            recorded_by=by,
            recorded_at=recorded_at,
        )
        for (subject, path), value in differences(before, facts_of(document))
    ]
