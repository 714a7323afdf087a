"""What the parent face's forms hold, and how they become parts of a household document."""

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import field_validator
from starlette.datastructures import FormData

from app.households.contacts import normalised_email
from app.platform.errors import InvalidInput
from app.registry.municipalities import Municipalities
from app.web.dates import DateParts, parts_of, read_dates
from app.web.forms import FieldProblem, Form
from app.web.pages import phrase

OUTSIDE = "other"
"""The choice of a family whose municipality is not in the list: the registry does not know where it lives."""
MOST_PEOPLE = 12
_OLDEST_CHILD = dt.timedelta(days=366 * 25)
_LATEST_DUE = dt.timedelta(days=300)
_OVERDUE = dt.timedelta(days=30)


class EmailForm(Form):
    """An e-mail address, as mail compares it."""

    email: str

    @field_validator("email")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return normalised_email(value)
        except InvalidInput:
            raise FieldProblem("error.email") from None


class CodeForm(Form):
    """Six digits as a mail brought them; blanks and full-width digits are fine."""

    code: str

    @field_validator("code")
    @classmethod
    def _six_digits(cls, value: str) -> str:
        digits = re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", value))
        if not re.fullmatch(r"\d{6}", digits):
            raise FieldProblem("error.code")
        return digits


@dataclass
class FamilyForm:
    """Where a family lives and whom it raises or expects: what was typed, and what is wrong with it.

    A row of `births` or `dues` belongs to the person in the same place of `child_ids` or `pregnancy_ids`; an empty id
    is somebody new. A blanked row takes its person out of the document.
    """

    municipality: str = ""
    births: list[DateParts] = field(default_factory=lambda: [DateParts()])
    child_ids: list[str] = field(default_factory=list)
    dues: list[DateParts] = field(default_factory=lambda: [DateParts()])
    pregnancy_ids: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def check(self, municipalities: Municipalities, today: dt.date) -> bool:
        """Note every error at its field; return whether there are none."""
        self.errors = {}
        if not self.municipality:
            self.errors["municipality"] = phrase("error.municipality")
        elif self.municipality != OUTSIDE and self.municipality not in municipalities:
            self.errors["municipality"] = phrase("error.choice")
        for index, birth in enumerate(self.births):
            self._check_date(f"birth-{index}", birth, today - _OLDEST_CHILD, today)
        for index, due in enumerate(self.dues):
            self._check_date(f"due-{index}", due, today - _OVERDUE, today + _LATEST_DUE)
        if all(one.blank for one in (*self.births, *self.dues)):
            self.errors["birth-0"] = phrase("error.child_or_pregnancy")
        return not self.errors

    def document(self, before: Mapping[str, Any], municipalities: Municipalities) -> dict[str, Any]:
        """Return the household document with this form's answers in place of the earlier ones; call after `check`.

        A municipality that the registry does not know stays as it was told, as long as その他 stays chosen.
        """
        document = dict(before)
        if self.municipality != OUTSIDE:
            document["municipality"] = self.municipality
        elif document.get("municipality") in municipalities:
            del document["municipality"]
        document.setdefault("guardians", [{"id": "g1"}])
        document["children"] = _people(self.births, self.child_ids, before.get("children"), "birth_date")
        document["pregnancies"] = _people(self.dues, self.pregnancy_ids, before.get("pregnancies"), "due_date")
        return document

    def _check_date(self, name: str, given: DateParts, earliest: dt.date, latest: dt.date) -> None:
        if given.my_number:
            self.errors[name] = phrase("error.my_number")
            return
        if given.blank:
            return
        try:
            day = given.date()
        except (ValueError, OverflowError):
            self.errors[name] = phrase("error.date")
            return
        if not earliest <= day <= latest:
            self.errors[name] = phrase("error.date_range")


def read_family_form(form: FormData) -> FamilyForm:
    """Return what was submitted, unchecked."""
    return FamilyForm(
        municipality=str(form.get("municipality", "")),
        births=read_dates(form, "birth")[:MOST_PEOPLE] or [DateParts()],
        child_ids=[str(one) for one in form.getlist("child_id")],
        dues=read_dates(form, "due")[:MOST_PEOPLE] or [DateParts()],
        pregnancy_ids=[str(one) for one in form.getlist("pregnancy_id")],
    )


def family_form_of(document: Mapping[str, Any], municipalities: Municipalities) -> FamilyForm:
    """Return the form as it shows a stored household."""
    home = document.get("municipality", "")
    children, pregnancies = document.get("children") or [], document.get("pregnancies") or []
    return FamilyForm(
        municipality=home if home in municipalities else OUTSIDE,
        births=[_stored(person.get("birth_date")) for person in children] or [DateParts()],
        child_ids=[person["id"] for person in children],
        dues=[_stored(person.get("due_date")) for person in pregnancies] or [DateParts()],
        pregnancy_ids=[person["id"] for person in pregnancies],
    )


def _stored(day: str | None) -> DateParts:
    try:
        return parts_of(dt.date.fromisoformat(day or ""))
    except ValueError:
        return DateParts()


def _people(dates: list[DateParts], ids: list[str], before: Any, key: str) -> list[dict[str, Any]]:
    known = {person["id"]: person for person in before or []}
    people = []
    for index, given in enumerate(dates):
        if given.blank:
            continue
        person = dict(known.get(ids[index] if index < len(ids) else "", {}))
        people.append({**person, key: given.date().isoformat()})
    return people
