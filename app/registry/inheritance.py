"""Inheritance (引き継ぎ): a programme takes over from a template what it does not say itself, field by field.

A field is what stands at one path of mappings; a list, a value and the whole tree of criteria are one field each. When
the template changes, three documents are compared: the template as it was, as it is now, and the local one. A local
version follows its template from the day on which a changed one is law (`followed`), without anybody writing anything;
where both changed the same field the local value stays, and lint and the upkeep list ask for a decision.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Span:
    """A local version while one version of its template is law.

    Attributes:
        document: the whole document, with the days of the span and the examples on them.
        written: the whole version as somebody wrote it, of which this is a span.
        taken: the fields (`application.contact`) that changed in the template since, and here with it.
        conflicts: the fields that changed in the template since and that the local version says itself.
    """

    document: dict[str, Any]
    written: dict[str, Any]
    taken: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def written_from(self) -> str:
        """The first day of the version as it was written, as text."""
        return _days(self.written)[0]


def followed(
    written: Mapping[str, Any], before: Mapping[str, Any], templates: Sequence[Mapping[str, Any]]
) -> list[Span]:
    """Return a local version as it is law: in spans, each with what its template says then. It ends with its template.

    Args:
        written: the local version as it was written, whole.
        before: the version of the template that it was derived from.
        templates: every version of the template as it is known now, the oldest first.
    """
    found: list[Span] = []
    for template in templates:
        first = max(_days(written)[0], _days(template)[0])
        last = min((day for day in (_days(written)[1], _days(template)[1]) if day is not None), default=None)
        if last is None or first <= last:
            found.append(_span(written, before, template, (first, last)))
    spans = _joined(found)
    if [(one.taken, one.conflicts, _days(one.document)) for one in spans] == [((), (), _days(written))]:
        return [Span(dict(written), dict(written))]
    return _with_examples(spans, written)


def _span(
    written: Mapping[str, Any], before: Mapping[str, Any], template: Mapping[str, Any], days: tuple[str, str | None]
) -> Span:
    changed = three_way(before, template, written)
    document = {**changed.document, "valid": _valid(*days)}
    if changed.taken and template.get("certainty") == "draft" and document.get("certainty") == "verified":
        # Nobody has checked what is taken over here: it is told to nobody until somebody has.
        document |= {"certainty": "draft", "draft_reason": template.get("draft_reason")}
    taken, conflicts = (tuple(".".join(one.path) for one in steps) for steps in (changed.taken, changed.conflicts))
    return Span(document, dict(written), taken, conflicts)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Join spans that follow one another and say the same: the template's new version changed nothing here."""
    found: list[Span] = []
    for one in spans:
        before = found[-1] if found else None
        if before is not None and _follows(before, one):
            days = _valid(_days(before.document)[0], _days(one.document)[1])
            found[-1] = replace(before, document={**before.document, "valid": days})
        else:
            found.append(one)
    return found


def _follows(before: Span, after: Span) -> bool:
    last = _days(before.document)[1]
    if last is None or dt.date.fromisoformat(last) + dt.timedelta(days=1) != dt.date.fromisoformat(
        _days(after.document)[0]
    ):
        return False
    same = {**before.document, "valid": None} == {**after.document, "valid": None}
    return same and (before.taken, before.conflicts) == (after.taken, after.conflicts)


def _with_examples(spans: Sequence[Span], written: Mapping[str, Any]) -> list[Span]:
    """Give each example to the span that had begun on its day (the first, where none had): none is lost unseen."""
    begins = ["", *(_days(one.document)[0] for one in spans[1:]), "~"]
    return [
        replace(one, document={**one.document, "examples": [
            example for example in written.get("examples", ()) if begins[at] <= str(example.get("on")) < begins[at + 1]
        ]})
        for at, one in enumerate(spans)
    ]  # fmt: skip


def _valid(first: str, last: str | None) -> dict[str, str]:
    return {"from": first} if last is None else {"from": first, "until": last}


def _days(document: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the first and the last day as text, which sorts as days do."""
    valid = document.get("valid") or {}
    until = valid.get("until")
    return str(valid.get("from", "")), None if until is None else str(until)


def completed(document: Mapping[str, Any], templates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a document with what it takes over from its template.

    Args:
        document: a raw programme document.
        templates: every version of the programme that it is `based_on`; empty where it is based on none.

    Raises:
        NoTemplate: none of them is in force on the document's first day, or it is based on another itself.
    """
    if document.get("based_on") is None:
        return dict(document)
    return overlaid(inheritable(template_of(document, templates)), document)


def template_of(document: Mapping[str, Any], templates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the version of the template in force on the first day of a document that is `based_on` it.

    Raises:
        NoTemplate: as in `completed`.
    """
    key, starts = document.get("based_on"), _days(document)[0]
    in_force = [one for one in templates if _covers_day(one, starts)]
    if not in_force:
        raise NoTemplate(f"found {key!r}; expected the key of a programme in force on {starts or '?'}")
    if in_force[-1].get("based_on") is not None:
        raise NoTemplate(f"found {key!r}, which is based on another itself; name the original")
    return in_force[-1]


def completed_in(
    documents: Mapping[tuple[str, str], Mapping[str, Any]], document: Mapping[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return a document that is `based_on` another with what it takes over, and the template's version that it is from.

    Args:
        documents: of a registry, by key and first day.
        document: a raw programme document.

    Raises:
        NoTemplate: as in `completed`.
    """
    templates = [one for (key, _), one in documents.items() if key == document.get("based_on")]
    return completed(document, templates), template_of(document, templates)


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
    first, last = _days(document)
    return first <= day and (last is None or day <= last)
