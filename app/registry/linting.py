"""What is allowed but probably not meant: shown to whoever edits a programme, with the line and what to change.

`app.rules.lint` looks at the rule; here come the document around it, its examples, and the registry as a whole.
Words come in as a value (`templates/phrases/lint.yaml`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.registry.lint_claimants import lint_claimants
from app.registry.lint_examples import lint_examples
from app.registry.lint_sources import lint_sources
from app.registry.lint_wording import lint_wording
from app.registry.loading import Registry
from app.registry.positions import PositionedDocument, read_documents
from app.registry.programme import Programme
from app.registry.public_bodies import is_public_body
from app.registry.references import parameters_named_in
from app.rules.lint import lint as lint_rule
from app.rules.phrases import Phrases
from app.rules.remarks import Remark, error, warning

UPKEEP = ("expired", "overdue", "parameter_ends", "no_next_check", "source_old")
"""Remarks that say nothing about a version which a later one has followed."""
_YEAR = dt.timedelta(days=366)
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class Finding:
    """One remark at its place: file, line (0 where there is none), path, and the sentence for the clerk."""

    file: str
    line: int
    path: str
    level: str
    code: str
    sentence: str
    programme: str | None = None
    version: str | None = None

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def lint(
    registry: Registry,
    on: dt.date,
    phrases: Phrases,
    words: Mapping[str, Any],
    keys: Collection[str] | None = None,
) -> list[Finding]:
    """Return every remark about every version (or about some programmes), sorted by file and line.

    Args:
        registry: a registry that loads, so that what is broken never comes this far.
        on: the day by which a version may be overdue for checking.
        phrases: the words in which a test is named.
        words: `templates/phrases/lint.yaml`.
        keys: programmes looked at; all where it is None, and then the parameters too.
    """
    findings: list[Finding] = []
    for version in registry.versions:
        if keys is not None and version.key not in keys:
            continue
        document = registry.files[version.key, version.version]
        last = registry.programmes[version.key][-1] is version
        for remark in remarks_of(registry, version, on, phrases, words):
            if last or remark.code not in UPKEEP:
                sentence = sentence_of(remark, registry, words)
                line = document.line_of(remark.path)
                findings.append(
                    Finding(
                        document.file, line, remark.path, remark.level, remark.code, sentence,
                        version.key, version.version,
                    )
                )  # fmt: skip
    if keys is None:
        findings += _parameters(registry, words)
    return sorted(findings, key=lambda one: (one.file, one.line, one.path, one.code))


def sentence_of(remark: Remark, registry: Registry, words: Mapping[str, Any]) -> str:
    """Return the sentence for the clerk: what was found, and what to do."""
    values = dict(remark.values)
    if values.get("fact"):
        fact = registry.facts.get(values["fact"])
        values["fact"] = fact.label.ja if fact is not None else values["fact"]
    if "parameter" in values:
        values["parameter"] = registry.parameters[values["parameter"]].label.ja
    if "field" in values:
        values["field"] = words["fields"][values["field"]]
    for unit in ("one", "other"):
        if unit in values:
            values[unit] = words["units"][values[unit]]
    said = words["remarks"][remark.code]
    return str(words["sentence"]).format(found=said["found"].format(**values), do=said["do"].format(**values))


def remarks_of(
    registry: Registry,
    version: Programme,
    on: dt.date,
    phrases: Phrases,
    words: Mapping[str, Any],
    *,
    with_examples: bool = True,
) -> Iterator[Remark]:
    """Return what there is to say of one version; an error must not be published. Arguments as for `lint`.

    Without examples, what they fail to show is not asked: for contents that come back and were shown on other days.
    """
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    if compiled is not None:
        yield from lint_rule(compiled, on, registry.facts, registry.parameters)
    yield from lint_wording(version, registry.facts)
    yield from lint_claimants(version)
    yield from lint_sources(registry, version)
    yield from _action(version)
    yield from _upkeep(version, on)
    span = registry.spans[version.key, version.version]
    for path in span.conflicts:
        yield error("template_conflict", path, day=version.valid.from_)
    yield from _gap(registry, version)
    # What follows from a changed template is for the template's examples to show.
    if with_examples and span.written_from == version.version:
        yield from lint_examples(registry, version, on, phrases, words)


def _gap(registry: Registry, version: Programme) -> Iterator[Remark]:
    versions = registry.programmes[version.key]
    before = next((one for one in reversed(versions) if one.valid.from_ < version.valid.from_), None)
    if before is not None and before.valid.until is not None and before.valid.until + _DAY < version.valid.from_:
        yield warning("version_gap", "valid.from", last=before.valid.until, first=version.valid.from_)


def _action(version: Programme) -> Iterator[Remark]:
    application = version.application
    talked_about = version.kind in ("consultation", "information")
    if not talked_about and (application is None or application.how is None):
        yield warning("no_action", "application.how")
    if application is None or application.contact is None:
        yield warning("no_contact", "application.contact")
    if version.kind == "cash" and version.amount is None:
        yield warning("no_amount", "amount")
    if not talked_about and version.notify is None:
        yield warning("no_notify", "notify")


def _upkeep(version: Programme, on: dt.date) -> Iterator[Remark]:
    if version.next_check_on is None:
        yield warning("no_next_check", "")
    if version.certainty == "verified" and not any(is_public_body(source.url) for source in version.sources):
        yield warning("no_official_source", "sources")
    for position, source in enumerate(version.sources):
        path = f"sources[{position}].checked_on"
        if source.checked_on > on:
            yield warning("checked_in_future", path, day=source.checked_on)
        elif source.checked_on < on - _YEAR:
            yield warning("source_old", path, day=source.checked_on)


def _parameters(registry: Registry, words: Mapping[str, Any]) -> Iterator[Finding]:
    """Figures that nobody uses, and figures without a name in a language in which they are read back."""
    named = {name for document in registry.documents.values() for name in parameters_named_in(document)}
    places = _parameter_places(registry)
    for name in sorted(registry.parameter_documents):
        remarks = []
        if name not in named and not _describes(name, named):
            remarks.append(warning("unused_parameter", "id", parameter=name))
        label = registry.parameters[name].label
        remarks += [
            warning(f"no_{language}", "label", field="label")
            for language in ("ja_easy", "en")
            if not getattr(label, language)
        ]
        place = places.get(name)
        for remark in remarks:
            file, line = ("parameters", 0) if place is None else (place.file, place.line_of(remark.path))
            yield Finding(file, line, remark.path, remark.level, remark.code, sentence_of(remark, registry, words))


def _parameter_places(registry: Registry) -> dict[str, PositionedDocument]:
    return {
        str(document.value.get("id")): document
        for path in sorted((registry.directory / "parameters").glob("*.yaml"))
        for document in read_documents(path, name=str(path.relative_to(registry.directory)))
        if isinstance(document.value, dict)
    }


def _describes(name: str, named: set[str]) -> bool:
    """Say whether a parameter is kept to recompute another one: the band behind a coefficient."""
    stem = name.removesuffix("partial-most").removesuffix("partial-least")
    return stem != name and f"{stem}coefficient" in named
