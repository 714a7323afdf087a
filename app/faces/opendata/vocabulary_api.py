"""What programmes are written with: municipalities, facts, parameters."""

from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import Response

from app.faces.opendata.answering import conditional, of_contents
from app.faces.opendata.contents import heading
from app.faces.opendata.views import PREFIX, PROBLEMS, MunicipalitiesView, ParametersView, VocabularyView
from app.platform.database import app_session
from app.registry.loading import Registry
from app.registry.schemas import json_schemas
from app.registry.versions import Published, published_now
from app.web.access import Anyone

router = APIRouter(prefix=PREFIX, dependencies=[Anyone], tags=["vocabulary"])
_SCHEMA = "application/schema+json"


@router.get("/municipalities", operation_id="list_municipalities", responses={200: {"model": MunicipalitiesView}})
def list_municipalities(request: Request) -> Response:
    """List the municipalities that the registry knows."""
    return _answer(request, _municipalities)


@router.get("/vocabulary", operation_id="show_vocabulary", responses={200: {"model": VocabularyView}})
def show_vocabulary(request: Request) -> Response:
    """Show the facts that criteria may ask about, with their questions."""
    return _answer(request, _facts)


@router.get("/parameters", operation_id="list_parameters", responses={200: {"model": ParametersView}})
def list_parameters(request: Request) -> Response:
    """List the amounts and limits that criteria name, by date, with their sources."""
    return _answer(request, _parameters)


@router.get(
    "/schemas/{name}", operation_id="show_schema", responses={200: {"content": {_SCHEMA: {"schema": {}}}}} | PROBLEMS
)
def show_schema(
    request: Request, name: Annotated[Literal["programme", "parameter", "household", "fact", "municipality"], InPath()]
) -> Response:
    """Show the JSON Schema of one kind of document."""
    return of_contents(request, _SCHEMA, _schemas()[f"{name}.schema.json"])


@lru_cache
def _schemas() -> dict[str, bytes]:
    return {name: orjson.dumps(schema) for name, schema in json_schemas().items()}


def _answer(request: Request, part: Any) -> Response:
    with app_session() as session:
        published: Published = published_now(session)
    return conditional(
        request, published, "application/json", lambda: orjson.dumps({**heading(), **part(published.registry)})
    )


def _municipalities(registry: Registry) -> dict[str, Any]:
    return {
        "municipalities": [_dumped(one) for one in registry.municipalities],
        "own_programmes": sorted({key.split("/", maxsplit=1)[0] for key in registry.programmes}),
    }


def _facts(registry: Registry) -> dict[str, Any]:
    return {"facts": {fact.path: _dumped(fact) for fact in registry.facts}}


def _parameters(registry: Registry) -> dict[str, Any]:
    return {"parameters": [_dumped(registry.parameters[name]) for name in sorted(registry.parameter_documents)]}


def _dumped(document: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped
