"""The record of 東京都「子育て支援制度レジストリ」, read with all the dirt that real records have.

A record is nested JSON of about forty keys with the psid as its key; `condiutilizationConditionstions` is misspelt in
the real files and stays so. Structured are only age bounds and dates; everything else a person decides by is text, and
becomes a `judgement`, never a rule nobody wrote. `app.registry.formats.tokyo_json` writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.registry.formats.drafts import (
    TOKYO_REGISTRY,
    Known,
    application_of,
    contact_of,
    day_of,
    draft_marks,
    finished,
    lines_of,
    page,
    period_of,
    resolve_municipality,
    text_without_links,
    without_empty,
    words,
)
from app.registry.formats.drafts import official_record as kept_record
from app.registry.formats.findings import Document, Findings, RowReading
from app.registry.formats.organisation_number import municipality_of
from app.registry.formats.texts import email_address, narrow, plain, unusable
from app.registry.municipalities import Municipality

PSID = re.compile(r"psid3\.0\+(?P<organisation>\d{13})\+(?P<sequence>\S+)\+(?P<menu>UM\d+)")


def read(record: Any, row: int, known: Known) -> RowReading:
    """Read one record into a draft programme, or refuse it with every reason. Never raises for what a file may hold."""
    findings = Findings()
    if not isinstance(record, Mapping):
        findings.error("not_a_record", "", found=type(record).__name__)
        return RowReading(row, findings=findings.all())
    for path, code in unusable(record):
        findings.error(code, path)
    psid = _psid(record, findings)
    town = None if findings.refuse else _municipality(record, known, findings)
    names = _part(record, "institutionName")
    short = plain(names.get("shortName"))
    document = None
    if town is not None and psid is not None and not findings.refuse:
        document = finished(without_empty(_document(record, psid, town, known, findings)), findings)
    name = town.name if town else plain(_part(record, "area").get("areaCode")).partition(";")[2].strip()
    shown_psid = psid[0] if psid else plain(_part(record, "basicInformation").get("psid"))[:80]
    return RowReading(row, shown_psid, name, short, document, findings.all())


def programme_id(psid: str) -> str:
    """Return the id of an imported programme: `um15-0001`, unique within the body that offers it."""
    match = PSID.fullmatch(psid)
    assert match is not None, psid
    sequence = re.sub(r"[^a-z0-9]+", "-", match["sequence"].lower()).strip("-")
    return f"{match['menu'].lower()}-{sequence or 'x'}"


def email_of(record: Mapping[str, Any]) -> str | None:
    """Return the e-mail address of a record's contact, `(at)` read as @."""
    return email_address(plain(_part(record, "contact").get("contactEmail")))


def _part(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = record.get(key)
    return part if isinstance(part, Mapping) else {}


def _psid(record: Mapping[str, Any], findings: Findings) -> tuple[str, str] | None:
    """Return (psid, 法人番号 within it)."""
    raw = plain(_part(record, "basicInformation").get("psid"))
    text = re.sub(r"%2[Bb]| ", "+", narrow(raw))
    match = PSID.fullmatch(text)
    if match is None:
        findings.error("psid_wrong" if raw else "psid_missing", "basicInformation.psid", found=raw)
        return None
    if text != raw:
        findings.repair("psid_decoded", "basicInformation.psid")
    return text, match["organisation"]


def _municipality(record: Mapping[str, Any], known: Known, findings: Findings) -> Municipality | None:
    code, _, name = str(_part(record, "area").get("areaCode") or "").partition(";")
    town = resolve_municipality(code, name, known, findings, "area.areaCode")
    number = narrow(plain(_part(record, "basicInformation").get("organization")))
    organisation = None
    try:
        organisation = known.municipalities.get(municipality_of(number)) if number else None
    except ValueError as problem:
        findings.doubt("organisation_wrong", "basicInformation.organization", reason=problem)
    if town is None and organisation is not None and not findings.refuse:
        findings.doubt("municipality_from_organisation", "area.areaCode", read=organisation.code)
        return organisation
    if town is None and not findings.refuse:
        findings.error("municipality_unknown", "area.areaCode", found=f"{code};{name}")
    if town is not None and organisation is not None and town != organisation:
        shown = {"organisation": organisation.name, "area": town.name}
        findings.doubt("organisation_elsewhere", "basicInformation.organization", **shown)
    return town


def _document(
    record: Mapping[str, Any], psid: tuple[str, str], town: Municipality, known: Known, findings: Findings
) -> Document:
    tags = known.vocabulary.read_tags(record.get("tag"), findings)
    kinds = [known.vocabulary.kind_of_contents.get(code) for code in tags["contents"]]
    kind = next((one for one in kinds if one), "information")
    if not any(kinds):
        findings.doubt("kind_guessed", "tag.contentsCode", kind=words()["kinds"][kind])
    subject, criteria = _criteria(record, tags["target"], findings)
    updated = day_of(record.get("updateDate"), "updateDate", findings) or day_of(
        _part(record, "odInformation").get("updateDate"), "odInformation.updateDate", findings
    )
    if updated is None:
        findings.doubt("no_date", "updateDate")
        updated = known.read_on
    in_force = _part(record, "implementationPeriod")
    fields = ("implementationPeriod.fromYMD", "implementationPeriod.toYMD")
    starts, ends = period_of(in_force.get("fromYMD"), in_force.get("toYMD"), fields, findings)
    assumed = None if starts else min(updated, ends or updated)
    starts = starts or assumed or updated
    name = _name(record, findings)
    own_body = psid[1].endswith(town.code)
    return {
        "id": programme_id(psid[0]) if own_body else f"{programme_id(psid[0])}-by-{psid[1][7:]}",
        "municipality": town.code,
        "psid": psid[0],
        "name": {"ja": name},
        "summary": {"ja": _summary(record, name, findings)},
        "kind": kind,
        "valid": {"from": starts.isoformat(), **({"until": ends.isoformat()} if ends else {})},
        **draft_marks(TOKYO_REGISTRY),
        "sources": [{**_source(record, findings), "checked_on": min(updated, known.read_on).isoformat()}],
        "legal_basis": _legal_basis(record, known),
        "subject": subject,
        "criteria": criteria,
        "application": _application(record, findings),
        # A record without a first day gets one here; that is no change of the record when it is written again.
        "official_record": kept_record(TOKYO_REGISTRY, record)
        | ({"assumed_from": assumed.isoformat()} if assumed else {}),
    }


def _name(record: Mapping[str, Any], findings: Findings) -> str:
    names = _part(record, "institutionName")
    name = plain(names.get("canonicalName")) or plain(names.get("shortName"))
    if not name:
        findings.error("name_missing", "institutionName.canonicalName")
    return name


def _summary(record: Mapping[str, Any], name: str, findings: Findings) -> str:
    summary = text_without_links(record.get("summary"), "summary", findings) or text_without_links(
        record.get("description"), "description", findings
    )
    if not summary:
        findings.doubt("summary_missing", "summary")
    return summary or name


def _source(record: Mapping[str, Any], findings: Findings) -> Document:
    link = _part(record, "localGovernmentLink")
    address = page(plain(link.get("uri")), "localGovernmentLink.uri", findings)
    if address is None:
        findings.doubt("page_from_catalogue", "localGovernmentLink.uri")
        source: Document = dict(words()["sources"][TOKYO_REGISTRY])
        return source
    return {"url": address, "title": plain(link.get("title")) or words()["official_page"]}


def _legal_basis(record: Mapping[str, Any], known: Known) -> list[Document]:
    regulation = _part(record, "regulation")
    name, article = plain(regulation.get("regulationName")), plain(regulation.get("regulationArticle"))
    if not name:
        return []
    law = known.vocabulary.laws.get(name)
    return [{"name": name, **({"e_gov_law_id": law} if law else {}), **({"article": article} if article else {})}]


def _criteria(record: Mapping[str, Any], targets: tuple[str, ...], findings: Findings) -> tuple[str, Document]:
    """Return (subject, criteria): the age bounds as a window, the texts as a judgement, and nothing else."""
    target = _part(record, "target")
    window = _age_window(target, findings)
    persons = text_without_links(target.get("targetPersons"), "target.targetPersons", findings)
    conditions = text_without_links(target.get("conditions"), "target.conditions", findings)
    if persons and persons == conditions:
        findings.repair("same_text_twice", "target.conditions")
        conditions = ""
    text = "\n".join(part for part in (persons, conditions) if part)
    if not text:
        findings.doubt("no_target_text", "target.conditions")
    judgement: Document = {"judgement": {"ja": text or words()["no_target_text"]}}
    if window is None:
        return "household", judgement
    if "086" in targets and "087" not in targets:
        findings.doubt("age_of_whom", "target")
    return "child", {"all": [window, judgement]}


def _age_window(target: Mapping[str, Any], findings: Findings) -> Document | None:
    """Return the window of the age bounds in months, None where there are none or no day fits them."""
    below = [_months(target, "lessThan", findings), _months(target, "lessThanOrEqualTo", findings)]
    above = [_months(target, "greaterThanOrEqualTo", findings), _months(target, "greaterThan", findings)]
    if above[1] is not None:
        findings.doubt("age_exclusive", "target.greaterThan", found=_span(above[1][0]))
    untils = [bound[0] + (bound[1] if place else 0) for place, bound in enumerate(below) if bound is not None]
    froms = [bound[0] for bound in above if bound is not None]
    if len(untils) > 1 or len(froms) > 1:
        findings.doubt("age_two_bounds", "target")
    until, start = max(untils, default=None), min(froms, default=0)
    if until is None and not start:
        return None
    if until is not None and until <= start:
        findings.doubt("age_window_empty", "target", found=f"{_span(start)}…{_span(until)}")
        return None
    ends = {"until": _span(until)} if until is not None else {}
    return {"within": "child.birth_date", **({"from": _span(start)} if start else {}), **ends}


def _months(target: Mapping[str, Any], key: str, findings: Findings) -> tuple[int, int] | None:
    """Return (the bound in months, the months of its smallest unit): 6歳以下 ends where 7歳 begins."""
    bound = _part(target, key)
    years = _number(bound.get("targetAge"), f"target.{key}.targetAge", findings)
    months = _number(bound.get("targetAgeOfMonths"), f"target.{key}.targetAgeOfMonths", findings)
    if years is None and months is None:
        return None
    return 12 * (years or 0) + (months or 0), 12 if months is None else 1


def _number(value: Any, field: str, findings: Findings) -> int | None:
    if value is None or value == "" or isinstance(value, bool):
        return None
    match = re.fullmatch(r"(\d{1,3})(?:\.0)?\s*(?:歳|才|か月|ヶ月|カ月)?", narrow(str(value)))
    if match is None:
        findings.doubt("age_not_a_number", field, found=value)
        return None
    return int(match[1])


def _span(months: int) -> str:
    years, rest = divmod(months, 12)
    return (f"{years}y" if years else "") + (f"{rest}m" if rest else "") or "0d"


def _application(record: Mapping[str, Any], findings: Findings) -> Document | None:
    period = _part(record, "procedurePeriod")
    fields = ("procedurePeriod.fromYMD", "procedurePeriod.toYMD")
    opens, closes = period_of(period.get("fromYMD"), period.get("toYMD"), fields, findings)
    in_words = [plain(period.get(key)) for key in ("fromYMD", "toYMD")]
    said = [text for text, day in zip(in_words, (opens, closes), strict=True) if text and day is None]
    steps = [
        text_without_links(record.get("procedureMethod"), "procedureMethod", findings),
        text_without_links(record.get("procedureCounter"), "procedureCounter", findings),
        *said,
        text_without_links(period.get("conditions"), "procedurePeriod.conditions", findings),
    ]
    counter = "\n".join(dict.fromkeys(step for step in steps if step))
    codes = _part(record, "procedureDocumentsCode")
    papers = "\n".join(
        text_without_links(text, field, findings)
        for text, field in ((record.get("belongings"), "belongings"), (codes.get("others"), "procedureDocumentsCode"))
    )
    how = {"counter": {"ja": counter}} if counter else {}
    return application_of(opens, closes, how, lines_of(papers), _contact(record, findings))


def _contact(record: Mapping[str, Any], findings: Findings) -> Document | None:
    contact = _part(record, "contact")
    if re.search(r"[(\[]at[)\]]", narrow(plain(contact.get("contactEmail"))), re.IGNORECASE):
        findings.repair("email_written_otherwise", "contact.contactEmail")
    return contact_of(
        plain(contact.get("contactName")),
        plain(contact.get("contactPhone")),
        plain(contact.get("contactUrl")),
        "",
        "contact",
        findings,
    )
