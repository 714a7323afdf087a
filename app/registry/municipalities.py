"""Municipalities (自治体) by their six-digit code: names as people say them, readings, the prefecture above."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.rules.documents import Document
from app.rules.municipality_code import NATIONAL, MunicipalityCode, is_prefecture


class Municipality(Document):
    """One municipality, prefecture, or the nation (`000000`).

    `fictional` marks an invented town (架空) for demos and partner tests: it lies where its code says, so that the
    programmes above it cover it, and no family is offered it as a home.
    """

    code: MunicipalityCode
    name: str
    kana: Annotated[str, Field(pattern=r"^[ぁ-ゖー]+$")]
    romanised: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")]
    kind: Literal["country", "prefecture", "special_ward", "city", "town", "village"]
    prefecture: MunicipalityCode | None = None
    fictional: bool = False

    @model_validator(mode="after")
    def _prefecture_fits(self) -> Municipality:
        if (self.kind in {"country", "prefecture"}) == (self.prefecture is not None):
            raise ValueError("expected prefecture for a ward, city, town or village, and only there")
        if self.prefecture is not None and self.prefecture[:2] != self.code[:2]:
            raise ValueError(f"expected a code that begins with {self.prefecture[:2]}: found {self.code}")
        return self

    @property
    def folder(self) -> str:
        """The folder of its programmes under `registry_data/programmes/`."""
        return f"{self.code}-{self.romanised}"


class Municipalities:
    """All municipalities the registry knows, by code and by name."""

    def __init__(self, municipalities: Iterable[Municipality]) -> None:
        self._by_code = {municipality.code: municipality for municipality in municipalities}

    def get(self, code: str) -> Municipality | None:
        """Return the municipality, or None where the registry does not know the code (it may still be a real one)."""
        return self._by_code.get(code)

    def __getitem__(self, code: str) -> Municipality:
        return self._by_code[code]

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def __iter__(self) -> Iterator[Municipality]:
        return iter(self._by_code.values())

    def __len__(self) -> int:
        return len(self._by_code)

    def named(self, name: str) -> tuple[Municipality, ...]:
        """Return every municipality of that name; a name that several share is never guessed at."""
        return tuple(municipality for municipality in self if municipality.name == name)

    def where_people_live(self) -> tuple[Municipality, ...]:
        """Return wards, cities, towns and villages: what a family can choose as its home; none that is invented."""
        real = (one for one in self if not one.fictional)
        return tuple(one for one in real if one.code != NATIONAL and not is_prefecture(one.code))
