"""The API's description (OpenAPI 3.1): paths from the routes, webhooks from the one schema source of the events."""

from functools import lru_cache
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse, Response

from app.faces.partner import contact_api, delivery_api, endpoint_api, event_api, recovery_api
from app.faces.partner.caller import api_router
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES, example_of
from app.platform.settings import settings
from app.web.problems import ProblemView

router = api_router("description", with_key=False)
_PARTS = (event_api, endpoint_api, delivery_api, recovery_api, contact_api)
_REFERENCE = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Events for apps that parents use. Bodies are thin: they never hold a name, a birth date, an income or a reason. "
    "Deliveries may repeat (same webhook-id) and come out of order (see sequence)."
)
_PLANNED = "Still to come, nothing sends it yet: "
_HEADERS = {
    "webhook-id": "The same over retries and replays: drop one that you have seen.",
    "webhook-timestamp": "Unix seconds of this attempt: refuse one that is more than 5 minutes away.",
    "webhook-signature": "v1,<base64 HMAC-SHA256 of id.timestamp.body>, or v1a,<base64 Ed25519 signature of it>, as "
    "the endpoint chose; parted by spaces where there are several (a rotation, or both kinds).",
}


@router.get("/openapi.json", include_in_schema=False)
def show_openapi() -> Response:
    """Return the description of this API."""
    return JSONResponse(openapi_document(settings().public_url.rstrip("/")))


@lru_cache
def openapi_document(server: str) -> dict[str, Any]:
    """Return the description of the API as served from an address."""
    document = get_openapi(
        title="Todoke partner API",
        version="1.0.0",
        description=_DESCRIPTION,
        routes=[route for part in _PARTS for route in part.router.routes],
        servers=[{"url": server}],
    )
    models = [(model, "serialization") for model in (*EVENT_TYPES.values(), ProblemView)]
    _keys, made = models_json_schema(models, ref_template=_REFERENCE)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(made["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["webhooks"] = {event_type: {"post": _webhook(event_type)} for event_type in EVENT_TYPES}
    return document


def _webhook(event_type: str) -> dict[str, Any]:
    model = EVENT_TYPES[event_type]
    planned = event_type in PLANNED_EVENT_TYPES
    return {
        "operationId": "receive_" + event_type.replace(".", "_"),
        "summary": (_PLANNED if planned else "") + (model.__doc__ or "").splitlines()[0],
        "tags": ["events"],
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _REFERENCE.format(model=model.__name__)},
                    "example": example_of(event_type),
                }
            },
        },
        "responses": {
            "2XX": {"description": "Received. Answer within 15 seconds, before you work on it."},
            "410": {"description": "Never again: the endpoint is disabled."},
            "429": {"description": "Later: the endpoint is paused for as long as Retry-After says."},
            "default": {"description": "Not received: tried again for about 76 hours."},
        },
    }
