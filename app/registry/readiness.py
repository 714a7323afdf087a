"""Whether a draft may be published: it loads, versions before and after leave room, its examples pass, lint agrees."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.platform.errors import InvalidInput
from app.platform.rendering import phrases
from app.registry.examples import run_examples
from app.registry.inheritance import NoTemplate, Span, completed_in, followed, inheritable, template_of
from app.registry.linting import remarks_of, sentence_of
from app.registry.loading import Registry, complain_of_contents, read_model
from app.registry.positions import Complaint, PositionedDocument
from app.registry.programme import Programme
from app.registry.versions import digest_of_template
from app.rules.phrases import Phrases

DRAFT = "draft"
"""The file name that complaints about a draft bear."""

_DAY = dt.timedelta(days=1)
RawDocument = dict[str, Any]


class NotReady(InvalidInput):
    """The draft cannot be published as it is; `complaints` lists everything, with paths into the document."""

    slug = "not-ready"

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(sorted(set(complaints)))
        super().__init__("\n".join(f"{one.path}: {one.message}" for one in self.complaints))

    @property
    def errors(self) -> list[dict[str, str]]:
        """Every place at fault: `at`, and `found` and `expected` where the message says both."""
        return [{"at": one.path, **_found_and_expected(one.message)} for one in self.complaints]


def _found_and_expected(message: str) -> dict[str, str]:
    found, _, expected = message.partition("; expected ")
    return {"found": found.removeprefix("found "), "expected": expected} if expected else {"found": message}


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft that may be published.

    Attributes:
        document: the whole document, with what it takes over and the end that a later version gives it.
        remarks: what is probably not meant, for whoever approves.
    """

    document: RawDocument
    remarks: tuple[Complaint, ...]


def whole(registry: Registry, document: Mapping[str, Any]) -> RawDocument:
    """Return a draft's document with what it takes over from its published template.

    Raises:
        NotReady: the template is not there.
    """
    if document.get("based_on") is None:
        return dict(document)
    try:
        return completed_in(registry.documents, document)[0]
    except NoTemplate as error:
        raise NotReady([Complaint(DRAFT, 0, "based_on", str(error))]) from None


def loaded(registry: Registry, document: Mapping[str, Any]) -> tuple[Programme, PositionedDocument]:
    """Return a draft as the program reads it, and its whole document.

    Raises:
        NotReady: it does not load: a field is wrong, or a name in it is nobody's.
    """
    positioned = PositionedDocument(DRAFT, whole(registry, document))
    programme = read_model(Programme, positioned, positioned.value)
    if programme is None:
        raise NotReady(positioned.complaints)
    if programme.municipality not in registry.municipalities:
        positioned.complain("municipality", f"found {programme.municipality}, which the registry does not know")
    keys, names = registry.programmes.keys() | {programme.key}, registry.parameter_documents
    complain_of_contents(positioned, programme, positioned.value, registry.facts, registry.parameters, names, keys)
    if positioned.complaints:
        raise NotReady(positioned.complaints)
    return programme, positioned


def ready(
    registry: Registry,
    document: Mapping[str, Any],
    today: dt.date,
    template_sha256: str | None,
    *,
    comes_back: bool = False,
) -> Ready:
    """Check a document against what is published.

    Args:
        registry: what is published now.
        document: the draft's.
        today: the day by which lint judges.
        template_sha256: digest of the template's version that the draft was derived from; None without a template.
        comes_back: it was published before: examples on days on which it is no longer law need not be replaced.

    Raises:
        NotReady: with everything that is wrong.
    """
    programme, positioned = loaded(registry, document)
    key = programme.key
    if template_sha256 != digest_of_template(registry, positioned.value):
        message = "found a draft derived from another version of it; expected the one of now: save the draft again"
        positioned.complain("based_on", message)
    trial, new = _trial(registry, key, positioned)
    complaints = [one for one in run_examples(trial, (key,)) if one.file == DRAFT]
    remarks: dict[str, list[Complaint]] = {"error": complaints, "warning": []}
    for version, *_ in new.values():
        for level, complaint in _remarks(trial, version, today, with_examples=not comes_back):
            remarks[level].append(complaint)
    if complaints:
        raise NotReady(complaints)
    return Ready(positioned.value, tuple(remarks["warning"]))


def as_published(registry: Registry, document: Mapping[str, Any]) -> tuple[Registry, RawDocument]:
    """Return the registry as it would be with a draft published, and the document as publishing would write it.

    Raises:
        NotReady: it does not load, or does not fit between the published versions.
    """
    programme, positioned = loaded(registry, document)
    trial, _ = _trial(registry, programme.key, positioned)
    return trial, positioned.value


def as_retired(registry: Registry, key: str, last_day: dt.date) -> Registry:
    """Return the registry as it would be with a programme ended on a day; later versions of it are gone."""
    versions = (registry.documents[key, version.version] for version in registry.programmes.get(key, ()))
    kept = [one for one in versions if _first(one) <= last_day]
    ending = [one if (last := _last(one)) is not None and last <= last_day else ended(one, last_day) for one in kept]
    return _with(registry, key, {}, ending)


_New = dict[str, tuple[Programme, PositionedDocument, Span]]


def _trial(registry: Registry, key: str, positioned: PositionedDocument) -> tuple[Registry, _New]:
    """Fit a document between the published versions; return the registry with it, and the versions that it becomes."""
    positioned.value = _fitted(positioned, [one for (of, _), one in registry.written.items() if of == key])
    spans = _spans(registry, positioned.value)
    places = [PositionedDocument(DRAFT, _own(registry, one.document), {}, positioned.complaints) for one in spans]
    versions = [read_model(Programme, place, span.document) for place, span in zip(places, spans, strict=True)]
    if positioned.complaints:
        raise NotReady(positioned.complaints)
    new: _New = {
        version.version: (version, place, span)
        for version, place, span in zip(versions, places, spans, strict=True)
        if version is not None
    }
    return _with(registry, key, new, _beside(registry, key, positioned.value)), new


def _fitted(positioned: PositionedDocument, published: Sequence[RawDocument]) -> RawDocument:
    """Fit a version before the next: it ends the day before; the earlier one ends where it begins."""
    fitted: RawDocument = copy.deepcopy(positioned.value)
    first, until = _first(fitted), fitted["valid"].get("until")
    later = min((_first(one) for one in published if _first(one) > first), default=None)
    if later is None:
        return fitted
    room = later - _DAY
    if until is None:
        fitted["valid"]["until"] = room.isoformat()
    elif _as_day(until) > room:
        message = f"found {until}; expected {room} or earlier: a version from {later} is published"
        positioned.complain("valid.until", message)
    return fitted


def _spans(registry: Registry, document: RawDocument) -> list[Span]:
    """Return the versions that a document becomes beside its template."""
    if document.get("based_on") is None:
        return [Span(document, document)]
    templates = [one for (key, _), one in registry.documents.items() if key == document["based_on"]]
    return followed(document, template_of(document, templates), templates)


def _own(registry: Registry, document: RawDocument) -> RawDocument:
    """Return what a document says itself: what it takes over is for the template's examples to show."""
    if document.get("based_on") is None:
        return document
    templates = [one for (key, _), one in registry.documents.items() if key == document["based_on"]]
    there = inheritable(template_of(document, templates))
    return {name: part for name, part in document.items() if there.get(name) != part}


def _beside(registry: Registry, key: str, document: RawDocument) -> list[RawDocument]:
    """Return what stays of the versions published so far: before the new one begins, and after it ends."""
    first, last = _first(document), _last(document)
    found = []
    for one in (registry.documents[key, version.version] for version in registry.programmes.get(key, ())):
        if _first(one) < first:
            ends = _last(one)
            found.append(ended(one, first - _DAY) if ends is None or ends >= first else one)
        elif last is not None and _first(one) > last:
            found.append(one)
    return found


def ended(document: Mapping[str, Any], last: dt.date) -> RawDocument:
    """Return a document that is law until a day.

    Raises:
        InvalidInput: it ends before that day: an end is not put off by ending it once more.
    """
    until = _last(document)
    if until is not None and until < last:
        message = f"found {last}; expected {until} or earlier, when the version from {_first(document)} ends anyway"
        raise InvalidInput(message, field="last_day")
    copied = copy.deepcopy(dict(document))
    copied["valid"] = {**copied["valid"], "until": last.isoformat()}
    return copied


def _with(
    registry: Registry,
    key: str,
    new: Mapping[str, tuple[Programme, PositionedDocument, Span]],
    others: Sequence[RawDocument],
) -> Registry:
    """Return the registry as it would be with the draft published."""
    programmes = [*(one for one, *_ in new.values()), *map(Programme.model_validate, others)]
    versions = tuple(sorted(programmes, key=lambda one: one.valid.from_))
    files = {(key, str(_first(one))): PositionedDocument("published", one) for one in others}
    files |= {(key, version): place for version, (_, place, _) in new.items()}
    spans = {(key, version): span for version, (_, _, span) in new.items()}
    return dataclasses.replace(
        registry,
        programmes={**registry.programmes, key: versions},
        documents={
            **registry.documents,
            **{(key, str(_first(one))): one for one in others},
            **{place: span.document for place, span in spans.items()},
        },
        files=files,
        spans={**registry.spans, **spans},
    )


def _remarks(
    trial: Registry, version: Programme, today: dt.date, *, with_examples: bool
) -> Iterator[tuple[str, Complaint]]:
    words = phrases("phrases/lint")
    told = Phrases("ja", phrases("phrases/ja"), trial.facts, trial.parameters, trial.names)
    for remark in remarks_of(trial, version, today, told, words, with_examples=with_examples):
        yield remark.level, Complaint(DRAFT, 0, remark.path, f"{remark.code}: {sentence_of(remark, trial, words)}")


def _first(document: Mapping[str, Any]) -> dt.date:
    return _as_day(document["valid"]["from"])


def _last(document: Mapping[str, Any]) -> dt.date | None:
    until = document["valid"].get("until")
    return None if until is None else _as_day(until)


def _as_day(value: object) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
