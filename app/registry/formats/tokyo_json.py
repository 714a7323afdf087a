"""東京都「子育て支援制度レジストリ」 (JSON): `read` a record into a draft, write a programme as `official_record`.

An imported programme is exported as its own record, verbatim; what was changed here since is laid over it, field by
field. A programme of ours is written from its document: one style of dates (2026-04-01), unknown fields empty, and the
key `condiutilizationConditionstions` misspelt as readers of the official file expect it.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.registry.formats.drafts import TOKYO_REGISTRY, Known, words
from app.registry.formats.findings import Document
from app.registry.formats.organisation_number import of_municipality
from app.registry.formats.tokyo_reading import read
from app.registry.formats.vocabulary import TAG_LISTS, official_vocabulary
from app.registry.formats.wording import amount_text, deadlines_text, persons_text, ways_text
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.references import facts_named_in
from app.rules.criteria import AllOf, Within
from app.rules.municipality_code import NATIONAL

__all__ = ["official_record", "read"]

Section = Callable[[Programme, Registry], Document]
_NO_AGE = {"targetAge": None, "targetAgeOfMonths": None}
_NO_PERIOD = {"fromYMD": "", "fromHM": "", "toYMD": "", "toHM": "", "conditions": ""}


def official_record(programme: Programme, registry: Registry) -> Document:
    """Return a programme as one record of the official registry.

    Imported and unchanged, it is exactly the record that came in; imported and changed, that record with the changes.
    """
    kept = programme.official_record or {}
    if kept.get("format") != TOKYO_REGISTRY or not isinstance(kept.get("record"), Mapping):
        record = _blank()
        for section in SECTIONS:
            _lay_over(record, section(programme, registry))
        return record
    record = copy.deepcopy(dict(kept["record"]))
    imported = _as_imported(record, programme, registry)
    for section, parts in SECTIONS.items():
        if imported is None or any(getattr(programme, part) != getattr(imported, part) for part in parts):
            before = section(imported, registry) if imported is not None else {}
            _lay_over(record, _changes(before, section(programme, registry)))
    return record


def _as_imported(record: Mapping[str, Any], programme: Programme, registry: Registry) -> Programme | None:
    """Return the programme that the record alone would make, to tell what was changed here since."""
    vocabulary = official_vocabulary(registry.directory)
    read_on = max(source.checked_on for source in programme.sources)
    document = read(record, 0, Known(registry.municipalities, vocabulary, read_on)).document
    if document is None:
        return None
    if (programme.official_record or {}).get("assumed_from") == programme.valid.from_.isoformat():
        document["valid"] = {**document["valid"], "from": programme.valid.from_}
    return Programme.model_validate(document)


def _changes(before: Any, after: Any) -> Any:
    """Return the leaves of `after` that differ from `before`, in their places."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return after
    parts = {key: _changes(before.get(key), value) for key, value in after.items() if before.get(key) != value}
    return parts


def _lay_over(record: Document, parts: Mapping[str, Any]) -> None:
    for key, value in parts.items():
        if isinstance(value, Mapping) and isinstance(record.get(key), dict):
            _lay_over(record[key], value)
        else:
            record[key] = copy.deepcopy(value)


def _names(programme: Programme, registry: Registry) -> Document:
    name = programme.name.ja
    return {"institutionName": {"canonicalName": name, "shortName": name}, "summary": programme.summary.ja}


def _identity(programme: Programme, registry: Registry) -> Document:
    town = registry.municipalities.get(programme.municipality)
    number = of_municipality(programme.municipality)
    code = "" if programme.municipality == NATIONAL else f"{programme.municipality};{town.name if town else ''}"
    return {
        "basicInformation": {"psid": programme.psid or "", "organization": number or ""},
        "area": {"areaCode": code, "areaText": words()["export"]["nation"] if not code else ""},
    }


def _target(programme: Programme, registry: Registry) -> Document:
    to_check = "\n".join(condition.ja for condition in programme.unmodelled)
    parts: Document = {"targetPersons": persons_text(programme, registry), "conditions": to_check}
    window = next(_age_windows(programme), None)
    below, above = dict(_NO_AGE), dict(_NO_AGE)
    if window is not None and window.until is not None:
        below = _age(window.until.months)
    if window is not None and window.from_ is not None:
        above = _age(window.from_.months)
    return {"target": {**parts, "lessThan": below, "greaterThanOrEqualTo": above}}


def _age_windows(programme: Programme) -> Iterator[Within[str]]:
    """Yield windows on the child's birth date that official age bounds say exactly: in months, to the birthday."""
    tree = programme.criteria
    for part in tree.all if isinstance(tree, AllOf) else (tree,):
        if isinstance(part, Within) and part.within == "child.birth_date" and part.until_end_of is None:
            in_months = all(edge is None or edge.months or not edge.days for edge in (part.from_, part.until))
            if in_months and (part.from_reckoning, part.until_reckoning) == ("birthday", "birthday"):
                yield part


def _age(months: int) -> Document:
    years, rest = divmod(months, 12)
    return {"targetAge": years, "targetAgeOfMonths": rest or None}


def _support(programme: Programme, registry: Registry) -> Document:
    return {"support": {"monetarySupport": amount_text(programme, registry)}}


def _in_force(programme: Programme, registry: Registry) -> Document:
    return {"implementationPeriod": {"fromYMD": _day(programme.valid.from_), "toYMD": _day(programme.valid.until)}}


def _applying(programme: Programme, registry: Registry) -> Document:
    application = programme.application
    deadlines = application.deadlines if application else ()
    last = next((deadline.on for deadline in deadlines if deadline.on), None)
    opens = application.opens.on if application and application.opens else None
    return {
        "procedureMethod": ways_text(programme),
        "procedurePeriod": {
            "fromYMD": _day(opens),
            "toYMD": _day(last),
            "conditions": deadlines_text(programme, registry),
        },
        "electronicSubmission": bool(application and application.how and application.how.online),
        "belongings": "\n".join(paper.ja for paper in application.documents) if application else "",
        "contact": _contact(programme),
    }


def _contact(programme: Programme) -> Document:
    contact = programme.application.contact if programme.application else None
    return {
        "contactName": contact.desk.ja if contact else "",
        "contactPhone": (contact.phone or "") if contact else "",
        "contactUrl": (contact.url or "") if contact else "",
        "contactComment": contact.hours.ja if contact and contact.hours else "",
    }


def _legal(programme: Programme, registry: Registry) -> Document:
    laws = programme.legal_basis
    articles = (law.article or "" for law in laws)
    return {
        "regulation": {
            "regulationName": "\n".join(law.name for law in laws),
            "regulationArticle": "\n".join(articles).strip(),
        }
    }


def _page(programme: Programme, registry: Registry) -> Document:
    source = programme.sources[0]
    # Whether a remark of ours stood in for a missing page shows in the comparison with the record as imported.
    return {"localGovernmentLink": {"uri": source.url, "title": source.title}}


def _checked(programme: Programme, registry: Registry) -> Document:
    checked = _day(max(source.checked_on for source in programme.sources))
    return {"updateDate": checked, "odInformation": {"updateDate": checked}}


def _tags(programme: Programme, registry: Registry) -> Document:
    facts = set(facts_named_in(programme.model_dump(mode="json", by_alias=True, exclude_none=True)))
    tags = official_vocabulary(registry.directory).tags_for(programme.kind, programme.subject, facts)
    return {"tag": {f"{name}Code": list(tags[name]) for name in TAG_LISTS}}


SECTIONS: Mapping[Section, tuple[str, ...]] = {
    _identity: ("psid", "municipality"),
    _names: ("name", "summary"),
    _target: ("criteria", "unmodelled", "subject"),
    _support: ("amount",),
    _in_force: ("valid",),
    _applying: ("application",),
    _legal: ("legal_basis",),
    _page: ("sources",),
    _checked: ("sources",),
    _tags: ("kind", "subject", "criteria"),
}
"""Each part of a record with the parts of our document that it is written from."""


def _day(day: dt.date | None) -> str:
    return day.isoformat() if day else ""


def _blank() -> Document:
    """Return a record with every key of the official definition and nothing in it."""
    ages = ("lessThan", "lessThanOrEqualTo", "greaterThanOrEqualTo", "greaterThan")
    contact = ("Name", "Phone", "Ex", "Email", "Url", "Comment", "Address")
    return {
        "basicInformation": {
            "psid": "",
            "organization": "",
            "compartment": "",
            "compartmentCode": "",
            "institutionType": "1",
        },
        "institutionName": {"canonicalName": "", "shortName": ""},
        "summary": "",
        "description": "",
        "target": {"targetPersons": "", **{age: dict(_NO_AGE) for age in ages}, "conditions": ""},
        "support": {"description": "", "monetarySupport": "", "materiallySupport": ""},
        "cost": "",
        "costConditions": "",
        "implementationPeriod": dict(_NO_PERIOD),
        "implementationPlace": {"implementationName": "", "implementationAddress": ""},
        "capacity": "",
        "utilizationTime": {"fromHM": "", "toHM": "", "condiutilizationConditionstions": ""},
        "specificDate": "",
        "holiday": "",
        "utilization": "",
        "procedurePersons": "",
        "procedureMethod": "",
        "procedurePeriod": dict(_NO_PERIOD),
        "electronicSubmission": False,
        "belongings": "",
        "procedureDocumentsCode": {"code": "", "others": ""},
        "procedureCounter": "",
        "relatedLink": [],
        "localGovernmentLink": {"uri": "", "title": ""},
        "formLink": [],
        "contact": {**{f"contact{name}": "" for name in contact}, "zipCode": ""},
        "area": {"areaCode": "", "areaText": ""},
        "class": 1,
        "remarks": "",
        "updateDate": "",
        "odInformation": {"updateDate": "", "updater": "", "content": words()["export"]["created"]},
        "regulation": {"regulationName": "", "regulationArticle": ""},
        "tag": {f"{name}Code": [] for name in TAG_LISTS},
        "useConsiderationFlag": False,
    }
