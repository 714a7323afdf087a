"""`/staff/api/v1`: the registry's life as JSON, for signed-in staff and the editor to come.

Every change carries the CSRF token of the session in `X-CSRF-Token` (`GET /session` gives it). Whatever is done to a
draft says which revision was read, in `If-Match`; a stale one is refused with what changed and by whom. Doing anything
twice is doing it once.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Actor, require
from app.accounts.tables import StaffAccount
from app.faces.staff.registry_views import (
    DraftInput,
    DraftView,
    PublicationView,
    Retirement,
    ReturnComment,
    RollBack,
    TemplateAdoption,
    UpkeepChoice,
    programme_document,
    version_document,
)
from app.platform import bell, clock
from app.platform.database import app_session
from app.platform.errors import InvalidInput, NotFound
from app.registry import lifecycle
from app.registry.differences import difference, document_on, template_difference
from app.registry.drafts import drafts_of, key_of, open_draft, save_draft
from app.registry.lifecycle import Editor
from app.registry.loading import Registry
from app.registry.readiness import NotReady, loaded, ready
from app.registry.upkeep import Choice, decide, unread_sources, upkeep
from app.registry.versions import published_now
from app.web.access import Staff
from app.web.csrf import csrf_token

router = APIRouter(prefix="/staff/api/v1", tags=["registry"])

IfMatch = Annotated[str | None, Header(description='The revision that was read, as "3".')]
FromDay = Annotated[dt.date, Query(alias="from")]
ToDay = Annotated[dt.date, Query(alias="to")]
READ, EDIT, APPROVE = "programmes:read", "programmes:edit", "programmes:approve"


@router.get("/session")
def session_of(request: Request, actor: Staff) -> dict[str, str]:
    """Say who is signed in, and the token that changes carry."""
    with _acting(actor, READ) as (session, _):
        role = session.get_one(StaffAccount, actor.staff_id).role
    return {"municipality": actor.municipality_code, "role": role, "csrf_token": csrf_token(request)}


@router.get("/programmes")
def list_programmes(actor: Staff) -> dict[str, Any]:
    """List the published programmes that cover this municipality, and those it has of its own."""
    with _acting(actor, READ) as (session, editor):
        registry = published_now(session).registry
    keys = _readable(registry, editor.municipality_code)
    return {"programmes": [programme_document(registry, key) for key in sorted(keys)]}


@router.get("/programmes/{code}/{name}")
def read_programme(actor: Staff, code: str, name: str) -> dict[str, Any]:
    """Read every published version of a programme, and its history: what was known from when until when."""
    with _acting(actor, READ) as (session, editor):
        registry, key = _programme(session, editor, code, name)
        rows = lifecycle.history(session, key)
    documents = [registry.documents[key, version.version] for version in registry.programmes[key]]
    return {**programme_document(registry, key), "documents": documents, "history": list(map(version_document, rows))}


@router.get("/programmes/{code}/{name}/difference")
def read_difference(actor: Staff, code: str, name: str, first: FromDay, second: ToDay) -> dict[str, Any]:
    """Say in words what differs between two days: the versions in force on them, with the limits of the day."""
    with _acting(actor, READ) as (session, editor):
        registry, key = _programme(session, editor, code, name)
    sides = [(registry, document_on(registry, key, day), day) for day in (first, second)]
    return {"differences": [one.as_document() for one in difference(sides[0], sides[1])]}


@router.get("/programmes/{code}/{name}/template-difference")
def read_template_difference(actor: Staff, code: str, name: str, first: FromDay, second: ToDay) -> dict[str, Any]:
    """Say what the template's version of a later day means for the local programme derived from the earlier one."""
    with _acting(actor, READ) as (session, editor):
        registry, key = _programme(session, editor, code, name)
    local = document_on(registry, key, first)
    template = local.get("based_on")
    if template is None:
        raise NotFound(f"found no template of {key}; expected a programme with based_on")
    before, now = ((registry, document_on(registry, template, day), day) for day in (first, second))
    found = template_difference(before, now, (registry, local, first))
    return {
        "taken": [one.as_document() for one in found.taken],
        "conflicts": [{**one.as_document(), "local": list(found.local[one.field])} for one in found.conflicts],
        "own": [one.as_document() for one in found.own],
        "document": found.document,
    }


@router.post("/programmes/{code}/{name}/retirements", status_code=201)
def ask_for_retirement(actor: Staff, code: str, name: str, wanted: Retirement) -> DraftView:
    """Ask for a programme's end on a day; another person approves it."""
    with _acting(actor, EDIT) as (session, editor):
        draft = lifecycle.retire(session, f"{code}/{name}", wanted.last_day, wanted.reason, editor, clock.now())
        return _kept(session, draft)


@router.post("/programmes/{code}/{name}/roll-backs", status_code=201)
def ask_for_roll_back(actor: Staff, code: str, name: str, wanted: RollBack) -> DraftView:
    """Ask for a new version with the contents of an older one; another person approves it."""
    with _acting(actor, EDIT) as (session, editor):
        ids = {row.id for row in lifecycle.history(session, f"{code}/{name}")}
        if wanted.version_id not in ids:
            raise NotFound(f"found no version {wanted.version_id} of {code}/{name}; expected one of its history")
        draft = lifecycle.roll_back(
            session, wanted.version_id, wanted.reason, editor, clock.now(),
            valid_from=wanted.valid_from, valid_until=wanted.valid_until,
        )  # fmt: skip
        return _kept(session, draft)


@router.post("/programmes/{code}/{name}/template-adoptions", status_code=201)
def adopt_template(actor: Staff, code: str, name: str, wanted: TemplateAdoption, if_match: IfMatch = None) -> DraftView:
    """Make a draft of what the changed template means for a local programme, from the day on which it counts."""
    with _acting(actor, EDIT) as (session, editor):
        revision = None if if_match is None else _revision(if_match)
        draft = lifecycle.adopt_template(session, f"{code}/{name}", wanted.on, editor, clock.now(), revision=revision)
        return _kept(session, draft)


@router.put("/programmes/{code}/{name}/drafts/{valid_from}")
def put_draft(
    actor: Staff,
    response: Response,
    code: str,
    name: str,
    valid_from: dt.date,
    wanted: DraftInput,
    if_match: IfMatch = None,
) -> DraftView:
    """Save a draft. Without `If-Match` it is a new one; with it, the next revision of the one that was read."""
    with _acting(actor, EDIT) as (session, editor):
        try:
            found = key_of(wanted.document)
        except ValueError as error:
            raise InvalidInput(str(error), field="document") from None
        if found != (f"{code}/{name}", valid_from) or code != editor.municipality_code:
            expected = f"{editor.municipality_code}/{name} from {valid_from}, as the address says"
            raise InvalidInput(f"found a document of {found[0]} from {found[1]}; expected {expected}", field="document")
        revision = None if if_match is None else _revision(if_match)
        draft = save_draft(
            session, wanted.document, editor.account_id, clock.now(), revision=revision,
            comment=wanted.comment,
        )  # fmt: skip
        response.headers["ETag"] = f'"{draft.revision}"'
        return _kept(session, draft)


@router.get("/drafts")
def list_drafts(actor: Staff) -> dict[str, list[DraftView]]:
    """List the open drafts of this municipality."""
    with _acting(actor, READ) as (session, editor):
        return {"drafts": [DraftView.of(one) for one in drafts_of(session, editor.municipality_code)]}


@router.get("/drafts/{draft_id}")
def read_draft(actor: Staff, response: Response, draft_id: uuid.UUID) -> DraftView:
    """Read a draft with its document; the `ETag` is its revision."""
    with _acting(actor, READ) as (session, _):
        draft = open_draft(session, draft_id)
        response.headers["ETag"] = f'"{draft.revision}"'
        return DraftView.of(draft)


@router.get("/drafts/{draft_id}/difference")
def read_draft_difference(actor: Staff, draft_id: uuid.UUID) -> dict[str, Any]:
    """Say in words how a draft differs from what is published for its first day (all of it, where nothing is)."""
    with _acting(actor, READ) as (session, _):
        draft = open_draft(session, draft_id)
        registry = published_now(session).registry
    _, document = loaded(registry, draft.document)
    after = (registry, document.value, draft.valid_from)
    is_known = draft.programme_key in registry.programmes
    version = registry.version_on(draft.programme_key, draft.valid_from) if is_known else None
    before = None if version is None else registry.documents[draft.programme_key, version.version]
    found = difference(None if before is None else (registry, before, draft.valid_from), after)
    return {"differences": [one.as_document() for one in found]}


@router.get("/drafts/{draft_id}/readiness")
def read_readiness(actor: Staff, draft_id: uuid.UUID) -> dict[str, Any]:
    """Say whether a draft may be published, with every error that keeps it from it and every remark."""
    with _acting(actor, READ) as (session, _):
        draft = open_draft(session, draft_id)
        registry = published_now(session).registry
    try:
        comes_back = draft.kind == "roll_back"
        found = ready(registry, draft.document, clock.today(), draft.template_sha256, comes_back=comes_back)
    except NotReady as problem:
        return {"ready": False, "errors": problem.errors, "remarks": []}
    remarks = [{"at": one.path, "remark": one.message} for one in found.remarks]
    return {"ready": True, "errors": [], "remarks": remarks}


@router.post("/drafts/{draft_id}/submission")
def submit_draft(actor: Staff, draft_id: uuid.UUID, if_match: Annotated[str, Header()]) -> DraftView:
    """Hand a draft over for review."""
    with _acting(actor, EDIT) as (session, editor):
        return _kept(session, lifecycle.submit(session, draft_id, _revision(if_match), editor, clock.now()))


@router.post("/drafts/{draft_id}/return")
def return_draft(
    actor: Staff, draft_id: uuid.UUID, wanted: ReturnComment, if_match: Annotated[str, Header()]
) -> DraftView:
    """Give a draft back to its author with what is to be changed."""
    with _acting(actor, APPROVE) as (session, editor):
        revision, comment = _revision(if_match), wanted.comment
        return _kept(session, lifecycle.return_to_author(session, draft_id, revision, comment, editor, clock.now()))


@router.post("/drafts/{draft_id}/withdrawal")
def withdraw_draft(actor: Staff, draft_id: uuid.UUID, if_match: Annotated[str, Header()]) -> DraftView:
    """Give a draft up."""
    with _acting(actor, EDIT) as (session, editor):
        return _kept(session, lifecycle.withdraw(session, draft_id, _revision(if_match), editor, clock.now()))


@router.post("/drafts/{draft_id}/approval")
def approve_draft(actor: Staff, draft_id: uuid.UUID, if_match: Annotated[str, Header()]) -> PublicationView:
    """Approve a draft in review and publish it."""
    with _acting(actor, APPROVE) as (session, editor):
        done = lifecycle.approve_and_publish(session, draft_id, _revision(if_match), editor, clock.now())
        session.commit()
    bell.ring(bell.MATCH)
    return PublicationView.of(done)


@router.get("/upkeep")
def read_upkeep(actor: Staff, on: dt.date | None = None) -> dict[str, Any]:
    """List what ends by the coming 31 March or is due for checking, and sources unread for a year."""
    day = on or clock.today()
    with _acting(actor, READ) as (session, editor):
        registry = published_now(session).registry
        rows = upkeep(session, registry, day, editor.municipality_code)
    unread = unread_sources(registry, day, editor.municipality_code)
    return {
        "on": day, "rows": [one.as_document() for one in rows], "unread_sources": [one.as_document() for one in unread]
    }  # fmt: skip


@router.post("/upkeep/decisions")
def decide_upkeep(actor: Staff, wanted: UpkeepChoice) -> dict[str, Any]:
    """Decide about one row of the list."""
    with _acting(actor, EDIT) as (session, editor):
        choice = Choice(editor.municipality_code, wanted.subject, wanted.due_on, wanted.decision, wanted.note)
        registry, day = published_now(session).registry, wanted.on or clock.today()
        row = decide(session, registry, choice, on=day, by=editor.account_id, now=clock.now())
        session.commit()
    return row.as_document()


@contextmanager
def _acting(actor: Actor, right: str) -> Iterator[tuple[Session, Editor]]:
    """Open a session of the actor, who must hold a right."""
    with app_session(actor.context) as session:
        account = session.get_one(StaffAccount, actor.staff_id)
        require(account.role, right)
        yield session, Editor(account.id, account.municipality_code)


def _kept(session: Session, draft: Any) -> DraftView:
    view = DraftView.of(draft)
    session.commit()
    return view


def _revision(if_match: str) -> int:
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdecimal():
        raise InvalidInput(
            f'found If-Match {if_match!r}; expected the revision that was read, as "3"', field="If-Match"
        )
    return int(text)


def _readable(registry: Registry, municipality: str) -> set[str]:
    own = {key for key in registry.programmes if key.startswith(f"{municipality}/")}
    return (
        own
        | set(registry.covering(municipality))
        | {versions[-1].based_on for key in own for versions in [registry.programmes[key]] if versions[-1].based_on}
    )


def _programme(session: Session, editor: Editor, code: str, name: str) -> tuple[Registry, str]:
    registry, key = published_now(session).registry, f"{code}/{name}"
    if key not in _readable(registry, editor.municipality_code):
        raise NotFound(f"found no programme {key} for families of {editor.municipality_code}")
    return registry, key
