"""Households from a file or standard input: YAML, one JSON object, a JSON array, or JSON lines.

Every household is checked on its own. What is wrong with one is reported with its place (file and line, array
position, or line of the stream) and the others go on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.registry.positions import Complaint, PositionedDocument, parse_documents
from app.rules.documents import DocumentError
from app.rules.facts import FactCatalogue
from app.rules.household import Household, read_household

STANDARD_INPUT = "-"
LARGEST_BATCH = 2_000
LINE_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Batch:
    """Households that are evaluated as one population, and the complaints about those that could not be read."""

    households: list[Household]
    complaints: list[Complaint]


def read_batches(source: str, catalogue: FactCatalogue) -> Iterator[Batch]:
    """Yield the households of a file, or of standard input where `source` is `-`.

    A stream of JSON lines comes in growing batches, so that the first answers do not wait for the last line; anything
    else is one batch. A source that cannot be read at all is one batch with a complaint.
    """
    name = "standard input" if source == STANDARD_INPUT else source
    path = Path(source)
    try:
        if source == STANDARD_INPUT:
            yield from _from_stream(sys.stdin.buffer, name, catalogue)
        elif path.suffix in LINE_SUFFIXES:
            with path.open("rb") as stream:
                yield from _from_lines(enumerate(stream, 1), name, catalogue)
        elif path.suffix == ".json":
            yield _from_text(path.read_bytes(), name, catalogue, stem=path.stem)
        else:
            yield _from_yaml(_decoded(path.read_bytes()), name, catalogue, stem=path.stem)
    except UnicodeDecodeError as problem:
        yield _nothing(name, f"is not UTF-8 (byte {problem.start}); save it as UTF-8")
    except OSError as problem:
        yield _nothing(name, f"cannot be read: {problem.strerror}; expected a household file, or - for standard input")


def _nothing(name: str, message: str, line: int = 0) -> Batch:
    return Batch([], [Complaint(name, line, "", message)])


def _from_stream(stream: IO[bytes], name: str, catalogue: FactCatalogue) -> Iterator[Batch]:
    """Look at the first line that is not empty: `[` is an array, a whole object is the first of many lines."""
    skipped = b""
    number = 0
    for number, first in enumerate(stream, 1):  # noqa: B007 - the number is used after the loop
        if first.strip():
            break
        skipped += first
    else:
        yield _nothing(name, "is empty; expected a household")
        return
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{") and _is_object(start):
        yield from _from_lines(_chained(number, first, stream), name, catalogue)
    elif start.startswith((b"{", b"[")):
        rest = stream.read()
        whole = skipped + first + rest
        if start.startswith(b"{") and rest and not _is_json(whole):
            yield from _from_lines(enumerate(whole.splitlines(), 1), name, catalogue)
        else:
            yield _from_text(whole, name, catalogue, stem=None)
    else:
        yield _from_yaml(_decoded(skipped + first + stream.read()), name, catalogue, stem=None)


def _chained(number: int, first: bytes, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    yield number, first
    yield from enumerate(stream, number + 1)


def _from_lines(lines: Iterator[tuple[int, bytes]], name: str, catalogue: FactCatalogue) -> Iterator[Batch]:
    size = 1
    batch = Batch([], [])
    for number, line in lines:
        if not line.strip():
            continue
        try:
            document = _json(_decoded(line))
        except ValueError as problem:
            batch.complaints.append(Complaint(name, number, "", f"is not JSON: {_said(problem)}"))
            continue
        _take(document, name, number, str(number), catalogue, batch)
        if len(batch.households) >= size:
            yield batch
            batch, size = Batch([], []), min(size * 10, LARGEST_BATCH)
    if batch.households or batch.complaints:
        yield batch


def _from_text(content: bytes, name: str, catalogue: FactCatalogue, stem: str | None) -> Batch:
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


def _from_yaml(text: str, name: str, catalogue: FactCatalogue, stem: str | None) -> Batch:
    batch = Batch([], [])
    documents = parse_documents(text, file=name)
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
