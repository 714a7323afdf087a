"""The life of a version: draft → in review → published → retired, and back by a new version. Nobody approves own work.

Ending a programme and rolling a version back are drafts too, so that one approval by a second person is the only way
anything is published from here. Each step is idempotent: doing it again has no further effect.
"""

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.platform.change_queue import programme_changed
from app.platform.clock import japan_date
from app.platform.errors import Conflict, InvalidInput, NotFound, NotPermitted
from app.platform.identifiers import new_id
from app.registry.digests import storable
from app.registry.drafts import open_draft, open_version
from app.registry.loading import Registry
from app.registry.readiness import RawDocument, ended, ready
from app.registry.references import unknown_programmes
from app.registry.tables import ProgrammeDraft, ProgrammeVersionRow
from app.registry.versions import lock_publication, published_now


@dataclass(frozen=True, slots=True)
class Editor:
    """Who acts: a staff account of one municipality. Whether its role may is asked before (`accounts.permissions`)."""

    account_id: uuid.UUID
    municipality_code: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What an approval wrote: the first days of versions, and of those that had to end earlier because of it."""

    draft: ProgrammeDraft
    written: tuple[str, ...]
    shortened: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def submit(session: Session, draft_id: uuid.UUID, revision: int, editor: Editor, now: dt.datetime) -> ProgrammeDraft:
    """Hand a draft over for review; who submits answers for it and cannot approve it.

    Raises:
        NotReady: it could not be published as it is.
        StaleRevision: somebody saved it since.
        Conflict: it was published or withdrawn.
    """
    draft = _of(session, draft_id, revision, editor)
    if draft.state == "in_review":
        return draft
    _expect(draft, "draft")
    ready(published_now(session).registry, draft.document, japan_date(now))
    if editor.account_id not in draft.author_ids:
        draft.author_ids = [*draft.author_ids, editor.account_id]
    return _moved(session, draft, "in_review", now)


def return_to_author(
    session: Session, draft_id: uuid.UUID, comment: str, editor: Editor, now: dt.datetime
) -> ProgrammeDraft:
    """Give a draft back with what is to be changed; an end or a roll-back that is refused is withdrawn by `withdraw`.

    Raises:
        InvalidInput: the comment is empty.
        Conflict: it is not in review.
    """
    draft = _of(session, draft_id, None, editor)
    if not comment.strip():
        raise InvalidInput("found an empty comment; expected what is to be changed", field="comment")
    if draft.state == "draft" and draft.comment == comment:
        return draft
    _expect(draft, "in_review")
    draft.comment = comment
    return _moved(session, draft, "draft", now)


def withdraw(session: Session, draft_id: uuid.UUID, editor: Editor, now: dt.datetime) -> ProgrammeDraft:
    """Give a draft up; it stays on record. Raises Conflict where it was published."""
    draft = _of(session, draft_id, None, editor)
    if draft.state == "withdrawn":
        return draft
    _expect(draft, "draft", "in_review")
    draft.decided_at = now
    return _moved(session, draft, "withdrawn", now)


def retire(
    session: Session, key: str, last_day: dt.date, reason: str, editor: Editor, now: dt.datetime
) -> ProgrammeDraft:
    """Ask for a programme's end on a day: a draft in review that somebody else approves.

    Versions that begin after that day are dropped; before its first version's first day the whole programme is.

    Raises:
        NotFound: no such programme is published.
        InvalidInput: the reason is empty, or another programme leans on one that would be gone altogether.
        Conflict: a draft of the version it would end is open.
    """
    _require_reason(reason)
    registry = published_now(session).registry
    versions = _versions(registry, key, editor)
    ending = [one for one in versions if _first(one) <= last_day][-1:] or versions[:1]
    if _first(versions[0]) > last_day:
        _refuse_if_named(registry, key)
    draft = _proposal("retirement", key, ending[0], reason, editor, now)
    draft.ends_on = last_day
    return _proposed(session, draft)


def roll_back(
    session: Session,
    version_id: uuid.UUID,
    reason: str,
    editor: Editor,
    now: dt.datetime,
    *,
    valid_from: dt.date | None = None,
) -> ProgrammeDraft:
    """Ask for a new version with the contents of an older one: a draft in review that somebody else approves.

    Args:
        session: in the context of the municipality.
        version_id: the row of `history` whose contents come back.
        reason: why, for the record.
        editor: who asks.
        now: the instant of the clock.
        valid_from: from when; None = from the day that the older version began. Examples on days outside are left out.

    Raises:
        NotFound: no such version of this municipality.
        NotReady: it could not be published as it is, by what is published now.
        Conflict: a draft for that day is open.
    """
    _require_reason(reason)
    row = session.get(ProgrammeVersionRow, version_id)
    if row is None or row.municipality_code != editor.municipality_code:
        raise NotFound(f"found no version {version_id} of {editor.municipality_code}")
    first = valid_from or row.valid_from
    document = {**row.document, "valid": {"from": first.isoformat()}}
    document["examples"] = [one for one in document.get("examples", ()) if str(one["on"]) >= first.isoformat()]
    ready(published_now(session).registry, document, japan_date(now))
    return _proposed(session, _proposal("roll_back", row.programme_key, document, reason, editor, now))


def approve_and_publish(
    session: Session, draft_id: uuid.UUID, revision: int, editor: Editor, now: dt.datetime
) -> Publication:
    """Publish a draft in review: write its versions, feed the change, queue the evaluation. The caller rings.

    Args:
        session: of the web role in the context of the draft's municipality; the caller commits.
        draft_id: the draft.
        revision: the revision that the approver read.
        editor: the approver.
        now: the instant from which it is known.

    Raises:
        NotPermitted: the approver wrote, changed or submitted it.
        NotReady: what was published meanwhile no longer lets it be.
        StaleRevision: somebody saved it since the approver read it.
        Conflict: it is not in review.
    """
    lock_publication(session)
    draft = _of(session, draft_id, revision, editor)
    if draft.state == "published" and draft.approver_id == editor.account_id:
        return Publication(draft, (draft.valid_from.isoformat(),))
    _expect(draft, "in_review")
    if editor.account_id in draft.author_ids:
        raise NotPermitted("found the approver among the authors of the draft; expected somebody else to approve it")
    written, publication = _planned(published_now(session).registry, draft, japan_date(now))
    session.execute(
        _PUBLISH,
        {
            "draft": draft.id,
            "revision": revision,
            "approver": editor.account_id,
            "versions": json.dumps(written, ensure_ascii=False),
            "ended": [dt.date.fromisoformat(one) for one in publication.dropped],
            "at": now,
        },
    )
    programme_changed(session, draft.programme_key, "published")
    session.flush()
    session.refresh(draft)
    return publication


def history(session: Session, key: str) -> list[ProgrammeVersionRow]:
    """Return every version of a programme that was ever published, the one known longest ago first."""
    statement = select(ProgrammeVersionRow).where(ProgrammeVersionRow.programme_key == key)
    order = (col(ProgrammeVersionRow.known_from), col(ProgrammeVersionRow.valid_from))
    return list(session.exec(statement.order_by(*order)))


_PUBLISH = text(
    "SELECT publish_programme_draft(:draft, :revision, :approver, CAST(:versions AS jsonb),"
    " CAST(:ended AS date[]), :at)"
)
_KINDS = {"version": "published", "retirement": "retired", "roll_back": "rolled_back"}


def _planned(registry: Registry, draft: ProgrammeDraft, today: dt.date) -> tuple[list[dict[str, Any]], Publication]:
    """Return the rows that publishing a draft writes, and what to say of it."""
    if draft.kind == "retirement":
        return _planned_end(registry, draft)
    checked = ready(registry, draft.document, today)
    known = {one.valid.from_ for one in registry.programmes.get(draft.programme_key, ())}
    kind = "changed" if draft.kind == "version" and draft.valid_from in known else _KINDS[draft.kind]
    rows = [_row(checked.document, kind), *(_row(one, "changed") for one in checked.neighbours)]
    shortened = tuple(str(one["valid"]["from"]) for one in checked.neighbours)
    return rows, Publication(draft, (checked.programme.version,), shortened)


def _planned_end(registry: Registry, draft: ProgrammeDraft) -> tuple[list[dict[str, Any]], Publication]:
    last_day = draft.ends_on
    versions = _versions(registry, draft.programme_key, None)
    assert last_day is not None
    dropped = tuple(str(one["valid"]["from"]) for one in versions if _first(one) > last_day)
    kept = [one for one in versions if _first(one) <= last_day][-1:]
    if not kept:
        _refuse_if_named(registry, draft.programme_key)
    rows = [_row(ended(one, last_day), "retired") for one in kept]
    return rows, Publication(draft, tuple(str(one["valid"]["from"]) for one in kept), dropped=dropped)


def _row(document: RawDocument, kind: str) -> dict[str, Any]:
    stored, digest = storable(document)
    days = {"valid_from": stored["valid"]["from"], "valid_until": stored["valid"].get("until")}
    return {**days, "document": stored, "sha256": digest, "kind": kind}


def _of(session: Session, draft_id: uuid.UUID, revision: int | None, editor: Editor) -> ProgrammeDraft:
    draft = open_draft(session, draft_id, revision=revision)
    if draft.municipality_code != editor.municipality_code:
        raise NotFound(f"found no draft {draft_id} here")
    return draft


def _expect(draft: ProgrammeDraft, *states: str) -> None:
    if draft.state not in states:
        raise Conflict(f"found the draft {draft.state}; expected {' or '.join(states)}")


def _moved(session: Session, draft: ProgrammeDraft, state: str, now: dt.datetime) -> ProgrammeDraft:
    draft.state, draft.changed_at = state, now
    session.add(draft)
    session.flush()
    return draft


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput("found an empty reason; expected why, for the record", field="reason")


def _versions(registry: Registry, key: str, editor: Editor | None) -> list[RawDocument]:
    versions = registry.programmes.get(key, ())
    if not versions or (editor is not None and key.partition("/")[0] != editor.municipality_code):
        raise NotFound(f"found no published programme {key} of this municipality")
    return [registry.documents[key, one.version] for one in versions]


def _first(document: Mapping[str, Any]) -> dt.date:
    return dt.date.fromisoformat(str(document["valid"]["from"]))


def _refuse_if_named(registry: Registry, key: str) -> None:
    """A programme that others are based on, or ask about, cannot vanish from under them."""
    keys = registry.programmes.keys() - {key}
    leaning = sorted(
        other
        for (other, _), document in registry.documents.items()
        if other != key and (document.get("based_on") == key or any(True for _ in unknown_programmes(document, keys)))
    )
    if leaning:
        raise InvalidInput(
            f"found {', '.join(leaning)} leaning on {key}; expected them to be changed first", field="key"
        )


def _proposal(
    kind: str, key: str, document: Mapping[str, Any], reason: str, editor: Editor, now: dt.datetime
) -> ProgrammeDraft:
    stored, digest = storable(document)
    return ProgrammeDraft(
        id=new_id(),
        programme_key=key,
        municipality_code=editor.municipality_code,
        valid_from=_first(document),
        kind=kind,
        state="in_review",
        document=stored,
        sha256=digest,
        author_ids=[editor.account_id],
        comment=reason,
        created_at=now,
        changed_at=now,
    )


def _proposed(session: Session, draft: ProgrammeDraft) -> ProgrammeDraft:
    """Write a proposal; the same one, asked for a second time, is the one that is there."""
    there = open_version(session, (draft.programme_key, draft.valid_from))
    if there is None:
        session.add(draft)
        session.flush()
        return draft
    if _essence(there) == _essence(draft):
        return there
    raise Conflict(
        f"found an open draft of {draft.programme_key} from {draft.valid_from}; publish or withdraw it first"
    )


def _essence(draft: ProgrammeDraft) -> Sequence[object]:
    return draft.kind, draft.sha256, draft.ends_on, draft.comment
