"""What `/staff/api/v1` takes and gives: closed shapes, so that a misspelt key is refused."""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.registry.lifecycle import Publication
from app.registry.loading import Registry
from app.registry.tables import ProgrammeDraft, ProgrammeVersionRow
from app.registry.upkeep import Decision


class Wanted(BaseModel):
    """A request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class DraftInput(Wanted):
    """A draft to save: the whole document, or with `based_on` what differs from the template."""

    document: dict[str, Any]
    comment: str | None = Field(default=None, max_length=2000)


class ReturnComment(Wanted):
    """Why a draft is given back."""

    comment: str = Field(max_length=2000)


class Retirement(Wanted):
    """A programme's last day, and why it ends."""

    last_day: dt.date
    reason: str = Field(max_length=2000)


class RollBack(Wanted):
    """The version of the history whose contents come back, from which day until which, and why."""

    version_id: uuid.UUID
    reason: str = Field(max_length=2000)
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None


class TemplateAdoption(Wanted):
    """A day on which the changed template counts."""

    on: dt.date


class UpkeepChoice(Wanted):
    """What is decided about a row of the list of a day (today, where none is given)."""

    subject: str
    due_on: dt.date
    decision: Decision
    note: str | None = Field(default=None, max_length=2000)
    on: dt.date | None = None


class DraftView(BaseModel):
    """A draft as it stands."""

    id: uuid.UUID
    programme: str
    valid_from: dt.date
    kind: str
    state: str
    revision: int
    ends_on: dt.date | None
    authors: list[uuid.UUID]
    approver: uuid.UUID | None
    comment: str | None
    template_sha256: str | None
    changed_at: dt.datetime
    document: dict[str, Any]

    @classmethod
    def of(cls, draft: ProgrammeDraft) -> "DraftView":
        """Show a row."""
        return cls(
            id=draft.id,
            programme=draft.programme_key,
            valid_from=draft.valid_from,
            kind=draft.kind,
            state=draft.state,
            revision=draft.revision,
            ends_on=draft.ends_on,
            authors=draft.author_ids,
            approver=draft.approver_id,
            comment=draft.comment,
            template_sha256=draft.template_sha256,
            changed_at=draft.changed_at,
            document=draft.document,
        )


class PublicationView(BaseModel):
    """What an approval wrote: first days of versions, of those that end earlier because of it, and of those dropped."""

    draft: uuid.UUID
    programme: str
    written: Sequence[str]
    shortened: Sequence[str]
    dropped: Sequence[str]

    @classmethod
    def of(cls, done: Publication) -> "PublicationView":
        """Show what was published."""
        return cls(
            draft=done.draft.id,
            programme=done.draft.programme_key,
            written=done.written,
            shortened=done.shortened,
            dropped=done.dropped,
        )


def programme_document(registry: Registry, key: str) -> dict[str, Any]:
    """Return a published programme in short: its key, names, and the days of its versions."""
    versions = registry.programmes[key]
    return {
        "key": key,
        "name": versions[-1].name.model_dump(by_alias=True, exclude_none=True),
        "based_on": versions[-1].based_on,
        "versions": [
            {"from": one.valid.from_, "until": one.valid.until, "certainty": one.certainty} for one in versions
        ],
    }


def version_document(row: ProgrammeVersionRow) -> dict[str, Any]:
    """Return one row of a programme's history, without its document."""
    names = ("id", "valid_from", "valid_until", "kind", "sha256", "reason", "approver_id", "known_from", "known_until")
    return {name: getattr(row, name) for name in names}
