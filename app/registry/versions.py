"""Published versions in the database: what workers evaluate and pages show, now or as it was known at an instant.

Publishing is idempotent: what has not changed is not written, and only changed programmes are evaluated again. Changed
contents close the row that was known and write a new one beside it, so that what was known then can be read for ever.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, text
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from app.calendar.day_numbers import OPEN_END, number_of
from app.platform.change_queue import programme_changed
from app.platform.settings import settings
from app.registry.digests import storable
from app.registry.inheritance import Span, followed, template_of
from app.registry.loading import Registry, Unreadable, VersionKey, load_vocabulary
from app.registry.programme import Programme
from app.registry.references import parameters_named_in
from app.registry.tables import MunicipalityRow, ParameterRow, ProgrammeRow, ProgrammeVersionRow
from app.rules.documents import FAULTS, DocumentError, Problem, problems_of
from app.rules.parameters import Parameter, Parameters
from app.rules.residence_nodes import Replacement

_logger = logging.getLogger(__name__)


@dataclass
class PublicationReport:
    """What publishing changed, by key or name; `kept` is what staff approved and the files say otherwise."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
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

    A version that staff approved is theirs: where the files say something else, it is kept and reported.

    Args:
        session: a session of the owner role; the caller commits.
        registry: files read and checked by `load_registry`.
        now: the instant of publication.
    """
    report = PublicationReport()
    lock_publication(session)
    for municipality in registry.municipalities:
        session.merge(MunicipalityRow(code=municipality.code, name=municipality.name))
    session.flush()
    changed_parameters = _write_parameters(session, registry, now, report)
    known = {
        (row.programme_key, row.valid_from): row
        for row in session.exec(select(ProgrammeVersionRow).where(col(ProgrammeVersionRow.known_until).is_(None)))
    }
    programmes = set(session.exec(select(ProgrammeRow.key)))
    for key, versions in registry.programmes.items():
        if key not in programmes:
            session.add(ProgrammeRow(key=key, municipality_code=key.split("/", maxsplit=1)[0]))
            session.flush()
        for version in versions:
            document = registry.written.get((key, version.version))
            if document is None:
                continue  # a later span of a version that is written as one
            held, template = known.get((key, version.valid.from_)), digest_of_template(registry, document)
            _write_version(session, version, document, template, held, now, report)
            if key not in report.to_evaluate and changed_parameters & set(parameters_named_in(document)):
                report.changed.append(key)
    for key in sorted(report.to_evaluate):
        programme_changed(session, key, "published")
    session.flush()
    return report


def lock_publication(session: Session) -> None:
    """Wait for everybody who publishes and keep them waiting until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('registry:publication'))"))


def published(session: Session, known: Published | None = None, *, known_at: dt.datetime | None = None) -> Published:
    """Return what is published; the value passed in, where nothing has changed since it was read.

    Args:
        session: of any role.
        known: an earlier answer to the same question.
        known_at: the registry as it was known at this instant; None = as it is known now. Programmes, versions and
            parameters go back in time; the vocabulary (facts, names of municipalities) is the one installed.
    """
    fingerprint = session.execute(_FINGERPRINT, {"at": known_at}).scalar_one()
    if known is not None and known.fingerprint == fingerprint:
        return known
    return Published(_read_registry(session, known_at), fingerprint)


def published_now(session: Session) -> Published:
    """Return what is published at this moment: kept in this process, read again only after a publication."""
    _kept["now"] = published(session, _kept.get("now"))
    return _kept["now"]


_kept: dict[str, Published] = {}


def first_known_at(session: Session) -> dt.datetime | None:
    """Return the instant of the first publication; None before it."""
    return session.exec(select(func.min(ProgrammeVersionRow.known_from))).one()


# One digest over the digests of everything known, computed where they are: pages ask for it at every request.
_FINGERPRINT = text(
    """
    SELECT encode(sha256(convert_to(coalesce(string_agg(mark, ';' ORDER BY mark), ''), 'UTF8')), 'hex') FROM (
        SELECT concat(programme_key, '@', valid_from, '=', sha256, '<', template_sha256) AS mark, known_from,
            known_until
        FROM programme_versions
        UNION ALL SELECT name || '=' || sha256, known_from, known_until FROM parameters
    ) AS marks
    WHERE CASE WHEN CAST(:at AS timestamptz) IS NULL THEN known_until IS NULL
        ELSE known_from <= :at AND (known_until IS NULL OR :at < known_until) END
    """
)


def _known(table: type[ProgrammeVersionRow] | type[ParameterRow], at: dt.datetime | None) -> Any:
    """Return the condition that a row was known at an instant; is known, where none is given."""
    still = col(table.known_until).is_(None)
    return still if at is None else (col(table.known_from) <= at) & (still | (col(table.known_until) > at))


def _read_registry(session: Session, at: dt.datetime | None) -> Registry:
    """Read what is known at an instant. What today's models refuse is left out, programme by programme, and named.

    A document was checked when it was published; a later program may take it no more. Then one programme has no
    answer, and the others keep theirs.
    """
    municipalities, facts = load_vocabulary(settings().registry_directory)
    parameters, refused = _read_parameters(session, at)
    programmes: dict[str, tuple[Programme, ...]] = {}
    spans: dict[VersionKey, Span] = {}
    unreadable: dict[str, Unreadable] = {}
    for key, rows in _rows_by_programme(session, at).items():
        try:
            found = _versions_of(key, rows, refused)
        except FAULTS as error:
            unreadable[key] = Unreadable(_as_document_error(error), _replaced_by(rows))
            _logger.error("registry: %s cannot be read and is left out: %s", key, unreadable[key].error)
            continue
        if found:
            programmes[key] = tuple(version for version, _ in found)
            spans |= {(key, version.version): span for version, span in found}
    return Registry(
        directory=settings().registry_directory,
        municipalities=municipalities,
        facts=facts,
        parameters=Parameters(parameter for parameter, _ in parameters.values()),
        programmes=programmes,
        documents={place: span.document for place, span in spans.items()},
        parameter_documents={name: document for name, (_, document) in parameters.items()},
        files={},
        written={(key, span.written_from): span.written for (key, _), span in spans.items()},
        spans=spans,
        unreadable=unreadable,
    )


def _read_parameters(
    session: Session, at: dt.datetime | None
) -> tuple[dict[str, tuple[Parameter, dict[str, Any]]], frozenset[str]]:
    """Return the parameters known at an instant by name, with their documents, and the names of those refused."""
    rows = session.exec(
        select(ParameterRow.name, ParameterRow.document).where(_known(ParameterRow, at)).order_by(ParameterRow.name)
    )
    found: dict[str, tuple[Parameter, dict[str, Any]]] = {}
    refused = set()
    for name, document in rows:
        try:
            found[name] = Parameter.model_validate(document), dict(document)
        except FAULTS as error:
            refused.add(name)
            _logger.error("registry: the parameter %s cannot be read: %s", name, _as_document_error(error))
    return found, frozenset(refused)


@dataclass(frozen=True, slots=True)
class _Known:
    """A version as it was written, with what it needs to be read: its template then and all its templates now."""

    document: dict[str, Any]
    municipality_code: str
    valid_from: dt.date
    valid_until: dt.date | None
    before: Mapping[str, Any] | None
    templates: Sequence[Mapping[str, Any]]


def _rows_by_programme(session: Session, at: dt.datetime | None) -> dict[str, list[_Known]]:
    """Read the versions known at an instant by programme, each with its template as known then; by first day."""
    row = ProgrammeVersionRow
    whose = (row.programme_key, row.municipality_code)
    known = select_columns(  # type: ignore[call-overload]  # columns, not rows
        *whose, row.document, row.template_sha256, row.valid_from, row.valid_until
    ).where(_known(row, at))
    rows = session.execute(known.order_by(col(row.valid_from), col(row.programme_key))).all()
    named = {key for one in rows if (key := _template_named_in(one.document)) is not None}
    templates = {key: [one.document for one in rows if one.programme_key == key] for key in named}
    wanted = {one.template_sha256 for one in rows if one.template_sha256 is not None}
    originals = select(row.sha256, row.document).where(col(row.programme_key).in_(named), col(row.sha256).in_(wanted))
    before = dict(session.exec(originals).all())
    found: dict[str, list[_Known]] = {}
    for one in rows:
        here = templates.get(_template_named_in(one.document) or "", ())
        then = before.get(one.template_sha256 or "")
        found.setdefault(one.programme_key, []).append(
            _Known(one.document, one.municipality_code, one.valid_from, one.valid_until, then, here)
        )
    return found


def _versions_of(key: str, rows: Iterable[_Known], refused: frozenset[str]) -> list[tuple[Programme, Span]]:
    """Return a programme's versions, each as it is law beside its template.

    Raises:
        DocumentError: a document is not this programme's, or names a parameter that cannot be read.
        ValidationError: the models refuse a document. What is no document at all raises whatever it meets.
    """
    found = []
    for one in rows:
        for span in _spans_of(one):
            version = Programme.model_validate(span.document)
            if version.key != key:
                raise DocumentError([Problem("id", version.key, key)])
            if names := sorted(refused.intersection(parameters_named_in(span.document))):
                raise DocumentError([Problem("", f"the parameters {names}", "parameters that can be read")])
            found.append((version, span))
    return found


def _spans_of(one: _Known) -> list[Span]:
    if _template_named_in(one.document) is None:
        return [Span(dict(one.document), dict(one.document))]
    return followed(one.document, one.before or one.templates[0], one.templates) if one.templates else []


def _template_named_in(document: Any) -> str | None:
    """Return the key of the template that a document names; None also where no document is to be made out."""
    key = document.get("based_on") if isinstance(document, Mapping) else None
    return key if isinstance(key, str) else None


def _replaced_by(rows: Iterable[_Known]) -> dict[str, tuple[Replacement, ...]]:
    """Return whose place versions that cannot be read take in their area, as far as their rows say so."""
    found: dict[str, tuple[Replacement, ...]] = {}
    for one in rows:
        key = _template_named_in(one.document)
        if key is not None and one.document.get("certainty") != "draft":
            last = OPEN_END if one.valid_until is None else number_of(one.valid_until)
            mine = Replacement(one.municipality_code, number_of(one.valid_from), last)
            found[key] = (*found.get(key, ()), mine)
    return found


def _as_document_error(error: Exception) -> DocumentError:
    if isinstance(error, DocumentError):
        return error
    if isinstance(error, ValidationError):
        return DocumentError(problems_of(error))
    return DocumentError([Problem("", f"{type(error).__name__}: {error}", "a document as it is published")])


def _write_version(
    session: Session,
    programme: Programme,
    raw: Mapping[str, Any],
    template_sha256: str | None,
    known: ProgrammeVersionRow | None,
    now: dt.datetime,
    report: PublicationReport,
) -> None:
    document, digest = storable(raw)
    name = f"{programme.key}@{programme.version}"
    if known is not None and (known.sha256, known.template_sha256) == (digest, template_sha256):
        report.unchanged += 1
        return
    if known is not None and known.draft_id is not None:
        report.kept.append(name)
        return
    (report.added if known is None else report.changed).append(name)
    _close(session, known, now)
    session.add(
        ProgrammeVersionRow(
            programme_key=programme.key,
            municipality_code=programme.municipality,
            valid_from=programme.valid.from_,
            valid_until=_day(document["valid"].get("until")),
            document=document,
            sha256=digest,
            template_sha256=template_sha256,
            kind="published" if known is None else "changed",
            known_from=now,
        )
    )


def digest_of_template(registry: Registry, document: Mapping[str, Any]) -> str | None:
    """Return the digest of the template's version from which a document takes over; None where it is based on none.

    Raises:
        NoTemplate: none is in force on the document's first day.
    """
    key = document.get("based_on")
    if key is None:
        return None
    templates = [registry.documents[key, one.version] for one in registry.programmes.get(key, ())]
    return storable(template_of(document, templates))[1]


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _write_parameters(session: Session, registry: Registry, now: dt.datetime, report: PublicationReport) -> set[str]:
    """Write the parameters that changed and return their names."""
    rows = session.exec(select(ParameterRow).where(col(ParameterRow.known_until).is_(None)))
    known = {row.name: row for row in rows}
    written: set[str] = set()
    for name, raw in registry.parameter_documents.items():
        document, digest = storable(raw)
        row = known.get(name)
        if row is not None and row.sha256 == digest:
            report.unchanged += 1
            continue
        (report.added if row is None else report.changed).append(name)
        _close(session, row, now)
        kind = "published" if row is None else "changed"
        session.add(ParameterRow(name=name, document=document, sha256=digest, kind=kind, known_from=now))
        written.add(name)
    return written


def _close(session: Session, row: ProgrammeVersionRow | ParameterRow | None, now: dt.datetime) -> None:
    """End what was known before, at once: the row that takes its place may only come after it."""
    if row is not None:
        row.known_until = now
        session.add(row)
        session.flush()
