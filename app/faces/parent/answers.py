"""Answers in a household document: whose they are, their bare value, and how a page words them."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from app.platform.rendering import japanese_date
from app.rules.facts import DECLINED, Fact
from app.web.pages import phrase, yen

PEOPLE = {"guardian": "guardians", "child": "children", "pregnancy": "pregnancies", "co_resident": "co_residents"}


def owners(document: Mapping[str, Any], fact: Fact) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (`child:c1`, that person's part of the document) for everybody a fact belongs to."""
    if fact.owner == "household":
        yield "household", document
        return
    for person in document.get(PEOPLE[fact.owner]) or []:
        yield f"{fact.owner}:{person['id']}", person


def plain_value(value: Any) -> Any:
    """Return the bare value of a fact that may carry its year or stand once for each programme."""
    if isinstance(value, list):
        return plain_value(value[-1]) if value else None
    if isinstance(value, Mapping):
        return value.get("value") if "value" in value else plain_value(next(iter(value.values()), None))
    return value


def in_words(fact: Fact, value: Any) -> str:
    """Return a value as a person reads it."""
    if value == DECLINED:
        return phrase("answer.declined")
    if fact.type == "bool":
        return phrase("answer.yes" if value else "answer.no")
    if fact.type == "choice":
        return fact.choices[value].ja
    if fact.type == "date":
        return japanese_date(dt.date.fromisoformat(str(value)))
    if fact.type == "yen":
        return yen(int(value))
    return f"{value}{fact.unit.ja if fact.unit else ''}"


def about(document: Mapping[str, Any], subject: str) -> str:
    """Return whom a fact is about, in words that need no name."""
    owner, _, person_id = subject.partition(":")
    if owner == "household":
        return phrase("about.household")
    person = next((one for one in document.get(PEOPLE[owner]) or [] if one.get("id") == person_id), {})
    day = person.get("birth_date") or person.get("due_date")
    if owner in ("child", "pregnancy") and day and day != DECLINED:
        return phrase(f"about.{owner}").format(date=japanese_date(dt.date.fromisoformat(day)))
    return phrase(f"about.{owner}.unknown")
