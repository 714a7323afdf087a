"""What is allowed but probably not meant: shown to whoever edits a programme, with the line and what to change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from app.registry.loading import Registry
from app.registry.positions import Complaint
from app.registry.programme import Programme
from app.rules.lint import lint as lint_rule


def lint(registry: Registry, on: dt.date) -> list[Complaint]:
    """Return every remark about every version, sorted by file and line; an empty list where nothing is to be said.

    Args:
        registry: a registry that loads, so that what is broken never comes this far.
        on: the day by which a version may be overdue for checking.
    """
    remarks: list[Complaint] = []
    for version in registry.versions:
        document = registry.files[version.key, version.version]
        for path, message in (*_of_the_rule(registry, version, on), *_of_the_document(version, on)):
            remarks.append(Complaint(document.file, document.line_of(path), path, message))
    remarks += _unused_parameters(registry)
    return sorted(remarks)


def _of_the_rule(registry: Registry, version: Programme, on: dt.date) -> Iterator[tuple[str, str]]:
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    for remark in lint_rule(compiled, on) if compiled is not None else ():
        yield remark.path, f"{remark.level} {remark.code}: {remark.found}"


def _of_the_document(version: Programme, on: dt.date) -> Iterator[tuple[str, str]]:
    yield from _wording(version)
    yield from _action(version)
    yield from _upkeep(version, on)
    yield from _examples(version)


def _examples(version: Programme) -> Iterator[tuple[str, str]]:
    verdicts = {expected.verdict for example in version.examples for expected in example.expect.values()}
    if not {"eligible", "ineligible"} <= verdicts:
        yield "examples", "add one example that is eligible and one that is ineligible, best on both sides of an edge"


def _wording(version: Programme) -> Iterator[tuple[str, str]]:
    wanted = (("name", version.name, "ja_easy"), ("name", version.name, "en"), ("summary", version.summary, "ja_easy"))
    for path, text, language in wanted:
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


def _upkeep(version: Programme, on: dt.date) -> Iterator[tuple[str, str]]:
    if version.next_check_on is None:
        yield "", "say when the sources are to be read again (next_check_on)"
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
