"""The flat table that clerks edit: one row per programme, one column per field, Japanese headers with aliases.

A row is laid over the programme that the registry holds under its key: only cells that differ from what an export would
show are taken over, so that an exported table that nobody edits changes nothing, to the last character. What a flat
table cannot say (a rule with a tree, deadlines counted from events) stays as it is.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from app.platform.errors import InvalidInput
from app.platform.rendering import phrases
from app.registry.formats.drafts import STAFF_TABLE, Known, draft_marks, finished, resolve_municipality, words
from app.registry.formats.findings import Document, Finding, Findings, RowReading
from app.registry.formats.staff_fields import DATES, FIELDS, NEVER_EMPTY, cells_of, column_at
from app.registry.formats.tables import came_back
from app.registry.formats.texts import excerpt, is_date_serial, narrow, plain, read_date, unusable
from app.registry.loading import Registry
from app.registry.municipalities import Municipality
from app.registry.programme import Programme

IDENTITY = ("key", "psid", "code", "town")
FOR_A_NEW_ONE = ("name", "summary", "kind", "page")
_KEY = re.compile(r"(\d{5,6})/([a-z0-9][a-z0-9-]*)")
_SPREADSHEET_ERRORS = ("#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!")


def header() -> tuple[str, ...]:
    """Return the headers in the order of an export."""
    return tuple(column["header"] for column in _columns().values())


def columns_of(found: Sequence[str]) -> dict[str, str]:
    """Return header as found → column, by name and alias; other headers are left aside.

    Raises:
        InvalidInput: neither a key nor a name column is there, or two headers mean the same column.
    """
    known = {narrow(name): key for key, column in _columns().items() for name in (column["header"], *column["aliases"])}
    named = {text: known[narrow(text)] for text in found if narrow(text) in known}
    taken = list(named.values())
    twice = next((column for column in taken if taken.count(column) > 1), None)
    if twice is not None:
        both = " and ".join(repr(text) for text, column in named.items() if column == twice)
        raise InvalidInput(f"found the columns {both}, which mean the same; keep one")
    if not {"key", "name"} & set(taken):
        shown = excerpt(", ".join(found[:6]))
        raise InvalidInput(f"found the columns {shown}; expected {header()[0]} or {header()[4]} among them")
    return named


@lru_cache
def _columns() -> Mapping[str, Any]:
    columns: Mapping[str, Any] = phrases("phrases/staff_table")["columns"]
    return columns


# ---- out ------------------------------------------------------------------------------------------------------------


def rows(programmes: Iterable[Programme], registry: Registry) -> list[dict[str, str]]:
    """Return one row per programme, by header."""
    return [_written(_document_of(programme, registry), registry) for programme in programmes]


def _document_of(programme: Programme, registry: Registry) -> Document:
    raw = registry.documents.get((programme.key, programme.version))
    return raw or programme.model_dump(mode="json", by_alias=True, exclude_none=True)


def _written(document: Document, registry: Registry) -> dict[str, str]:
    town = registry.municipalities.get(document["municipality"])
    cells = {**_identity(document, town.name if town else ""), **cells_of(document)}
    return {column["header"]: cells.get(key, "") for key, column in _columns().items()}


def _identity(document: Document, town: str) -> dict[str, str]:
    code = document["municipality"]
    return {"key": f"{code}/{document['id']}", "psid": document.get("psid") or "", "code": code, "town": town}


def keys_in(records: Iterable[Mapping[str, str]]) -> set[str]:
    """Return the keys that rows name, to look their programmes up together."""
    found = set()
    for record in records:
        named = {column: text for text, column in columns_of(list(record)).items()}
        match = _KEY.fullmatch(narrow(record.get(named.get("key", ""), "")))
        if match is not None:
            found.add(match[0])
    return found


# ---- in -------------------------------------------------------------------------------------------------------------


def read(record: Mapping[str, str], row: int, known: Known) -> RowReading:
    """Read one row into the document it makes of its programme, or refuse it with every reason."""
    findings = Findings()
    named = {column: text for text, column in columns_of(list(record)).items()}
    cells = {column: record[text] for column, text in named.items()}
    for column, text in record.items():
        for _, code in unusable(text):
            findings.error(code, column)
        if text.lstrip().startswith("=") or text.strip() in _SPREADSHEET_ERRORS:
            findings.error("formula_found", column, found=text)
    shown = {key: column["header"] for key, column in _columns().items()} | named
    town, key = (None, "") if findings.refuse else _which(cells, shown, known, findings)
    document = None
    if town is not None and not findings.refuse:
        laid = _laid_over(cells, town, key, shown, known, findings)
        document = finished(laid, findings, lambda place: shown[column_at(place)])
    name = town.name if town else cells.get("town", "")
    return RowReading(row, cells.get("psid", "").strip(), name, cells.get("name", ""), document, findings.all())


def twice(document: Document, first: int) -> Finding:
    """Return why a row is refused whose programme stands in an earlier row: by its key, or by its name without one."""
    by_name = document["id"] == _identity_of(cells_of(document)["name"])
    code, column = ("twice_in_file", "name") if by_name else ("key_twice_in_file", "key")
    return Finding("error", code, _columns()[column]["header"], {"first": first})


def _identity_of(name: str) -> str:
    return f"table-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _which(
    cells: Mapping[str, str], shown: Mapping[str, str], known: Known, findings: Findings
) -> tuple[Municipality | None, str]:
    """Return the municipality and the key (`CODE/id`, made from the name for a new programme) that a row is about."""
    match = _KEY.fullmatch(narrow(cells.get("key", "")))
    code, name = cells.get("code", "") or (match[1] if match else ""), cells.get("town", "")
    if not code and not name:
        code = known.municipality or ""
    town = resolve_municipality(code, name, known, findings, shown["code"])
    if town is None:
        if not findings.refuse:
            findings.error("municipality_unknown", shown["code"], found=f"{code} {name}".strip())
        return None, ""
    if known.municipality not in (None, town.code):
        findings.error("municipality_not_this", shown["code"], expected=known.municipality, found=town.code)
    if match is not None:
        return town, f"{town.code}/{match[2]}"
    if cells.get("key", "").strip():
        findings.error("key_wrong", shown["key"], found=cells["key"])
    return town, f"{town.code}/{_identity_of(plain(cells.get('name')))}"


def _laid_over(
    cells: Mapping[str, str], town: Municipality, key: str, shown: Mapping[str, str], known: Known, findings: Findings
) -> Document:
    current = known.current(key)
    document = copy.deepcopy(current) if current is not None else _new(key, town, known)
    if current is None:
        for column in FOR_A_NEW_ONE:
            if not plain(cells.get(column)):
                findings.error("needed", shown[column], column=shown[column])
    psid = narrow(cells.get("psid", ""))
    if psid and psid != document.get("psid"):
        document["psid"] = psid
    before = cells_of(document)
    for column, setter in FIELDS.items():
        if column in cells:
            text = _as_text(column, cells[column], shown[column], findings)
            if text is None or came_back(text, before[column]) or (current is None and not text):
                continue
            if not text and column in NEVER_EMPTY:
                findings.error("not_empty", shown[column])
            else:
                setter(document, text, shown[column], findings)
    contact = (document.get("application") or {}).get("contact")
    if contact and not contact.get("desk"):
        findings.doubt("desk_missing", shown["desk"])
        contact["desk"] = {"ja": words()["desk"].format(municipality=town.name)}
    return document


def _as_text(column: str, cell: str, field: str, findings: Findings) -> str | None:
    """Return a cell as the export writes it: dates as 2026-04-01 whatever their style; None where it is no date."""
    text = plain(cell)
    if column not in DATES or not text:
        return text
    day = read_date(text)
    if day is None:
        findings.error("date_serial" if is_date_serial(text) else "date_unreadable", field, found=text)
        return None
    return day.isoformat()


def _new(key: str, town: Municipality, known: Known) -> Document:
    return {
        "id": key.partition("/")[2],
        "municipality": town.code,
        "name": {},
        "summary": {},
        "kind": "information",
        "valid": {"from": known.read_on.isoformat()},
        **draft_marks(STAFF_TABLE),
        "sources": [{"title": words()["official_page"], "checked_on": known.read_on.isoformat()}],
        "subject": "household",
        "criteria": {"judgement": {"ja": words()["no_target_text"]}},
    }
