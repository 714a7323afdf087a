"""Whether a draft may be published: it loads, versions before and after leave room, its examples pass, lint agrees."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.platform.errors import InvalidInput
from app.platform.rendering import phrases
from app.registry.examples import run_examples
from app.registry.inheritance import NoTemplate, completed
from app.registry.linting import sentence_of
from app.registry.loading import Registry, complain_of_contents, read_model
from app.registry.positions import Complaint, PositionedDocument
from app.registry.programme import Programme
from app.rules.lint import lint

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
        programme: the version as the program reads it.
        document: the whole document, with what it takes over and the end that a later version gives it.
        neighbours: published versions that have to end the day before it begins, with their new end.
    """

    programme: Programme
    document: RawDocument
    neighbours: tuple[RawDocument, ...]


def whole(registry: Registry, document: Mapping[str, Any]) -> RawDocument:
    """Return a draft's document with what it takes over from its published template.

    Raises:
        NotReady: the template is not there.
    """
    key = document.get("based_on")
    templates = (
        [] if key is None else [registry.documents[key, one.version] for one in registry.programmes.get(key, ())]
    )
    try:
        return completed(document, templates)
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


def ready(registry: Registry, document: Mapping[str, Any], today: dt.date) -> Ready:
    """Check a document against what is published, and return what publishing it would write.

    Raises:
        NotReady: with everything that is wrong.
    """
    programme, positioned = loaded(registry, document)
    published = [registry.documents[programme.key, one.version] for one in registry.programmes.get(programme.key, ())]
    positioned.value, neighbours = _fitted(positioned.value, published, positioned)
    if positioned.complaints:
        raise NotReady(positioned.complaints)
    programme = Programme.model_validate(positioned.value)
    trial = _with(registry, programme.key, positioned, [*neighbours, *_others(published, positioned.value, neighbours)])
    complaints = [one for one in run_examples(trial, (programme.key,)) if one.file == DRAFT]
    complaints += _lint_errors(trial, programme, today)
    if complaints:
        raise NotReady(complaints)
    return Ready(programme, positioned.value, tuple(neighbours))


def _fitted(
    document: RawDocument, published: Sequence[RawDocument], positioned: PositionedDocument
) -> tuple[RawDocument, list[RawDocument]]:
    """Fit a version between its neighbours: the earlier one ends the day before it, it ends the day before the next."""
    first = _first(document)
    later = [one for one in published if _first(one) > first]
    fitted = copy.deepcopy(document)
    if later:
        room = _first(later[0]) - _DAY
        until = fitted["valid"].get("until")
        if until is None:
            fitted["valid"]["until"] = room.isoformat()
        elif _as_day(until) > room:
            message = f"found {until}; expected {room} or earlier: a version from {_first(later[0])} is published"
            positioned.complain("valid.until", message)
    earlier = [one for one in published if _first(one) < first][-1:]
    neighbours = [ended(one, first - _DAY) for one in earlier if _last(one) is None or _last(one) >= first]  # type: ignore[operator]
    return fitted, neighbours


def ended(document: Mapping[str, Any], last: dt.date) -> RawDocument:
    """Return a document that is law until a day."""
    copied = copy.deepcopy(dict(document))
    copied["valid"] = {**copied["valid"], "until": last.isoformat()}
    return copied


def _others(
    published: Sequence[RawDocument], document: RawDocument, neighbours: Sequence[RawDocument]
) -> list[RawDocument]:
    replaced = {_first(one) for one in (document, *neighbours)}
    return [one for one in published if _first(one) not in replaced]


def _with(registry: Registry, key: str, positioned: PositionedDocument, others: Sequence[RawDocument]) -> Registry:
    """Return the registry as it would be with the draft published."""
    documents = sorted([positioned.value, *others], key=_first)
    versions = tuple(Programme.model_validate(one) for one in documents)
    files = {
        (key, version.version): positioned if one is positioned.value else PositionedDocument("published", one)
        for version, one in zip(versions, documents, strict=True)
    }
    return dataclasses.replace(registry, programmes={**registry.programmes, key: versions}, files=files)


def _lint_errors(trial: Registry, programme: Programme, today: dt.date) -> Iterable[Complaint]:
    compiled = trial.rulebook.on(programme.key, programme.valid.from_)
    words = phrases("phrases/lint")
    for remark in lint(compiled, today, trial.facts, trial.parameters) if compiled is not None else ():
        if remark.level == "error":
            yield Complaint(DRAFT, 0, remark.path, f"{remark.code}: {sentence_of(remark, trial, words)}")


def _first(document: Mapping[str, Any]) -> dt.date:
    return _as_day(document["valid"]["from"])


def _last(document: Mapping[str, Any]) -> dt.date | None:
    until = document["valid"].get("until")
    return None if until is None else _as_day(until)


def _as_day(value: object) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
