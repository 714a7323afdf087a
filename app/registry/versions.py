"""Published versions in the database: what workers evaluate and pages show.

Publishing is idempotent: what has not changed is not written, and only changed programmes are evaluated again.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, select

from app.platform.change_queue import programme_changed
from app.platform.settings import settings
from app.registry.loading import Registry, load_vocabulary
from app.registry.programme import Programme
from app.registry.references import parameters_named_in
from app.registry.tables import MunicipalityRow, ParameterRow, ProgrammeRow, ProgrammeVersionRow
from app.rules.parameters import Parameter, Parameters


@dataclass
class PublicationReport:
    """What publishing changed, by key or name."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0

    @property
    def to_evaluate(self) -> set[str]:
        """Programmes (`CODE/id`) that have to be evaluated for their whole area."""
        return {name.rsplit("@", 1)[0] for name in (*self.added, *self.changed) if "/" in name}


@dataclass(frozen=True)
class Published:
    """The registry as published; equal fingerprints are equal contents."""

    registry: Registry
    fingerprint: str


def publish(session: Session, registry: Registry, now: dt.datetime) -> PublicationReport:
    """Write a loaded registry into the database, as the owner, and queue what has to be evaluated again.

    Args:
        session: a session of the owner role; the caller commits.
        registry: files read and checked by `load_registry`.
        now: the instant of publication.
    """
    report = PublicationReport()
    for municipality in registry.municipalities:
        session.merge(MunicipalityRow(code=municipality.code, name=municipality.name))
    session.flush()
    changed_parameters = {
        name
        for name, document in registry.parameter_documents.items()
        if _write_parameter(session, name, document, now, report)
    }
    for key, versions in registry.programmes.items():
        if session.get(ProgrammeRow, key) is None:
            session.add(ProgrammeRow(key=key, municipality_code=key.split("/", maxsplit=1)[0]))
            session.flush()
        for version in versions:
            document = registry.documents[key, version.version]
            _write_version(session, version, document, now, report)
            if key not in report.to_evaluate and changed_parameters & set(parameters_named_in(document)):
                report.changed.append(key)
    for key in sorted(report.to_evaluate):
        programme_changed(session, key, "published")
    return report


def published(session: Session, known: Published | None = None) -> Published:
    """Return what is published; the value passed in, where nothing has changed since it was read."""
    by_key_and_start = (ProgrammeVersionRow.programme_key, ProgrammeVersionRow.valid_from)
    versions = select(*by_key_and_start, ProgrammeVersionRow.sha256).order_by(*by_key_and_start)  # type: ignore[call-overload]
    parameters = select(ParameterRow.name, ParameterRow.sha256).order_by(ParameterRow.name)
    marks = [[str(part) for part in mark] for mark in (*session.exec(versions), *session.exec(parameters))]
    fingerprint = hashlib.sha256(json.dumps(marks).encode()).hexdigest()
    if known is not None and known.fingerprint == fingerprint:
        return known
    return Published(_read_registry(session), fingerprint)


def published_now(session: Session) -> Published:
    """Return what is published at this moment: kept in this process, read again only after a publication."""
    _kept["now"] = published(session, _kept.get("now"))
    return _kept["now"]


_kept: dict[str, Published] = {}


def _read_registry(session: Session) -> Registry:
    municipalities, facts = load_vocabulary(settings().registry_directory)
    programmes: dict[str, tuple[Programme, ...]] = {}
    for row in session.exec(select(ProgrammeVersionRow).order_by(ProgrammeVersionRow.valid_from)):  # type: ignore[arg-type]
        version = Programme.model_validate(row.document)
        programmes[version.key] = (*programmes.get(version.key, ()), version)
    rows = session.exec(select(ParameterRow).order_by(ParameterRow.name)).all()
    return Registry(
        directory=settings().registry_directory,
        municipalities=municipalities,
        facts=facts,
        parameters=Parameters(Parameter.model_validate(row.document) for row in rows),
        programmes=programmes,
        documents={},
        parameter_documents={row.name: row.document for row in rows},
        files={},
    )


def _write_version(
    session: Session, programme: Programme, raw: Mapping[str, Any], now: dt.datetime, report: PublicationReport
) -> None:
    document, digest = _storable(raw)
    row = session.exec(
        select(ProgrammeVersionRow).where(
            ProgrammeVersionRow.programme_key == programme.key, ProgrammeVersionRow.valid_from == programme.valid.from_
        )
    ).one_or_none()
    name = f"{programme.key}@{programme.version}"
    if row is not None and row.sha256 == digest:
        report.unchanged += 1
        return
    (report.added if row is None else report.changed).append(name)
    row = row or ProgrammeVersionRow(
        programme_key=programme.key,
        municipality_code=programme.municipality,
        valid_from=programme.valid.from_,
        document={},
        sha256="",
        published_at=now,
    )
    row.document, row.sha256, row.valid_until, row.published_at = document, digest, programme.valid.until, now
    session.add(row)


def _write_parameter(
    session: Session, name: str, raw: Mapping[str, Any], now: dt.datetime, report: PublicationReport
) -> bool:
    document, digest = _storable(raw)
    row = session.get(ParameterRow, name)
    if row is not None and row.sha256 == digest:
        report.unchanged += 1
        return False
    (report.added if row is None else report.changed).append(name)
    session.merge(ParameterRow(name=name, document=document, sha256=digest, published_at=now))
    return True


def _storable(raw: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a document as JSON holds it (dates as text) and its digest."""
    text = json.dumps(raw, ensure_ascii=False, sort_keys=True, default=_as_text)
    return json.loads(text), hashlib.sha256(text.encode()).hexdigest()


def _as_text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a registry document; expected dates, numbers, texts, lists, mappings")
