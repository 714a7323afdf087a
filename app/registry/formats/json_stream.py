"""Records of a JSON file one at a time: a file of 90 MB needs the memory of its largest record.

Taken are an array of objects, objects one after another (JSON lines), or one object. The file is mapped, not read; only
brackets and strings are looked at until a record ends, and the record is then parsed by itself, so that one broken
record does not take the others with it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import orjson

from app.platform.errors import InvalidInput
from app.registry.formats.texts import excerpt

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_BETWEEN = re.compile(rb"[\s,]*+")
_BOM = b"\xef\xbb\xbf"
MOST_BYTES_OF_A_RECORD = 4 * 1024 * 1024
DEEPEST = 40


class JsonRecord(NamedTuple):
    """One record: its number from 1, how much of the file is read (0–1), and its value or why it has none."""

    row: int
    share: float
    value: Any
    problem: tuple[str, dict[str, object]] | None = None


def records(path: Path) -> Iterator[JsonRecord]:
    """Yield every record of a JSON file.

    Raises:
        InvalidInput: the file is empty, no JSON with records, or ends inside a record; said with the byte.
    """
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            raise InvalidInput(f"{path.name} is empty; expected a JSON array of records")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield from _records(content, path.name)


def _records(content: mmap.mmap, name: str) -> Iterator[JsonRecord]:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InvalidInput(f"{name} is UTF-16; save it as UTF-8")
    start = len(_BOM) if content[: len(_BOM)] == _BOM else 0
    scan = _Scan(content, name, start)
    row = 0
    for token in _TOKEN.finditer(content, start):
        if scan.outside:
            scan.expect_nothing(token.start())
        span = scan.step(token)
        if span is not None:
            row += 1
            yield _record(content, *span, row)
    if scan.depth:
        raise InvalidInput(f"{name} ends inside a record (record {row + 1}); the file is probably cut off")
    scan.expect_nothing(len(content))
    if row == 0 and content[start:].strip() != b"[]":
        raise InvalidInput(f"{name} holds no record; expected a JSON array of objects")


class _Scan:
    """Where the walk over brackets and strings stands: how deep, in which record, up to where all is understood."""

    def __init__(self, content: mmap.mmap, name: str, start: int) -> None:
        self._content, self._name, self._understood, self._begins = content, name, start, start
        self.depth, self._in_array = 0, False

    @property
    def outside(self) -> bool:
        """True between records, where only blanks and commas may stand."""
        return self.depth == int(self._in_array)

    def step(self, token: re.Match[bytes]) -> tuple[int, int] | None:
        """Take one bracket or string; return (begin, end) of the record that it ends."""
        mark = token[0]
        if mark in (b"{", b"["):
            self._open(mark, token.start())
        elif mark in (b"}", b"]"):
            self.depth -= 1
            if self.depth < 0:
                self._refuse(token)
            if mark == b"}" and self.outside:
                self._understood = token.end()
                return self._begins, token.end()
            if self.depth == 0:
                self._in_array, self._understood = False, token.end()
        elif self.outside or mark == b'"':
            self._refuse(token)
        return None

    def _open(self, mark: bytes, at: int) -> None:
        if self.depth == 0 and mark == b"[":
            self._in_array, self._understood = True, at + 1
        elif self.outside:
            self._begins = at
            if mark == b"[":
                raise InvalidInput(f"{self._name} is not a JSON array of records: found a list at byte {at}")
        self.depth += 1
        if self.depth > DEEPEST:
            raise InvalidInput(f"{self._name} is nested deeper than {DEEPEST} levels at byte {at}; no registry is")

    def _refuse(self, token: re.Match[bytes]) -> None:
        self._refuse_at(token.start(), token.end())

    def _refuse_at(self, place: int, until: int) -> NoReturn:
        found = excerpt(self._content[place : min(until, place + 160)])
        raise InvalidInput(
            f"{self._name} is not a JSON array of records: found {found} at byte {place}; expected [{{…}}, {{…}}] or "
            "one {…} a line. Is it a table or a workbook? Then name that --format"
        )

    def expect_nothing(self, until: int) -> None:
        """Refuse anything but blanks and commas between what is understood and a place."""
        between = _BETWEEN.match(self._content, self._understood, until)
        found_at = between.end() if between else self._understood
        if found_at < until:
            self._refuse_at(found_at, until)


def _record(content: mmap.mmap, begins: int, end: int, row: int) -> JsonRecord:
    share = end / len(content)
    if end - begins > MOST_BYTES_OF_A_RECORD:
        size: dict[str, object] = {"found": end - begins, "most": MOST_BYTES_OF_A_RECORD}
        return JsonRecord(row, share, None, ("record_too_large", size))
    try:
        return JsonRecord(row, share, orjson.loads(content[begins:end]))
    except orjson.JSONDecodeError as problem:
        return JsonRecord(row, share, None, ("not_json", {"reason": problem.msg}))
