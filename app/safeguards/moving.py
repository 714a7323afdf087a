"""Moving between municipalities (引っ越し): one transaction, and an answer when nothing of the old town is on its way.

A move told ahead is only announced; its day is carried out by the clock (`carry_out_due`). What was queued under the
old town is called back and put together anew. The purposes a family agreed to go with it: they were given to Todoke,
never to a town; the rows go to the new town's context with the gate, and the old town's sees none of them any more.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session, select

from app.delivery.claim import wait_until_no_live_claim
from app.households import moves
from app.households.profiles import save_document
from app.households.tables import HouseholdDocument, Move
from app.matching.faults import OF_ONE, Fault
from app.matching.sweep import municipalities_with_households
from app.matching.tables import Entitlement
from app.notices.moving import kept_of
from app.notices.recall import compose_anew
from app.platform import bell, clock
from app.platform.change_queue import rights_changed
from app.platform.database import Context, app_session, worker_session
from app.platform.errors import Conflict, NotFound, TodokeError

_CALLED_BACK = "moved"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of telling a move.

    Attributes:
        move_id: None where nothing changes hands: within one town, or between wards of one designated city.
        ended: False when a request that had begun before was still open after three seconds.
    """

    move_id: uuid.UUID | None
    ended: bool = True


def move(
    household_id: uuid.UUID,
    to: str,
    moved_on: dt.date,
    *,
    by: str,
    subject: str = moves.HOUSEHOLD,
    planned_move_out_on: dt.date | None = None,
    received: Mapping[str, bool | int] | None = None,
    corrects: uuid.UUID | None = None,
) -> Moved:
    """Tell that a household, or one person of it, moves or has moved.

    Another move of the same subject that was only announced is superseded. Telling the same twice is one move.

    Args:
        household_id: whose.
        to: code of the new municipality, 000000 where it is not known.
        moved_on: the first day there.
        by: who says so.
        subject: `household`, or one person such as `child:c1` who goes to live elsewhere.
        planned_move_out_on: 転出予定日, as declared in the old town; some deadlines count from it.
        received: what a town paid already, by programme: yes, or the yen; a one-off benefit is not paid twice.
        corrects: a move told wrongly, which this one takes the place of.

    Raises:
        NotFound: no such household, or no such move of it.
        InvalidInput: no such municipality or person, or a day far away; nothing is written.
        Conflict: the move to be corrected was taken back already.
    """
    with app_session(Context(household=household_id)) as session:
        household, row = moves.lock_household(session, household_id)
        known = [one for one in moves.moves_of(session, household_id) if one.state in (moves.ANNOUNCED, moves.DONE)]
        if corrects is not None:
            _take_back(session, corrects, moves.SUPERSEDED)
            session.refresh(row)
        new = moves.new_move(
            household, row.document, to, moved_on, subject=subject, planned_move_out_on=planned_move_out_on, by=by
        )
        same = next((one for one in known if _is_same(one, new) and one.id != corrects), None)
        if same is not None:
            return Moved(same.id)
        _note_received(session, row, received or {}, by)
        for earlier in known:
            if earlier.state == moves.ANNOUNCED and earlier.subject == subject and earlier.id != corrects:
                moves.undo(session, earlier, moves.SUPERSEDED)
        within_town = new.from_code == new.to_code
        if not within_town:
            session.add(new)
            session.flush()
            if moved_on <= clock.today():
                _take_effect(session, new)
        rights_changed(session, household_id, household.municipality_code)
        session.commit()
    return Moved(None if within_town else new.id, _answer(household_id))


def undo_move(household_id: uuid.UUID, move_id: uuid.UUID) -> bool:
    """Take a move back that did not happen; what was told of it no longer holds.

    Returns:
        False when a request that had begun before was still open after three seconds.

    Raises:
        NotFound: no such move of this household.
        Conflict: it was taken back already, or another one took its place.
    """
    with app_session(Context(household=household_id)) as session:
        household, _ = moves.lock_household(session, household_id)
        _take_back(session, move_id, moves.UNDONE)
        rights_changed(session, household_id, household.municipality_code)
        session.commit()
    return _answer(household_id)


def carry_out_due() -> int:
    """Carry out every announced move whose day has come, each in a transaction of its own; return how many."""
    carried_out = 0
    for code in municipalities_with_households():
        with worker_session(Context(municipality=code)) as session:
            due = session.exec(
                select(Move.household_id, Move.id).where(Move.state == moves.ANNOUNCED, Move.moved_on <= clock.today())
            ).all()
        for household_id, move_id in due:
            try:
                carried_out += _carry_out(code, household_id, move_id)
            except (*OF_ONE, TodokeError) as error:
                fault = Fault.of(error)
                _logger.error("a move in %s was left for later: %s at %s", code, fault.error_class, fault.text)
    if carried_out:
        bell.ring(bell.MATCH)
        bell.ring(bell.RELEASE)
    return carried_out


def _carry_out(municipality_code: str, household_id: uuid.UUID, move_id: uuid.UUID) -> bool:
    with worker_session(Context(municipality=municipality_code, household=household_id)) as session:
        household, _ = moves.lock_household(session, household_id)
        due = session.exec(select(Move).where(Move.id == move_id).with_for_update()).one_or_none()
        if due is None or due.state != moves.ANNOUNCED:
            return False
        _take_effect(session, due)
        rights_changed(session, household_id, household.municipality_code)
        session.commit()
    return True


def _take_effect(session: Session, due: Move) -> None:
    rights = session.exec(select(Entitlement).where(Entitlement.household_id == due.household_id)).all()
    moves.take_effect(session, due, [_kept(row) for row in rights])
    compose_anew(session, due.household_id, _CALLED_BACK)


def _take_back(session: Session, move_id: uuid.UUID, state: str) -> None:
    known = session.get(Move, move_id)
    if known is None:
        raise NotFound("this move is not stored, or not visible here")
    if known.state not in (moves.ANNOUNCED, moves.DONE):
        raise Conflict(f"this move is {known.state} already; expected one that is announced or done")
    moves.undo(session, known, state)
    compose_anew(session, known.household_id, _CALLED_BACK)


def _note_received(session: Session, row: HouseholdDocument, received: Mapping[str, bool | int], by: str) -> None:
    if not received:
        return
    told = {**(row.document.get("received_elsewhere") or {}), **received}
    save_document(
        session,
        row.household_id,
        {**row.document, "received_elsewhere": told},
        expected_version=row.version,
        source="move",
        by=by,
    )


def _kept(row: Entitlement) -> dict[str, object]:
    return {**kept_of(row), "programme_version": row.programme_version.isoformat()}


def _is_same(one: Move, other: Move) -> bool:
    return (one.subject, one.to_code, one.moved_on, one.planned_move_out_on) == (
        other.subject,
        other.to_code,
        other.moved_on,
        other.planned_move_out_on,
    )


def _answer(household_id: uuid.UUID) -> bool:
    ended = wait_until_no_live_claim(household_id)
    for task in (bell.MATCH, bell.ANNOUNCE, bell.RELEASE):
        bell.ring(task)
    return ended
