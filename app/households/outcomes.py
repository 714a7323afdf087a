"""What became of a support, in the family's own words; reminders stop the moment it is said."""

import uuid

from sqlmodel import Session, select

from app.households.tables import Household, Outcome
from app.platform import clock
from app.platform.change_queue import household_changed
from app.platform.errors import InvalidInput, NotFound

_DONE = {
    "cash": ("applied", "already_receiving"),
    "reduction": ("applied", "already_receiving"),
    "in_kind": ("applied", "already_receiving"),
    "procedure": ("filed",),
    "vaccination": ("vaccinated", "booked"),
    "checkup": ("attended", "booked"),
    "service": ("applied", "already_receiving"),
}
_ALWAYS = ("did_not_work", "told_not_eligible", "not_wanted", "later")
CLOSING = frozenset(
    {"applied", "already_receiving", "filed", "vaccinated", "attended", "told_not_eligible", "not_wanted"}
)
"""Outcomes after which nobody is reminded any more."""
ALL_OUTCOMES = frozenset(outcome for choices in _DONE.values() for outcome in choices) | frozenset(_ALWAYS)


def outcome_choices(kind: str) -> tuple[str, ...]:
    """Return the outcomes offered for a kind of programme, the hoped-for ones first."""
    return _DONE.get(kind, ("applied",)) + _ALWAYS


def record_outcome(
    session: Session,
    household_id: uuid.UUID,
    programme_key: str,
    subject: str,
    outcome: str,
    *,
    by: str,
    reason: str | None = None,
) -> Outcome:
    """Record what became of a support. Saying the same twice is one row.

    Raises:
        InvalidInput: an outcome that does not exist.
    """
    if outcome not in ALL_OUTCOMES:
        raise InvalidInput(f"unknown outcome {outcome!r}; expected one of {', '.join(sorted(ALL_OUTCOMES))}")
    household = session.get(Household, household_id)
    if household is None:
        raise NotFound("this household is not stored, or not visible here")
    for row in current_outcomes(session, household_id):
        if (row.programme_key, row.subject) == (programme_key, subject):
            if row.outcome == outcome:
                return row
            undo_outcome(session, row.id)
    row = Outcome(
        household_id=household_id,
        municipality_code=household.municipality_code,
        programme_key=programme_key,
        subject=subject,
        outcome=outcome,
        reason=reason,
        by=by,
        at=clock.now(),
    )
    session.add(row)
    household_changed(session, household_id, household.municipality_code, "outcome")
    return row


def undo_outcome(session: Session, outcome_id: uuid.UUID) -> None:
    """Take an outcome back; undoing twice changes nothing."""
    row = session.get(Outcome, outcome_id)
    if row is None:
        raise NotFound("this outcome is not stored, or not visible here")
    if row.undone_at is None:
        row.undone_at = clock.now()
        session.add(row)
        household_changed(session, row.household_id, row.municipality_code, "outcome undone")


def current_outcomes(session: Session, household_id: uuid.UUID) -> list[Outcome]:
    """Return what was said and not taken back."""
    statement = select(Outcome).where(Outcome.household_id == household_id, Outcome.undone_at.is_(None))  # type: ignore[union-attr]
    return list(session.exec(statement))
