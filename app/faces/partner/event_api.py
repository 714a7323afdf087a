"""`/partner/v1/event-types` and the API's own description: readable without a key."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.faces.partner.caller import PREFIX
from app.faces.partner.openapi import openapi_document
from app.faces.partner.views import NOT_FOUND, EventTypeList, EventTypeView
from app.partners.events import EVENT_TYPES, example_of, json_schema
from app.web.access import Anyone

router = APIRouter(prefix=PREFIX, tags=["events"], dependencies=[Anyone])


@router.get("/event-types")
def list_event_types() -> EventTypeList:
    """List every type of event with its JSON Schema and an example."""
    return EventTypeList(event_types=[_view(event_type) for event_type in EVENT_TYPES])


@router.get("/event-types/{event_type}", responses=NOT_FOUND)
def show_event_type(event_type: str) -> EventTypeView:
    """Show one type of event."""
    return _view(event_type)


@router.get("/openapi.json", include_in_schema=False)
def show_openapi(request: Request) -> Response:
    """Return the description of this API (OpenAPI 3.1)."""
    return JSONResponse(openapi_document(request.app.routes))


def _view(event_type: str) -> EventTypeView:
    return EventTypeView(type=event_type, schema=json_schema(event_type), example=example_of(event_type))
