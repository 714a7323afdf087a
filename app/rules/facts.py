"""The fact catalogue: every attribute a rule may ask about, whose it is, its type, and how people are asked for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from app.rules.documents import Document, DocumentError, Place, TextField, problems_of

Owner = Literal["household", "guardian", "child", "pregnancy", "co_resident"]
FactType = Literal["bool", "int", "yen", "date", "choice"]
ConsentCategory = Literal["basic", "income", "disability_health", "single_parent", "school"]
PERSON_OWNERS: tuple[Owner, ...] = ("guardian", "child", "pregnancy", "co_resident")
DECLINED = "declined"
"""Asked and not answered: unknown, and not asked again."""

BIRTH_DATE_OWNERS = ("guardian", "child", "co_resident")
DERIVED_FACTS = ("child.school_grade", "child.class_age")
"""Facts that follow from the birth date and the day: 小学1年 = 1 … 高校3年 = 12, 年長 = 0; class age 0–5."""


class Fact(Document):
    """One attribute: ``path`` is ``owner.name``; ``choices`` belong to ``choice``; ``unit`` is shown after numbers."""

    path: str = Field(pattern=r"^(household|guardian|child|pregnancy|co_resident)\.[a-z][a-z0-9_]*$")
    type: FactType
    label: TextField
    question: TextField | None = None
    choices: dict[str | int, TextField] = Field(default_factory=dict)
    unit: TextField | None = None
    consent: ConsentCategory = "basic"
    sensitive: bool = False
    verified_needed: bool = False
    at_least: int | None = None
    at_most: int | None = None

    @model_validator(mode="after")
    def _choices_belong_to_choice(self) -> Fact:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("expected choices exactly where the type is choice")
        return self

    @property
    def owner(self) -> Owner:
        """Whose attribute it is."""
        return self.path.split(".", 1)[0]  # type: ignore[return-value]  # held by the pattern

    @property
    def name(self) -> str:
        """The key under ``facts`` in a household document."""
        return self.path.split(".", 1)[1]

    @property
    def derived(self) -> bool:
        """Computed from other facts; nobody is asked for it and no document states it."""
        return self.path in DERIVED_FACTS

    def read(self, value: Any) -> bool | int | str | dt.date | None:
        """Check one bare value; ``None`` and ``"declined"`` pass. Raises ``Place`` with what was expected."""
        if value is None or value == DECLINED:
            return value  # type: ignore[no-any-return]
        if self.type == "bool":
            return self._read_bool(value)
        if self.type == "date":
            return self._read_date(value)
        return self._read_choice(value) if self.type == "choice" else self._read_number(value)

    def _read_bool(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Place((), value, "true, false, null or declined")
        return value

    def _read_date(self, value: Any) -> dt.date:
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        try:
            return dt.date.fromisoformat(value)
        except (TypeError, ValueError):
            raise Place((), value, "a date such as 2026-11-21") from None

    def _read_choice(self, value: Any) -> str | int:
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in self.choices:
            raise Place((), value, f"one of {', '.join(map(repr, self.choices))}")
        return value

    def _read_number(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Place((), value, "a whole number of yen" if self.type == "yen" else "a whole number")
        lowest = self.at_least if self.at_least is not None else 0
        highest = self.at_most if self.at_most is not None else 10**12
        if not lowest <= value <= highest:
            raise Place((), value, f"a whole number from {lowest} to {highest}")
        return value


class FactCatalogue:
    """All facts by path, in the order of the file."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self._facts = dict(facts)

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any], name: str | None = None) -> FactCatalogue:
        """Build from ``{"child.birth_date": {"type": "date", "label": {...}, ...}, ...}``.

        Raises ``DocumentError`` naming every wrong entry.
        """
        facts, problems = {}, []
        for path, entry in document.items():
            try:
                facts[path] = Fact.model_validate({"path": path, **entry})
            except ValidationError as error:
                problems += [
                    problem.__class__(f"{path}.{problem.path}", problem.found, problem.expected)
                    for problem in problems_of(error)
                ]
        if problems:
            raise DocumentError(problems, name)
        return cls(facts)

    def get(self, path: str) -> Fact | None:
        """The fact, or None when the catalogue does not know it."""
        return self._facts.get(path)

    def __getitem__(self, path: str) -> Fact:
        return self._facts[path]

    def __contains__(self, path: object) -> bool:
        return path in self._facts

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts.values())

    def __len__(self) -> int:
        return len(self._facts)

    @cached_property
    def by_owner(self) -> dict[str, dict[str, Fact]]:
        """Facts a document may state, by owner and by their key under ``facts``."""
        grouped: dict[str, dict[str, Fact]] = {owner: {} for owner in ("household", *PERSON_OWNERS)}
        for fact in self:
            if not fact.derived:
                grouped[fact.owner][fact.name] = fact
        return grouped
