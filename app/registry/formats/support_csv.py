"""自治体標準オープンデータセット「支援制度(給付金)情報」: one flat row per programme, columns by name, never by place.

The full list of 85 columns is not published in one place; those whose names are confirmed are in `HEADER`. Other
columns are kept as they are in `official_record.extras` and written out again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping

from app.registry.formats.drafts import (
    SUPPORT_CSV,
    Known,
    application_of,
    contact_of,
    day_of,
    draft_marks,
    finished,
    page,
    period_of,
    resolve_municipality,
    text_without_links,
    without_empty,
    words,
)
from app.registry.formats.drafts import official_record as kept_record
from app.registry.formats.findings import Document, Findings, RowReading
from app.registry.formats.texts import narrow, plain, unusable
from app.registry.formats.vocabulary import official_vocabulary
from app.registry.formats.wording import amount_text, deadlines_text, persons_text, ways_text
from app.registry.loading import Registry
from app.registry.municipalities import Municipality
from app.registry.programme import Programme

BODY, TITLE, SUBTITLE = "地方公共団体の名称", "タイトル(制度名)", "サブタイトル(通称名)"
KIND, PERSONS, SUMMARY, CONTENTS = "支援制度種別", "対象者", "制度概要", "内容"
OPENS, CLOSES, METHOD, METHOD_URL = "受付開始日", "受付終了日", "利用・申請方法", "申請方法URL"
URL, SEE, DESK, DESK_OTHERWISE, PHONE = "URL", "詳細参照先", "問い合わせ先", "連絡先名称", "連絡先電話番号"
PUBLISHED = "公開日"
HEADER = (
    "地方公共団体の名称", "タイトル（制度名）", "サブタイトル（通称名）", "支援制度種別", "対象者", "用途・対象費",
    "制度概要", "内容", "給付金額", "補助率", "受付開始日", "受付終了日", "利用・申請方法", "キーワード",
    "【人生の制度】ライフステージ分類", "URL", "申請方法URL", "詳細参照先", "問い合わせ先", "連絡先電話番号", "公開日",
)  # fmt: skip
"""The confirmed columns as they are written; they are compared with full and half width made equal."""
NEEDED = (HEADER[1],)
_KNOWN_COLUMNS = {*map(narrow, HEADER), DESK_OTHERWISE, "問い合わせ先/連絡先名称"}


def read(record: Mapping[str, str], row: int, known: Known) -> RowReading:
    """Read one row into a draft programme, or refuse it with every reason."""
    findings = Findings()
    for path, code in unusable(record):
        findings.error(code, path)
    cells = {narrow(column): plain(value) for column, value in record.items()}
    name, body = cells.get(TITLE, ""), cells.get(BODY, "")
    if not name:
        findings.error("name_missing", HEADER[1])
    town = _municipality(body, known, findings)
    document = None
    if town is not None and not findings.refuse:
        document = finished(without_empty(_document(record, cells, town, known, findings)), findings)
    return RowReading(row, "", town.name if town else body, cells.get(SUBTITLE, ""), document, findings.all())


def _municipality(body: str, known: Known, findings: Findings) -> Municipality | None:
    ours = known.municipalities.get(known.municipality) if known.municipality else None
    if not body and ours is not None:
        return ours
    town = resolve_municipality(ours.code if ours and ours.name == body else "", body, known, findings, BODY)
    if town is None and not findings.refuse:
        findings.error("municipality_unknown", BODY, found=body)
    return town


def _document(
    record: Mapping[str, str], cells: Mapping[str, str], town: Municipality, known: Known, findings: Findings
) -> Document:
    published = day_of(cells.get(PUBLISHED, ""), PUBLISHED, findings)
    if published is None:
        findings.doubt("no_date", PUBLISHED)
    day = min(published or known.read_on, known.read_on).isoformat()
    name, kind = cells[TITLE], "service"
    summary = text_without_links(cells.get(SUMMARY) or cells.get(CONTENTS), SUMMARY, findings)
    if not summary:
        findings.doubt("summary_missing", SUMMARY)
    persons = text_without_links(cells.get(PERSONS), PERSONS, findings)
    if not persons:
        findings.doubt("no_target_text", PERSONS)
    verbatim = {column: value for column, value in record.items() if narrow(column) in _KNOWN_COLUMNS}
    extras = {column: value for column, value in record.items() if column not in verbatim}
    address = _address(cells, findings)
    kept = kept_record(SUPPORT_CSV, verbatim, address, publisher=town.name)
    identity = hashlib.sha256(f"{name}\n{cells.get(SUBTITLE, '')}".encode()).hexdigest()[:12]
    return {
        "id": f"support-{identity}",
        "municipality": town.code,
        "name": {"ja": name},
        "summary": {"ja": summary or name},
        "kind": kind,
        "subject": "household",
        "valid": {"from": day},
        **draft_marks(SUPPORT_CSV),
        "sources": [{"url": address, "title": f"{town.name}「{name}」", "checked_on": day}] if address else [],
        "criteria": {"judgement": {"ja": persons or words()["no_target_text"]}},
        "application": _application(cells, findings),
        "official_record": {**kept, **({"extras": extras} if extras else {})},
    }


def _address(cells: Mapping[str, str], findings: Findings) -> str | None:
    for column in (URL, SEE, METHOD_URL):
        address = page(cells.get(column, ""), column, findings)
        if address is not None:
            return address
    findings.error("page_missing", URL)
    return None


def _application(cells: Mapping[str, str], findings: Findings) -> Document | None:
    opens, closes = period_of(cells.get(OPENS, ""), cells.get(CLOSES, ""), (OPENS, CLOSES), findings)
    days = ((OPENS, opens), (CLOSES, closes))
    said = [cells[column] for column, day in days if cells.get(column) and day is None]
    steps = [text_without_links(cells.get(METHOD), METHOD, findings), *said]
    counter = "\n".join(step for step in steps if step)
    online = page(cells.get(METHOD_URL, ""), METHOD_URL, findings)
    how: Document = {
        **({"online": {"url": online}} if online else {}),
        **({"counter": {"ja": counter}} if counter else {}),
    }
    desk = cells.get(DESK) or cells.get(DESK_OTHERWISE) or cells.get("問い合わせ先/連絡先名称") or ""
    contact = contact_of(desk, cells.get(PHONE, ""), "", "", PHONE, findings)
    return application_of(opens, closes, how, (), contact)


def rows(programmes: Iterable[Programme], registry: Registry) -> list[dict[str, str]]:
    """Return one row per programme: columns of `HEADER`, then those an imported row had besides.

    An imported programme that nobody changed gives back its row; a changed one its row with the changes.
    """
    return [_row(programme, registry) for programme in programmes]


def columns(table: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the header for some rows: `HEADER`, then every other column in the order it is first met."""
    return tuple(dict.fromkeys([*HEADER, *(column for row in table for column in row)]))


def _row(programme: Programme, registry: Registry) -> dict[str, str]:
    ours = _cells(programme, registry)
    kept = programme.official_record or {}
    if kept.get("format") != SUPPORT_CSV:
        return {column: ours.get(column, "") for column in HEADER}
    verbatim: dict[str, str] = {**kept["record"], **kept.get("extras", {})}
    read_on = max(source.checked_on for source in programme.sources)
    known = Known(registry.municipalities, official_vocabulary(registry.directory), read_on, programme.municipality)
    document = read(verbatim, 0, known).document
    before = _cells(Programme.model_validate(document), registry) if document is not None else {}
    written = {narrow(column): column for column in verbatim}
    for column, text in ours.items():
        if before.get(column) != text:
            verbatim[written.get(narrow(column), column)] = text
    return verbatim


def _cells(programme: Programme, registry: Registry) -> dict[str, str]:
    town = registry.municipalities.get(programme.municipality)
    application = programme.application
    contact = application.contact if application else None
    deadlines = application.deadlines if application else ()
    online = application.how.online if application and application.how else None
    texts: dict[str, Callable[[], str]] = {
        BODY: lambda: town.name if town else programme.municipality,
        TITLE: lambda: programme.name.ja,
        KIND: lambda: words()["kinds"][programme.kind],
        PERSONS: lambda: persons_text(programme, registry),
        SUMMARY: lambda: programme.summary.ja,
        "給付金額": lambda: amount_text(programme, registry),
        OPENS: lambda: _day(application.opens.on if application and application.opens else None),
        CLOSES: lambda: _day(next((one.on for one in deadlines if one.on), None)),
        METHOD: lambda: "\n".join(filter(None, (ways_text(programme), deadlines_text(programme, registry)))),
        METHOD_URL: lambda: (online.url or "") if online else "",
        URL: lambda: programme.sources[0].url,
        DESK: lambda: contact.desk.ja if contact else "",
        PHONE: lambda: (contact.phone or "") if contact else "",
        PUBLISHED: programme.valid.from_.isoformat,
    }
    spelt = {narrow(column): column for column in HEADER}
    return {spelt[column]: text() for column, text in texts.items()}


def _day(day: dt.date | None) -> str:
    return day.isoformat() if day else ""
