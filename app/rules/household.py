"""The household document (世帯): who lives there, what is known about them, and what is deliberately not.

Missing or ``null`` is unknown; ``"declined"`` is asked and not answered; a list of people left out is unknown, ``[]``
means there are none. The same shape on the command line, in the sandbox and in a parent's export.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationError, ValidationInfo, field_validator, model_validator

from app.rules.documents import Day, Document, DocumentError, Place, problems_of
from app.rules.facts import DECLINED, Fact, FactCatalogue
from app.rules.municipality_code import MunicipalityCode
from app.rules.my_number import holds_my_number

ATTRIBUTES = {"child.birth_date", "guardian.birth_date", "co_resident.birth_date", "pregnancy.due_date"}
"""Facts that stand beside ``id``, not under ``facts``."""

STATED_KEYS = frozenset({"value", "at_least", "at_most"})
"""A mapping with one of these states a fact; any other mapping holds one statement for each programme id."""
_AROUND_KEYS = {"income_year", "source", "recorded_on"}
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def _read_known_day(value: Any) -> dt.date | str | None:
    if value is None or value == DECLINED or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
        return value  # type: ignore[no-any-return]
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"found {value!r}; expected a date such as 2026-11-21, null or declined") from None


KnownDay = Annotated[dt.date | Literal["declined"] | None, PlainValidator(_read_known_day)]
"""A date, ``null`` (unknown) or ``"declined"``."""

Answer = bool | Literal["declined"] | None


def _read_received(value: Any) -> Any:
    whole = isinstance(value, int) and 0 <= value <= 10**9
    if whole or value is None or value == DECLINED:
        return value
    raise ValueError(f"found {value!r}; expected true, false, the yen that were paid, null or declined")


Received = Annotated[bool | int | Literal["declined"] | None, PlainValidator(_read_received)]
"""Yes or no, or how many yen another municipality paid (0 is no)."""


class _Owner(Document):
    """Whoever facts belong to.

    ``receives`` and ``received_elsewhere`` are answers by programme id or ``CODE/id``; of what was received elsewhere
    the yen may be stated in place of yes.
    """

    facts: dict[str, Any] = Field(default_factory=dict)
    receives: dict[str, Answer] = Field(default_factory=dict)
    received_elsewhere: dict[str, Received] = Field(default_factory=dict)

    _kind = "household"

    @field_validator("facts")
    @classmethod
    def _known_facts(cls, facts: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        catalogue: FactCatalogue | None = (info.context or {}).get("catalogue")
        if catalogue is None:
            return facts
        known = catalogue.by_owner[cls._kind.default]  # type: ignore[attr-defined]  # a private attribute's default
        return {name: _read_fact(known, name, value) for name, value in facts.items()}


def _read_fact(known: Mapping[str, Fact], name: str, value: Any) -> Any:
    fact = known.get(name)
    if fact is None or fact.path in ATTRIBUTES:
        stated = sorted(key for key, entry in known.items() if entry.path not in ATTRIBUTES)
        raise Place((), f"the fact {name}", f"one of {', '.join(stated)}")
    try:
        return _read_stated(fact, value)
    except Place as place:
        raise Place((name, *place.path), place.found, place.expected) from None


def _read_stated(fact: Fact, value: Any) -> Any:
    """A bare value, {value, income_year, source, recorded_on}, a list of those, or any of these per programme id.

    ``at_least``/``at_most`` in place of ``value`` state a range where the exact number is not known.
    """
    if isinstance(value, list | tuple):
        return [_read_one(fact, position, part) for position, part in enumerate(value)]
    if not isinstance(value, Mapping) or not STATED_KEYS.isdisjoint(value):
        return _read_one(fact, None, value)
    stated = {}
    for programme, part in value.items():
        try:
            stated[str(programme)] = _read_stated(fact, part)
        except Place as place:
            raise Place((str(programme), *place.path), place.found, place.expected) from None
    return stated


def _read_one(fact: Fact, position: int | None, value: Any) -> Any:
    place: tuple[str | int, ...] = () if position is None else (position,)
    if not isinstance(value, Mapping):
        try:
            return fact.read(value)
        except Place as problem:
            raise Place(place, problem.found, problem.expected) from None
    if STATED_KEYS.isdisjoint(value):
        raise Place(place, value, "value, or at_least and/or at_most")
    allowed = _AROUND_KEYS | ({"value"} if "value" in value else {"at_least", "at_most"})
    unknown = set(value) - allowed
    if unknown:
        raise Place((*place, str(min(unknown, key=str))), "this key", f"only {', '.join(sorted(allowed))}")
    year = value.get("income_year")
    if year is not None and (isinstance(year, bool) or not isinstance(year, int) or not 1990 <= year <= 2199):
        raise Place((*place, "income_year"), year, "a calendar year such as 2025")
    if year is not None and fact.type == "date":
        raise Place((*place, "income_year"), year, f"no income_year: {fact.path} is a date")
    return {**value, **_read_range(fact, place, value)}


def _read_range(fact: Fact, place: tuple[str | int, ...], value: Mapping[str, Any]) -> dict[str, Any]:
    """The stated value, or the ends of the stated range."""
    read = {}
    for name in (name for name in ("value", "at_least", "at_most") if name in value):
        if name != "value" and fact.type not in ("int", "yen"):
            raise Place((*place, name), "a range", f"value: {fact.path} is no number")
        try:
            read[name] = fact.read(value[name])
        except Place as problem:
            raise Place((*place, name), problem.found, problem.expected) from None
    low, high = read.get("at_least"), read.get("at_most")
    if DECLINED in (low, high) or (isinstance(low, int) and isinstance(high, int) and high < low):
        raise Place((*place, "at_most"), high, f"a whole number from {low} on")
    return read


class Guardian(_Owner):
    """保護者."""

    id: Identifier | None = None
    birth_date: KnownDay = None

    _kind = "guardian"


class Child(_Owner):
    """児童."""

    id: Identifier | None = None
    birth_date: KnownDay = None

    _kind = "child"


class Pregnancy(_Owner):
    """妊娠."""

    id: Identifier | None = None
    due_date: KnownDay = None

    _kind = "pregnancy"


class CoResident(_Owner):
    """同居の親族 (扶養義務者 may be among them)."""

    id: Identifier | None = None
    birth_date: KnownDay = None

    _kind = "co_resident"


class Residence(Document):
    """Where the household (or ``who``, a person's id) lived: from the day of moving in until the next entry.

    The first stay has no ``from`` where it is not known since when they lived there.
    ``planned_move_out_on`` is the 転出予定日 declared in the town left for this one.
    """

    municipality: MunicipalityCode
    from_: Annotated[Day | None, Field(alias="from")] = None
    until: Day | None = None
    planned_move_out_on: Day | None = None
    who: Identifier | None = None


class Household(_Owner):
    """世帯. ``municipality`` is where it lives now; ``residence`` its history, if known."""

    id: str | None = None
    municipality: MunicipalityCode | None = None
    residence: tuple[Residence, ...] | None = None
    guardians: tuple[Guardian, ...] | None = None
    children: tuple[Child, ...] | None = None
    pregnancies: tuple[Pregnancy, ...] | None = None
    co_residents: tuple[CoResident, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_my_number(cls, document: Any) -> Any:
        for path in _my_numbers(document, ()):
            raise Place(path, "twelve digits with the check digit of a 個人番号", "no 個人番号 anywhere; remove it")
        return document

    @model_validator(mode="after")
    def _consistent(self) -> Household:
        people = [
            (field, position, person.id)
            for field in PEOPLE_FIELDS
            for position, person in enumerate(getattr(self, field) or ())
            if person.id is not None
        ]
        seen: set[str] = set()
        for field, position, identifier in people:
            if identifier in seen:
                raise Place((field, position, "id"), identifier, "an id of its own for each person")
            seen.add(identifier)
        stays = self.residence or ()
        for position, entry in enumerate(stays):
            if entry.who is not None and entry.who not in seen:
                raise Place(("residence", position, "who"), entry.who, f"the id of a person: {', '.join(sorted(seen))}")
            if entry.until is not None and entry.from_ is not None and entry.until < entry.from_:
                raise Place(("residence", position, "until"), str(entry.until), f"{entry.from_} or later")
            if entry.from_ is None and any(
                other.from_ is None and other.who == entry.who for other in stays[:position]
            ):
                raise Place(
                    ("residence", position, "from"), "no day", "one: only the first stay may begin on an unknown day"
                )
        claimants = [
            position for position, person in enumerate(self.guardians or ()) if person.facts.get("claimant") is True
        ]
        if len(claimants) > 1:
            raise Place(("guardians", claimants[1], "facts", "claimant"), True, "one claimant at most")
        return self

    def document(self) -> dict[str, Any]:
        """The household as a plain mapping of dates, numbers and texts; what is unknown is left out."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)


PEOPLE_FIELDS = {
    "guardians": "guardian",
    "children": "child",
    "pregnancies": "pregnancy",
    "co_residents": "co_resident",
}
"""The lists of people in a household document and the kind of person in each."""


def _my_numbers(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str):
        if len(value) >= 12 and holds_my_number(value):
            yield path
    elif isinstance(value, int):
        if 10**10 <= value < 10**12 and holds_my_number(f"{value:012d}"):
            yield path
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if isinstance(key, str) and len(key) >= 12 and holds_my_number(key):
                yield path
            yield from _my_numbers(part, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for position, part in enumerate(value):
            yield from _my_numbers(part, (*path, position))


def read_household(document: Any, catalogue: FactCatalogue, name: str | None = None) -> Household:
    """Check a household document against the catalogue.

    ``document`` is what YAML or JSON gave; dates may be dates or text. ``name`` (file name or line number) becomes the
    id where the document has none, and heads the error. Raises ``DocumentError`` with every problem's path.
    """
    try:
        household = Household.model_validate(document, context={"catalogue": catalogue})
    except ValidationError as error:
        raise DocumentError(problems_of(error), name) from None
    return household if household.id is not None or name is None else household.model_copy(update={"id": name})


def date_of(value: Any) -> dt.date | None:
    """A date from a stored document (text) or a checked one (date); None where unknown."""
    return dt.date.fromisoformat(value) if isinstance(value, str) and value != DECLINED else value or None
