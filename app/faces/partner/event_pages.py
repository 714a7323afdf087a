"""Portal pages to read: the catalogue of events, and the first event in ten minutes."""

import json
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES, example_of, json_schema
from app.platform.settings import settings
from app.web.access import Partner
from app.web.pages import page

router = APIRouter(prefix="/partner", include_in_schema=False)


@router.get("/events")
def catalogue_page(request: Request, actor: Partner) -> Response:
    """Show every type of event with its members and an example."""
    return page(request, "partner/events.html", event_types=[_shown(event_type) for event_type in EVENT_TYPES])


@router.get("/first-event")
def first_event_page(request: Request, actor: Partner) -> Response:
    """Show the way to a first signed event, with a receiver to copy."""
    receiver = (settings().template_directory / "partner" / "receiver.py.txt").read_text(encoding="utf-8")
    return page(request, "partner/first_event.html", receiver=receiver)


def _shown(event_type: str) -> dict[str, Any]:
    schema = json_schema(event_type)
    content = schema["$defs"][schema["properties"]["data"]["$ref"].rsplit("/", 1)[1]]
    return {
        "type": event_type,
        "planned": event_type in PLANNED_EVENT_TYPES,
        "members": [
            {"name": name, "kind": _kind(member), "description": member.get("description", "")}
            for name, member in content["properties"].items()
        ],
        "example": json.dumps(example_of(event_type), ensure_ascii=False, indent=2),
    }


def _kind(member: dict[str, Any]) -> str:
    if "enum" in member:
        return " | ".join(member["enum"])
    if "anyOf" in member:
        return " | ".join(_kind(choice) for choice in member["anyOf"])
    return str(member.get("format", member.get("type", "string")))
