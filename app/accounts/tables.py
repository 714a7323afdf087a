"""Rows of sign-in. Sessions and links are found by digest through one function of the database, never by listing."""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from app.platform.columns import instant, optional_instant, recorded_instant
from app.platform.identifiers import new_id


class StaffAccount(SQLModel, table=True):
    """A post in a municipality's office, with its role."""

    __tablename__ = "staff_accounts"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'editor', 'approver', 'administrator')", name="staff_accounts_known_role"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    municipality_code: str = Field(max_length=6, index=True)
    post: str
    role: str = Field(description="viewer, editor, approver or administrator")
    created_at: dt.datetime = recorded_instant()


class WebSession(SQLModel, table=True):
    """A signed-in browser. The cookie holds a random token, the row its digest."""

    __tablename__ = "web_sessions"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    digest: bytes = Field(unique=True)
    household_id: uuid.UUID | None = Field(default=None, foreign_key="households.id", index=True, ondelete="CASCADE")
    guardian: str | None = None
    municipality_code: str = Field(default="", max_length=6)
    staff_id: uuid.UUID | None = Field(default=None, foreign_key="staff_accounts.id", ondelete="CASCADE")
    partner_id: uuid.UUID | None = Field(default=None, foreign_key="partners.id", ondelete="CASCADE")
    created_at: dt.datetime = recorded_instant()
    expires_at: dt.datetime = instant()
    ended_at: dt.datetime | None = optional_instant()


class SignInLink(SQLModel, table=True):
    """A single-use link that opens a session; opening its page consumes nothing, the button on it does."""

    __tablename__ = "sign_in_links"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    digest: bytes = Field(unique=True)
    household_id: uuid.UUID | None = Field(default=None, foreign_key="households.id", ondelete="CASCADE")
    guardian: str | None = None
    municipality_code: str = Field(default="", max_length=6)
    staff_id: uuid.UUID | None = Field(default=None, foreign_key="staff_accounts.id", ondelete="CASCADE")
    partner_id: uuid.UUID | None = Field(default=None, foreign_key="partners.id", ondelete="CASCADE")
    expires_at: dt.datetime = instant()
    used_at: dt.datetime | None = optional_instant()
