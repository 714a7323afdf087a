"""Consent (同意) by purpose, recipient and set of items; refusals are recorded too.

The fields follow ISO/IEC TS 27560. Basis: 個人情報の保護に関する法律 17, 18, 20, 27条.
"""

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from sqlmodel import Session, col, select

from app.households.gate import locked_gate
from app.households.tables import Consent, ConsentEvent, Household
from app.platform import clock
from app.platform.change_queue import household_changed
from app.platform.errors import InvalidInput, NotFound
from app.platform.settings import settings

TODOKE = "todoke"
"""Recipient of what stays with us; a partner's id where data goes to its app."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose that can be agreed to on its own, and the items it covers."""

    id: str
    items: tuple[str, ...]

    @property
    def category(self) -> str | None:
        """The category of facts that matching may see under this purpose."""
        kind, _, category = self.id.partition(":")
        return category if kind == "matching" else None


PURPOSES = (
    Purpose("matching:basic", ("municipality", "birth_date", "due_date", "household_members", "residence")),
    Purpose("matching:income", ("income", "dependants", "residence_tax", "public_assistance")),
    Purpose("matching:disability_health", ("disability_grade", "health")),
    Purpose("matching:single_parent", ("single_parent",)),
    Purpose("matching:school", ("school", "childcare")),
    Purpose("channel:email", ("email_address",)),
    Purpose("channel:line", ("line_user_id",)),
    Purpose("share:partner", ("programme", "deadline", "link")),
)
_CLOSED = ("withdrawn", "refused")
"""States of an answer that was a yes perhaps, and is none any more."""
_BY_ID = {purpose.id: purpose for purpose in PURPOSES}


@lru_cache
def texts(language: str = "ja") -> dict[str, Any]:
    """Return the consent texts as shown: `version` and, by purpose, `title`, `text` and what `stops`."""
    path = settings().template_directory / "consent" / f"{language}.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def give(
    session: Session,
    household_id: uuid.UUID,
    purposes: Sequence[str],
    *,
    language: str,
    by: str,
    source: str,
    recipient: str = TODOKE,
) -> list[Consent]:
    """Record that the purposes were agreed to; an earlier answer for the same recipient is replaced."""
    return _answer(session, household_id, purposes, "given", language, by, source, recipient)


def refuse(
    session: Session,
    household_id: uuid.UUID,
    purposes: Sequence[str],
    *,
    language: str,
    by: str,
    source: str,
    recipient: str = TODOKE,
) -> list[Consent]:
    """Record that the purposes were asked for and refused."""
    return _answer(session, household_id, purposes, "refused", language, by, source, recipient)


def current(session: Session, household_id: uuid.UUID, recipient: str | None = None) -> dict[str, Consent]:
    """Return the latest answer by purpose; with a recipient only its own."""
    found: dict[str, Consent] = {}
    for row in _rows(session, household_id):
        if recipient is None or row.recipient == recipient:
            found[row.purpose] = row
    return found


def given_categories(consents: Iterable[Consent], now: dt.datetime) -> frozenset[str]:
    """Return the categories of facts that matching may see at an instant."""
    return categories_of(row.purpose for row in consents if is_given(row, now))


def categories_of(purposes: Iterable[str]) -> frozenset[str]:
    """Return the categories of facts that agreed purposes open to matching."""
    found = (_BY_ID[purpose].category for purpose in purposes if purpose in _BY_ID)
    return frozenset(category for category in found if category is not None)


def categories_at(session: Session, household_id: uuid.UUID, at: dt.datetime) -> frozenset[str]:
    """Return the categories of facts that matching might see at an instant, from the append-only steps of consent."""
    steps = session.exec(
        select(ConsentEvent)
        .where(ConsentEvent.household_id == household_id, ConsentEvent.at <= at)
        .order_by(ConsentEvent.at, ConsentEvent.id)  # type: ignore[arg-type]
    )
    state_of = {step.consent_id: step.state for step in steps}
    return categories_of(
        row.purpose
        for row in _rows(session, household_id)
        if state_of.get(row.id) == "given" and (row.expires_at is None or at < row.expires_at)
    )


def taken_back_at(session: Session, consents: Iterable[Consent]) -> dict[uuid.UUID, dict[str, dt.datetime]]:
    """Return, by household, since when categories of facts that matching once saw are closed to it again.

    Args:
        session: in a context that sees the consents.
        consents: as they stand now; a category that is open, or was never opened, is left out.
    """
    closed = {row.id: row for row in consents if row.state in _CLOSED and categories_of([row.purpose])}
    if not closed:
        return {}
    steps = session.exec(
        select(ConsentEvent)
        .where(col(ConsentEvent.consent_id).in_(closed))
        .order_by(col(ConsentEvent.at), col(ConsentEvent.id))
    )
    found: dict[uuid.UUID, dict[str, dt.datetime]] = {}
    open_now: set[uuid.UUID] = set()
    for step in steps:
        if step.state == "given":
            open_now.add(step.consent_id)
        elif step.consent_id in open_now:
            open_now.remove(step.consent_id)
            (category,) = categories_of([closed[step.consent_id].purpose])
            found.setdefault(step.household_id, {})[category] = step.at
    return found


def is_given(row: Consent | None, now: dt.datetime) -> bool:
    """Whether an answer is a yes that has started and not run out."""
    return (
        row is not None
        and row.state == "given"
        and row.starts_at <= now
        and (row.expires_at is None or now < row.expires_at)
    )


def withdraw(
    session: Session,
    household_id: uuid.UUID,
    purposes: Sequence[str] | None,
    *,
    by: str,
    via: str,
    recipient: str | None = None,
) -> None:
    """Withdraw purposes (None = all that were given) and raise the consent epoch: work queued before may not go out.

    With a recipient only what was given to that one; either guardian may withdraw what the other one gave.
    """
    household = locked_gate(session, household_id)
    for row in _rows(session, household_id):
        named = purposes is None or row.purpose in purposes
        if row.state == "given" and named and recipient in (None, row.recipient):
            row.state = "withdrawn"
            session.add(row)
            session.add(_step(row, by, via))
    household.consent_epoch += 1
    session.add(household)
    household_changed(session, household_id, household.municipality_code, "consent withdrawn")


def new_answer(household: Household, purpose_id: str, recipient: str = TODOKE) -> Consent:
    """Return an empty answer to a purpose, to be filled by `record_answer`.

    Raises:
        InvalidInput: no such purpose.
    """
    purpose = _BY_ID.get(purpose_id)
    if purpose is None:
        raise InvalidInput(f"unknown purpose {purpose_id!r}; expected one of {', '.join(_BY_ID)}", field="purpose")
    return Consent(
        household_id=household.id,
        municipality_code=household.municipality_code,
        purpose=purpose_id,
        recipient=recipient,
        items=list(purpose.items),
        text_version="",
        text_language="",
        text_sha256="",
        source="",
        given_by="",
        state="requested",
        starts_at=clock.now(),
        withdrawal="/consent",
    )


def record_answer(row: Consent, state: str, *, language: str, by: str, source: str) -> ConsentEvent:
    """Fill in an answer with the text that was shown; return the step to append to its history."""
    shown = texts(language)
    row.text_version, row.text_language = shown["version"], language
    row.text_sha256 = hashlib.sha256(shown["purposes"][row.purpose]["text"].encode()).hexdigest()
    row.state, row.source, row.given_by, row.starts_at = state, source, by, clock.now()
    return _step(row, by, source)


def _answer(
    session: Session,
    household_id: uuid.UUID,
    purposes: Sequence[str],
    state: str,
    language: str,
    by: str,
    source: str,
    recipient: str,
) -> list[Consent]:
    # The gate first: of a yes and a withdrawal at the same moment the yes comes before or after, never over it.
    household = session.exec(
        select(Household).where(Household.id == household_id).with_for_update(key_share=True)
    ).one_or_none()
    if household is None:
        raise NotFound("this household is not stored, or not visible here")
    earlier = current(session, household_id, recipient)
    answered = [earlier.get(purpose_id) or new_answer(household, purpose_id, recipient) for purpose_id in purposes]
    steps = [record_answer(row, state, language=language, by=by, source=source) for row in answered]
    session.add_all(answered)
    session.flush()
    session.add_all(steps)
    household_changed(session, household_id, household.municipality_code, "consent")
    return answered


def _rows(session: Session, household_id: uuid.UUID) -> list[Consent]:
    statement = select(Consent).where(Consent.household_id == household_id).order_by(Consent.id)  # type: ignore[arg-type]
    return list(session.exec(statement.execution_options(populate_existing=True)))


def _step(row: Consent, by: str, via: str) -> ConsentEvent:
    return ConsentEvent(
        consent_id=row.id,
        household_id=row.household_id,
        municipality_code=row.municipality_code,
        state=row.state,
        by=by,
        via=via,
        at=clock.now(),
    )
