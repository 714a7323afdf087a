"""Households from a file or standard input: YAML, one JSON object, a JSON array, or JSON lines.

Every household is checked on its own. What is wrong with one is reported with its place (file and line, array
position, or line of the stream) and the others go on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from app.registry.positions import Complaint, PositionedDocument, parse_documents
from app.rules.documents import DocumentError
from app.rules.facts import FactCatalogue
from app.rules.household import Household, read_household

STANDARD_INPUT = "-"
LARGEST_BATCH = 4_000
LINE_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Batch:
    """Households that are evaluated as one population, and the complaints about those that could not be read."""

    households: list[Household]
    complaints: list[Complaint]


NumberedLines = Iterator[tuple[int, bytes]]


@dataclass(frozen=True)
class Opened:
    """A source looked at as far as its first line that is not empty.

    `lines` are its numbered lines where it is JSON lines; else `whole` is all of it, and `read` makes a batch of it.
    """

    name: str
    lines: NumberedLines | None
    whole: bytes = b""
    read: Callable[[bytes, FactCatalogue], Batch] | None = None

    def batch(self, catalogue: FactCatalogue) -> Batch:
        """Read the whole source as one batch; what cannot be read at all is a complaint."""
        assert self.read is not None
        try:
            return self.read(self.whole, catalogue)
        except UnicodeDecodeError as problem:
            return _nothing(self.name, f"is not UTF-8 (byte {problem.start}); save it as UTF-8")


def open_source(source: str) -> Opened:
    """Look at a file, or at standard input where `source` is `-`.

    Raises:
        OSError: the file cannot be opened.
    """
    if source == STANDARD_INPUT:
        return _look_at(sys.stdin.buffer, "standard input")
    path = Path(source)
    if path.suffix in LINE_SUFFIXES:
        return Opened(source, _numbered(path.open("rb")))
    read = _from_text if path.suffix == ".json" else _from_yaml
    return Opened(source, None, path.read_bytes(), partial(read, name=source, stem=path.stem))


def _numbered(file: IO[bytes]) -> NumberedLines:
    with file:
        yield from enumerate(file, 1)


def read_batches(source: str, catalogue: FactCatalogue) -> Iterator[Batch]:
    """Yield the households of a file, or of standard input where `source` is `-`.

    A stream of JSON lines comes in growing batches, so that the first answers do not wait for the last line; anything
    else is one batch. A source that cannot be read at all is one batch with a complaint.
    """
    name = "standard input" if source == STANDARD_INPUT else source
    try:
        opened = open_source(source)
        if opened.lines is None:
            yield opened.batch(catalogue)
        else:
            for some in growing(opened.lines):
                yield read_lines(some, name, catalogue)
    except OSError as problem:
        yield unreadable(name, problem)


def unreadable(name: str, problem: OSError) -> Batch:
    """Return the complaint about a source that cannot be read."""
    return _nothing(name, f"cannot be read: {problem.strerror}; expected a household file, or - for standard input")


def growing(lines: NumberedLines) -> Iterator[list[tuple[int, bytes]]]:
    """Yield lines that are not empty, in lists of 1, 10, 100 … up to `LARGEST_BATCH`."""
    size = 1
    some: list[tuple[int, bytes]] = []
    for number, line in lines:
        if line.strip():
            some.append((number, line))
        if len(some) >= size:
            yield some
            some, size = [], min(size * 10, LARGEST_BATCH)
    if some:
        yield some


def read_lines(lines: Iterable[tuple[int, bytes]], name: str, catalogue: FactCatalogue) -> Batch:
    """Check the households of some lines; each line's number is its household's id where it has none."""
    batch = Batch([], [])
    for number, line in lines:
        try:
            document = _json(_decoded(line))
        except ValueError as problem:
            batch.complaints.append(Complaint(name, number, "", f"is not JSON: {_said(problem)}"))
            continue
        _take(document, name, number, str(number), catalogue, batch)
    return batch


def _nothing(name: str, message: str, line: int = 0) -> Batch:
    return Batch([], [Complaint(name, line, "", message)])


def _look_at(stream: IO[bytes], name: str) -> Opened:
    """Look at the first line that is not empty: `[` is an array, a whole object is the first of many lines."""
    skipped, number, first = b"", 0, b""
    for number, first in enumerate(stream, 1):  # noqa: B007 - the number is used after the loop
        if first.strip():
            break
        skipped += first
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return Opened(name, None, b"", lambda _, __: _nothing(name, "is empty; expected a household"))
    if start.startswith(b"{") and _is_object(start):
        return Opened(name, _chained(number, first, stream))
    rest = stream.read()
    whole = skipped + first + rest
    if start.startswith(b"{") and rest and not _is_json(whole):
        numbered = iter(list(enumerate(whole.splitlines(), 1)))
        return Opened(name, numbered)
    if start.startswith((b"{", b"[")):
        return Opened(name, None, whole, partial(_from_text, name=name, stem=None))
    return Opened(name, None, whole, partial(_from_yaml, name=name, stem=None))


def _chained(number: int, first: bytes, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    yield number, first
    yield from enumerate(stream, number + 1)


def _from_text(content: bytes, catalogue: FactCatalogue, name: str, stem: str | None) -> Batch:
    try:
        documents = _json(_decoded(content))
    except UnicodeDecodeError:
        raise
    except ValueError as problem:
        return _nothing(name, f"is not JSON: {_said(problem)}", getattr(problem, "lineno", 0))
    batch = Batch([], [])
    if isinstance(documents, list):
        for position, document in enumerate(documents):
            _take(document, name, 0, str(position + 1), catalogue, batch, place=f"[{position}]")
    else:
        _take(documents, name, 0, stem, catalogue, batch)
    return batch


def _from_yaml(content: bytes, catalogue: FactCatalogue, name: str, stem: str | None) -> Batch:
    batch = Batch([], [])
    documents = parse_documents(_decoded(content), file=name)
    if not documents:
        return _nothing(name, "is empty; expected a household")
    for position, document in enumerate(documents):
        if document.complaints:
            batch.complaints.extend(document.complaints)
            continue
        identifier = stem if len(documents) == 1 else f"{stem or 'household'}-{position + 1}"
        _take(document.value, name, 0, identifier, catalogue, batch, positions=document)
    return batch


def _take(
    document: Any, name: str, line: int, identifier: str | None, catalogue: FactCatalogue, batch: Batch, *,
    place: str = "", positions: PositionedDocument | None = None,
) -> None:  # fmt: skip
    """Check one household and put it, or what is wrong with it, into the batch."""
    if not isinstance(document, dict):
        message = f"found {type(document).__name__}; expected a household: an object with keys"
        batch.complaints.append(Complaint(name, line, place, message))
        return
    try:
        batch.households.append(read_household(document, catalogue, identifier))
    except DocumentError as error:
        for problem in error.problems:
            path = f"{place}.{problem.path}" if place and problem.path else place or problem.path
            at = positions.line_of(problem.path) if positions else line
            batch.complaints.append(Complaint(name, at, path, f"found {problem.found}; expected {problem.expected}"))


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig")


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
    if twice is not None:
        raise ValueError(f"the key {twice!r} is written twice; keep one")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"found {constant}; expected a number")


def _said(problem: ValueError) -> str:
    if isinstance(problem, json.JSONDecodeError):
        return f"{problem.msg} at character {problem.colno}"
    return str(problem)


def _is_json(content: bytes) -> bool:
    try:
        _json(_decoded(content))
    except ValueError:
        return False
    return True


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_json(_decoded(line)), dict)
    except ValueError:
        return False
