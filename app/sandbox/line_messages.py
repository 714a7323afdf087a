"""Message objects of the Messaging API: what the server refuses about them, and what a person would read."""

import json
from typing import Any

TEXT_LIMIT = 5000
ALT_TEXT_LIMIT = 1500
BUBBLE_BYTES = 30_000
CAROUSEL_BYTES = 50_000
DATA_LIMIT = 300
_MESSAGE_TYPES = frozenset(
    {"text", "textV2", "sticker", "image", "video", "audio", "location", "imagemap", "template", "flex", "coupon"}
)


def problems_of_messages(messages: object) -> list[dict[str, str]]:
    """Return what is wrong with the `messages` of a request, in the published shape; empty if nothing is."""
    if not isinstance(messages, list) or not 1 <= len(messages) <= 5:
        return [{"message": "Size must be between 1 and 5", "property": "messages"}]
    problems: list[dict[str, str]] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in _MESSAGE_TYPES:
            problems.append({"message": "Must be a valid message type", "property": f"{place}.type"})
        elif kind == "text":
            problems += _problems_of_text(message.get("text"), f"{place}.text", TEXT_LIMIT)
        elif kind == "flex":
            problems += _problems_of_text(message.get("altText"), f"{place}.altText", ALT_TEXT_LIMIT)
            problems += _problems_of_container(message.get("contents"), f"{place}.contents")
    return problems


def _problems_of_text(text: object, place: str, limit: int) -> list[dict[str, str]]:
    if not isinstance(text, str) or not text:
        return [{"message": "May not be empty", "property": place}]
    # The published count is in UTF-16 code units.
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > limit:
        return [{"message": f"Length must be between 1 and {limit}", "property": place}]
    return []


def _problems_of_container(container: object, place: str) -> list[dict[str, str]]:
    if not isinstance(container, dict) or container.get("type") not in ("bubble", "carousel"):
        return [{"message": "Must be a bubble or a carousel", "property": f"{place}.type"}]
    limit = BUBBLE_BYTES if container["type"] == "bubble" else CAROUSEL_BYTES
    if len(json.dumps(container, ensure_ascii=False, separators=(",", ":")).encode()) > limit:
        return [{"message": f"Must be at most {limit} bytes", "property": place}]
    if container["type"] == "bubble":
        return _problems_of_bubble(container, place)
    bubbles = container.get("contents")
    if not isinstance(bubbles, list) or not 1 <= len(bubbles) <= 12:
        return [{"message": "Size must be between 1 and 12", "property": f"{place}.contents"}]
    return [
        problem
        for number, bubble in enumerate(bubbles)
        for problem in _problems_of_container(bubble, f"{place}.contents[{number}]")
    ]


def _problems_of_bubble(bubble: dict[str, Any], place: str) -> list[dict[str, str]]:
    if not any(part in bubble for part in ("header", "hero", "body", "footer")):
        return [{"message": "At least one block must be specified", "property": place}]
    problems: list[dict[str, str]] = []
    for part in ("header", "body", "footer"):
        if part in bubble:
            problems += _problems_of_component(bubble[part], f"{place}.{part}")
    return problems


def _problems_of_component(component: object, place: str) -> list[dict[str, str]]:
    kind = component.get("type") if isinstance(component, dict) else None
    if not isinstance(component, dict) or not isinstance(kind, str):
        return [{"message": "Must be a component with a type", "property": place}]
    if kind == "box":
        if component.get("layout") not in ("vertical", "horizontal", "baseline"):
            return [{"message": "Must be one of vertical, horizontal, baseline", "property": f"{place}.layout"}]
        return [
            problem
            for number, inner in enumerate(component.get("contents") or [])
            for problem in _problems_of_component(inner, f"{place}.contents[{number}]")
        ]
    if kind == "text" and not component.get("text") and not component.get("contents"):
        return [{"message": "May not be empty", "property": f"{place}.text"}]
    return _problems_of_action(component.get("action"), f"{place}.action") if kind == "button" else []


def _problems_of_action(action: object, place: str) -> list[dict[str, str]]:
    if not isinstance(action, dict):
        return [{"message": "May not be empty", "property": place}]
    if action.get("type") == "postback" and not 1 <= len(str(action.get("data", ""))) <= DATA_LIMIT:
        return [{"message": f"Length must be between 1 and {DATA_LIMIT}", "property": f"{place}.data"}]
    return []


def as_read(message: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a message in the order in which a reader meets them."""
    lines: list[str] = []
    links: list[dict[str, str]] = []
    _collect(message.get("contents") if message.get("type") == "flex" else message, lines, links)
    return {"lines": lines, "links": links, "alt_text": message.get("altText", "")}


def _collect(part: object, lines: list[str], links: list[dict[str, str]]) -> None:
    if isinstance(part, list):
        for inner in part:
            _collect(inner, lines, links)
    elif isinstance(part, dict):
        if part.get("type") in ("text", "span") and part.get("text"):
            lines.append(str(part["text"]))
        action = part.get("action")
        if isinstance(action, dict) and action.get("label"):
            links.append({name: str(action.get(name, "")) for name in ("label", "uri", "data")})
        for name in ("header", "hero", "body", "footer", "contents"):
            _collect(part.get(name), lines, links)
