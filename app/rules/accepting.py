"""A quick yes for household documents as they mostly come: plain JSON values, nothing unusual.

What is accepted here ``read_household`` accepts too, and it means the same to a population. Everything else, right or
wrong, is for ``read_household`` to look at: it alone says what is wrong.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from app.rules.documents import Place
from app.rules.facts import DECLINED, Fact, FactCatalogue
from app.rules.household import ATTRIBUTES, PEOPLE_FIELDS
from app.rules.municipality_code import read_municipality_code
from app.rules.my_number import holds_my_number

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_OWN_KEYS = {"facts", "receives", "received_elsewhere"}
_HOUSEHOLD_KEYS = {"id", "municipality", "residence", *PEOPLE_FIELDS, *_OWN_KEYS}
_PERSON_KEYS = {
    "child": {"id", "birth_date", *_OWN_KEYS},
    "guardian": {"id", "birth_date", *_OWN_KEYS},
    "co_resident": {"id", "birth_date", *_OWN_KEYS},
    "pregnancy": {"id", "due_date", *_OWN_KEYS},
}
_RESIDENCE_KEYS = {"municipality", "from", "until"}
_STATED_KEYS = {"value", "income_year", "source", "recorded_on"}
_MY_NUMBERS = 10**10
_MOST_PAID = 10**9


class _Unusual(Exception):
    """Something that only ``read_household`` can judge."""


class Acceptance:
    """Accepts documents of one catalogue."""

    def __init__(self, catalogue: FactCatalogue) -> None:
        self._facts: dict[str, dict[str, Fact]] = {
            owner: {name: fact for name, fact in known.items() if fact.path not in ATTRIBUTES}
            for owner, known in catalogue.by_owner.items()
        }
        self._quick = {
            owner: {name: quick for name, fact in known.items() if (quick := _quick_test(fact)) is not None}
            for owner, known in self._facts.items()
        }

    def keys_of(self, document: Any) -> int | None:
        """How many keys an accepted document has, at every depth; None where ``read_household`` must look at it."""
        try:
            return self._household(document)
        except _Unusual:
            return None

    def _household(self, document: Any) -> int:
        if type(document) is not dict or not document.keys() <= _HOUSEHOLD_KEYS:
            raise _Unusual
        keys = len(document) + self._owner("household", document)
        identifier, town = document.get("id"), document.get("municipality")
        if identifier is not None and (type(identifier) is not str or _suspicious(identifier)):
            raise _Unusual
        if town is not None and not _is_code(town):
            raise _Unusual
        seen: set[str] = set()
        for name, kind in PEOPLE_FIELDS.items():
            people = document.get(name)
            if people is not None:
                keys += self._people(kind, people, seen)
        if document.get("residence") is not None:
            keys += _residence(document["residence"])
        if sum(one.get("facts", {}).get("claimant") is True for one in document.get("guardians") or ()) > 1:
            raise _Unusual
        return keys

    def _people(self, kind: str, people: Any, seen: set[str]) -> int:
        if type(people) is not list:
            raise _Unusual
        keys, allowed = 0, _PERSON_KEYS[kind]
        for person in people:
            if type(person) is not dict or not person.keys() <= allowed:
                raise _Unusual
            identifier = person.get("id")
            if identifier is not None:
                if type(identifier) is not str or identifier in seen or not _IDENTIFIER.fullmatch(identifier):
                    raise _Unusual
                if _suspicious(identifier):
                    raise _Unusual
                seen.add(identifier)
            day = person.get("due_date" if kind == "pregnancy" else "birth_date")
            if day is not None and day != DECLINED and not _is_day(day):
                raise _Unusual
            keys += len(person) + self._owner(kind, person)
        return keys

    def _owner(self, kind: str, document: Mapping[str, Any]) -> int:
        keys = 0
        if "facts" in document:
            keys += self._stated(kind, document["facts"])
        for question in ("receives", "received_elsewhere"):
            if question in document:
                keys += _answers(document[question], question)
        return keys

    def _stated(self, kind: str, facts: Any) -> int:
        if type(facts) is not dict:
            raise _Unusual
        keys, known, quick = len(facts), self._facts[kind], self._quick[kind]
        for name, value in facts.items():
            if name in quick and quick[name](value):
                continue
            fact = known.get(name)
            if fact is None:
                raise _Unusual
            if type(value) is list:
                for part in value:
                    keys += _stated(fact, part)
            elif type(value) is dict:
                keys += _stated(fact, value)
            elif value is not None and value != DECLINED:
                _plain(fact, value)
        return keys


def _quick_test(fact: Fact) -> Callable[[Any], bool] | None:
    """A test that only good bare values of a fact pass, as they are mostly written; None where there is none."""
    if fact.type == "bool":
        return lambda value: value is True or value is False
    if fact.type == "choice":
        choices = frozenset(choice for choice in fact.choices if type(choice) is str and not _suspicious(choice))
        return lambda value: type(value) is str and value in choices
    if fact.type in ("int", "yen"):
        lowest = 0 if fact.at_least is None else fact.at_least
        highest = _MY_NUMBERS - 1 if fact.at_most is None else min(fact.at_most, _MY_NUMBERS - 1)
        return lambda value: type(value) is int and lowest <= value <= highest
    return None


def _plain(fact: Fact, value: Any) -> None:
    """A bare value of the fact's type; a date only as it is mostly written."""
    if type(value) not in (bool, int, str) or (type(value) is int and value >= _MY_NUMBERS):
        raise _Unusual
    if type(value) is str and (_suspicious(value) or (fact.type == "date" and not _is_day(value))):
        raise _Unusual
    try:
        fact.read(value)
    except Place:
        raise _Unusual from None


def _stated(fact: Fact, part: Any) -> int:
    """{value, income_year, source, recorded_on}: a value with what stands around it."""
    if type(part) is not dict or "value" not in part or not part.keys() <= _STATED_KEYS:
        raise _Unusual
    year = part.get("income_year")
    if year is not None and (type(year) is not int or not 1990 <= year <= 2199 or fact.type == "date"):
        raise _Unusual
    for name in ("source", "recorded_on"):
        text = part.get(name)
        if text is not None and (type(text) is not str or _suspicious(text)):
            raise _Unusual
    if part["value"] is not None and part["value"] != DECLINED:
        _plain(fact, part["value"])
    return len(part)


def _answers(answers: Any, question: str) -> int:
    if type(answers) is not dict:
        raise _Unusual
    for programme, answer in answers.items():
        paid = question == "received_elsewhere" and type(answer) is int and 0 <= answer <= _MOST_PAID
        known = paid or answer is None or type(answer) is bool or answer == DECLINED
        if not known or _suspicious(programme):
            raise _Unusual
    return len(answers)


def _residence(entries: Any) -> int:
    """Stays of the whole household."""
    if type(entries) is not list:
        raise _Unusual
    keys = 0
    for entry in entries:
        if type(entry) is not dict or not entry.keys() <= _RESIDENCE_KEYS or not _is_code(entry.get("municipality")):
            raise _Unusual
        until = entry.get("until")
        if not _is_day(entry.get("from")) or (until is not None and (not _is_day(until) or until < entry["from"])):
            raise _Unusual
        keys += len(entry)
    return keys


def _is_day(value: Any) -> bool:
    return type(value) is str and _is_day_text(value)


@lru_cache(maxsize=50_000)
def _is_day_text(value: str) -> bool:
    if not _DAY.fullmatch(value):
        return False
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_code(value: Any) -> bool:
    """Six digits as they stay: a code of five is completed, which is for ``read_household``."""
    return type(value) is str and _is_code_text(value)


@lru_cache(maxsize=5_000)
def _is_code_text(value: str) -> bool:
    try:
        return bool(read_municipality_code(value) == value)
    except ValueError:
        return False


def _suspicious(text: str) -> bool:
    """Text that may hold a 個人番号."""
    return len(text) >= 12 and holds_my_number(text)
