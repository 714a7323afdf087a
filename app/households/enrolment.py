"""Storing many households at once: imports, the demo, the benches. The same rows as one by one, in few statements."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, SQLModel

from app.households.consent import new_answer, record_answer
from app.households.contacts import new_contact
from app.households.profiles import new_household
from app.households.tables import Household
from app.platform import clock
from app.platform.change_queue import household_changed

GUARDIAN = "g1"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One household with what it agreed to and where it can be reached.

    Attributes:
        document: a household document.
        purposes: purposes that were agreed to.
        contacts: (kind, address) in the order in which they are tried; they count as confirmed now.
        example_name: name of an example household, for the demo only.
    """

    document: Mapping[str, Any]
    purposes: Sequence[str] = ()
    contacts: Sequence[tuple[str, str]] = ()
    example_name: str | None = None
    source: str = "import"
    by: str = "operator"
    language: str = field(default="ja")


def enrol(session: Session, enrolments: Iterable[Enrolment]) -> list[uuid.UUID]:
    """Write many households and queue their evaluation, as a role that may write for all of them. Returns their ids.

    Raises:
        InvalidInput: a document is wrong; the caller rolls back, so nothing is half-written.
    """
    households: list[Household] = []
    later: list[SQLModel] = []
    steps: list[SQLModel] = []
    now = clock.now()
    for enrolment in enrolments:
        household, rows = new_household(
            enrolment.document, source=enrolment.source, by=enrolment.by, example_name=enrolment.example_name
        )
        households.append(household)
        later += rows
        later += _contacts(household, enrolment, now)
        for purpose in enrolment.purposes:
            answer = new_answer(household, purpose)
            steps.append(
                record_answer(
                    answer, "given", language=enrolment.language, by=f"guardian:{GUARDIAN}", source=enrolment.source
                )
            )
            later.append(answer)
    for rows in (households, later, steps):
        session.add_all(rows)
        session.flush()
    for household in households:
        household_changed(session, household.id, household.municipality_code, "enrolled")
    return [household.id for household in households]


def _contacts(household: Household, enrolment: Enrolment, now: dt.datetime) -> list[SQLModel]:
    made: list[SQLModel] = []
    for preference, (kind, address) in enumerate(enrolment.contacts):
        contact = new_contact(household, GUARDIAN, kind, address)
        contact.preference, contact.confirmed_at = preference, now
        made.append(contact)
    return made
