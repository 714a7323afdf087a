"""A draft programme out of what one row of a foreign file says; nothing is made up that the row does not hold."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.platform.rendering import phrases
from app.registry.formats.findings import Document, Findings
from app.registry.formats.texts import https_address, narrow, plain, read_date, telephone_numbers, without_links
from app.registry.formats.vocabulary import OfficialVocabulary
from app.registry.municipalities import Municipalities, Municipality
from app.registry.programme import Programme
from app.rules.documents import problems_of
from app.rules.municipality_code import read_municipality_code

TOKYO_REGISTRY = "tokyo-registry"
SUPPORT_CSV = "support-csv"
STAFF_TABLE = "staff-table"


def _nothing(key: str) -> Document | None:
    return None


@dataclass(frozen=True)
class Known:
    """What a reader needs beside the row.

    `municipality` is whose rows these are, where the operator said so; `current` returns the document that our registry
    holds under a key, so that a table may change a part of it.
    """

    municipalities: Municipalities
    vocabulary: OfficialVocabulary
    read_on: dt.date
    municipality: str | None = None
    current: Callable[[str], Document | None] = field(default=_nothing, repr=False)


def words() -> dict[str, Any]:
    """Return the catalogue of this package."""
    return phrases("phrases/formats")


def official_record(origin: str, record: Any, source: str | None = None, **values: str) -> Document:
    """Return the record verbatim, with its licence, the credit it asks for and where it came from."""
    terms = words()["licences"][origin]
    address = source or words()["sources"][origin].get("url")
    kept = {
        "format": origin,
        "licence": terms["licence"],
        "credit": terms["credit"].format(**values),
        "notice": terms["notice"],
    }
    return {**kept, **({"source": address} if address else {}), "record": record}


def draft_marks(origin: str) -> Document:
    """Return the keys that say a document is a draft, and why."""
    return {"certainty": "draft", "draft_reason": words()["draft_reason"][origin]}


def resolve_municipality(
    code: str, name: str, known: Known, findings: Findings, field_name: str
) -> Municipality | None:
    """Return the municipality that a code and a name mean together; None, with an error, where they mean no single one.

    A code with a wrong check digit gives way to the name; a name that several share is never guessed at.
    """
    clean_code, clean_name = narrow(code), re.sub(r"\s+", "", name)
    if (code and clean_code != code) or (name and clean_name != name):
        findings.repair("blanks_around", field_name)
    named = known.municipalities.named(clean_name) if clean_name else ()
    try:
        by_code = known.municipalities.get(read_municipality_code(clean_code)) if clean_code else None
    except ValueError:
        by_code = None
        if len(named) == 1:
            findings.repair("municipality_code_wrong", field_name, found=clean_code, read=named[0].code)
    if by_code is not None:
        if clean_name and clean_name != by_code.name:
            findings.doubt("municipality_differs", field_name, code=by_code.code, name=clean_name)
        return by_code
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        findings.error("municipality_ambiguous", field_name, found=clean_name)
    return None


def text_without_links(value: Any, field_name: str, findings: Findings) -> str:
    """Return a text of a record with the titles of its embedded links only."""
    text, addresses = without_links(plain(value))
    if addresses:
        findings.repair("embedded_links", field_name)
    return text


def page(address: str, field_name: str, findings: Findings) -> str | None:
    """Return a page's address as https; None, with a remark, where it cannot be one."""
    candidate = plain(address)
    if not candidate:
        return None
    if candidate.startswith("http://"):
        candidate = f"https://{candidate.removeprefix('http://')}"
        findings.doubt("page_http", field_name, found=address)
    if https_address(candidate) is None:
        findings.doubt("page_unusable", field_name, found=address)
        return None
    return candidate


def day_of(value: Any, field_name: str, findings: Findings) -> dt.date | None:
    """Return the date of a field; words in its place (随時) are remarked on."""
    text = plain(value) if not isinstance(value, dt.date) else value
    if text == "":
        return None
    day = read_date(text)
    if day is None:
        code = "date_unreadable" if re.search(r"\d", str(text)) else "date_in_words"
        findings.doubt(code, field_name, found=text)
    return day


def period_of(
    first: Any, last: Any, fields: tuple[str, str], findings: Findings
) -> tuple[dt.date | None, dt.date | None]:
    """Return both days of a period; neither where they are reversed."""
    opens, closes = day_of(first, fields[0], findings), day_of(last, fields[1], findings)
    if opens and closes and closes < opens:
        findings.doubt("dates_reversed", fields[1], until=closes, **{"from": opens})
        return None, None
    return opens, closes


def contact_of(desk: str, phone: str, url: str, hours: str, field_name: str, findings: Findings) -> Document | None:
    """Return the desk to ask: several joined by commas keep their text, the first number is the one to call."""
    numbers = telephone_numbers(phone)
    if phone and not numbers:
        findings.doubt("phone_unreadable", field_name, found=phone)
    if len(numbers) > 1:
        findings.repair("contacts_several", field_name, read=numbers[0])
    address = page(url, field_name, findings)
    if not desk and not numbers and not address:
        return None
    contact: Document = {"desk": {"ja": desk or phone or url}}
    if numbers:
        contact["phone"] = numbers[0]
    if address:
        contact["url"] = address
    if hours:
        contact["hours"] = {"ja": hours}
    return contact


def application_of(
    opens: dt.date | None, closes: dt.date | None, how: Document, documents: Iterable[str], contact: Document | None
) -> Document | None:
    """Return the `application` of a draft out of its parts; None where the row says nothing about applying."""
    papers = [{"ja": paper} for paper in documents]
    parts: Document = {
        "opens": {"on": opens.isoformat()} if opens else None,
        "deadlines": [{"occasion": "published", "on": closes.isoformat()}] if closes else None,
        "how": how or None,
        "documents": papers or None,
        "contact": contact,
    }
    return {key: part for key, part in parts.items() if part} or None


def lines_of(text: str) -> tuple[str, ...]:
    """Return the lines of a list written as text, without their bullets."""
    lines = (
        re.sub(r"^\s*(?:[・*●○◆■]|[-‐](?=\s)|[(（]?\d{1,2}[)）．.](?!\d))\s*", "", line).strip()
        for line in text.split("\n")
    )
    return tuple(line for line in lines if line)


def without_empty(document: Mapping[str, Any]) -> Document:
    """Return a document without the keys that a row says nothing for."""
    return {key: value for key, value in document.items() if value not in (None, "", [], {})}


def finished(document: Document, findings: Findings, field_at: Callable[[str], str] | None = None) -> Document | None:
    """Return a document that is a programme; None, with every reason, where it is not one.

    Args:
        document: what a row made.
        findings: where the reasons are noted.
        field_at: the row's field that a place (`general_place`) was written from; None names the place itself.
    """
    if findings.refuse:
        return None
    try:
        # The record stays as it is; walking through it again for every row would cost more than the programme.
        Programme.model_validate({key: value for key, value in document.items() if key != "official_record"})
    except ValidationError as error:
        for problem in problems_of(error):
            field = problem.path if field_at is None else field_at(general_place(problem.path))
            _note_problem(problem.path, field, document, findings)
        return None
    return document


def general_place(path: str) -> str:
    """Return where in any document a path leads: `criteria.all[0].within` → `criteria.within`."""
    return re.sub(r"\[\d+\]|\.(?:all|ja)(?![\w-])", "", path)


def _note_problem(path: str, field_name: str, document: Document, findings: Findings) -> None:
    """Say in Japanese what a place needs: the model's own messages are for whoever writes documents by hand."""
    expected, found = words()["expectations"].get(general_place(path)), _value_at(document, path)
    if found is None:
        findings.error("needed", field_name, column=field_name)
    elif isinstance(found, Mapping | list):
        findings.error("whole_wrong" if expected else "not_a_whole_programme", field_name, expected=expected)
    elif expected is None:
        findings.error("not_a_programme", field_name, found=found)
    else:
        findings.error("value_wrong", field_name, found=found, expected=expected)


def _value_at(document: Document, path: str) -> Any:
    value: Any = document
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value
