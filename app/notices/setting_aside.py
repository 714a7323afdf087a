"""One family's fault is its own: who cannot be planned or released is set aside for a while, and the others go on."""

import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, column, exists, literal, table, text
from sqlmodel import Session

from app.matching.faults import OF_ONE, Fault
from app.matching.quarantine import TELLING
from app.platform.clock import real_now
from app.platform.database import worker_session

_TRIED_AGAIN_AFTER = timedelta(hours=1)
"""A release of the program may have put it right; a change of the family's answers is looked at without waiting."""
_set_aside = table("set_aside_households", column("household_id"), column("programme_key", Text), column("since"))
_logger = logging.getLogger(__name__)


def one_by_one_if_need_be(
    municipality_code: str, household_ids: Sequence[uuid.UUID], work: Callable[[Sequence[uuid.UUID]], None]
) -> None:
    """Do work for households together; where that fails, for each alone, and set those aside for whom it fails again.

    Args:
        municipality_code: of the households, for the log.
        household_ids: whom the work is about.
        work: one transaction that leaves nothing behind where it raises.
    """
    try:
        work(household_ids)
    except OF_ONE as error:
        if len(household_ids) == 1:
            _put_aside(municipality_code, household_ids[0], Fault.of(error))
            return
        for household_id in household_ids:
            one_by_one_if_need_be(municipality_code, [household_id], work)


def is_not_set_aside(household_id: Any) -> ColumnElement[bool]:
    """Return the condition that a household is not set aside now."""
    aside = exists(literal(1)).where(
        _set_aside.c.household_id == household_id,
        _set_aside.c.programme_key == TELLING,
        _set_aside.c.since > real_now() - _TRIED_AGAIN_AFTER,
    )
    return ~aside


def forgive(session: Session, household_ids: Sequence[uuid.UUID]) -> None:
    """Forget that households were set aside, in the transaction in which their work is done; the caller commits."""
    session.execute(
        text("DELETE FROM set_aside_households WHERE household_id = ANY(:ids) AND programme_key = :telling"),
        {"ids": list(household_ids), "telling": TELLING},
    )


def _put_aside(municipality_code: str, household_id: uuid.UUID, fault: Fault) -> None:
    _logger.error("notices: a household of %s is set aside: %s at %s", municipality_code, fault.error_class, fault.text)
    with worker_session() as session:
        session.execute(
            text(
                "INSERT INTO set_aside_households (household_id, programme_key, error_class, error_text, since)"
                " VALUES (:id, :telling, :error_class, :error_text, :since) ON CONFLICT (household_id, programme_key)"
                " DO UPDATE SET error_class = excluded.error_class, error_text = excluded.error_text,"
                " since = excluded.since"
            ),
            {
                "id": household_id,
                "telling": TELLING,
                "error_class": fault.error_class,
                "error_text": fault.text,
                "since": real_now(),
            },
        )
        session.commit()
