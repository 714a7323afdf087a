"""Drafts (下書き): versions being written, one open draft for each programme and first day.

A draft is any mapping that says which programme it is and from when it is to be law; whether it may be published is
asked when it is (`readiness`). It is stored whole, with what it takes over from its template and the digest of that, so
that what was reviewed is what is published. Saving never loses what somebody else wrote: who saves says which revision
was read. Who wrote a draft is kept by the database, from the account in the session's context.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id
from app.registry.digests import storable
from app.registry.inheritance import NoTemplate, completed_in
from app.registry.tables import OPEN_STATES, ProgrammeDraft, ProgrammeDraftRevision, ProgrammeVersionRow
from app.registry.versions import published_now
from app.rules.municipality_code import read_municipality_code

DraftKey = tuple[str, dt.date]
"""(`CODE/id`, first day)."""


class DraftReport(NamedTuple):
    """How many documents made a draft, changed one, or were there already."""

    created: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: DraftKey
    document: dict[str, Any]
    sha256: str
    template_sha256: str | None


class StaleRevision(Conflict):
    """Somebody saved the draft since it was read; `paths` are the fields that differ between the two revisions."""

    slug = "stale-revision"

    def __init__(self, draft: ProgrammeDraft, seen: int, paths: Sequence[str], by: uuid.UUID | None) -> None:
        changed = ", ".join(paths) or "its state"
        super().__init__(
            f"found revision {draft.revision} (saved {draft.changed_at.isoformat()} by {by or 'an import'}); "
            f"expected {seen}. Changed since: {changed}. Read the draft again and save your changes on top of it",
            field="revision",
        )
        self.revision, self.paths, self.by = draft.revision, tuple(paths), by
        self.errors = [{"at": path, "found": f"changed in revision {draft.revision}"} for path in paths]


def put_drafts(
    session: Session, documents: Iterable[Mapping[str, Any]], author: uuid.UUID | None, now: dt.datetime
) -> DraftReport:
    """Write many documents as drafts, such as the rows of a file; the same documents again change nothing.

    What is published or was withdrawn with the same contents is left alone; an open draft with other contents gets a
    new revision and goes back to `draft`.

    Args:
        session: of the owner, or of the web role in the context of the documents' municipality and of the account
            that imports; the caller commits.
        documents: programme documents, each with at least id, municipality and valid.from.
        author: the staff account that imports; None for an operator.
        now: the instant of the clock.

    Raises:
        InvalidInput: a document does not say which version it is, or two say the same; nothing is written.
        Conflict: somebody else made a draft of one of them at the same moment.
    """
    wanted = _wanted(session, documents)
    open_drafts = {(row.programme_key, row.valid_from): row for row in _open(session, [one.key for one in wanted])}
    settled = _settled(session, [one for one in wanted if one.key not in open_drafts])
    new = [one for one in wanted if one.key not in open_drafts and (one.key, one.sha256) not in settled]
    changed = [one for one in wanted if one.key in open_drafts and open_drafts[one.key].sha256 != one.sha256]
    for one in changed:
        _revise(session, open_drafts[one.key], one, author, now)
    try:
        session.flush()
        if new:
            session.execute(insert(ProgrammeDraft), [_new_row(one, now).model_dump() for one in new])
    except IntegrityError as error:
        raise Conflict("somebody else made a draft of one of these at this moment; import the file again") from error
    return DraftReport(len(new), len(changed), len(wanted) - len(new) - len(changed))


def save_draft(
    session: Session,
    document: Mapping[str, Any],
    author: uuid.UUID,
    now: dt.datetime,
    *,
    revision: int | None = None,
    comment: str | None = None,
) -> ProgrammeDraft:
    """Save one draft; saving the same again has no further effect, anything else is a new revision to be reviewed.

    Args:
        session: in the context of the municipality and of the author.
        document: the programme document, as a whole or as what differs from `based_on`.
        author: the staff account that saves.
        now: the instant of the clock.
        revision: the revision that was read; None for a new draft.
        comment: why, for whoever approves; None = as it stands.

    Raises:
        InvalidInput: the document does not say which version it is.
        StaleRevision: somebody saved it since `revision` was read, or there is one already.
    """
    (wanted,) = _wanted(session, [document])
    row = open_version(session, wanted.key)
    if row is None:
        if revision is not None:
            raise NotFound(f"found no open draft of {wanted.key[0]} from {wanted.key[1]}; expected revision {revision}")
        return _create(session, wanted, now, comment)
    here = (row.kind, row.sha256, row.template_sha256, row.comment)
    if here == ("version", wanted.sha256, wanted.template_sha256, row.comment if comment is None else comment):
        return row
    if row.revision != revision:
        raise stale(session, row, revision or 0)
    _revise(session, row, wanted, author, now)
    row.comment = comment if comment is not None else row.comment
    return written(session, row)


def written(session: Session, row: ProgrammeDraft) -> ProgrammeDraft:
    """Write a draft and read back what the database keeps of it itself: its authors."""
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def open_draft(session: Session, draft_id: uuid.UUID, *, revision: int | None = None) -> ProgrammeDraft:
    """Return a draft of this context, locked until the transaction ends.

    Raises:
        NotFound: no such draft here.
        StaleRevision: it is not at `revision` any more.
    """
    statement = select(ProgrammeDraft).where(ProgrammeDraft.id == draft_id).with_for_update()
    row = session.exec(statement.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise NotFound(f"found no draft {draft_id} here")
    if revision is not None and row.revision != revision:
        raise stale(session, row, revision)
    return row


def open_version(session: Session, key: DraftKey) -> ProgrammeDraft | None:
    """Return the open draft of a version, locked; None where there is none."""
    return next(iter(_open(session, [key], lock=True)), None)


def drafts_of(session: Session, municipality_code: str, states: Sequence[str] = OPEN_STATES) -> list[ProgrammeDraft]:
    """Return the drafts of a municipality in some states, by programme and first day."""
    statement = select(ProgrammeDraft).where(
        ProgrammeDraft.municipality_code == municipality_code, col(ProgrammeDraft.state).in_(states)
    )
    return list(session.exec(statement.order_by(ProgrammeDraft.programme_key, col(ProgrammeDraft.valid_from))))


def stale(session: Session, row: ProgrammeDraft, seen: int) -> StaleRevision:
    """Return the error that says what changed since a revision was seen, and by whom."""
    statement = select(ProgrammeDraftRevision).where(ProgrammeDraftRevision.draft_id == row.id)
    replaced = session.exec(statement.order_by(col(ProgrammeDraftRevision.revision))).all()
    seen_then = next((one.document for one in replaced if one.revision == seen), None)
    paths = sorted(changed_fields(seen_then, row.document)) if seen_then is not None else ["(document)"]
    by = replaced[-1].replaced_by if replaced else next(iter(row.author_ids), None)
    return StaleRevision(row, seen, paths, by)


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any], at: str = "") -> set[str]:
    """Return the paths of fields that differ between two documents; a list counts as one field."""
    found: set[str] = set()
    for name in before.keys() | after.keys():
        path = f"{at}.{name}" if at else name
        one, other = before.get(name), after.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= changed_fields(one, other, path)
        elif one != other:
            found.add(path)
    return found


def _wanted(session: Session, documents: Iterable[Mapping[str, Any]]) -> list[_Wanted]:
    found: dict[DraftKey, _Wanted] = {}
    complaints: list[str] = []
    for position, document in enumerate(documents):
        try:
            key = key_of(document)
        except ValueError as error:
            complaints.append(f"[{position}]: {error}")
            continue
        if key in found:
            complaints.append(f"[{position}]: found {key[0]} from {key[1]} twice; expected it once")
        found[key] = _Wanted(key, *_whole(session, document))
    if complaints:
        raise InvalidInput("\n".join(complaints))
    return list(found.values())


def _whole(session: Session, document: Mapping[str, Any]) -> tuple[dict[str, Any], str, str | None]:
    """Return a document with what it takes over, its digest, and its template's; as it is where none is published."""
    if document.get("based_on") is None:
        return *storable(document), None
    try:
        whole, template = completed_in(published_now(session).registry.documents, document)
    except NoTemplate:
        return *storable(document), None
    return *storable(whole), storable(template)[1]


def key_of(document: Mapping[str, Any]) -> DraftKey:
    """Return which version a document is.

    Raises:
        ValueError: id, municipality or valid.from is missing or wrong.
    """
    name, valid = document.get("id"), document.get("valid")
    if not isinstance(name, str) or not name:
        raise ValueError(f"found the id {name!r}; expected a word such as child-allowance")
    code = read_municipality_code(document.get("municipality"))
    first = valid.get("from") if isinstance(valid, Mapping) else None
    try:
        return f"{code}/{name}", first if isinstance(first, dt.date) else dt.date.fromisoformat(str(first))
    except ValueError:
        raise ValueError(f"found {first!r} for valid.from; expected a date such as 2027-04-01") from None


def _open(session: Session, keys: Sequence[DraftKey], *, lock: bool = False) -> list[ProgrammeDraft]:
    """Return the open drafts of some versions."""
    statement = select(ProgrammeDraft).where(
        col(ProgrammeDraft.programme_key).in_({key for key, _ in keys}), col(ProgrammeDraft.state).in_(OPEN_STATES)
    )
    rows = session.exec(statement.with_for_update() if lock else statement)
    wanted = set(keys)
    return [row for row in rows if (row.programme_key, row.valid_from) in wanted]


def _settled(session: Session, wanted: Sequence[_Wanted]) -> set[tuple[DraftKey, str]]:
    """Return the contents that are published, or were the last ones published or withdrawn as a draft."""
    keys = {one.key[0] for one in wanted}
    versions = select(
        col(ProgrammeVersionRow.programme_key), col(ProgrammeVersionRow.valid_from), col(ProgrammeVersionRow.sha256)
    ).where(col(ProgrammeVersionRow.known_until).is_(None), col(ProgrammeVersionRow.programme_key).in_(keys))
    key_of_draft, first_of_draft = col(ProgrammeDraft.programme_key), col(ProgrammeDraft.valid_from)
    last_decided = (
        select(key_of_draft, first_of_draft, col(ProgrammeDraft.sha256))
        .where(col(ProgrammeDraft.decided_at).is_not(None), key_of_draft.in_(keys))
        .ext(distinct_on(key_of_draft, first_of_draft))
        .order_by(key_of_draft, first_of_draft, col(ProgrammeDraft.decided_at).desc())
    )
    rows = (*session.execute(versions), *session.execute(last_decided))
    return {((key, first), digest) for key, first, digest in rows}


def _create(session: Session, wanted: _Wanted, now: dt.datetime, comment: str | None) -> ProgrammeDraft:
    row = _new_row(wanted, now)
    row.comment = comment
    try:
        return written(session, row)
    except IntegrityError as error:
        raise Conflict(
            f"somebody else began a draft of {row.programme_key} from {row.valid_from} at this moment; read it first"
        ) from error


def _new_row(wanted: _Wanted, now: dt.datetime) -> ProgrammeDraft:
    key, first = wanted.key
    return ProgrammeDraft(
        id=new_id(),
        programme_key=key,
        municipality_code=key.partition("/")[0],
        valid_from=first,
        document=wanted.document,
        sha256=wanted.sha256,
        template_sha256=wanted.template_sha256,
        created_at=now,
        changed_at=now,
    )


def _revise(session: Session, row: ProgrammeDraft, wanted: _Wanted, author: uuid.UUID | None, now: dt.datetime) -> None:
    session.add(
        ProgrammeDraftRevision(
            draft_id=row.id,
            revision=row.revision,
            municipality_code=row.municipality_code,
            document=row.document,
            replaced_by=author,
            replaced_at=now,
        )
    )
    row.document, row.sha256, row.template_sha256 = wanted.document, wanted.sha256, wanted.template_sha256
    row.revision, row.state, row.kind, row.changed_at = row.revision + 1, "draft", "version", now
    session.add(row)
