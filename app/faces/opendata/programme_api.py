"""Programmes: all that are asked for, or one, in the shape that is asked for."""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import Response

from app.faces.opendata.answering import conditional
from app.faces.opendata.contents import SHAPES, Selection
from app.faces.opendata.views import PREFIX, PROBLEMS, Municipality, ProgrammeId
from app.platform import clock
from app.platform.database import app_session
from app.platform.errors import NotFound
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.versions import Published, published_now
from app.rules.rule import ProgrammeKind
from app.web.access import Anyone

router = APIRouter(prefix=PREFIX, dependencies=[Anyone], tags=["programmes"])

Written = Annotated[
    Literal["json", "csv", "json-ld", "schema-org", "official"],
    Query(
        alias="format",
        description="json: ours. csv: 支援制度（給付金）情報. json-ld: CPSV-AP 3.2. schema-org: GovernmentService. "
        "official: records of the 子育て支援制度レジストリ.",
    ),
]
OnDay = Annotated[dt.date | None, Query(description="The day that versions are in force on; today unless given.")]
_RECORDS = {"type": "array", "items": {"type": "object"}, "description": "With `format=official`."}
_SHAPES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {"schema": {"anyOf": [{"$ref": "#/components/schemas/ProgrammesView"}, _RECORDS]}},
            "application/ld+json": {"schema": {"type": "object"}},
            "text/csv": {"schema": {"type": "string"}},
        }
    },
    304: {"description": "What `If-None-Match` names is still what is published."},
}


@router.get("/programmes", operation_id="list_programmes", responses=_SHAPES | PROBLEMS)
def list_programmes(
    request: Request,
    municipality: Annotated[Municipality | None, Query(description="Only what people living there can get.")] = None,
    kind: Annotated[ProgrammeKind | None, Query(description="Only programmes of this kind.")] = None,
    certainty: Annotated[
        Literal["verified", "draft", "all"], Query(description="Drafts are not confirmed in a source; nobody is told.")
    ] = "verified",
    on: OnDay = None,
    written: Written = "json",
) -> Response:
    """List the programmes in force on a day; a programme that another one replaces in the municipality is left out."""
    asked = Selection(on or clock.today(), municipality, kind, certainty)
    published = _published()
    versions = asked.versions(published.registry)
    return _written(request, published, versions, asked, written)


@router.get("/programmes/{municipality}/{programme}", operation_id="show_programme", responses=_SHAPES | PROBLEMS)
def show_programme(
    request: Request,
    municipality: Annotated[Municipality, InPath()],
    programme: Annotated[ProgrammeId, InPath()],
    on: OnDay = None,
    written: Written = "json",
) -> Response:
    """Show one programme in the version in force on a day; without a day, the latest where none is in force today."""
    published = _published()
    version = version_of(published.registry, f"{municipality}/{programme}", on)
    return _written(request, published, [version], Selection(on or clock.today()), written)


def version_of(registry: Registry, key: str, on: dt.date | None) -> Programme:
    """Return a programme's version on a day.

    Raises:
        NotFound: no such programme, or no version on the day that was named.
    """
    if key not in registry.programmes:
        raise NotFound(f"found no published programme {key}; the list is at {PREFIX}/programmes")
    version = registry.version_on(key, on or clock.today())
    if version is not None:
        return version
    if on is not None:
        raise NotFound(f"found no version of {key} in force on {on}")
    return registry.programmes[key][-1]


def _written(
    request: Request, published: Published, versions: list[Programme], asked: Selection, written: str
) -> Response:
    shape = SHAPES[written]
    return conditional(
        request,
        published,
        shape.media_type,
        lambda: shape.write(published.registry, versions, asked.on),
        asked,
        written,
    )


def _published() -> Published:
    with app_session() as session:
        return published_now(session)
