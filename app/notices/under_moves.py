"""What is filed under the message of a move: the supports that it names, and what it soon ends. Pure.

What is filed is in the inbox and is told by the move's message, or not at all; it comes out again with the move.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

from app.households.moves import ANNOUNCED
from app.households.tables import Move
from app.notices import moving
from app.notices.rows import OVERVIEW, is_ending
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date
from app.registry.loading import Registry
from app.rules.municipality_code import covers

_SOON = dt.timedelta(days=30)
"""A support of the old town is worth a way to its counter when the family stays for longer than this."""


def with_moves(situation: Situation, registry: Registry, planned: list[Notice], now: dt.datetime) -> list[Notice]:
    """Return what is planned for a household with the notice of each current move before it.

    What is planned about a support that a move's notice names (it starts, changed or ended) is told as part of it.
    """
    current = moving.current_moves(situation, now)
    if not current:
        return planned
    moves = moving.told_of(situation, registry, current, now)
    _gather(situation, moves, planned, current, japan_date(now))
    return [*moves, *planned]


def _gather(
    situation: Situation, moves: Iterable[Notice], planned: Sequence[Notice], current: Iterable[Move], today: dt.date
) -> None:
    """Put what is planned about the supports that a current move names, or soon ends, under its message.

    A move that was told already takes only the supports that start with it: what is corrected or lost later is news.
    """
    waiting = [
        one
        for one in situation.notices
        if one.state == "planned" and one.kind == "new_support" and one.overview_id is None and one not in planned
    ]
    told = {notice.occasion: notice for notice in situation.notices if notice.kind == moving.MOVED}
    new = {notice.occasion: notice for notice in moves if notice.occasion not in told}
    for move in current:
        one = new.get(str(move.id)) or told.get(str(move.id))
        if one is None:
            continue
        parts = {
            (item["programme_key"], item["subject"]): (part["part"], item["new_here"])
            for part in one.content["parts"]
            for item in part["items"]
        }
        for notice in [*planned, *waiting]:
            part, new_here = parts.get((notice.programme_key, notice.subject), (None, False))
            named = part is not None and _is_part_of_it(notice, part, new_here=new_here, told=one.occasion in told)
            if named or _is_hardly_worth_it(notice, move, today):
                notice.overview_id = notice.overview_id or one.id


def _is_part_of_it(notice: Notice, part: str, *, new_here: bool, told: bool) -> bool:
    """Whether a move's message says what a notice about one of its supports says."""
    if notice.kind == "correction":
        return not told and (part == moving.ENDS if is_ending(notice) else new_here)
    return notice.kind == "new_support" and new_here


def _is_hardly_worth_it(notice: Notice, move: Move, today: dt.date) -> bool:
    """Whether a support is no news although it may be had: it ends with a move soon, and the family loses no money.

    What pays, or has a deadline before the move, is told: after it nobody could ask for it any more.
    """
    return (
        move.state == ANNOUNCED
        and move.moved_on - today <= _SOON
        and notice.kind == "new_support"
        and notice.programme_key != OVERVIEW
        and moving.is_of(move, notice.subject)
        and not covers(notice.programme_key.partition("/")[0], move.to_code)
        and not (notice.content.get("yen") or notice.content.get("most_yen"))
        and not (notice.deadline_on is not None and notice.deadline_on < move.moved_on)
    )


def let_go_of(situation: Situation, moved: Notice) -> None:
    """Have what was filed under a move's message stand by itself, once the move was taken back or replaced.

    What the message did not tell of, because it was to end with the move, is news now.
    """
    told = {(item["programme_key"], item["subject"]) for part in moved.content["parts"] for item in part["items"]
            if item["new_here"]}  # fmt: skip
    for notice in situation.notices:
        if notice.overview_id == moved.id:
            notice.overview_id = None
            if notice.state == "released" and (notice.programme_key, notice.subject) not in told:
                notice.state = "planned"
