"""What changed since a cursor, as JSON and as an Atom feed, and the whole of a day as one file."""

import datetime as dt
import gzip
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from fastapi import Path as InPath
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.faces.opendata.answering import conditional, of_contents
from app.faces.opendata.contents import api_address, dump_lines, heading, page_address
from app.faces.opendata.views import PREFIX, PROBLEMS, ChangesView, DumpsView
from app.platform import clock
from app.platform.database import app_session
from app.platform.errors import NotFound
from app.platform.rendering import phrases
from app.registry.changes import BEGINNING, MOST_AT_ONCE, changes_since, latest_changes
from app.registry.loading import Registry
from app.registry.tables import RegistryChange
from app.registry.versions import first_known_at, published, published_now
from app.web.access import Anyone
from app.web.pages import render

router = APIRouter(prefix=PREFIX, dependencies=[Anyone], tags=["changes"])
_FEED_LENGTH = 50
_NEVER = "1970-01-01T00:00:00+00:00"


@router.get("/changes", operation_id="list_changes", responses={200: {"model": ChangesView}} | PROBLEMS)
def list_changes(
    request: Request,
    since: Annotated[
        str,
        Query(pattern="^[0-9a-f]{1,15}-[0-9a-f]{1,15}$", description="`next` of an earlier answer, or none."),
    ] = BEGINNING,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 100,
) -> Response:
    """List changes in the order of their publication. Ask again with `next`: none is ever missed, none comes twice."""
    with app_session() as session:
        page = changes_since(session, since, limit)
    answer = {"changes": [_entry(one) for one in page.changes], "next": page.cursor, "more": len(page.changes) == limit}
    return of_contents(request, "application/json", orjson.dumps({**heading(), **answer}))


@router.get(
    "/changes.atom",
    operation_id="feed_of_changes",
    responses={200: {"content": {"application/atom+xml": {"schema": {"type": "string"}}}}},
)
def feed(request: Request) -> Response:
    """Return the latest changes as an Atom feed."""
    with app_session() as session:
        now = published_now(session)
        latest = [one for one in latest_changes(session, _FEED_LENGTH) if not _is_invented(now.registry, one)]
    entries = [_feed_entry(now.registry, one) for one in latest]
    updated = max((entry["at"] for entry in entries), default=_NEVER)
    written = render(
        request, "open/changes.atom.xml", entries=entries, updated=updated, address=api_address("changes.atom")
    )
    return of_contents(request, "application/atom+xml; charset=utf-8", written.encode())


@router.get("/dumps", operation_id="list_dumps", responses={200: {"model": DumpsView}})
def list_dumps(request: Request) -> Response:
    """Say for which days the whole registry can be had."""
    with app_session() as session:
        now, first = published_now(session), _first_day(session)
    latest = clock.today()
    shown = first is not None and first <= latest
    answer = {
        "first": first.isoformat() if shown and first else None,
        "latest": {"day": latest.isoformat(), "address": api_address(f"dumps/{latest}.jsonl.gz")} if shown else None,
    }
    return conditional(request, now, "application/json", lambda: orjson.dumps({**heading(), **answer}))


@router.get(
    "/dumps/{day}.jsonl.gz",
    operation_id="download_dump",
    responses={200: {"content": {"application/gzip": {"schema": {"type": "string"}}}}} | PROBLEMS,
)
def dump(
    request: Request, day: Annotated[dt.date, InPath(description="A day from the first publication on.")]
) -> Response:
    """Return the whole registry as it was known when the day began in Japan: JSON lines, packed, the same for good."""
    with app_session() as session:
        first = _first_day(session)
        if first is None or not first <= day <= clock.today():
            raise NotFound(f"found no dump of {day}; {_dumps_in_words(first)}")
        known_at = clock.at_japan_time(day, 0)
        then = published(session, known_at=known_at)

    def body() -> bytes:
        return gzip.compress(b"".join(dump_lines(then.registry, known_at)), mtime=0)

    return conditional(request, then, "application/gzip", body)


def _dumps_in_words(first: dt.date | None) -> str:
    if first is None or first > clock.today():
        return f"the first one is of {first or 'the day after the first publication'}"
    return f"expected a day from {first} to {clock.today()}"


def _first_day(session: Session) -> dt.date | None:
    """Return the first day that began with something published."""
    first = first_known_at(session)
    return None if first is None else first.astimezone(clock.JAPAN).date() + dt.timedelta(days=1)


def _entry(change: RegistryChange) -> dict[str, Any]:
    named = {
        "kind": change.kind,
        "programme": change.programme_key,
        "parameter": change.parameter_name,
        "valid_from": None if change.valid_from is None else change.valid_from.isoformat(),
        "at": change.at.isoformat(),
        "page": None if change.programme_key is None else page_address(change.programme_key),
    }
    return {name: value for name, value in named.items() if value is not None}


def _feed_entry(registry: Registry, change: RegistryChange) -> dict[str, str]:
    said = phrases("phrases/open")["change"][change.kind]
    return {
        "id": f"urn:todoke:change:{change.seq}",
        "title": said.format(name=_name(registry, change)),
        "at": change.at.isoformat(),
        "page": page_address(change.programme_key) if change.programme_key else api_address("parameters"),
    }


def _is_invented(registry: Registry, change: RegistryChange) -> bool:
    home = registry.municipalities.get((change.programme_key or "").split("/", maxsplit=1)[0])
    return home is not None and home.fictional


def _name(registry: Registry, change: RegistryChange) -> str:
    if change.programme_key in registry.programmes:
        return registry.programmes[change.programme_key][-1].name.ja
    if change.parameter_name in registry.parameters:
        return registry.parameters[change.parameter_name].label.ja
    return change.programme_key or change.parameter_name or ""
