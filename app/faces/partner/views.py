"""What the API takes and shows. Every answer is one of these; a row never leaves as it is."""

import datetime as dt
import uuid
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from app.delivery.recovery import Recovered
from app.delivery.tables import Delivery, DeliveryAttempt, EndpointReplay
from app.partners import endpoint_keys, endpoints
from app.partners.endpoint_keys import Signing
from app.partners.tables import PartnerEndpoint
from app.platform.clock import real_now
from app.platform.outbound import LONGEST_URL
from app.web.problems import promised_problem


def _in_utc(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[
    AwareDatetime, PlainSerializer(_in_utc, return_type=str), Field(json_schema_extra={"format": "date-time"})
]
State = Literal["scheduled", "sending", "retrying", "delivered", "accepted", "failed", "expired", "cancelled"]
Cursor = Annotated[uuid.UUID | None, Field(description="Give it as `cursor` for the next page; null on the last one.")]
WAITING = ("scheduled", "retrying")
EventTypes = Annotated[
    list[str], Field(max_length=50, description="Types of events that it wants; empty means all of them.")
]


RequestsASecond = Annotated[
    int,
    Field(ge=0, le=endpoints.MOST_REQUESTS_A_SECOND, description="Its pace; 0: no limit, as fast as it answers."),
]
MostInFlight = Annotated[
    int,
    Field(
        ge=0,
        le=endpoints.MOST_IN_FLIGHT,
        description=f"Requests open at once; 0: as many as it earns, up to {endpoints.MOST_IN_FLIGHT}.",
    ),
]
Since = Annotated[
    str,
    Field(
        pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-][01][0-9]:[0-5][0-9])$",
        description="An instant with its time zone, 14 days back at most.",
        examples=["2026-11-20T09:00:00+09:00"],
    ),
]
SigningChosen = Annotated[
    Signing, Field(description="What signs: a shared secret (hmac, v1), our Ed25519 key (ed25519, v1a), or both.")
]


class Taken(BaseModel):
    """A request body. An unknown member is refused, so that a typing error does not go unnoticed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewEndpoint(Taken):
    """An endpoint to register."""

    url: str = Field(
        max_length=LONGEST_URL,
        description="https, on port 443 or 8443, with a public address, without user name and without #.",
        examples=["https://hooks.example.jp/todoke"],
    )
    event_types: EventTypes = []
    signing: SigningChosen = "hmac"
    requests_a_second: RequestsASecond = 0
    most_in_flight: MostInFlight = 0


class EndpointChange(Taken):
    """What to change of an endpoint. Members that are missing or null stay as they are."""

    url: str | None = Field(default=None, max_length=LONGEST_URL, description="As for a new endpoint.")
    event_types: EventTypes | None = None
    signing: SigningChosen | None = None
    requests_a_second: RequestsASecond | None = None
    most_in_flight: MostInFlight | None = None
    enabled: bool | None = Field(
        default=None,
        description="false stops sending. true resumes what you stopped; what failed or answered 410 is sent a "
        "test.ping first (state: testing) and is enabled by a 2xx.",
    )


class RotationWanted(Taken):
    """How to rotate the secret, or the Ed25519 key."""

    immediately: bool = Field(
        default=False, description="true ends every old one at once (it leaked); false lets it sign for 24 h more."
    )


class SinceWanted(Taken):
    """Since when."""

    since: Since


class PublicKeyView(BaseModel):
    """A public key that verifies our v1a signatures."""

    key: str = Field(pattern="^whpk_", description="whpk_ and the 32 bytes of an Ed25519 public key in base64.")
    until: Instant | None = Field(description="During a rotation: until when the old key signs; null for the new one.")


class EndpointView(BaseModel):
    """An endpoint."""

    id: uuid.UUID
    url: str
    event_types: EventTypes
    enabled: bool
    state: endpoints.State = Field(description="testing: disabled, and a test.ping is on its way that may enable it.")
    disabled_at: Instant | None
    disabled_reason: str | None = Field(description="by_partner, gone (410), failing (five days) …")
    previous_secret_until: Instant | None = Field(description="During a rotation: until when the old secret signs.")
    signing: SigningChosen
    public_keys: list[PublicKeyView] = Field(description="Newest first, two during a rotation; none for hmac.")
    requests_a_second: RequestsASecond
    most_in_flight: MostInFlight
    created_at: Instant

    @classmethod
    def of(cls, row: PartnerEndpoint) -> "EndpointView":
        """Show a row."""
        at = real_now()
        return cls(
            id=row.id,
            url=row.url,
            event_types=row.event_types,
            enabled=row.disabled_at is None,
            state=endpoints.state_of(row, at),
            signing=row.signing,  # type: ignore[arg-type]  # the column holds nothing else
            public_keys=[PublicKeyView(key=key.key, until=key.until) for key in endpoint_keys.public_keys(row, at)],
            requests_a_second=row.requests_a_second or 0,
            most_in_flight=row.most_in_flight or 0,
            disabled_at=row.disabled_at,
            disabled_reason=row.disabled_reason,
            previous_secret_until=row.previous_secret_until,
            created_at=row.created_at,
        )


class EndpointWithSecret(BaseModel):
    """An endpoint and its new secret. The secret is shown this once."""

    endpoint: EndpointView
    secret: str = Field(pattern="^whsec_", description="Key of the webhook-signature, as in Standard Webhooks 1.0.")


class EndpointList(BaseModel):
    """All endpoints, oldest first."""

    endpoints: list[EndpointView]


class DeliveryMade(BaseModel):
    """A delivery that was queued."""

    delivery_id: uuid.UUID


class DeliveryView(BaseModel):
    """One event on its way to one endpoint."""

    id: uuid.UUID
    endpoint_id: uuid.UUID
    webhook_id: str = Field(description="The same over retries and resends.")
    event_type: str
    state: State
    requests: int = Field(description="Requests made so far.")
    next_attempt_at: Instant | None = Field(description="While it waits: when it is due.")
    expires_at: Instant | None = Field(description="When it loses its meaning and is no longer sent.")
    last_error: str | None
    created_at: Instant
    finished_at: Instant | None

    @classmethod
    def of(cls, row: Delivery) -> "DeliveryView":
        """Show a row."""
        return cls.model_validate(
            row.model_dump()
            | {
                "webhook_id": row.event_id,
                "next_attempt_at": row.next_attempt_at if row.state in WAITING else None,
            }
        )


class DeliveryWithBody(DeliveryView):
    """A delivery and what it said."""

    body: str | None = Field(
        description="The exact bytes that were signed, as text; null if nothing was sent yet, or it was stopped."
    )


class DeliveryPage(BaseModel):
    """Deliveries, newest first."""

    deliveries: list[DeliveryView]
    next_cursor: Cursor


class AttemptView(BaseModel):
    """One request as it went. Kept for 30 days."""

    id: uuid.UUID
    number: int
    started_at: Instant
    milliseconds: int
    outcome: str = Field(description="delivered, retry, throttled, endpoint_gone, target_blocked …")
    status_code: int | None = Field(description="Of the HTTP answer; null if there was none.")
    error: str | None = Field(description="A short stable name such as timeout, connect or http_500.")
    response_excerpt: str | None = Field(description="At most 4,096 characters of your answer.")

    @classmethod
    def of(cls, row: DeliveryAttempt) -> "AttemptView":
        """Show a row."""
        return cls.model_validate(row.model_dump())


class AttemptPage(BaseModel):
    """Attempts, oldest first."""

    attempts: list[AttemptView]
    next_cursor: Cursor


class RecoveryView(BaseModel):
    """What one recovery did."""

    queued: int = Field(description="Failed deliveries that are on their way again.")
    left: int = Field(description="There were more than 10,000: call again for these.")
    expired: int = Field(description="Lost their meaning and stay unsent.")
    stopped: int = Field(
        description="Stopped by the family, by a protection measure or by the end of a link: stay unsent."
    )

    @classmethod
    def of(cls, done: Recovered) -> "RecoveryView":
        """Show what was done."""
        return cls(queued=done.queued, left=done.left, expired=done.expired, stopped=done.stopped)


class ReplayView(BaseModel):
    """A replay: how far it is, and what it did."""

    id: uuid.UUID
    endpoint_id: uuid.UUID
    since: Instant
    asked_at: Instant
    finished_at: Instant | None = Field(description="null while it is open.")
    queued: int = Field(description="Events queued so far that the endpoint was never told.")
    outcome: str | None = Field(
        description="complete; limit_reached (10,000: ask again); postponed (families are being evaluated just now, it "
        "goes on by itself while finished_at is null); endpoint_disabled. null before the first look."
    )

    @classmethod
    def of(cls, row: EndpointReplay) -> "ReplayView":
        """Show a row. How many families were looked at is not shown: it would count those that are protected."""
        return cls.model_validate(row.model_dump())


class ContactWanted(Taken):
    """Who is to be the technical contact."""

    email: str = Field(max_length=254, description="One e-mail address; better a team's than a person's.")


class ContactView(BaseModel):
    """The technical contact: it hears when an endpoint fails, was disabled, or works again."""

    email: str | None = Field(description="null: none was given yet.")


class ContactAsked(BaseModel):
    """A mail is on its way to a new technical contact."""

    asked: str = Field(description="The address in its normal form; it counts once the link was followed, in 24 hours.")


class EventTypeView(BaseModel):
    """A type of event."""

    type: str
    planned: bool = Field(description="true: still to come, nothing sends it yet.")
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema (2020-12) of the body.")
    example: dict[str, Any] = Field(description="A fictional body.")


class EventTypeList(BaseModel):
    """The catalogue of events."""

    event_types: list[EventTypeView]


#: The errors of every route that needs a key.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: promised_problem("No key, or not a live one."),
    422: promised_problem("Something in the request is wrong."),
    429: promised_problem("Too many requests; wait as long as Retry-After says."),
}
NO_JSON: dict[int | str, dict[str, Any]] = {400: promised_problem("The body is not UTF-8 text.")}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: promised_problem("There is no such thing, or it is not yours.")}
CONFLICT: dict[int | str, dict[str, Any]] = {409: promised_problem("The state of the thing does not allow it.")}
