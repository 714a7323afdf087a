"""Rows of partner apps. A partner sees its own rows in its own context; a household sees its links in its own."""

import datetime as dt
import uuid

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id


class Partner(SQLModel, table=True):
    """A company or body that runs an app for parents."""

    __tablename__ = "partners"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    name: str
    app_name: str
    contact_sealed: bytes | None = Field(default=None, description="e-mail address of the technical contact")
    created_at: dt.datetime = recorded_instant()


class PartnerEndpoint(SQLModel, table=True):
    """An address that receives signed events."""

    __tablename__ = "partner_endpoints"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    partner_id: uuid.UUID = Field(foreign_key="partners.id", index=True, ondelete="CASCADE")
    url: str
    secret_sealed: bytes
    previous_secret_sealed: bytes | None = None
    previous_secret_until: dt.datetime | None = optional_instant()
    signing: str = Field(default="hmac", description="hmac, ed25519 or both")
    signing_key_sealed: bytes | None = Field(default=None, description="whsk_…, once Ed25519 was asked for")
    previous_signing_key_sealed: bytes | None = None
    previous_signing_key_until: dt.datetime | None = optional_instant()
    event_types: list[str] = Field(default_factory=list, sa_type=JSONB, description="empty = all")
    requests_a_second: int | None = Field(default=None, description="null = as fast as it answers")
    most_in_flight: int | None = Field(default=None, description="requests open at once; null = as many as it earns")
    disabled_at: dt.datetime | None = optional_instant()
    disabled_reason: str | None = Field(default=None, description="by_partner, gone, failing, removed …")
    test_delivery_id: uuid.UUID | None = Field(default=None, description="the test ping that enables it again")
    testing_until: dt.datetime | None = optional_instant()
    removed_at: dt.datetime | None = optional_instant()
    created_at: dt.datetime = recorded_instant()


class PartnerCredential(SQLModel, table=True):
    """A key with which a partner's server calls the API; only its digest is kept."""

    __tablename__ = "partner_credentials"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    partner_id: uuid.UUID = Field(foreign_key="partners.id", index=True, ondelete="CASCADE")
    prefix: str
    digest: bytes = Field(unique=True)
    created_at: dt.datetime = recorded_instant()
    revoked_at: dt.datetime | None = optional_instant()


class PartnerLink(SQLModel, table=True):
    """One family lets one partner app receive its events, under a random subject id of that pair alone."""

    __tablename__ = "partner_links"
    __table_args__ = (
        Index(
            "partner_links_live",
            "partner_id",
            "household_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    partner_id: uuid.UUID = Field(foreign_key="partners.id", index=True, ondelete="CASCADE")
    household_id: uuid.UUID = Field(foreign_key="households.id", index=True, ondelete="CASCADE")
    municipality_code: str = Field(max_length=6)
    subject_id: str = Field(unique=True, description="pairwise and random; a new one after re-linking")
    linked_at: dt.datetime = instant()
    revoked_at: dt.datetime | None = optional_instant()


class IdempotencyKey(SQLModel, table=True):
    """What a POST with an `Idempotency-Key` was answered; the answer may hold a secret, so it is sealed."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("partner_id", "key", name="idempotency_keys_once"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    partner_id: uuid.UUID = Field(foreign_key="partners.id", ondelete="CASCADE")
    key: str = Field(max_length=200)
    fingerprint: bytes = Field(description="SHA-256 of method, path and body")
    status_code: int | None = None
    answer_sealed: bytes | None = None
    used_at: dt.datetime = instant()
