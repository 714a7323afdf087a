"""Returns: a right that was told, ended, and is there again. Pure.

The last word that a family heard must be true. Where that was the end of the right, its return is told as another
round, under an occasion of its own. Where nobody was told of the end, or only of a move that was taken back, the
notice that told of the right stands again in its old place, and nobody is disturbed by what they know.
"""

from app.notices import corrections
from app.notices.rows import OVERVIEW, SUPPORT_KINDS, begins_on, is_ending, is_same_right, next_round
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import japan_date

ALIVE = ("planned", "released")
NOTHING_LEFT = "nothing left to tell"
"""Why an overview ended: everything under it did."""
_EXPIRED = "expired"


def told_by(situation: Situation, notice: Notice, revivable: tuple[str, ...]) -> Notice | None:
    """Return the notice by which a right that is due is told; None where it stands as told, or was ended for good.

    Args:
        situation: of the household; what no longer holds has ended already.
        notice: as planned for the right: a new support.
        revivable: reasons of an end that do not count any more once the right is there again.
    """
    about = [other for other in situation.notices if is_same_right(other, notice) and other.kind in SUPPORT_KINDS]
    of_its_period = [one for one in about if not is_ending(one) and begins_on(one) == begins_on(notice)]
    if any(one.state in ALIVE for one in of_its_period):
        return None
    rounds = [one for one in of_its_period if one.kind == "new_support"]
    if not rounds:
        return notice
    chain = _with_its_corrections(situation, max(rounds, key=_round))
    last = max(place for place, one in enumerate(chain) if one in of_its_period)
    if _heard_otherwise(about, chain, last) or chain[last].state == _EXPIRED:
        notice.occasion = next_round(notice.occasion, {one.occasion for one in about if one.kind == "new_support"})
        return notice
    if chain[last].closed_reason in (*revivable, corrections.CORRECTED):
        return _in_its_place(situation, chain[last], notice)
    return None


def _in_its_place(situation: Situation, earlier: Notice, notice: Notice) -> Notice:
    """Plan an ended notice again where it was told: under the first overview, which stands again with it.

    What came back worse than it was told is told by itself.
    """
    worse = corrections.worth_telling(earlier.content, notice.content, japan_date(notice.release_at))
    overview = next((one for one in situation.notices if one.id == earlier.overview_id), None)
    revived(earlier, notice)
    if worse or overview is None or overview.programme_key != OVERVIEW or notice.overview_id is not None:
        return earlier
    if overview.closed_reason == NOTHING_LEFT:
        overview.state, overview.closed_reason = "planned", None
        overview.release_at, overview.expires_at = notice.release_at, None
    if overview.state in ALIVE:
        earlier.overview_id = overview.id
    return earlier


def revived(earlier: Notice, notice: Notice) -> Notice:
    """Plan an ended notice again, with what there is to say now."""
    earlier.state, earlier.closed_reason, earlier.superseded_by = "planned", None, None
    earlier.content = corrections.said_anew(earlier, notice.content)
    earlier.programme_version, earlier.deadline_on = notice.programme_version, notice.deadline_on
    earlier.release_at, earlier.expires_at, earlier.released_at = notice.release_at, notice.expires_at, None
    earlier.overview_id = notice.overview_id
    return earlier


def _heard_otherwise(about: list[Notice], chain: list[Notice], last: int) -> bool:
    """Whether a family was told since that the right is lost, or begins on another day."""
    told_at = max((one.released_at for one in chain if one.released_at is not None), default=None)
    if told_at is None:
        return False
    lost = any(is_ending(one) and one.released_at is not None and one.released_at >= told_at for one in about)
    return lost or any(one.released_at is not None for one in chain[last + 1 :])


def _with_its_corrections(situation: Situation, notice: Notice) -> list[Notice]:
    """Return a notice and, in their order, the corrections that took its place."""
    by_id = {one.id: one for one in situation.notices}
    chain = [notice]
    while (following := chain[-1].superseded_by) is not None and following in by_id:
        chain.append(by_id[following])
    return chain


def _round(notice: Notice) -> int:
    return int(notice.occasion.partition("/")[2] or 1)
