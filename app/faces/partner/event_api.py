"""`/partner/v1/event-types`: the catalogue of events, readable without a key."""

from app.faces.partner.caller import api_router
from app.faces.partner.views import NOT_FOUND, EventTypeList, EventTypeView
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES, example_of, json_schema

router = api_router("events", with_key=False)


@router.get("/event-types")
def list_event_types() -> EventTypeList:
    """List every type of event with its JSON Schema and an example."""
    return EventTypeList(event_types=[_view(event_type) for event_type in EVENT_TYPES])


@router.get("/event-types/{event_type}", responses=NOT_FOUND)
def show_event_type(event_type: str) -> EventTypeView:
    """Show one type of event."""
    return _view(event_type)


def _view(event_type: str) -> EventTypeView:
    return EventTypeView(
        type=event_type,
        planned=event_type in PLANNED_EVENT_TYPES,
        schema=json_schema(event_type),
        example=example_of(event_type),
    )
