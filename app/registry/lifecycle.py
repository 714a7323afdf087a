"""The life of a version: draft → in review → published → retired, and back by a new version. Nobody approves own work.

Ending a programme and rolling a version back are drafts too, so that one approval by a second person is the only way
anything is published from here. Each step is idempotent: doing it again has no further effect. Sessions are in the
context of the municipality and of the account that acts: the database keeps from it who wrote and who approves.
"""

import datetime as dt
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
from app.registry.drafts import open_draft, open_version, save_draft, written
from app.registry.loading import Registry
from app.registry.readiness import RawDocument, ended, ready, whole
from app.registry.references import unknown_programmes
from app.registry.tables import ProgrammeDraft, ProgrammeVersionRow
from app.registry.versions import digest_of_template, lock_publication, published_now


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
    ready(published_now(session).registry, draft.document, japan_date(now), draft.template_sha256)
    return _moved(session, draft, "in_review", now)


def return_to_author(
    session: Session, draft_id: uuid.UUID, revision: int, comment: str, editor: Editor, now: dt.datetime
) -> ProgrammeDraft:
    """Give a draft back with what is to be changed; an end or a roll-back that is refused is withdrawn by `withdraw`.

    Raises:
        InvalidInput: the comment is empty.
        StaleRevision: somebody saved it since `revision` was read.
        Conflict: it is not in review.
    """
    draft = _of(session, draft_id, revision, editor)
    if not comment.strip():
        raise InvalidInput("found an empty comment; expected what is to be changed", field="comment")
    if draft.state == "draft" and draft.comment == comment:
        return draft
    _expect(draft, "in_review")
    draft.comment = comment
    return _moved(session, draft, "draft", now)


def withdraw(session: Session, draft_id: uuid.UUID, revision: int, editor: Editor, now: dt.datetime) -> ProgrammeDraft:
    """Give a draft up; it stays on record.

    Raises:
        StaleRevision: somebody saved it since `revision` was read.
        Conflict: it was published.
    """
    draft = _of(session, draft_id, revision, editor)
    if draft.state == "withdrawn":
        return draft
    _expect(draft, "draft", "in_review")
    draft.decided_at = now
    return _moved(session, draft, "withdrawn", now)


def adopt_template(
    session: Session, key: str, on: dt.date, editor: Editor, now: dt.datetime, *, revision: int | None = None
) -> ProgrammeDraft:
    """Make a draft of what a changed template means for a local programme: to be read, changed, submitted.

    What only the template changed is taken over; what both changed stays as it is here, to be decided in the draft.
    The draft begins on the day from which the change counts and ends where the version did that it is made from.

    Args:
        session: in the context of the municipality and of the author.
        key: the local programme.
        on: a day on which the changed template counts.
        editor: who asks.
        now: the instant of the clock.
        revision: the revision that was read, where a draft of that version is open.

    Raises:
        NotFound: no such programme of this municipality, or no version on that day.
        Conflict: the template has not changed since the version was written.
        StaleRevision: there is another draft of that version already.
    """
    registry = published_now(session).registry
    _versions(registry, key, editor)
    version = registry.version_on(key, on)
    if version is None:
        raise NotFound(f"found no version of {key} that is law on {on}")
    span = registry.spans[key, version.version]
    if not span.taken and not span.conflicts:
        raise Conflict(f"found nothing new in the template of {key} on {on}; expected a template that changed")
    examples = [one for one in span.written.get("examples", ()) if str(one["on"]) >= version.version]
    valid = {**span.written["valid"], "from": version.version}
    document = {**span.document, "valid": valid, "examples": examples}
    return save_draft(session, document, editor.account_id, now, revision=revision)


def retire(
    session: Session, key: str, last_day: dt.date, reason: str, editor: Editor, now: dt.datetime
) -> ProgrammeDraft:
    """Ask for a programme's end on a day: a draft in review that somebody else approves.

    Versions that begin after that day are dropped; before its first version's first day the whole programme is.

    Raises:
        NotFound: no such programme is published.
        InvalidInput: the reason is empty, the programme ends before that day anyway, or another programme leans on one
            that would be gone altogether.
        Conflict: a draft of the version it would end is open.
    """
    _require_reason(reason)
    registry = published_now(session).registry
    versions = _versions(registry, key, editor)
    ending = [one for one in versions if _first(one) <= last_day][-1:] or versions[:1]
    if _first(versions[0]) > last_day:
        _refuse_if_named(registry, key)
    else:
        ended(ending[0], last_day)
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
    valid_until: dt.date | None = None,
) -> ProgrammeDraft:
    """Ask for a new version with the contents of an older one: a draft in review that somebody else approves.

    Args:
        session: in the context of the municipality.
        version_id: the row of `history` whose contents come back.
        reason: why, for the record.
        editor: who asks.
        now: the instant of the clock.
        valid_from: from when; None = from the day that the older version began. Examples on days outside are left out.
        valid_until: until when; None = until the day on which the older version ended, where it had one.

    Raises:
        NotFound: no such version of this municipality.
        InvalidInput: the reason is empty, or the version would end before it begins.
        NotReady: it could not be published as it is, by what is published now.
        Conflict: a draft for that day is open.
    """
    _require_reason(reason)
    row = session.get(ProgrammeVersionRow, version_id)
    if row is None or row.municipality_code != editor.municipality_code:
        raise NotFound(f"found no version {version_id} of {editor.municipality_code}")
    first = valid_from or row.valid_from
    last = valid_until or row.valid_until
    if last is not None and last < first:
        raise InvalidInput(
            f"found a version that ends on {last}; expected the last day of one from {first}", field="valid_until"
        )
    days = {"from": first.isoformat(), **({"until": last.isoformat()} if last else {})}
    registry = published_now(session).registry
    document = whole(registry, {**row.document, "valid": days})
    in_force = (first.isoformat(), str(last or dt.date.max))
    document["examples"] = [one for one in document.get("examples", ()) if in_force[0] <= str(one["on"]) <= in_force[1]]
    template_sha256 = digest_of_template(registry, document)
    ready(registry, document, japan_date(now), template_sha256, comes_back=True)
    draft = _proposal("roll_back", row.programme_key, document, reason, editor, now)
    draft.template_sha256 = template_sha256
    return _proposed(session, draft)


def approve_and_publish(
    session: Session, draft_id: uuid.UUID, revision: int, editor: Editor, now: dt.datetime
) -> Publication:
    """Publish a draft in review: write its versions, feed the change, queue the evaluation. The caller rings.

    Args:
        session: of the web role in the context of the draft's municipality and of the approver; the caller commits.
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
    _check(published_now(session).registry, draft, japan_date(now))
    done = session.execute(_PUBLISH, {"draft": draft.id, "revision": revision, "at": now}).all()
    programme_changed(session, draft.programme_key, "published")
    session.flush()
    session.refresh(draft)
    of = {what: tuple(str(first) for first, named in done if named == what) for what in _WHAT}
    return Publication(draft, of["written"], of["shortened"], of["dropped"])


def history(session: Session, key: str) -> list[ProgrammeVersionRow]:
    """Return every version of a programme that was ever published, the one known longest ago first."""
    statement = select(ProgrammeVersionRow).where(ProgrammeVersionRow.programme_key == key)
    order = (col(ProgrammeVersionRow.known_from), col(ProgrammeVersionRow.valid_from))
    return list(session.exec(statement.order_by(*order)))


_PUBLISH = text("SELECT first_day, what FROM publish_programme_draft(:draft, :revision, :at)")
_WHAT = ("written", "shortened", "dropped")


def _check(registry: Registry, draft: ProgrammeDraft, today: dt.date) -> None:
    """Check once more against what is published now: what publishing writes, the database takes from the draft."""
    if draft.kind != "retirement":
        ready(registry, draft.document, today, draft.template_sha256, comes_back=draft.kind == "roll_back")
        return
    assert draft.ends_on is not None
    kept = [one for one in _versions(registry, draft.programme_key, None) if _first(one) <= draft.ends_on][-1:]
    if not kept:
        _refuse_if_named(registry, draft.programme_key)
    for one in kept:
        ended(one, draft.ends_on)


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
    return written(session, draft)


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
        comment=reason,
        created_at=now,
        changed_at=now,
    )


def _proposed(session: Session, draft: ProgrammeDraft) -> ProgrammeDraft:
    """Write a proposal; the same one, asked for a second time, is the one that is there."""
    there = open_version(session, (draft.programme_key, draft.valid_from))
    if there is None:
        return written(session, draft)
    if _essence(there) == _essence(draft):
        return there
    raise Conflict(
        f"found an open draft of {draft.programme_key} from {draft.valid_from}; publish or withdraw it first"
    )


def _essence(draft: ProgrammeDraft) -> Sequence[object]:
    return draft.kind, draft.sha256, draft.ends_on, draft.comment
