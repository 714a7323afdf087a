"""A date asked for as year, month and day in three plain fields: quicker and kinder than a calendar for birth dates."""

import datetime as dt
import unicodedata
from dataclasses import dataclass

from starlette.datastructures import FormData

from app.rules.my_number import holds_my_number

PARTS = ("year", "month", "day")
"""What the names of the three fields end with."""


@dataclass(frozen=True)
class DateParts:
    """What was typed into the three fields, cut to what a date can hold, and whether it was a 個人番号."""

    year: str = ""
    month: str = ""
    day: str = ""
    my_number: bool = False

    @property
    def blank(self) -> bool:
        """Whether nothing was typed at all."""
        return not (self.year or self.month or self.day)

    def date(self) -> dt.date:
        """Return the date.

        Raises:
            ValueError: the fields make no date.
        """
        return dt.date(int(self.year), int(self.month), int(self.day))


def parts_of(day: dt.date) -> DateParts:
    """Return a date as the fields show it."""
    return DateParts(str(day.year), str(day.month), str(day.day))


def read_dates(form: FormData, name: str) -> list[DateParts]:
    """Return every date of a form whose fields are `<name>-year`, `<name>-month` and `<name>-day`, in their order."""
    columns = [form.getlist(f"{name}-{part}") for part in PARTS]
    return [_parts([str(part) for part in row]) for row in zip(*columns, strict=False)]


def _parts(typed: list[str]) -> DateParts:
    year, month, day = map(_digits, typed)
    return DateParts(year, month, day, my_number=holds_my_number("-".join(typed)))


def _digits(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().removesuffix("年").removesuffix("月").removesuffix("日")[:4]
