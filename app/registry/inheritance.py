"""Inheritance (引き継ぎ): a programme takes over from a template what it does not say itself, field by field.

A field is what stands at one path of mappings; a list, a value and the whole tree of criteria are one field each. When
the template changes, three documents are compared: the template as it was, as it is now, and the local one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OWN_KEYS = (
    "id", "municipality", "psid", "based_on", "valid", "certainty", "draft_reason", "sources", "official_record",
    "examples",
)  # fmt: skip
"""What a programme never inherits: it is another programme, with its own sources and its own tests."""

ONE_FIELD = ("criteria",)
"""Mappings that are one field: half a condition of one document and half of another mean nothing."""

FieldPath = tuple[str, ...]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""The value of a field that a document does not have."""


class NoTemplate(ValueError):
    """The document names a template that is not there on its first day, or that is based on another itself."""


@dataclass(frozen=True, slots=True)
class FieldStep:
    """One field in the three documents; `ABSENT` where a document does not have it."""

    path: FieldPath
    template_before: Any
    template_now: Any
    local: Any


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """What a changed template means for a local programme.

    Attributes:
        taken: fields that the local programme left as they were in the template, which now change with it.
        conflicts: fields that both changed, differently; `document` keeps the local value until somebody decides.
        own: fields that only the local programme changed.
        document: the local programme with what is taken over.
    """

    taken: tuple[FieldStep, ...]
    conflicts: tuple[FieldStep, ...]
    own: tuple[FieldStep, ...]
    document: dict[str, Any]


def completed(document: Mapping[str, Any], templates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a document with what it takes over from its template.

    Args:
        document: a raw programme document.
        templates: every version of the programme that it is `based_on`; empty where it is based on none.

    Raises:
        NoTemplate: none of them is in force on the document's first day, or it is based on another itself.
    """
    key = document.get("based_on")
    if key is None:
        return dict(document)
    starts = str((document.get("valid") or {}).get("from", ""))
    in_force = [one for one in templates if _covers_day(one, starts)]
    if not in_force:
        raise NoTemplate(f"found {key!r}; expected the key of a programme in force on {starts or '?'}")
    if in_force[-1].get("based_on") is not None:
        raise NoTemplate(f"found {key!r}, which is based on another itself; name the original")
    return overlaid(inheritable(in_force[-1]), document)


def inheritable(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return what others may take over from a document."""
    return {name: part for name, part in template.items() if name not in OWN_KEYS}


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, field by field; a list or a value replaces the one below as a whole."""
    merged = dict(below)
    for name, part in above.items():
        lower = merged.get(name)
        both = isinstance(part, Mapping) and isinstance(lower, Mapping) and name not in ONE_FIELD
        merged[name] = overlaid(lower, part) if both and isinstance(lower, Mapping) else part
    return merged


def fields_of(document: Mapping[str, Any], at: FieldPath = ()) -> dict[FieldPath, Any]:
    """Take a document apart into its fields, in their order."""
    found: dict[FieldPath, Any] = {}
    for name, part in document.items():
        if isinstance(part, Mapping) and part and name not in ONE_FIELD:
            found.update(fields_of(part, (*at, name)))
        else:
            found[*at, name] = part
    return found


def three_way(
    template_before: Mapping[str, Any], template_now: Mapping[str, Any], local: Mapping[str, Any]
) -> ThreeWay:
    """Compare a template as it was and as it is now with the local programme derived from it.

    Args:
        template_before: the version that the local programme was derived from, whole.
        template_now: the version that takes its place, whole.
        local: the local programme with what it took over (`completed`).
    """
    before, now = fields_of(inheritable(template_before)), fields_of(inheritable(template_now))
    here = fields_of(inheritable(local))
    taken, conflicts, own = [], [], []
    for path in dict.fromkeys((*before, *now, *here)):
        step = FieldStep(path, before.get(path, ABSENT), now.get(path, ABSENT), here.get(path, ABSENT))
        if step.local == step.template_now:
            continue
        if step.local == step.template_before:
            taken.append(step)
        elif step.template_before == step.template_now:
            own.append(step)
        else:
            conflicts.append(step)
    result = dict(here)
    for step in taken:
        result[step.path] = step.template_now
    merged = _put_together({path: value for path, value in result.items() if value is not ABSENT})
    merged.update({name: part for name, part in local.items() if name in OWN_KEYS})
    return ThreeWay(tuple(taken), tuple(conflicts), tuple(own), merged)


def _put_together(fields: Mapping[FieldPath, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in fields.items():
        place = document
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return document


def _covers_day(document: Mapping[str, Any], day: str) -> bool:
    valid = document.get("valid") or {}
    return str(valid.get("from", "")) <= day and (valid.get("until") is None or day <= str(valid["until"]))
