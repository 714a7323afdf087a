"""What was repaired, doubted or refused in one row of a foreign file; the six-column error file staff know.

The columns are those of the official checker: 行番号, psid, 自治体名, 通称, エラー項目名, エラー内容.
Sentences are in `templates/phrases/formats.yaml`, by code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.platform.rendering import phrases

ERROR_COLUMNS = ("行番号", "psid", "自治体名", "通称", "エラー項目名", "エラー内容")
Level = Literal["error", "doubt", "repair"]
Document = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing about one field: `error` refuses the row, `doubt` wants a person's look, `repair` was put right."""

    level: Level
    code: str
    field: str
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def sentence(self) -> str:
        """Return the finding in words, for staff."""
        words = phrases("phrases/formats")
        text = str(words["findings"][self.code]).format(**{name: _shown(value) for name, value in self.values.items()})
        return f"{words['levels'][self.level]}{text}"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


@dataclass(frozen=True)
class RowReading:
    """One row read: the draft document (None where the row is refused) and everything found on the way.

    `row` counts records from 1 in JSON; in a table it is the line or sheet row where the record begins.
    """

    row: int
    psid: str = ""
    municipality: str = ""
    short_name: str = ""
    document: Document | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def refused(self) -> bool:
        """True where the row has an error and no document."""
        return self.document is None

    def error_rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows of the error file, one for each finding."""
        for finding in self.findings:
            yield (str(self.row), self.psid, self.municipality, self.short_name, finding.field, finding.sentence())


class Findings:
    """Collects the findings of one row while it is read."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def error(self, code: str, field: str, /, **values: object) -> None:
        """Note why the row cannot be used."""
        self._found.append(Finding("error", code, field, values))

    def doubt(self, code: str, field: str, /, **values: object) -> None:
        """Note what a person has to look at."""
        self._found.append(Finding("doubt", code, field, values))

    def repair(self, code: str, field: str, /, **values: object) -> None:
        """Note what was put right."""
        self._found.append(Finding("repair", code, field, values))

    @property
    def refuse(self) -> bool:
        """True once an error was noted."""
        return any(finding.level == "error" for finding in self._found)

    def all(self) -> tuple[Finding, ...]:
        """Return what was found, without repetitions, errors first."""
        order = {"error": 0, "doubt": 1, "repair": 2}
        unique = {(one.level, one.code, one.field): one for one in self._found}
        return tuple(sorted(unique.values(), key=lambda one: order[one.level]))


def error_table(readings: Iterable[RowReading]) -> Iterator[tuple[str, ...]]:
    """Yield the header and every finding of every row in the six columns."""
    yield ERROR_COLUMNS
    for reading in readings:
        yield from reading.error_rows()
