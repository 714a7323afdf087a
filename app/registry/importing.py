"""Foreign files become drafts (下書き): read row by row, compared with what is here, written in one transaction.

A second run of the same file changes nothing. Where the official record changed and somebody edited the draft here, the
two are merged field by field: what was edited here stays, what only the record changed is taken over.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError
from sqlmodel import Session, col, select

from app.platform.errors import InvalidInput
from app.registry.drafts import key_of, put_drafts
from app.registry.formats import staff_table, support_csv, tokyo_json
from app.registry.formats.drafts import Known
from app.registry.formats.findings import Document, Finding, RowReading
from app.registry.formats.json_stream import records
from app.registry.formats.tables import Encoding, TableRow, read_csv, read_xlsx
from app.registry.formats.texts import narrow
from app.registry.imported_examples import changed_examples
from app.registry.programme import Programme
from app.registry.tables import OPEN_STATES, ProgrammeDraft, ProgrammeVersionRow
from app.registry.versions import published_now

ImportFormat = Literal["tokyo-json", "support-csv", "staff-csv", "staff-xlsx"]
Reader = Callable[[Any, int, Known], RowReading]
READERS: Mapping[ImportFormat, Reader] = {
    "tokyo-json": tokyo_json.read,
    "support-csv": support_csv.read,
    "staff-csv": staff_table.read,
    "staff-xlsx": staff_table.read,
}
BATCH = 250


@dataclass
class ImportReport:
    """What a file held and what became of it, in rows; `found` counts those with a finding by (level, code)."""

    rows: int = 0
    refused: int = 0
    left_out: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    found: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def nothing_new(self) -> bool:
        """True where the drafts are the same as before."""
        return not self.created and not self.changed


class _RawRow(NamedTuple):
    row: int
    share: float
    record: Any
    problem: tuple[str, dict[str, object]] | None = None


class _Here(NamedTuple):
    document: Document
    is_draft: bool


Watch = Callable[[RowReading, float], None]


def import_file(
    session: Session | None,
    path: Path,
    file_format: ImportFormat,
    known: Known,
    now: dt.datetime,
    *,
    author: uuid.UUID | None = None,
    encoding: Encoding | None = None,
    watch: Watch = lambda reading, share: None,
) -> ImportReport:
    """Read a file and write its rows as drafts.

    Args:
        session: of the owner, or of the web role in the municipality's context; the caller commits, or rolls back for a
            dry run. None reads and reports only.
        path: the file; it is streamed.
        file_format: how it is written.
        known: vocabulary, municipalities, the day, and whose rows are wanted; rows of others are left out.
        now: the instant of the clock.
        author: the staff account that imports; None for an operator.
        encoding: of a CSV; found out where None.
        watch: is called with each row's reading and the share of the file read (0–1).

    Raises:
        InvalidInput: the file cannot be used at all; said with the place. Nothing may then be committed.
    """
    report, seen = ImportReport(), dict[Any, int]()
    here = _Current(session)
    known = replace(known, current=here.document) if session is not None else known
    rows = iter(_raw_rows(path, file_format, encoding))
    while batch := list(itertools.islice(rows, BATCH)):
        if file_format.startswith("staff"):
            here.look_up(staff_table.keys_in(one.record for one in batch))
        readings = [(here.under_own_key(_read(one, file_format, known)), one.share) for one in batch]
        here.look_up(_key(reading.document) for reading, _ in readings if reading.document)
        wanted: list[Document] = []
        for reading, share in readings:
            settled = _settle(reading, file_format, known, here, seen)
            _count(report, settled, known)
            watch(settled, share)
            if settled.document is not None and _is_wanted(settled.document, known):
                wanted.append(settled.document)
        if session is not None:
            created, changed, unchanged = put_drafts(session, wanted, author, now)
            report.created, report.changed = report.created + created, report.changed + changed
            report.unchanged += unchanged
    if report.rows == 0:
        raise InvalidInput(f"{path.name} holds no row below its header; expected one programme a row")
    return report


def _raw_rows(path: Path, file_format: ImportFormat, encoding: Encoding | None) -> Iterator[_RawRow]:
    if file_format == "tokyo-json":
        for one in records(path):
            yield _RawRow(one.row, one.share, one.value, one.problem)
        return
    table = read_xlsx(path) if file_format == "staff-xlsx" else read_csv(path, encoding)
    for position, row in enumerate(table):
        if position == 0:
            _expect_columns(row, file_format)
        yield _RawRow(row.row, row.share, row.cells, ("too_many_cells", {}) if row.surplus else None)


def _expect_columns(row: TableRow, file_format: ImportFormat) -> None:
    """Refuse a table of something else by its header.

    Raises:
        InvalidInput: saying which columns were found and which is missing.
    """
    if file_format != "support-csv":
        staff_table.columns_of(list(row.cells))
        return
    columns = {narrow(column) for column in row.cells}
    missing = [column for column in support_csv.NEEDED if narrow(column) not in columns]
    if missing:
        raise InvalidInput(f"found the columns {', '.join([*row.cells][:6])}; expected {missing[0]} among them")


def _read(raw: _RawRow, file_format: ImportFormat, known: Known) -> RowReading:
    if raw.problem is not None:
        return RowReading(raw.row, findings=(Finding("error", raw.problem[0], "", raw.problem[1]),))
    return READERS[file_format](raw.record, raw.row, known)


def _settle(
    reading: RowReading, file_format: ImportFormat, known: Known, here: _Current, seen: dict[Any, int]
) -> RowReading:
    """Refuse a programme that stands in the file twice, and merge an official record with what was edited here."""
    if reading.document is None:
        return reading
    identity: Any = _key(reading.document)
    if file_format.startswith("staff"):
        identity = key_of(reading.document)
    first = seen.setdefault(identity, reading.row)
    if first != reading.row:
        twice = Finding("error", "twice_in_file", "psid" if reading.psid else "", {"first": first})
        if file_format.startswith("staff"):
            twice = staff_table.twice(reading.document, first)
        return replace(reading, document=None, findings=(twice, *reading.findings))
    held = here.held(_key(reading.document))
    if held is None:
        return reading
    if file_format.startswith("staff"):
        if reading.document == held.document or not _is_wanted(reading.document, known):
            return reading
        return replace(reading, findings=(*reading.findings, *here.changed_examples(reading.document, known.read_on)))
    document, edited = merged(held.document, reading.document, READERS[file_format], known)
    if held.is_draft:
        # The day stays: another first day would be another draft beside this one.
        document["valid"] = held.document["valid"]
        assumed = (held.document.get("official_record") or {}).get("assumed_from")
        document["official_record"] = {
            **document["official_record"], **({"assumed_from": assumed} if assumed else {})
        }  # fmt: skip
    findings = (*reading.findings, Finding("doubt", "edited_here", "", {})) if edited else reading.findings
    return replace(reading, document=document, findings=findings)


def merged(ours: Document, theirs: Document, reader: Reader, known: Known) -> tuple[Document, bool]:
    """Return the document that keeps our edits and takes over the record's, and whether there were both.

    Args:
        ours: what is here, with the record it was imported from (or without one: then only the record is added).
        theirs: what the record as it is now reads as.
        reader: reads a record, to find what ours was before anybody edited it.
        known: as for reading.
    """
    kept, new = ours.get("official_record") or {}, theirs["official_record"]
    if kept.get("format") != new["format"]:
        return {**ours, "official_record": new}, False
    if _verbatim(kept) == _verbatim(new):
        return ours, False
    before = reader(_verbatim(kept), 0, known).document or {}
    edited = {key for key in ours.keys() | before.keys() if ours.get(key) != before.get(key)} - {"official_record"}
    document = {**theirs, **{key: ours[key] for key in edited if key in ours}}
    for key in edited - ours.keys():
        document.pop(key, None)
    return document, bool(edited - {"valid"})


def _verbatim(kept: Mapping[str, Any]) -> Any:
    return {**kept["record"], **kept.get("extras", {})}


def _key(document: Mapping[str, Any]) -> str:
    return f"{document['municipality']}/{document['id']}"


def _is_wanted(document: Mapping[str, Any], known: Known) -> bool:
    return known.municipality in (None, document["municipality"])


def _count(report: ImportReport, reading: RowReading, known: Known) -> None:
    report.rows += 1
    report.refused += reading.refused
    report.left_out += reading.document is not None and not _is_wanted(reading.document, known)
    report.found.update({(finding.level, finding.code) for finding in reading.findings})


def open_drafts(session: Session) -> list[Programme]:
    """Return the open drafts that are whole programmes, the latest of each, by key."""
    statement = select(ProgrammeDraft.document).where(col(ProgrammeDraft.state).in_(OPEN_STATES))
    found: dict[str, Programme] = {}
    for document in session.exec(statement.order_by(col(ProgrammeDraft.programme_key), col(ProgrammeDraft.valid_from))):
        try:
            programme = Programme.model_validate(document)
        except ValidationError:
            continue  # being written still; it is not whole
        found[programme.key] = programme
    return list(found.values())


def _published_psids(session: Session) -> Iterator[tuple[str, str]]:
    psid = col(ProgrammeVersionRow.document)["psid"].as_string()
    statement = select(psid, ProgrammeVersionRow.programme_key).where(
        col(ProgrammeVersionRow.known_until).is_(None), psid.is_not(None)
    )
    yield from session.exec(statement)


class _Current:
    """What the registry holds under a key: the open draft, else the published version; looked up batch by batch."""

    def __init__(self, session: Session | None) -> None:
        self._session = session
        self._found: dict[str, _Here | None] = {}
        self._key_of_psid = dict(_published_psids(session)) if session is not None else {}

    def under_own_key(self, reading: RowReading) -> RowReading:
        """Return a reading under the key that a published programme of the same psid has here, whoever wrote it."""
        key = self._key_of_psid.get(reading.psid)
        if key is None or reading.document is None or key == _key(reading.document):
            return reading
        code, _, name = key.partition("/")
        return replace(reading, document={**reading.document, "municipality": code, "id": name})

    def look_up(self, keys: Iterable[str]) -> None:
        """Look several keys up together; those of earlier batches are forgotten."""
        wanted = set(keys)
        self._found = {key: self._found[key] for key in wanted & self._found.keys()}
        missing = wanted - self._found.keys()
        if self._session is None or not missing:
            return
        self._found |= dict.fromkeys(missing)
        versions = select(ProgrammeVersionRow.programme_key, ProgrammeVersionRow.document).where(
            col(ProgrammeVersionRow.known_until).is_(None), col(ProgrammeVersionRow.programme_key).in_(missing)
        )
        for key, document in self._session.exec(versions.order_by(col(ProgrammeVersionRow.valid_from))):
            self._found[key] = _Here(dict(document), False)
        drafts = select(ProgrammeDraft.programme_key, ProgrammeDraft.document).where(
            col(ProgrammeDraft.state).in_(OPEN_STATES), col(ProgrammeDraft.programme_key).in_(missing)
        )
        for key, document in self._session.exec(drafts.order_by(col(ProgrammeDraft.valid_from))):
            self._found[key] = _Here(dict(document), True)

    def held(self, key: str) -> _Here | None:
        """Return what is here under a key."""
        if key not in self._found:
            self.look_up({*self._found, key})
        return self._found.get(key)

    def changed_examples(self, document: Document, today: dt.date) -> tuple[Finding, ...]:
        """Run a programme's own examples on its changed document, as whoever hands it over will have to."""
        if self._session is None or not document.get("examples"):
            return ()
        return changed_examples(published_now(self._session).registry, document, today)

    def document(self, key: str) -> Document | None:
        """Return the document that is here under a key."""
        found = self.held(key)
        return found.document if found is not None else None
