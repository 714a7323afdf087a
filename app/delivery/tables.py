"""Rows of delivery: the outbox, its attempts, and the health of endpoints."""

import datetime as dt
import uuid

from sqlalchemy import Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

import app.platform.halts  # noqa: F401 - a delivery refers to a row of its table
from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id


class Delivery(SQLModel, table=True):
    """One message on its way through one channel. This table is the only backlog.

    `message_sealed` is the finished message (JSON), sealed for this row; `target` says what a worker needs to reach
    the receiver: an endpoint's id, or the sealed address.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "deliveries_due",
            "queue",
            "state",
            "next_attempt_at",
            postgresql_where=text("state IN ('scheduled', 'sending', 'retrying')"),
        ),
        Index(
            "deliveries_ended_badly",
            "endpoint_id",
            "finished_at",
            postgresql_where=text("state IN ('failed', 'cancelled', 'expired')"),
        ),
        Index("deliveries_household", "household_id", postgresql_where=text("household_id IS NOT NULL")),
        Index("deliveries_partner", "partner_id", "id"),
        Index(
            "deliveries_to_owners",
            "partner_id",
            "created_at",
            postgresql_where=text("lane = 'transactional' AND partner_id IS NOT NULL"),
        ),
        Index("deliveries_halted", "halt_id", postgresql_where=text("halt_id IS NOT NULL")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    dedupe_key: str = Field(unique=True, description="what makes this message the same one however often it is planned")
    lane: str = Field(description="notice, transactional or event")
    channel: str = Field(description="webhook, email or line")
    queue: str = Field(
        description="whom the claim is fair to: webhook:<endpoint>; email or line with :<lane> or :urgent"
    )
    household_id: uuid.UUID | None = Field(default=None, foreign_key="households.id", ondelete="CASCADE")
    municipality_code: str = Field(default="", max_length=6)
    partner_id: uuid.UUID | None = Field(default=None, foreign_key="partners.id", ondelete="CASCADE")
    endpoint_id: uuid.UUID | None = Field(default=None, foreign_key="partner_endpoints.id", ondelete="CASCADE")
    contact_point_id: uuid.UUID | None = Field(default=None, foreign_key="contact_points.id", ondelete="CASCADE")
    contact_confirmed_at: dt.datetime | None = optional_instant()
    """Since when the contact counts as this person's own; a code that confirms the contact itself carries the instant
    at which it was asked for."""
    address_sealed: bytes | None = None
    notice_ids: list[uuid.UUID] = Field(default_factory=list, sa_type=ARRAY(Uuid))
    subjects: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    programme_keys: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    event_id: str = Field(description="webhook-id: the same over retries and replays")
    event_type: str
    message_sealed: bytes
    consent_epoch: int | None = None
    state: str = Field(default="scheduled", description="scheduled, sending, delivered, accepted, retrying, failed …")
    next_attempt_at: dt.datetime = instant()
    expires_at: dt.datetime | None = optional_instant()
    lease_until: dt.datetime | None = optional_instant()
    claim_token: uuid.UUID | None = None
    claimed_by: int | None = Field(default=None, description="number of the process; see app.delivery.presence")
    halt_id: uuid.UUID | None = Field(default=None, foreign_key="halts.id", description="waits until this halt ends")
    stop_reason: str | None = Field(default=None, description="set while sending: it may not be tried again")
    """Of a row that ended unheard: its notices are still to be looked at again; emptied by whoever does."""
    first_attempted_at: dt.datetime | None = optional_instant()
    requests: int = Field(default=0, description="requests started, whatever became of them")
    retries: int = Field(default=0, description="steps of the retry schedule used up")
    losses: int = Field(default=0, description="workers that ended or froze with it since its last result")
    last_error: str | None = None
    resent_at: dt.datetime | None = optional_instant()
    """When it was asked for again: what it says may have ended since, so the claim looks once more."""
    created_at: dt.datetime = recorded_instant()
    finished_at: dt.datetime | None = optional_instant()


class DeliveryAttempt(SQLModel, table=True):
    """One request as it went: kept thirty days."""

    __tablename__ = "delivery_attempts"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    delivery_id: uuid.UUID = Field(foreign_key="deliveries.id", index=True, ondelete="CASCADE")
    household_id: uuid.UUID | None = None
    municipality_code: str = Field(default="", max_length=6)
    partner_id: uuid.UUID | None = None
    number: int
    started_at: dt.datetime = instant()
    milliseconds: int
    outcome: str
    status_code: int | None = None
    error: str | None = None
    response_excerpt: str | None = None


class EndpointHealth(SQLModel, table=True):
    """How an endpoint has answered lately: pause, breaker, since when it fails, its bucket, what its owner was told."""

    __tablename__ = "endpoint_health"

    endpoint_id: uuid.UUID = Field(foreign_key="partner_endpoints.id", primary_key=True, ondelete="CASCADE")
    partner_id: uuid.UUID = Field(foreign_key="partners.id", ondelete="CASCADE")
    window_started_at: dt.datetime | None = optional_instant()
    window_requests: int = 0
    window_failures: int = 0
    paused_until: dt.datetime | None = optional_instant()
    breaker: str = Field(default="closed", description="closed, open or half_open")
    failing_since: dt.datetime | None = optional_instant()
    last_error: str | None = Field(default=None, description="of the last failure, such as timeout or http_500")
    tokens: float | None = Field(default=None, description="requests it may be sent at tokens_at; null = a full bucket")
    tokens_at: dt.datetime | None = optional_instant()
    owner_told: str | None = Field(
        default=None, description="last mail of this failure: hour, day, four_days, disabled"
    )
    working_since: dt.datetime | None = optional_instant()
    """Since when it works again after its owner was told of a failure."""


class EndpointReplay(SQLModel, table=True):
    """A partner's wish to be told what an endpoint was never told; worked off by the workers."""

    __tablename__ = "endpoint_replays"
    __table_args__ = (Index("endpoint_replays_open", "asked_at", postgresql_where=text("finished_at IS NULL")),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    partner_id: uuid.UUID = Field(foreign_key="partners.id", ondelete="CASCADE")
    endpoint_id: uuid.UUID = Field(foreign_key="partner_endpoints.id", index=True, ondelete="CASCADE")
    since: dt.datetime = instant()
    asked_at: dt.datetime = instant()
    worked_at: dt.datetime | None = optional_instant()
    finished_at: dt.datetime | None = optional_instant()
    households: int = Field(default=0, description="looked at so far")
    queued: int = Field(default=0, description="events queued so far")
    postponed: int = Field(default=0, description="households that were being evaluated at the last look")
    outcome: str | None = Field(default=None, description="complete, limit_reached, postponed or endpoint_disabled")


class ChannelHealth(SQLModel, table=True):
    """How a channel as a whole stands, the same for all processes: pause, rate, what the month still allows.

    Only LINE-style push has a row so far. All instants are real time, months are those of Japan (`2026-11`).
    """

    __tablename__ = "channel_health"

    channel: str = Field(primary_key=True)
    paused_until: dt.datetime | None = optional_instant()
    pause_reason: str | None = None
    refusals: int = Field(default=0, description="answers in a row that were no success; a pause grows with them")
    tokens: float = Field(default=0, description="requests that may begin at once, as of refilled_at; may be owed")
    refilled_at: dt.datetime | None = optional_instant()
    quota_limit: int | None = Field(default=None, description="recipients a month; empty where there is no limit")
    quota_used: int = Field(default=0, description="of quota_month, as read and counted since")
    quota_month: str | None = None
    quota_read_at: dt.datetime | None = optional_instant()
    used_up_month: str | None = Field(default=None, description="the month in which the API said that it is used up")
    refused_since: dt.datetime | None = optional_instant()
    """First of the answers in a row that were no success; empty where the last one was."""


class LineEvent(SQLModel, table=True):
    """One event that the LINE-style platform told us: kept until it is worked, then only that it was.

    `content_sealed` holds the user id and what an action needs, never the text of a message.
    """

    __tablename__ = "line_events"
    __table_args__ = (Index("line_events_open", "occurred_at", postgresql_where=text("worked_at IS NULL")),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    webhook_event_id: str = Field(unique=True, max_length=64, description="makes a second telling the same event")
    kind: str
    user_index: bytes = Field(index=True, description="blind index of the user")
    occurred_at: dt.datetime = instant()
    redelivered: bool = False
    content_sealed: bytes | None = None
    received_at: dt.datetime = recorded_instant()
    tries: int = 0
    worked_at: dt.datetime | None = optional_instant()
    outcome: str | None = None
