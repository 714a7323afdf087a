"""Facts of a household as single attributes: what is recorded, and what consent lets the evaluator see.

A household document is one tree; the database keeps each attribute as an append-only fact with source and date. Both
say the same: `facts_of` takes a document apart, `document_from` puts it together again.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml

from app.platform.settings import settings
from app.rules.facts import FactCatalogue

PEOPLE = {"guardians": "guardian", "children": "child", "pregnancies": "pregnancy", "co_residents": "co_resident"}
_HOUSEHOLD = "household"

Document = dict[str, Any]
FactKey = tuple[str, str]
"""(subject, path): ("child:c1", "child.birth_date"), ("household", "residence") …"""


@lru_cache
def catalogue() -> FactCatalogue:
    """Return the catalogue of facts in the registry's vocabulary, read once."""
    path = settings().registry_directory / "vocabulary" / "facts.yaml"
    return FactCatalogue.from_mapping(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


def facts_of(document: Mapping[str, Any]) -> dict[FactKey, Any]:
    """Take a household document apart into single attributes.

    A list of people also leaves one attribute with their ids, so that "no children" and "not told" stay different.
    """
    found: dict[FactKey, Any] = {}
    for key, value in document.items():
        if key in ("id", "note"):
            continue
        if key in PEOPLE and value is not None:
            found[_HOUSEHOLD, key] = [person["id"] for person in value]
            for person in value:
                found.update(_facts_of_person(PEOPLE[key], person))
        elif key == "facts":
            found.update({(_HOUSEHOLD, f"household.{name}"): fact for name, fact in (value or {}).items()})
        else:
            found[_HOUSEHOLD, key] = value
    return found


def document_from(facts: Mapping[FactKey, Any]) -> Document:
    """Put a household document together from its attributes; the opposite of `facts_of`."""
    document: Document = {}
    for (subject, path), value in facts.items():
        if subject == _HOUSEHOLD and path not in PEOPLE:
            place, _, name = path.partition(".")
            if name and place == _HOUSEHOLD:
                document.setdefault("facts", {})[name] = value
            else:
                document[path] = value
    for plural, kind in PEOPLE.items():
        ids = facts.get((_HOUSEHOLD, plural))
        if ids is not None:
            document[plural] = [_person_from(kind, person_id, facts) for person_id in ids]
    return document


def only_consented(document: Document, categories: Collection[str], known: FactCatalogue) -> Document:
    """Return the document without the facts whose consent category is not in `categories`: unknown, not false.

    Args:
        document: a household document.
        categories: consented categories such as basic, income, disability_health.
        known: the catalogue that says which category a fact belongs to; an unlisted key counts as basic.
    """
    return without(document, hidden_facts(categories, known))


def hidden_facts(categories: Collection[str], known: FactCatalogue) -> frozenset[str]:
    """Return the paths of the facts that no given consent opens."""
    return frozenset(fact.path for fact in known if fact.consent not in categories)


def without(document: Mapping[str, Any], hidden: Collection[str]) -> Document:
    """Return the document without the facts of these paths; parts that stay whole are shared with the original."""
    left = {key: value for key, value in document.items() if key not in hidden and key != "note"}
    if not hidden:
        return left
    if left.get("facts"):
        left["facts"] = _facts_without(_HOUSEHOLD, left["facts"], hidden)
    for plural, kind in PEOPLE.items():
        if left.get(plural):
            left[plural] = [_person_without(kind, person, hidden) for person in left[plural]]
    return left


def _person_without(kind: str, person: Mapping[str, Any], hidden: Collection[str]) -> Document:
    left = {key: value for key, value in person.items() if f"{kind}.{key}" not in hidden}
    if left.get("facts"):
        left["facts"] = _facts_without(kind, left["facts"], hidden)
    return left


def _facts_without(owner: str, facts: Mapping[str, Any], hidden: Collection[str]) -> Document:
    return {name: value for name, value in facts.items() if f"{owner}.{name}" not in hidden}


def differences(before: Mapping[FactKey, Any], after: Mapping[FactKey, Any]) -> Iterable[tuple[FactKey, Any]]:
    """Yield what has to be recorded so that `before` becomes `after`; a fact taken back is recorded as None."""
    for key, value in after.items():
        if key not in before or before[key] != value:
            yield key, value
    for key in before:
        if key not in after:
            yield key, None


def _facts_of_person(kind: str, person: Mapping[str, Any]) -> dict[FactKey, Any]:
    subject = f"{kind}:{person['id']}"
    found: dict[FactKey, Any] = {}
    for key, value in person.items():
        if key == "facts":
            found.update({(subject, f"{kind}.{name}"): fact for name, fact in (value or {}).items()})
        elif key != "id":
            found[subject, f"{kind}.{key}"] = value
    return found


def _person_from(kind: str, person_id: str, facts: Mapping[FactKey, Any]) -> Document:
    person: Document = {"id": person_id}
    subject = f"{kind}:{person_id}"
    for (owner, path), value in facts.items():
        if owner != subject:
            continue
        name = path.partition(".")[2]
        if name in _OWN_KEYS:
            person[name] = value
        else:
            person.setdefault("facts", {})[name] = value
    return person


_OWN_KEYS = {"birth_date", "due_date", "receives", "received_elsewhere"}
"""Keys that stand on a person itself in the household document, not under its facts."""
