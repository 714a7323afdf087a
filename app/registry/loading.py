"""Reading `registry_data/` into one value. Every error of every file is collected and reported with its line.

    registry_data/
      vocabulary/facts.yaml            the fact catalogue, a mapping from path to fact
      vocabulary/municipalities.yaml   the municipalities, a list
      parameters/*.yaml                one parameter per YAML document (several are separated by `---`)
      programmes/<code>-<romanised>/<id>.yaml   one version per YAML document, the oldest first
      households/<id>.yaml             named example households, one each

Reading changes nothing and may be repeated: the same files give an equal registry.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.calendar.day_numbers import OPEN_END, number_of
from app.platform.errors import InvalidInput
from app.registry.inheritance import NoTemplate, Span, completed, followed, template_of
from app.registry.municipalities import Municipalities, Municipality
from app.registry.positions import Complaint, PositionedDocument, read_documents
from app.registry.programme import Programme
from app.registry.references import unknown_facts_and_parameters, unknown_programmes
from app.rules.dependencies import circles
from app.rules.documents import DocumentError, Problem, Text, problems_of
from app.rules.evaluate import Rulebook, compile_rule
from app.rules.facts import FactCatalogue
from app.rules.municipality_code import covers
from app.rules.parameters import Parameter, Parameters
from app.rules.residence_nodes import Replacement


class RegistryError(InvalidInput):
    """The registry cannot be used; `complaints` lists everything that is wrong, sorted by file and line."""

    slug = "registry-error"

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(sorted(set(complaints)))
        super().__init__("\n".join(map(str, self.complaints)))


Kind = TypeVar("Kind", bound=BaseModel)
VersionKey = tuple[str, str]
"""(`CODE/id`, first day of the version as text)."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A published programme whose documents today's models do not take: why, and whose place it goes on taking.

    Attributes:
        error: names the places in its documents.
        replaces: by key of the original; what nobody can read any more does not give its area back.
    """

    error: DocumentError
    replaces: Mapping[str, tuple[Replacement, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Registry:
    """Everything that one folder of files says; programmes by `CODE/id` with their versions, the oldest first."""

    directory: Path
    municipalities: Municipalities
    facts: FactCatalogue
    parameters: Parameters
    programmes: Mapping[str, tuple[Programme, ...]]
    documents: Mapping[VersionKey, dict[str, Any]] = field(repr=False, compare=False)
    parameter_documents: Mapping[str, dict[str, Any]] = field(repr=False, compare=False)
    files: Mapping[VersionKey, PositionedDocument] = field(repr=False, compare=False)
    written: Mapping[VersionKey, dict[str, Any]] = field(repr=False, compare=False)
    """The documents as somebody wrote them; a variant becomes several versions where its template changes."""
    spans: Mapping[VersionKey, Span] = field(repr=False, compare=False)
    """What became of each written version beside its template."""
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict, repr=False, compare=False)
    """Published programmes that are left out because they cannot be read, by key; files are never read so."""

    @cached_property
    def rulebook(self) -> Rulebook:
        """All versions, compiled once and kept."""
        return Rulebook.compile(self.versions, self.facts, self.parameters, self.replacements)

    @cached_property
    def replacements(self) -> dict[str, tuple[Replacement, ...]]:
        """Return where and when another programme takes a programme's place, by key.

        A programme `based_on` another takes its place in its own area while it is law: people of 北区 get 北区's
        児童手当, not both. A draft takes nobody's place: it is told to nobody.
        """
        found: dict[str, list[Replacement]] = {}
        for versions in self.programmes.values():
            for version, later in zip(versions, (*versions[1:], None), strict=True):
                if version.based_on is not None and version.certainty == "verified":
                    ends = OPEN_END if version.valid.until is None else number_of(version.valid.until)
                    last = ends if later is None else min(ends, number_of(later.valid.from_) - 1)
                    one = Replacement(version.municipality, number_of(version.valid.from_), last)
                    found.setdefault(version.based_on, []).append(one)
        for unreadable in self.unreadable.values():
            for key, replacements in unreadable.replaces.items():
                found.setdefault(key, []).extend(replacements)
        return {key: tuple(replacements) for key, replacements in found.items()}

    @cached_property
    def names(self) -> dict[str, Text]:
        """The names of programmes by id, as their latest versions say; a national one goes before a town's own."""
        return {versions[-1].id: versions[-1].name for _, versions in sorted(self.programmes.items(), reverse=True)}

    @property
    def versions(self) -> tuple[Programme, ...]:
        """Every version of every programme, by key and first day."""
        return tuple(version for key in sorted(self.programmes) for version in self.programmes[key])

    def version_on(self, key: str, day: dt.date) -> Programme | None:
        """Return the version of a programme in force on a day; None before the first, after the last, without any."""
        for version in self.programmes.get(key, ()):
            if version.valid.from_ <= day and (version.valid.until is None or day <= version.valid.until):
                return version
        return None

    def replaced_in(self, key: str, municipality: str, on: dt.date) -> str | None:
        """Return the area whose own programme takes the place of another in a municipality on a day; None: nobody's."""
        day = number_of(on)
        for one in self.replacements.get(key, ()):
            if one.first <= day <= one.last and covers(one.area, municipality):
                return one.area
        return None

    def covering(self, municipality: str) -> tuple[str, ...]:
        """Return the keys of the programmes whose area covers a municipality, those replaced there on some day too."""
        return tuple(key for key in self.programmes if covers(key.split("/", maxsplit=1)[0], municipality))

    def offered_in(self, municipality: str, on: dt.date) -> tuple[str, ...]:
        """Return the keys of the programmes for people living in a municipality on a day, replaced ones left out."""
        return tuple(key for key in self.covering(municipality) if self.replaced_in(key, municipality, on) is None)

    def told_in(self, municipality: str) -> tuple[str, ...]:
        """Return the keys of the programmes that people living in a municipality are told of (`Programme.notifies`).

        Also other towns' programmes that look at families who left them: the criteria say which household that is.
        """
        leaving = (key for key, versions in self.programmes.items() if any(one.reaches for one in versions))
        keys = dict.fromkeys((*self.covering(municipality), *leaving))
        return tuple(key for key in keys if any(version.notifies for version in self.programmes[key]))

    def has_own_programmes(self, municipality: str) -> bool:
        """Say whether a municipality has entered any programme of its own (honest coverage, not a verdict)."""
        return any(versions[-1].municipality == municipality for versions in self.programmes.values())

    def household_file(self, name: str) -> Path:
        """Return the file of a named example household."""
        return self.directory / "households" / f"{name}.yaml"


def load_registry(directory: Path) -> Registry:
    """Read a registry folder.

    Raises:
        RegistryError: with every error of every file: file, line, path, what was found and what was expected.
    """
    if not (directory / "programmes").is_dir():
        message = "is not a registry: expected a folder with programmes/, parameters/ and vocabulary/"
        raise RegistryError([Complaint(str(directory), 0, "", message)])
    reading = _Reading(directory)
    municipalities = reading.municipalities()
    facts = reading.facts()
    parameters, parameter_documents = reading.parameters()
    versions = reading.programmes(municipalities, facts, parameters, parameter_documents)
    if reading.complaints:
        raise RegistryError(reading.complaints)
    programmes: dict[str, tuple[Programme, ...]] = {}
    for version, _, _ in versions:
        programmes[version.key] = (*programmes.get(version.key, ()), version)
    spans = {(version.key, version.version): span for version, span, _ in versions}
    return Registry(
        directory, municipalities, facts, parameters, programmes,
        documents={place: span.document for place, span in spans.items()},
        parameter_documents=parameter_documents,
        files={(version.key, version.version): document for version, _, document in versions},
        written={(version.key, span.written_from): span.written for version, span, _ in versions},
        spans=spans,
    )  # fmt: skip


def load_vocabulary(directory: Path) -> tuple[Municipalities, FactCatalogue]:
    """Read only the vocabulary of a registry folder.

    Raises:
        RegistryError: as in `load_registry`.
    """
    reading = _Reading(directory)
    municipalities, facts = reading.municipalities(), reading.facts()
    if reading.complaints:
        raise RegistryError(reading.complaints)
    return municipalities, facts


def read_model(kind: type[Kind], document: PositionedDocument, value: Any, at: str = "") -> Kind | None:
    """Validate one part of a document; where it is wrong, note every problem with its path and return None."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        note_problems(document, problems_of(error), at)
        return None


def note_problems(document: PositionedDocument, problems: Iterable[Problem], at: str = "") -> None:
    """Turn the problems of a document into complaints with their lines; `at` is the path of the part looked at."""
    for problem in problems:
        path = f"{at}.{problem.path}" if at and problem.path else at or problem.path
        document.complain(path, f"found {problem.found}; expected {problem.expected}")


class _Reading:
    """One pass over the files, collecting complaints on the way."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.complaints: list[Complaint] = []

    def municipalities(self) -> Municipalities:
        document = self._single("vocabulary/municipalities.yaml")
        entries = document.value.get("municipalities") if isinstance(document.value, dict) else None
        found: dict[str, Municipality] = {}
        if not isinstance(entries, list):
            document.complain("", "expected a list under the key municipalities")
        for position, entry in enumerate(entries if isinstance(entries, list) else []):
            at = f"municipalities[{position}]"
            one = read_model(Municipality, document, entry, at)
            if one is not None and one.code in found:
                document.complain(f"{at}.code", f"the code {one.code} is listed twice; keep one")
            elif one is not None:
                found[one.code] = one
        self.complaints += document.complaints
        return Municipalities(found.values())

    def facts(self) -> FactCatalogue:
        document = self._single("vocabulary/facts.yaml")
        facts = FactCatalogue({})
        if isinstance(document.value, dict):
            try:
                facts = FactCatalogue.from_mapping(document.value)
            except DocumentError as error:
                note_problems(document, error.problems)
        else:
            document.complain("", "expected a mapping from path to fact, such as child.birth_date: {type: date, …}")
        self.complaints += document.complaints
        return facts

    def parameters(self) -> tuple[Parameters, dict[str, dict[str, Any]]]:
        found: dict[str, Parameter] = {}
        raw: dict[str, dict[str, Any]] = {}
        for path in sorted((self.directory / "parameters").glob("*.yaml")):
            for document in self._read(path):
                parameter = self._model(Parameter, document)
                if parameter is not None and parameter.id in found:
                    document.complain("id", f"the parameter {parameter.id} is defined twice; keep one")
                elif parameter is not None:
                    found[parameter.id], raw[parameter.id] = parameter, document.value
                    _complain_of_sources(parameter, document)
                self.complaints += document.complaints
        return Parameters(found.values()), raw

    def programmes(
        self,
        municipalities: Municipalities,
        facts: FactCatalogue,
        parameters: Parameters,
        parameter_ids: Collection[str],
    ) -> list[tuple[Programme, Span, PositionedDocument]]:
        documents = self._programme_files(municipalities)
        versions = []
        for document in documents:
            for span in (spans := _spans(document, documents)):
                place = document if len(spans) == 1 else _place_of(document, span)
                version = self._model(Programme, place, span.document)
                if version is not None:
                    versions.append((version, span, place))
        keys = {version.key for version, _, _ in versions}
        for key, circle in circles(version for version, _, _ in versions).items():
            document = next(document for version, _, document in versions if version.key == key)
            document.complain("criteria", f"found receives in a circle: {' → '.join(circle)}; expected none")
        for version, span, document in versions:
            complain_of_contents(document, version, span.document, facts, parameters, parameter_ids, keys)
        _complain_of_order(versions)
        for document in documents:
            self.complaints += document.complaints
        return versions

    def _model(self, kind: type[Kind], document: PositionedDocument, value: Any = None) -> Kind | None:
        if document.complaints:
            return None
        return read_model(kind, document, document.value if value is None else value)

    def _read(self, path: Path) -> list[PositionedDocument]:
        return read_documents(path, name=str(path.relative_to(self.directory)))

    def _single(self, relative: str) -> PositionedDocument:
        documents = self._read(self.directory / relative)
        if len(documents) == 1:
            return documents[0]
        message = f"found {len(documents)} documents; expected one"
        return PositionedDocument(relative, None, complaints=[Complaint(relative, 1, "", message)])

    def _programme_files(self, municipalities: Municipalities) -> list[PositionedDocument]:
        documents: list[PositionedDocument] = []
        for folder in sorted(path for path in (self.directory / "programmes").iterdir() if path.is_dir()):
            town = municipalities.get(folder.name[:6])
            if town is None or town.folder != folder.name:
                expected = town.folder if town else "CODE-name of a municipality of vocabulary/municipalities.yaml"
                shown = str(folder.relative_to(self.directory))
                self.complaints.append(Complaint(shown, 0, "", f"found this folder name; expected {expected}"))
            for path in sorted(folder.glob("*.yaml")):
                for document in self._read(path):
                    _complain_of_place(document, folder.name[:6], path.stem)
                    documents.append(document)
        return documents


def complain_of_contents(
    document: PositionedDocument,
    version: Programme,
    merged: Mapping[str, Any],
    facts: FactCatalogue,
    parameters: Parameters,
    parameter_ids: Collection[str],
    keys: Collection[str],
) -> None:
    """Note what a valid document names and nobody defines, and what the compiler finds in it.

    Args:
        document: where the complaints are noted.
        version: the programme that the document says.
        merged: the document with what it takes over from its template.
        facts: the catalogue of facts.
        parameters: all parameters.
        parameter_ids: their ids.
        keys: the keys of all programmes, this one among them.
    """
    for place, message in unknown_facts_and_parameters(merged, facts, parameter_ids):
        document.complain(place, message)
    for place, message in unknown_programmes(merged, keys):
        document.complain(place, message)
    if not document.complaints:
        note_problems(document, _compile_problems(version, facts, parameters))


def _compile_problems(version: Programme, facts: FactCatalogue, parameters: Parameters) -> tuple[Problem, ...]:
    """What the compiler finds that neither the model nor the names show, such as a text where a number is compared."""
    try:
        compile_rule(version, facts, parameters)
    except DocumentError as error:
        return error.problems
    return ()


def _complain_of_sources(parameter: Parameter, document: PositionedDocument) -> None:
    for position, period in enumerate(parameter.periods):
        source = period.source
        if source is None or source.title is None or source.checked_on is None:
            document.complain(f"periods[{position}]", "has no full source; expected source: {url, title, checked_on}")


def _complain_of_place(document: PositionedDocument, code: str, stem: str) -> None:
    """The folder and the file name say the key; a document that says another would be found under a wrong name."""
    value = document.value
    if not isinstance(value, dict):
        if not document.complaints:
            document.complain("", "expected a programme: a mapping with id, municipality, name, criteria, …")
        return
    if str(value.get("municipality")) != code:
        document.complain("municipality", f"found {value.get('municipality')!r}; expected {code!r}, as the folder says")
    if value.get("id") != stem:
        document.complain("id", f"found {value.get('id')!r}; expected {stem!r}, as the file name says")


def _spans(document: PositionedDocument, documents: list[PositionedDocument]) -> list[Span]:
    """Return the document as it is law beside the programme it is based on; nothing where that fails."""
    value = document.value
    if document.complaints or not isinstance(value, dict):
        return []
    key = value.get("based_on")
    if key is None:
        return [Span(dict(value), dict(value))]
    templates = [one.value for one in documents if isinstance(one.value, dict) and _key_of(one.value) == key]
    try:
        return followed(completed(value, templates), template_of(value, templates), templates)
    except NoTemplate as error:
        document.complain("based_on", str(error))
        return []


def _place_of(document: PositionedDocument, span: Span) -> PositionedDocument:
    """Return where a span stands: in the document, with the lines of the examples that are the span's own."""
    kept = span.document["examples"]
    lines = {path: line for path, line in document.lines.items() if not path.startswith("examples[")}
    numbers = {f"examples[{document.value['examples'].index(one)}]": f"examples[{at}]" for at, one in enumerate(kept)}
    for path, line in document.lines.items():
        head, bracket, rest = path.partition("]")
        if head + bracket in numbers:
            lines[numbers[head + bracket] + rest] = line
    return PositionedDocument(document.file, {**document.value, "examples": kept}, lines, document.complaints)


def _key_of(value: Mapping[str, Any]) -> str:
    return f"{value.get('municipality')}/{value.get('id')}"


def _complain_of_order(versions: list[tuple[Programme, Span, PositionedDocument]]) -> None:
    """Versions of one programme follow one another, the oldest first, each ending before the next begins."""
    last: dict[str, Programme] = {}
    for version, _, document in versions:
        earlier = last.get(version.key)
        last[version.key] = version
        if earlier is None:
            continue
        if earlier.valid.until is None:
            document.complain("valid.from", f"the version from {earlier.version} has no until; give it one")
        elif version.valid.from_ <= earlier.valid.until:
            document.complain("valid.from", f"found {version.version}; expected a day after {earlier.valid.until}")
