"""Drafts: a household document under construction, in which one fact at a time is moved.

Boundaries put households just inside and just outside an edge from it; nothing here evaluates.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from app.calendar.day_numbers import date_of
from app.rules.household import ATTRIBUTES, PEOPLE_FIELDS
from app.rules.municipality_code import NATIONAL, covers, is_prefecture

LISTS = {kind: field_name for field_name, kind in PEOPLE_FIELDS.items()}
"""The list of a document in which the people of a kind stand."""
_TOWNS = ("131130", "141003", "271004", "011002")
"""Places to live in: one of them is outside any area."""
_LONG = 3650
"""Days that somebody has lived in a place whose beginning does not matter."""


@dataclass(frozen=True)
class Draft:
    """A household on a day. ``persons`` says, by kind, which person of the list the tests are about.

    ``subject`` is (kind, position) of whose right is looked at; the position is 0 for the household.
    """

    document: Mapping[str, Any]
    day: int
    subject: tuple[str, int]
    persons: Mapping[str, int] = field(default_factory=dict)

    @property
    def on(self) -> dt.date:
        """The day as a date."""
        return date_of(self.day)

    @property
    def subject_name(self) -> str:
        """``household``, or ``child:c1``."""
        kind, position = self.subject
        if kind == "household":
            return kind
        return f"{kind}:{self.people(kind)[position].get('id') or f'{kind}-{position + 1}'}"

    def people(self, kind: str) -> list[dict[str, Any]]:
        """The people of a kind; none where the list was left out."""
        return list(self.document.get(LISTS[kind]) or ())

    def on_day(self, day: int) -> Draft:
        """The same household on another day."""
        return replace(self, day=day)

    def with_document(self, **parts: Any) -> Draft:
        """Some top-level parts replaced."""
        return replace(self, document={**self.document, **parts})

    def with_people(self, kind: str, people: Sequence[Mapping[str, Any]]) -> Draft:
        """A list of people replaced."""
        return self.with_document(**{LISTS[kind]: [dict(person) for person in people]})

    def bound(self, kind: str, position: int) -> Draft:
        """The tests are about another person of a kind."""
        return replace(self, persons={**self.persons, kind: position})

    def owner(self, kind: str) -> tuple[Draft, int]:
        """The person of a kind that the tests are about, added where the household has none."""
        position = self.persons.get(kind)
        people = self.people(kind)
        if kind == "guardian" and position is None:
            position = self._claimant()
        position = position or 0
        if position < len(people):
            return self, position
        return self.with_people(kind, [*people, self.new_person(kind)]), len(people)

    def new_person(self, kind: str) -> dict[str, Any]:
        """A person of whom nothing is known yet, with an id that nobody in the household has."""
        taken = {person.get("id") for other in LISTS for person in self.people(other)}
        letter = {"guardian": "g", "child": "c", "pregnancy": "p", "co_resident": "r"}[kind]
        return {"id": next(name for number in range(1, 99) if (name := f"{letter}{number}") not in taken)}

    def _claimant(self) -> int:
        """The guardian marked as claimant, else the one of the highest income that is stated plainly."""
        people = self.people("guardian")
        incomes = []
        for position, person in enumerate(people):
            facts = person.get("facts", {})
            if facts.get("claimant") is True:
                return position
            income = facts.get("income_after_deductions")
            incomes.append(income if isinstance(income, int) else -1)
        return incomes.index(max(incomes)) if incomes else 0

    def with_fact(self, path: str, value: Any) -> Draft:
        """A fact stated plainly for its owner: the person the tests are about, or the household."""
        kind, name = path.split(".", 1)
        if kind == "household":
            return self.with_document(facts={**self.document.get("facts", {}), name: value})
        draft, position = self.owner(kind)
        people = deepcopy(draft.people(kind))
        if path in ATTRIBUTES:
            people[position][name] = value
        else:
            people[position]["facts"] = {**people[position].get("facts", {}), name: value}
            if kind == "guardian" and len(people) > 1 and name != "claimant":
                people[position]["facts"]["claimant"] = True
        return draft.with_people(kind, people)

    def fact(self, path: str) -> Any:
        """A fact as stated, None where it is not."""
        kind, name = path.split(".", 1)
        if kind == "household":
            return self.document.get("facts", {}).get(name)
        people, position = self.people(kind), self.persons.get(kind, 0)
        if position >= len(people):
            return None
        return people[position].get(name) if path in ATTRIBUTES else people[position].get("facts", {}).get(name)

    def with_answer(self, question: str, programme: str, value: bool) -> Draft:
        """The household's answer to ``receives`` or ``received_elsewhere``; people's own answers to it are dropped."""
        draft = self.with_document(**{question: {**self.document.get(question, {}), programme: value}})
        for kind in LISTS:
            people = deepcopy(draft.people(kind))
            if any(programme in person.get(question, {}) for person in people):
                for person in people:
                    person.get(question, {}).pop(programme, None)
                draft = draft.with_people(kind, people)
        return draft

    def living(self, area: str, since: int | None = None, elsewhere_from: int | None = None) -> Draft:
        """Everybody lives in an area, since a day (long ago unless given), until they move away (if they do)."""
        here, away = self.town_in(area), town_outside(area)
        begins = self.day - _LONG if since is None else since
        stays = [{"municipality": here, "from": date_of(begins)}]
        if since is not None and away is not None:
            stays.insert(0, {"municipality": away, "from": date_of(begins - _LONG)})
        if elsewhere_from is not None and away is not None:
            stays.append({"municipality": away, "from": date_of(elsewhere_from)})
        gone = elsewhere_from is not None and elsewhere_from <= self.day
        absent = away is not None and (gone or begins > self.day)
        return self.with_document(residence=stays, municipality=away if absent else here)

    def town_in(self, area: str) -> str:
        """A municipality of an area: the household's own where it lies there."""
        own = self.document.get("municipality")
        if own is not None and covers(area, own):
            return str(own)
        if area != NATIONAL and not is_prefecture(area):
            return area
        return next((town for town in _TOWNS if covers(area, town)), area)


def town_outside(area: str) -> str | None:
    """A municipality outside an area; None for the whole country."""
    return next((town for town in _TOWNS if not covers(area, town)), None)
