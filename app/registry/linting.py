"""What is allowed but probably not meant: shown to whoever edits a programme, with the line and what to change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from app.registry.loading import Registry
from app.registry.positions import Complaint
from app.registry.programme import Programme


def lint(registry: Registry, on: dt.date) -> list[Complaint]:
    """Return every remark about every version, sorted by file and line; an empty list where nothing is to be said.

    Args:
        registry: a registry that loads, so that what is broken never comes this far.
        on: the day by which a version may be overdue for checking.
    """
    remarks: list[Complaint] = []
    for version in registry.versions:
        document = registry.files[version.key, version.version]
        for path, message in _remarks(version, on):
            remarks.append(Complaint(document.file, document.line_of(path), path, message))
    remarks += _unused_parameters(registry)
    return sorted(remarks)


def _remarks(version: Programme, on: dt.date) -> Iterator[tuple[str, str]]:
    yield from _wording(version)
    yield from _action(version)
    yield from _upkeep(version, on)
    verdicts = {expected.verdict for example in version.examples for expected in example.expect.values()}
    if not {"eligible", "ineligible"} <= verdicts:
        yield "examples", "add one example that is eligible and one that is ineligible, best on both sides of an edge"


def _wording(version: Programme) -> Iterator[tuple[str, str]]:
    for path, text, languages in (("name", version.name, ("ja_easy", "en")), ("summary", version.summary, ("ja_easy",))):
        for language in languages:
            if not getattr(text, language):
                yield path, f"add {language.replace('_', '-')}"
    for position, condition in enumerate(version.unmodelled):
        if not condition.ja_easy:
            yield f"unmodelled[{position}]", "add ja-easy; families are asked to check this themselves"


def _action(version: Programme) -> Iterator[tuple[str, str]]:
    application = version.application
    if application is None or application.how is None:
        yield "application.how", "say at least one way to apply: online, counter or post"
    if application is None or application.contact is None:
        yield "application.contact", "name the desk to ask"
    if version.kind == "cash" and version.amount is None:
        yield "amount", "a cash programme usually has an amount"
    if version.notify is None:
        yield "notify", "say how long before the right begins it should be told (lead)"
    deadlines = () if application is None else application.deadlines
    if version.notify is not None and version.notify.remind_before_deadline and not deadlines:
        if _endless(version):
            yield "notify.remind_before_deadline", "there is no deadline to remind of"


def _endless(version: Programme) -> bool:
    """Say whether neither a deadline nor an edge of the criteria could ever be reminded of."""
    raw = version.model_dump(mode="json", by_alias=True)["criteria"]
    return not any(word in str(raw) for word in ("within", "fiscal_year_end", "school_grade", "class_age", "'on'"))


def _upkeep(version: Programme, on: dt.date) -> Iterator[tuple[str, str]]:
    if version.next_check_on is None:
        yield "", "say when the sources are to be read again (next_check_on)"
    elif version.next_check_on < on:
        yield "next_check_on", f"was due on {version.next_check_on}; read the sources again, then change checked_on"
    for position, source in enumerate(version.sources):
        if source.checked_on > on:
            yield f"sources[{position}].checked_on", f"found {source.checked_on}; nobody can have read it after {on}"


def _unused_parameters(registry: Registry) -> Iterator[Complaint]:
    named = {name for document in registry.documents.values() for name in _parameters(document)}
    for name in sorted(registry.parameter_documents):
        if name not in named and not _describes(name, named):
            yield Complaint("parameters", 0, name, "no programme names this parameter")


def _describes(name: str, named: set[str]) -> bool:
    """Say whether a parameter is kept to recompute another one: the band behind a coefficient."""
    stem = name.removesuffix("partial-most").removesuffix("partial-least")
    return stem != name and f"{stem}coefficient" in named


def _parameters(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("parameter"), str):
            yield part["parameter"]
        for value in part.values():
            yield from _parameters(value)
    elif isinstance(part, list):
        for value in part:
            yield from _parameters(value)
