"""What the LINE-style platform tells us: signature, reading, and rows that make a second telling the same event.

Reading is tolerant, because new kinds of events and new fields may come at any time; what we do nothing with is not
kept, and the text of a message never is.
"""

import base64
import datetime as dt
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from app.delivery.tables import LineEvent
from app.platform.errors import InvalidInput
from app.platform.identifiers import new_id
from app.platform.sealing import blind_index, seal, unseal

FOLLOW, UNFOLLOW, ACCOUNT_LINK, POSTBACK, MESSAGE = "follow", "unfollow", "accountLink", "postback", "message"
_KINDS: Final = frozenset({FOLLOW, UNFOLLOW, ACCOUNT_LINK, POSTBACK, MESSAGE})
_ONLY_WHEN_ACTIVE: Final = frozenset({POSTBACK, MESSAGE})
_USER: Final = re.compile(r"U[0-9a-f]{32}")
_LONGEST: Final = 400
GIVEN_UP: Final = "failed"
"""Outcome of an event that could not be worked for a day."""


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One event of one user: its kind, when it occurred, and what an action needs of it."""

    webhook_event_id: str
    kind: str
    occurred_at: dt.datetime
    redelivered: bool
    user_id: str = field(repr=False)
    details: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The body of one call: whom it is for, and the events that concern us."""

    destination: str
    events: tuple[IncomingEvent, ...]


def signature_is_right(channel_secret: str, body: bytes, signature: str) -> bool:
    """Compare `x-line-signature` with the raw body, in a time that tells nothing."""
    expected = base64.b64encode(hmac.digest(channel_secret.encode(), body, sha256))
    return hmac.compare_digest(expected, signature.encode())


def read_webhook(body: bytes) -> Webhook:
    """Read a body whose signature was right.

    Raises:
        InvalidInput: it is no JSON object with a destination and events.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    events = content.get("events") if isinstance(content, dict) else None
    destination = content.get("destination") if isinstance(content, dict) else None
    if not isinstance(events, list) or not isinstance(destination, str):
        raise InvalidInput("found a body of another shape; expected an object with destination and events")
    return Webhook(destination, tuple(event for event in map(_read_event, events) if event is not None))


def keep(session: Session, events: Iterable[IncomingEvent]) -> int:
    """Write events that were not told before; return how many. The caller commits and rings `bell.LINE_EVENTS`."""
    rows = [_row(event) for event in events]
    if not rows:
        return 0
    # No target named and nothing returned: who writes here may not read, not even whether an event is there.
    return int(session.execute(insert(LineEvent).values(rows).on_conflict_do_nothing()).rowcount)  # type: ignore[attr-defined]


def content_of(event: LineEvent) -> dict[str, str]:
    """Open what was kept of an event: `user_id`, and by kind `nonce` and `result`, or `data`.

    Raises:
        ValueError: it was worked and forgotten, or changed.
    """
    if event.content_sealed is None:
        raise ValueError(f"line event {event.id} was worked and holds nothing any more")
    content: dict[str, str] = json.loads(unseal(event.content_sealed, "line_events", "content_sealed", event.id))
    return content


def _read_event(raw: object) -> IncomingEvent | None:
    if not isinstance(raw, dict) or raw.get("type") not in _KINDS:
        return None
    source, context = _part(raw, "source"), _part(raw, "deliveryContext")
    event_id, user_id, timestamp = raw.get("webhookEventId"), source.get("userId"), raw.get("timestamp")
    if source.get("type") != "user" or not isinstance(user_id, str) or not _USER.fullmatch(user_id):
        return None
    if not isinstance(event_id, str) or not 1 <= len(event_id) <= 64 or not isinstance(timestamp, int):
        return None
    if raw["type"] in _ONLY_WHEN_ACTIVE and raw.get("mode") == "standby":
        return None  # another module answers this user now
    try:
        occurred_at = dt.datetime.fromtimestamp(timestamp / 1000, dt.UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return IncomingEvent(
        event_id, raw["type"], occurred_at, context.get("isRedelivery") is True, user_id, _details(raw)
    )


def _details(raw: Mapping[str, Any]) -> dict[str, str]:
    link, postback = _part(raw, "link"), _part(raw, "postback")
    named = {
        ACCOUNT_LINK: {"result": link.get("result"), "nonce": link.get("nonce")},
        POSTBACK: {"data": postback.get("data")},
    }.get(str(raw["type"]), {})
    return {name: value[:_LONGEST] for name, value in named.items() if isinstance(value, str)}


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _row(event: IncomingEvent) -> dict[str, object]:
    event_id = new_id()
    content = json.dumps({"user_id": event.user_id, **event.details}, ensure_ascii=False)
    return {
        "id": event_id,
        "webhook_event_id": event.webhook_event_id,
        "kind": event.kind,
        "user_index": blind_index(event.user_id, "line"),
        "occurred_at": event.occurred_at,
        "redelivered": event.redelivered,
        "content_sealed": seal(content, "line_events", "content_sealed", event_id),
        "tries": 0,
    }
