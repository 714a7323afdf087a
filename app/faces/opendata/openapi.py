"""The description of the open-data API (OpenAPI 3.1), made from its routes."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse, Response

from app.faces.opendata import change_api, programme_api, vocabulary_api
from app.faces.opendata.answering import open_headers
from app.faces.opendata.views import PREFIX, ProgrammesView
from app.platform.settings import settings
from app.web.access import Anyone
from app.web.problems import ProblemView

router = APIRouter(prefix=PREFIX, dependencies=[Anyone], include_in_schema=False)
_DESCRIPTION = (
    "The published registry of support programmes for families, without a key: CC BY 4.0, ETag on every answer. "
    "A rule here helps to find what may apply; the municipality decides. Always check its official page as well."
)


@router.get("/openapi.json")
def show_openapi() -> Response:
    """Return the description of this API."""
    return JSONResponse(openapi_document(settings().public_url.rstrip("/")), headers=open_headers())


@lru_cache
def openapi_document(server: str) -> dict[str, Any]:
    """Return the description of the API as served from an address."""
    document = get_openapi(
        title="Todoke open data",
        version="1.0.0",
        description=_DESCRIPTION,
        routes=[route for part in (programme_api, vocabulary_api, change_api) for route in part.router.routes],
        servers=[{"url": server}],
        license_info={"name": "CC BY 4.0", "identifier": "CC-BY-4.0"},
        # Keys without a value are left out of what goes out, as they may be of what comes in: one schema for both.
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    models = [(model, "serialization") for model in (ProgrammesView, ProblemView)]
    schemas.update(models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document
