"""Rules in quarantine and households set aside, as rows that operators and staff can see."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.matching.evaluating import EVERY_PROGRAMME, MOST_SET_ASIDE, Evaluated
from app.matching.faults import Fault
from app.matching.tables import QuarantinedProgramme, SetAsideHousehold
from app.platform.change_queue import programme_changed
from app.platform.clock import real_now
from app.platform.errors import NotFound

READER = "quarantine"
"""In the change queue: households whose rights a sweep changed before one of its programmes broke."""
LIFTED = "lifted"
TELLING: Final = "telling"
"""In the place of a programme: a household whose notices could not be planned or released."""


def quarantined(session: Session) -> Sequence[QuarantinedProgramme]:
    """Return the programmes in quarantine, by key. Any role may read them."""
    return session.exec(select(QuarantinedProgramme).order_by(col(QuarantinedProgramme.programme_key))).all()


def quarantined_keys(session: Session) -> frozenset[str]:
    """Return the keys of the programmes in quarantine."""
    return frozenset(session.exec(select(QuarantinedProgramme.programme_key)))


def set_aside(session: Session) -> Sequence[SetAsideHousehold]:
    """Return the households set aside, the newest first, as the worker."""
    return session.exec(select(SetAsideHousehold).order_by(col(SetAsideHousehold.since).desc())).all()


def lift(session: Session, programme_key: str) -> None:
    """Let a programme out of quarantine and queue its evaluation for everybody, as the worker; the caller commits.

    Raises:
        NotFound: it is not in quarantine.
    """
    if not release(session, [programme_key]):
        raise NotFound(f"{programme_key} is not in quarantine; `todoke quarantine list` shows what is")
    programme_changed(session, programme_key, LIFTED)


def release(session: Session, programme_keys: Collection[str]) -> list[str]:
    """Take programmes out of quarantine, and forget whom they failed for; return those that were in it."""
    session.execute(
        text("DELETE FROM set_aside_households WHERE programme_key = ANY(:keys)"), {"keys": list(programme_keys)}
    )
    out = session.execute(
        text("DELETE FROM quarantined_programmes WHERE programme_key = ANY(:keys) RETURNING programme_key"),
        {"keys": list(programme_keys)},
    )
    return list(out.scalars())


def put_in(session: Session, broken: Mapping[str, Fault], registry_fingerprint: str) -> None:
    """Put broken programmes into quarantine; one that is there already keeps its first error."""
    if broken:
        session.execute(
            text(
                "INSERT INTO quarantined_programmes"
                " (programme_key, registry_fingerprint, error_class, error_text, since)"
                " VALUES (:key, :fingerprint, :error_class, :error_text, :since) ON CONFLICT DO NOTHING"
            ),
            [
                {
                    "key": key,
                    "fingerprint": registry_fingerprint,
                    "error_class": fault.error_class,
                    "error_text": fault.text,
                    "since": real_now(),
                }
                for key, fault in sorted(broken.items())
            ],
        )


def record(
    session: Session,
    evaluated: Evaluated,
    household_ids: Collection[uuid.UUID],
    programmes: Collection[str] | None,
    registry_fingerprint: str,
) -> None:
    """Write down what an evaluation could not evaluate, and forget what it could after all.

    Args:
        session: of the worker, in the transaction that stores the rights.
        evaluated: what was found.
        household_ids: everybody who was looked at.
        programmes: those that were looked at; None = all.
        registry_fingerprint: of the registry that was used.
    """
    put_in(session, evaluated.broken, registry_fingerprint)
    session.execute(
        text(
            "DELETE FROM set_aside_households WHERE household_id = ANY(:ids) AND (:all OR programme_key = ANY(:keys))"
        ),
        {"ids": list(household_ids), "all": programmes is None, "keys": [EVERY_PROGRAMME, *(programmes or ())]},
    )
    for (household_id, key), fault in evaluated.set_aside.items():
        session.add(
            SetAsideHousehold(
                household_id=household_id,
                programme_key=key,
                error_class=fault.error_class,
                error_text=fault.text,
                since=real_now(),
            )
        )
    session.flush()
    if evaluated.set_aside:
        put_in(session, _failing_for_many(session), registry_fingerprint)


def _failing_for_many(session: Session) -> dict[str, Fault]:
    """Return the programmes that failed for so many households, one after the other, that they must be broken."""
    rows = session.execute(
        text(
            "SELECT programme_key, min(error_class), min(error_text) FROM set_aside_households"
            " WHERE programme_key NOT IN (:every, :telling) GROUP BY 1 HAVING count(*) > :most"
        ),
        {"every": EVERY_PROGRAMME, "telling": TELLING, "most": MOST_SET_ASIDE},
    )
    return {key: Fault(error_class, error_text) for key, error_class, error_text in rows}
