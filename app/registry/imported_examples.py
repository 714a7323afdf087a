"""What a changed table cell does to the examples that its programme carries, in words for clerks.

A flat table shows no examples, and a document whose examples fail cannot be submitted: who imports has to hear of it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from app.platform.rendering import phrases
from app.registry.formats.findings import Document, Finding
from app.registry.loading import Registry
from app.registry.positions import Complaint
from app.registry.readiness import NotReady, ready
from app.registry.versions import digest_of_template

_PLACE = re.compile(r"examples\[(\d+)\](.*)")
_EXPECTED = re.compile(r"\.expect\.([a-z]+)(?::([^.]+))?\.([a-z_]+)")


def changed_examples(registry: Registry, document: Document, today: dt.date) -> tuple[Finding, ...]:
    """Return a doubt for each example of a document that does not give its answers any more.

    Args:
        registry: what is published; the document is tried in it.
        document: the whole document as the import writes it.
        today: the day by which readiness judges.
    """
    try:
        ready(registry, document, today, digest_of_template(registry, document))
    except NotReady as refused:
        return tuple(_findings(refused.complaints, document))
    return ()


def _words() -> dict[str, Any]:
    words: dict[str, Any] = phrases("phrases/formats")["examples"]
    return words


def _findings(complaints: tuple[Complaint, ...], document: Document) -> Iterator[Finding]:
    found: dict[int, list[str]] = {}
    for complaint in complaints:
        place = _PLACE.fullmatch(complaint.path)
        if place is not None:
            number = int(place[1])
            found.setdefault(number, []).append(_change(place[2], complaint, document["examples"][number]))
    words = _words()
    for number, changes in sorted(found.items()):
        values = {"changes": words["join"].join(dict.fromkeys(changes))}
        yield Finding("doubt", "examples_change", words["place"].format(number=number + 1), values)


def _change(at: str, complaint: Complaint, example: Document) -> str:
    words, expected = _words(), _EXPECTED.fullmatch(at)
    if at == ".on":
        return str(words["outside"].format(day=example["on"]))
    before_after = re.fullmatch(r"found (.*); expected (.*)", complaint.message, re.DOTALL)
    if expected is None or before_after is None:
        return str(words["other"].format(at=at.removeprefix(".")))
    subject = words["subjects"].get(expected[1], expected[1]) + (expected[2] or "")
    found, wanted = (words["join"].join(_shown(before_after[group])) for group in (1, 2))
    field = words["fields"].get(expected[3], expected[3])
    return str(words["subject"].format(subject=subject, field=field, found=found, expected=wanted))


def _shown(value: str) -> Iterator[str]:
    for one in value.split(", "):
        yield str(_words()["values"].get(one, one))
