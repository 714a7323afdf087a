"""The events partners receive: one schema source for what is sent, for the catalogue, for JSON Schema and OpenAPI.

Events are thin. They say that there is something, how pressing it is and where to open it; never who, when born, how
much income, or why. A sensitive programme appears as a category only. A model here refuses unknown members, so that
nothing more can slip in; the exported schema leaves room for members that later versions add.
"""

import datetime as dt
import uuid
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from app.partners.links import pairwise_notice_id
from app.platform.errors import NotFound
from app.platform.settings import settings

NoticeKind = Literal[
    "new_support", "question", "deadline_reminder", "ending_soon", "moved", "correction", "information", "overview"
]
Urgency = Literal["immediate", "soon", "later", "none"]

IMMEDIATE_DAYS: Final = 7
SOON_DAYS: Final = 30


def _in_utc(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _leave_room(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)


Instant = Annotated[
    AwareDatetime, PlainSerializer(_in_utc, return_type=str), Field(json_schema_extra={"format": "date-time"})
]
SubjectId = Annotated[
    str,
    Field(
        pattern=r"^sub_[0-9a-f]{32}$",
        description="The family, for your app alone: random, and a new one if the family links again.",
    ),
]


class Thin(BaseModel):
    """A part of an event. Members that are not listed are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_leave_room)


class NoticeContent(Thin):
    """What a partner learns of a notice."""

    subject_id: SubjectId
    notice_id: str = Field(
        pattern=r"^ntc_[0-9a-f]{32}$", description="The notice, for your app alone. Stable over its updates."
    )
    programme_id: str | None = Field(
        description="Programme (制度) as in the open data; null if only a category is told."
    )
    category: str | None = Field(
        description="Kind of support, for programmes whose very name says something about a family; otherwise null."
    )
    kind: NoticeKind = Field(description="What sort of notice (お知らせ) it is.")
    urgency: Urgency = Field(
        description="immediate: the deadline is within 7 days; soon: 30 days; later: after that; none: no deadline."
    )
    deadline_on: dt.date | None = Field(description="Last day (in Japan) to act, or null.")
    sequence: int = Field(ge=1, description="Rises with every event of one notice: drop an event older than the last.")
    link: str = Field(
        max_length=500, pattern=r"^https?://", description="Opens the notice for the family, after it has signed in."
    )

    @model_validator(mode="after")
    def _programme_or_category(self) -> "NoticeContent":
        if (self.programme_id is None) == (self.category is None):
            raise ValueError("expected either programme_id or category, and not both")
        return self


class NoticeEnd(Thin):
    """A notice that no longer holds, or whose last useful day has passed. It does not say why."""

    subject_id: SubjectId
    notice_id: str = Field(pattern=r"^ntc_[0-9a-f]{32}$", description="As in notice.created.")
    sequence: int = Field(ge=1, description="As in notice.created.")


class LinkMade(Thin):
    """A family linked your app."""

    subject_id: SubjectId
    linked_at: Instant = Field(description="When.")


class LinkEnded(Thin):
    """A link has ended. Delete what you keep about this subject; nothing more will come for it."""

    subject_id: SubjectId
    revoked_at: Instant = Field(description="When.")


class EndpointEnd(Thin):
    """One of your endpoints no longer receives anything; told to your other endpoints."""

    endpoint_id: uuid.UUID = Field(description="As in the API.")
    reason: str = Field(
        pattern=r"^[a-z_]{1,40}$", description="by_partner, gone (410), failing (five days) or removed."
    )
    disabled_at: Instant = Field(description="When.")


class Ping(Thin):
    """A test that you asked for. It is about nobody."""

    endpoint_id: uuid.UUID = Field(description="The endpoint it was sent to.")


class Event(BaseModel):
    """What every event has."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra=_leave_room, json_schema_serialization_defaults_required=True
    )

    type: str
    timestamp: Instant = Field(description="When it happened (not when it was sent).")


class NoticeCreated(Event):
    """There is something new for a family."""

    type: Literal["notice.created"] = "notice.created"
    data: NoticeContent


class NoticeUpdated(Event):
    """Something about a notice has changed, such as its deadline."""

    type: Literal["notice.updated"] = "notice.updated"
    data: NoticeContent


class NoticeCancelled(Event):
    """A notice no longer holds: take it off the family's screen."""

    type: Literal["notice.cancelled"] = "notice.cancelled"
    data: NoticeEnd


class NoticeExpired(Event):
    """A notice's last useful day has passed: take it off the family's screen."""

    type: Literal["notice.expired"] = "notice.expired"
    data: NoticeEnd


class LinkCreated(Event):
    """A family linked your app."""

    type: Literal["link.created"] = "link.created"
    data: LinkMade


class LinkRevoked(Event):
    """A link has ended."""

    type: Literal["link.revoked"] = "link.revoked"
    data: LinkEnded


class EndpointDisabled(Event):
    """One of your endpoints no longer receives anything."""

    type: Literal["endpoint.disabled"] = "endpoint.disabled"
    data: EndpointEnd


class PingSent(Event):
    """A test that you asked for."""

    type: Literal["test.ping"] = "test.ping"
    data: Ping


def _type_of(model: type[Event]) -> str:
    return str(get_args(model.model_fields["type"].annotation)[0])


#: Every event by its type, in the order of the catalogue.
EVENT_TYPES: Final[dict[str, type[Event]]] = {
    _type_of(model): model
    for model in (
        NoticeCreated,
        NoticeUpdated,
        NoticeCancelled,
        NoticeExpired,
        LinkCreated,
        LinkRevoked,
        EndpointDisabled,
        PingSent,
    )
}


#: Those that nothing sends yet. The catalogue, the portal, OpenAPI and the guide say so of each of them.
PLANNED_EVENT_TYPES: Final[frozenset[str]] = frozenset()


def body_of(event: Event) -> bytes:
    """Return an event as the bytes that are signed and sent: minified JSON in UTF-8."""
    return event.model_dump_json().encode()


def notice_content(
    *,
    subject_id: str,
    notice_id: uuid.UUID,
    programme_id: str | None,
    category: str | None,
    kind: NoticeKind,
    deadline_on: dt.date | None,
    sequence: int,
    today: dt.date,
) -> NoticeContent:
    """Return what one partner learns of a notice.

    Args:
        subject_id: of the live link.
        notice_id: our own; the partner sees its name for the pair, in the link as well.
        programme_id: None for a sensitive programme, which is told as a `category` instead.
        category: None for every other programme.
        kind: of the notice.
        deadline_on: last day in Japan, if there is one.
        sequence: 1 for the first telling of this notice, then rising.
        today: in Japan; decides the urgency.

    Raises:
        ValueError: a part is missing or not of its form (a programmer's mistake: nothing here was typed by a person).
    """
    name = pairwise_notice_id(subject_id, notice_id)
    return NoticeContent(
        subject_id=subject_id,
        notice_id=name,
        programme_id=programme_id,
        category=category,
        kind=kind,
        urgency=urgency_of(deadline_on, today),
        deadline_on=deadline_on,
        sequence=sequence,
        link=f"{settings().public_url.rstrip('/')}/open/{name}",
    )


def notice_created(content: NoticeContent, *, at: dt.datetime) -> bytes:
    """Return the body of `notice.created`; `at` is the release."""
    return body_of(NoticeCreated(timestamp=at, data=content))


def notice_updated(content: NoticeContent, *, at: dt.datetime) -> bytes:
    """Return the body of `notice.updated`; `at` is the change."""
    return body_of(NoticeUpdated(timestamp=at, data=content))


def notice_cancelled(*, subject_id: str, notice_id: uuid.UUID, sequence: int, at: dt.datetime) -> bytes:
    """Return the body of `notice.cancelled`."""
    end = NoticeEnd(subject_id=subject_id, notice_id=pairwise_notice_id(subject_id, notice_id), sequence=sequence)
    return body_of(NoticeCancelled(timestamp=at, data=end))


def notice_expired(*, subject_id: str, notice_id: uuid.UUID, sequence: int, at: dt.datetime) -> bytes:
    """Return the body of `notice.expired`."""
    end = NoticeEnd(subject_id=subject_id, notice_id=pairwise_notice_id(subject_id, notice_id), sequence=sequence)
    return body_of(NoticeExpired(timestamp=at, data=end))


def link_created(*, subject_id: str, at: dt.datetime) -> bytes:
    """Return the body of `link.created`."""
    return body_of(LinkCreated(timestamp=at, data=LinkMade(subject_id=subject_id, linked_at=at)))


def link_revoked(*, subject_id: str, at: dt.datetime) -> bytes:
    """Return the body of `link.revoked`."""
    return body_of(LinkRevoked(timestamp=at, data=LinkEnded(subject_id=subject_id, revoked_at=at)))


def endpoint_disabled(*, endpoint_id: uuid.UUID, reason: str, at: dt.datetime) -> bytes:
    """Return the body of `endpoint.disabled`."""
    end = EndpointEnd(endpoint_id=endpoint_id, reason=reason, disabled_at=at)
    return body_of(EndpointDisabled(timestamp=at, data=end))


def ping(*, endpoint_id: uuid.UUID, at: dt.datetime) -> bytes:
    """Return the body of `test.ping`."""
    return body_of(PingSent(timestamp=at, data=Ping(endpoint_id=endpoint_id)))


def urgency_of(deadline_on: dt.date | None, today: dt.date) -> Urgency:
    """Say how pressing a deadline is on a day in Japan."""
    if deadline_on is None:
        return "none"
    days = (deadline_on - today).days
    if days <= IMMEDIATE_DAYS:
        return "immediate"
    return "soon" if days <= SOON_DAYS else "later"


def json_schema(event_type: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one type of event, with an example.

    Raises:
        NotFound: there is no such type.
    """
    if event_type not in EVENT_TYPES:
        raise NotFound(f"found no event type {event_type!r}; expected one of {', '.join(EVENT_TYPES)}")
    schema = EVENT_TYPES[event_type].model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "examples": [example_of(event_type)],
    }


def example_of(event_type: str) -> dict[str, Any]:
    """Return a fictional event of one type, made by its model."""
    event = EVENT_TYPES[event_type].model_validate({"timestamp": _EXAMPLE_AT, "data": _EXAMPLES[event_type]})
    return event.model_dump(mode="json")


_EXAMPLE_AT: Final = dt.datetime(2026, 11, 24, 0, 5, tzinfo=dt.UTC)
_EXAMPLE_SUBJECT: Final = "sub_5f0c9b1e7a3d4c62b8e9f01234567890"
_EXAMPLE_NOTICE: Final = "ntc_0d8f6b2a4c1e49739a5d7e6f8b0c1d2e"
_EXAMPLE_ENDPOINT: Final = "019ab1f0-7c00-7000-8000-00000000000a"
_EXAMPLE_END: Final = {"subject_id": _EXAMPLE_SUBJECT, "notice_id": _EXAMPLE_NOTICE}
_EXAMPLE_CONTENT: Final = {
    **_EXAMPLE_END,
    "programme_id": "000000/child-allowance",
    "category": None,
    "kind": "new_support",
    "urgency": "soon",
    "deadline_on": "2026-12-07",
    "sequence": 1,
    "link": f"https://todoke.example/open/{_EXAMPLE_NOTICE}",
}
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "notice.created": _EXAMPLE_CONTENT,
    "notice.updated": {**_EXAMPLE_CONTENT, "sequence": 2, "deadline_on": "2026-12-28", "urgency": "later"},
    "notice.cancelled": {**_EXAMPLE_END, "sequence": 3},
    "notice.expired": {**_EXAMPLE_END, "sequence": 4},
    "link.created": {"subject_id": _EXAMPLE_SUBJECT, "linked_at": _EXAMPLE_AT},
    "link.revoked": {"subject_id": _EXAMPLE_SUBJECT, "revoked_at": _EXAMPLE_AT},
    "endpoint.disabled": {"endpoint_id": _EXAMPLE_ENDPOINT, "reason": "gone", "disabled_at": _EXAMPLE_AT},
    "test.ping": {"endpoint_id": _EXAMPLE_ENDPOINT},
}
