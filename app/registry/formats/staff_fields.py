"""The fields of the staff table: how each stands in a cell, and how a changed cell goes back into the document.

Documents are raw (as in the files and in the database): a text is a word or a mapping by language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from app.calendar.spans import Span
from app.platform.rendering import phrases
from app.registry.formats.drafts import lines_of, words
from app.registry.formats.findings import Document, Findings
from app.registry.formats.texts import lost_its_zero, narrow, telephone_numbers

Setter = Callable[[Document, str, str, Findings], None]
DATES = ("valid_from", "valid_until", "opens", "closes", "checked", "next_check")
NEVER_EMPTY = ("name", "summary", "kind", "subject", "valid_from", "page", "page_title", "checked")
"""Columns that every programme says something in."""
PLACES = {
    "psid": "psid",
    "id": "key",
    "municipality": "code",
    "name": "name",
    "summary": "summary",
    "kind": "kind",
    "subject": "subject",
    "valid": "valid_until",
    "valid.from": "valid_from",
    "criteria": "age_until",
    "criteria.judgement": "conditions",
    "criteria.within": "subject",
    "application.opens": "opens",
    "application.deadlines": "closes",
    "application.how": "counter",
    "application.how.online": "online",
    "application.how.post": "post",
    "application.documents": "documents",
    "application.contact": "desk",
    "application.contact.phone": "phone",
    "application.contact.url": "contact_url",
    "application.contact.hours": "hours",
    "sources": "page",
    "sources.title": "page_title",
    "sources.checked_on": "checked",
    "legal_basis": "law",
    "legal_basis.article": "article",
    "next_check_on": "next_check",
}
"""Places of a document (`general_place`) → the column that shows what stands there and below it."""


def column_at(place: str) -> str:
    """Return the column in which a clerk sees a place of the document; the key's column where no other shows it."""
    while place and place not in PLACES:
        place = place.rpartition(".")[0]
    return PLACES.get(place, "key")


def cells_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return every field of a document as text; "" where it says nothing."""
    source = (document.get("sources") or [{}])[0]
    law = (document.get("legal_basis") or [{}])[0]
    valid = document.get("valid") or {}
    window = _window(document) or {}
    return {
        **{f"name{end}": _text(document.get("name"), language) for end, language in _LANGUAGES.items()},
        **{f"summary{end}": _text(document.get("summary"), language) for end, language in _LANGUAGES.items()},
        "kind": words()["kinds"].get(document.get("kind"), ""),
        "subject": words()["units"].get(document.get("subject"), ""),
        "age_from": _age_text(window.get("from")),
        "age_until": _age_text(window.get("until")),
        "conditions": _text((_judgement(document) or {}).get("judgement")),
        "valid_from": _day(valid.get("from")),
        "valid_until": _day(valid.get("until")),
        **_application_cells(document.get("application") or {}),
        "page": source.get("url", ""),
        "page_title": source.get("title", ""),
        "checked": _day(source.get("checked_on")),
        "next_check": _day(document.get("next_check_on")),
        "law": law.get("name", ""),
        "article": law.get("article") or "",
    }


def _application_cells(application: Mapping[str, Any]) -> dict[str, str]:
    how, contact = application.get("how") or {}, application.get("contact") or {}
    fixed = _fixed_deadlines(application)
    return {
        "opens": _day((application.get("opens") or {}).get("on")),
        "closes": _day(fixed[0]["on"]) if fixed else "",
        "online": (how.get("online") or {}).get("url") or "",
        "counter": _text(how.get("counter")),
        "post": _text(how.get("post")),
        "documents": "\n".join(_text(paper) for paper in application.get("documents") or []),
        "desk": _text(contact.get("desk")),
        "phone": contact.get("phone") or "",
        "contact_url": contact.get("url") or "",
        "hours": _text(contact.get("hours")),
    }


_LANGUAGES = {"": "ja", "_easy": "ja-easy", "_en": "en"}


def _text(value: Any, language: str = "ja") -> str:
    if isinstance(value, str):
        return value.strip() if language == "ja" else ""
    return str((value or {}).get(language) or "").strip()


def _day(value: Any) -> str:
    return str(value) if value else ""


def _parts(document: Mapping[str, Any]) -> list[Any]:
    criteria = document.get("criteria") or {}
    parts = criteria.get("all") if isinstance(criteria, Mapping) and "all" in criteria else [criteria]
    return list(parts) if isinstance(parts, list) else []


def _simple(document: Mapping[str, Any]) -> bool:
    """Say whether the criteria are what a flat table can hold: at most one age window and one judgement."""
    kinds = [
        "within" if _is_age(part) else "judgement" if set(part) == {"judgement"} else "" for part in _parts(document)
    ]
    return all(kinds) and len(set(kinds)) == len(kinds)


def _is_age(part: Any) -> bool:
    spans = [part.get(edge) for edge in ("from", "until") if isinstance(part, Mapping) and part.get(edge)]
    return (
        isinstance(part, Mapping)
        and part.get("within") == "child.birth_date"
        and set(part) <= {"within", "from", "until"}
        and all(re.fullmatch(r"(\d+y)?(\d+m)?|0d", str(span)) for span in spans)
    )


def _window(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((part for part in _parts(document) if _is_age(part)), None) if _simple(document) else None


def _judgement(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((part for part in _parts(document) if "judgement" in part), None) if _simple(document) else None


def _age_text(span: Any) -> str:
    if not span:
        return ""
    months, say = Span.parse(str(span)).months, phrases("phrases/staff_table")["age"]
    years, rest = divmod(months, 12)
    text = (say["years"].format(n=years) if years else "") + (say["months"].format(n=rest) if rest else "")
    return text or str(say["years"].format(n=0))


def _read_age(text: str) -> str | None:
    """Return a span for 1歳6か月, 18か月, or a bare number of years; None for anything else."""
    match = re.fullmatch(
        r"(?:(\d{1,3})(?:歳|才)?)?(?:(\d{1,3})(?:か|ヶ|カ|ケ|ヵ|箇)月)?", re.sub(r"\s+", "", narrow(text))
    )
    if match is None or not any(match.groups()):
        return None
    return str(Span(12 * int(match[1] or 0) + int(match[2] or 0)))


# ---- setters --------------------------------------------------------------------------------------------------------


def _language_setter(key: str, language: str) -> Setter:
    def set_text(document: Document, text: str, field: str, findings: Findings) -> None:
        before = document.get(key)
        texts = {"ja": before} if isinstance(before, str) else dict(before or {})
        texts[language] = text
        document[key] = {name: said for name, said in texts.items() if said or name == "ja"}

    return set_text


def _choice_setter(key: str, catalogue: str) -> Setter:
    def set_choice(document: Document, text: str, field: str, findings: Findings) -> None:
        choices = words()[catalogue]
        chosen = next((code for code, name in choices.items() if narrow(text) in (code, narrow(name))), None)
        if chosen is None:
            findings.error("unknown_choice", field, found=text, expected="、".join(choices.values()))
        else:
            document[key] = chosen

    return set_choice


def _at_path(*path: str) -> Setter:
    def set_value(document: Document, text: str, field: str, findings: Findings) -> None:
        _put(document, path, text or None)

    return set_value


def _text_at(*path: str) -> Setter:
    """Return a setter of a Japanese text; its other languages are kept, for a person to follow up."""

    def set_text(document: Document, text: str, field: str, findings: Findings) -> None:
        before = _get(document, path)
        kept = dict(before) if isinstance(before, Mapping) else {}
        _put(document, path, {**kept, "ja": text} if text else None)

    return set_text


def _get(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = document
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _put(document: Document, path: tuple[str, ...], value: Any) -> None:
    """Set or, with None, take away a value; mappings that become empty go with it."""
    key, *rest = path
    if not rest:
        document.pop(key, None) if value is None else document.__setitem__(key, value)
        return
    below = document.get(key) if isinstance(document.get(key), dict) else {}
    document[key] = below
    _put(document[key], tuple(rest), value)
    if not document[key]:
        del document[key]


def _set_age(edge: str) -> Setter:
    def set_edge(document: Document, text: str, field: str, findings: Findings) -> None:
        span = _read_age(text) if text else ""
        if not _simple(document):
            findings.doubt("age_not_editable", field)
        elif span is None:
            findings.error("age_unreadable", field, found=text)
        else:
            window = {**(_window(document) or {"within": "child.birth_date"}), edge: span}
            kept = {key: value for key, value in window.items() if value and not (key == "from" and value == "0d")}
            _rebuild(document, kept if len(kept) > 1 else None, _judgement(document))

    return set_edge


def _set_conditions(document: Document, text: str, field: str, findings: Findings) -> None:
    if not _simple(document):
        findings.doubt("conditions_not_editable", field)
        return
    _rebuild(document, _window(document), {"judgement": {"ja": text}} if text else None)


def _rebuild(document: Document, window: Mapping[str, Any] | None, judgement: Mapping[str, Any] | None) -> None:
    parts = [dict(part) for part in (window, judgement) if part]
    if not parts:
        parts = [{"judgement": {"ja": words()["no_target_text"]}}]
    document["criteria"] = parts[0] if len(parts) == 1 else {"all": parts}
    if window is not None:
        document["subject"] = "child"


def _set_opens(document: Document, text: str, field: str, findings: Findings) -> None:
    before = _get(document, ("application", "opens"))
    if before and "on" not in before:
        findings.doubt("application_not_editable", field)
    else:
        _put(document, ("application", "opens"), {"on": text} if text else None)


def _fixed_deadlines(application: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the deadlines on a fixed day, where there is one and no other: what the table can show and change."""
    deadlines = application.get("deadlines") or []
    return list(deadlines) if len(deadlines) == 1 and deadlines[0].get("on") else []


def _set_closes(document: Document, text: str, field: str, findings: Findings) -> None:
    application = document.get("application") or {}
    fixed = _fixed_deadlines(application)
    if application.get("deadlines") and not fixed:
        findings.doubt("application_not_editable", field)
        return
    deadline = {**(fixed[0] if fixed else {"occasion": "published"}), "on": text}
    _put(document, ("application", "deadlines"), [deadline] if text else None)


def _set_documents(document: Document, text: str, field: str, findings: Findings) -> None:
    before = {_text(paper): paper for paper in _get(document, ("application", "documents")) or []}
    papers = [before.get(line, {"ja": line}) for line in lines_of(text)]
    _put(document, ("application", "documents"), papers or None)


def _set_phone(document: Document, text: str, field: str, findings: Findings) -> None:
    numbers = telephone_numbers(text) or ((narrow(text),) if re.fullmatch(r"1\d\d", narrow(text)) else ())
    if text and not numbers:
        findings.error("phone_without_zero" if lost_its_zero(text) else "phone_unreadable", field, found=text)
        return
    if len(numbers) > 1:
        findings.repair("contacts_several", field, read=numbers[0])
    _put(document, ("application", "contact", "phone"), numbers[0] if numbers else None)


def _first_of(key: str, part: str) -> Setter:
    """Return a setter of one part of the first source or law."""

    def set_part(document: Document, text: str, field: str, findings: Findings) -> None:
        listed = [dict(one) for one in document.get(key) or []] or [{}]
        _put(listed[0], (part,), text or None)
        document[key] = [one for one in listed if one]

    return set_part


FIELDS: Mapping[str, Setter] = {
    **{f"name{end}": _language_setter("name", language) for end, language in _LANGUAGES.items()},
    **{f"summary{end}": _language_setter("summary", language) for end, language in _LANGUAGES.items()},
    "kind": _choice_setter("kind", "kinds"),
    "subject": _choice_setter("subject", "units"),
    "conditions": _set_conditions,
    "age_from": _set_age("from"),
    "age_until": _set_age("until"),
    "valid_from": _at_path("valid", "from"),
    "valid_until": _at_path("valid", "until"),
    "opens": _set_opens,
    "closes": _set_closes,
    "online": _at_path("application", "how", "online", "url"),
    "counter": _text_at("application", "how", "counter"),
    "post": _text_at("application", "how", "post"),
    "documents": _set_documents,
    "desk": _text_at("application", "contact", "desk"),
    "phone": _set_phone,
    "contact_url": _at_path("application", "contact", "url"),
    "hours": _text_at("application", "contact", "hours"),
    "page": _first_of("sources", "url"),
    "page_title": _first_of("sources", "title"),
    "checked": _first_of("sources", "checked_on"),
    "next_check": _at_path("next_check_on"),
    "law": _first_of("legal_basis", "name"),
    "article": _first_of("legal_basis", "article"),
}
"""Columns that a clerk may change, in the order in which changes are laid over the document."""
