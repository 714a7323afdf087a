"""Moves (引っ越し): of a household or of one person, from one municipality to another, told before or after the day.

What is stored of a household is its municipality and the history of its residence; no address. Until the day comes a
move is only announced: nobody is evaluated as living where they do not live yet. Row functions: the caller commits.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, select

from app.households.facts import Document
from app.households.gate import locked_gate
from app.households.profiles import save_document
from app.households.tables import UNKNOWN_MUNICIPALITY, Household, HouseholdDocument, Move
from app.platform import clock
from app.platform.database import Context, enter
from app.platform.errors import InvalidInput, NotFound
from app.rules.municipality_code import is_prefecture, municipality_of_ward, read_municipality_code

HOUSEHOLD = "household"
ANNOUNCED, DONE, SUPERSEDED, UNDONE = "announced", "done", "superseded", "undone"
_ONE_DAY = dt.timedelta(days=1)
_LONGEST_AGO = dt.timedelta(days=5 * 366)
_FURTHEST_AHEAD = dt.timedelta(days=366)


def lock_household(session: Session, household_id: uuid.UUID) -> tuple[Household, HouseholdDocument]:
    """Return gate and document as they are now, locked in the order of `save_document`.

    Raises:
        NotFound: no such household in this context.
    """
    document = session.exec(
        select(HouseholdDocument)
        .where(HouseholdDocument.household_id == household_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    household = locked_gate(session, household_id)
    if document is None:
        raise NotFound("this household is not stored, or not visible here")
    return household, document


def new_move(
    household: Household,
    document: Document,
    to: str,
    moved_on: dt.date,
    *,
    subject: str,
    planned_move_out_on: dt.date | None,
    by: str,
) -> Move:
    """Return an announced move, checked, not stored yet.

    Args:
        household: its gate row.
        document: its document.
        to: code of the new municipality; a ward of a designated city stands for the city; 000000 where unknown.
        moved_on: the first day there.
        subject: `household`, or a person of the document such as `child:c1`.
        planned_move_out_on: 転出予定日, as declared in the old town.
        by: who said so.

    Raises:
        InvalidInput: no such code or person, or a day far away.
    """
    if subject != HOUSEHOLD and subject not in _people(document):
        raise InvalidInput(
            f"found {subject!r}; expected household or one of {', '.join(_people(document))}", field="who"
        )
    today = clock.today()
    for day in (moved_on, planned_move_out_on):
        if day is not None and not today - _LONGEST_AGO <= day <= today + _FURTHEST_AHEAD:
            raise InvalidInput(
                f"found {day}; expected a day of the last five years or of the next one", field="moved_on"
            )
    return Move(
        household_id=household.id,
        municipality_code=household.municipality_code,
        subject=subject,
        from_code=lives_in(document, subject),
        to_code=read_town(to),
        moved_on=moved_on,
        planned_move_out_on=planned_move_out_on,
        state=ANNOUNCED,
        by=by,
        recorded_at=clock.now(),
    )


def read_town(code: str) -> str:
    """Return the code of the authority that a code stands for: of the city for a ward of a designated city.

    Raises:
        InvalidInput: no code of a town, city or ward.
    """
    try:
        read = read_municipality_code(code)
    except ValueError as error:
        raise InvalidInput(str(error), field="municipality") from None
    if is_prefecture(read):
        raise InvalidInput(f"found {read}, a prefecture; expected a town, city or ward", field="municipality")
    return municipality_of_ward(read)


def lives_in(document: Document, subject: str = HOUSEHOLD) -> str:
    """Return the town in which the household, or one person of it, lives now; 000000 while unknown."""
    _, _, person = subject.partition(":")
    entries = [entry for entry in document.get("residence") or () if person and entry.get("who") == person]
    begun = [entry for entry in entries if _begins(entry) <= clock.today().isoformat()]
    if begun:
        return municipality_of_ward(str(max(begun, key=_begins)["municipality"]))
    return municipality_of_ward(str(document.get("municipality") or UNKNOWN_MUNICIPALITY))


def moved_document(document: Document, move: Move) -> Document:
    """Return the household document as it is from the day of a move on. Pure; also for a day still to come."""
    changed = dict(document)
    person = move.subject.partition(":")[2] or None
    entries = [dict(entry) for entry in document.get("residence") or ()]
    others = [entry for entry in entries if entry.get("who") != person]
    mine = [entry for entry in entries if entry.get("who") == person and _begins(entry) < move.moved_on.isoformat()]
    last_day = (move.moved_on - _ONE_DAY).isoformat()
    if not mine and move.from_code != UNKNOWN_MUNICIPALITY:
        mine = [{"municipality": move.from_code} | ({} if person is None else {"who": person})]
    for entry in mine:
        entry["until"] = min(str(entry.get("until") or last_day), last_day)
    if move.to_code != UNKNOWN_MUNICIPALITY:
        mine.append(_entry(move, person))
    residence = [*others, *mine]
    changed["residence"] = residence
    if not residence:
        del changed["residence"]
    if person is not None:
        return _living_elsewhere(changed, move.subject)
    changed["municipality"] = move.to_code
    if move.to_code == UNKNOWN_MUNICIPALITY:
        changed.pop("municipality")
    return changed


def take_effect(session: Session, move: Move, rights_before: Sequence[dict[str, Any]]) -> None:
    """Carry out a move whose day has come: gate, document, history of residence, evaluation. The consent epoch rises.

    The session enters the new town's context, because the household's rows go there with it.
    """
    household, row = lock_household(session, move.household_id)
    move.rights_before = list(rights_before)
    move.residence_before = row.document.get("residence")
    move.state, move.carried_out_at = DONE, clock.now()
    session.add(move)
    session.flush()  # before the gate: afterwards the row is in the new town's context
    _save(session, household, row, moved_document(row.document, move), move)


def undo(session: Session, move: Move, state: str = UNDONE) -> None:
    """Take a move back: one that was carried out goes back to where the household lived before.

    Args:
        session: in the household's context.
        move: announced or done.
        state: superseded where another one takes its place.
    """
    was_done = move.state == DONE
    move.state, move.closed_at = state, clock.now()
    session.add(move)
    session.flush()
    if not was_done:
        return
    household, row = lock_household(session, move.household_id)
    before = dict(row.document)
    before.pop("residence", None)
    if move.residence_before:
        before["residence"] = move.residence_before
    if move.subject == HOUSEHOLD:
        before["municipality"] = move.from_code
        if move.from_code == UNKNOWN_MUNICIPALITY:
            before.pop("municipality")
    else:
        before = _living_elsewhere(before, move.subject, elsewhere=False)
    _save(session, household, row, before, move)


def moves_of(session: Session, household_id: uuid.UUID) -> list[Move]:
    """Return a household's moves, in the order in which they were told."""
    statement = select(Move).where(Move.household_id == household_id)
    return sorted(session.exec(statement), key=lambda move: (move.recorded_at, move.id))


def _save(session: Session, household: Household, row: HouseholdDocument, document: Document, move: Move) -> None:
    household.municipality_code = str(document.get("municipality") or UNKNOWN_MUNICIPALITY)
    household.consent_epoch += 1
    session.add(household)
    session.flush()
    enter(session, Context(municipality=household.municipality_code, household=household.id))
    session.refresh(row)
    session.refresh(move)
    save_document(session, household.id, document, expected_version=row.version, source="move", by=move.by)


def _begins(entry: Document) -> str:
    """Return the day a stay began; before every day where that is not known."""
    return str(entry.get("from") or "")


def _entry(move: Move, person: str | None) -> Document:
    entry: Document = {"municipality": move.to_code, "from": move.moved_on.isoformat()}
    if move.planned_move_out_on is not None:
        entry["planned_move_out_on"] = move.planned_move_out_on.isoformat()
    return entry if person is None else entry | {"who": person}


def _living_elsewhere(document: Document, subject: str, *, elsewhere: bool = True) -> Document:
    """Return the document with a child living apart from the guardians, or together with them again."""
    kind, _, person_id = subject.partition(":")
    if kind != "child":
        return document
    children = [
        {**child, "facts": {**(child.get("facts") or {}), "lives_with_guardian": not elsewhere}}
        if child["id"] == person_id
        else child
        for child in document.get("children") or ()
    ]
    return {**document, "children": children}


def _people(document: Document) -> list[str]:
    return [f"child:{person['id']}" for person in document.get("children") or ()] + [
        f"guardian:{person['id']}" for person in document.get("guardians") or ()
    ]
