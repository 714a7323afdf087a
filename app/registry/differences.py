"""What differs, in words: between two days or versions of a programme, and between a changed template and a local one.

A difference is one field with the lines that went and the lines that came. Nothing that differs is left out: where two
values read the same, the values themselves are shown.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from app.platform.errors import NotFound
from app.platform.rendering import phrases
from app.registry.inheritance import ABSENT, FieldPath, FieldStep, three_way
from app.registry.loading import Registry
from app.registry.statements import Statement, Wording, statements
from app.rules.phrases import Phrases

Side = tuple[Registry, Mapping[str, Any], dt.date]
"""The registry a document stands in, the whole document, and the day whose limits are shown."""

_EMPTY = Statement("", (), ABSENT)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: the lines only the earlier side has, and the lines only the later one has."""

    field: str
    label: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"field": self.field, "label": self.label, "before": list(self.before), "after": list(self.after)}


@dataclass(frozen=True, slots=True)
class TemplateDifference:
    """What a changed template means for a local programme, in words, and the local document with what is taken over.

    `taken` and `conflicts` say what changed in the template; `local` says, for each conflict, what the local one has.
    """

    taken: tuple[Difference, ...]
    conflicts: tuple[Difference, ...]
    local: Mapping[str, tuple[str, ...]]
    own: tuple[Difference, ...]
    document: dict[str, Any]


def wording(registry: Registry, language: str = "ja") -> Wording:
    """Return the words in which differences are told."""
    words = phrases(f"phrases/{language}")
    return Wording(
        Phrases(language, words, registry.facts, registry.parameters, registry.names), phrases("phrases/differences")
    )


def difference(before: Side | None, after: Side) -> list[Difference]:
    """Say what differs between two versions.

    Args:
        before: the registry it stands in, the whole document, and the day whose limits are shown; None = nothing.
        after: the same of the later one; the registry may be another one, as known at another time.
    """
    one = {} if before is None else statements(*before, wording(before[0]))
    other = statements(*after, wording(after[0]))
    paths = dict.fromkeys((*one, *other))
    return [told for path in paths if (told := _told(path, one.get(path, _EMPTY), other.get(path, _EMPTY))) is not None]


def document_on(registry: Registry, key: str, day: dt.date) -> dict[str, Any]:
    """Return the document of a programme that is law on a day.

    Raises:
        NotFound: no such programme, or no version on that day.
    """
    version = registry.version_on(key, day) if key in registry.programmes else None
    if version is None:
        days = ", ".join(f"{one.valid.from_} … {one.valid.until or ''}" for one in registry.programmes.get(key, ()))
        raise NotFound(f"found no version of {key} that is law on {day}; expected a day in: {days or 'no version'}")
    return registry.documents[key, version.version]


def template_difference(template_before: Side, template_now: Side, local: Side) -> TemplateDifference:
    """Say what a changed template means for a local programme.

    Args:
        template_before: registry, whole document and day of the template that the local one was derived from.
        template_now: the same of the template that takes its place.
        local: the same of the local programme.
    """
    result = three_way(template_before[1], template_now[1], local[1])
    before, now, here = (statements(*side, wording(side[0])) for side in (template_before, template_now, local))
    return TemplateDifference(
        taken=_steps(result.taken, before, now),
        conflicts=_steps(result.conflicts, before, now),
        local={".".join(step.path): here.get(step.path, _EMPTY).lines for step in result.conflicts},
        own=_steps(result.own, before, here),
        document=result.document,
    )


def _steps(
    steps: Sequence[FieldStep], before: Mapping[FieldPath, Statement], after: Mapping[FieldPath, Statement]
) -> tuple[Difference, ...]:
    found = (_told(step.path, before.get(step.path, _EMPTY), after.get(step.path, _EMPTY)) for step in steps)
    return tuple(one for one in found if one is not None)


def _told(path: FieldPath, before: Statement, after: Statement) -> Difference | None:
    if before.value == after.value and before.lines == after.lines:
        return None
    gone, come = _changed_lines(before.lines, after.lines)
    if not gone and not come:
        gone, come = _raw(before.value), _raw(after.value)
    return Difference(".".join(path), after.label or before.label, gone, come)


def _changed_lines(before: Sequence[str], after: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    gone: list[str] = []
    come: list[str] = []
    for kind, first, last, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            gone += before[first:last]
            come += after[start:end]
    return tuple(gone), tuple(come)


def _raw(value: Any) -> tuple[str, ...]:
    return () if value is ABSENT else (json.dumps(value, ensure_ascii=False, sort_keys=True, default=str),)
