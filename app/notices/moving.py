"""A move (引っ越し) as one notice: what ends, what to apply for again, what starts, both towns' deadlines. Pure.

Nothing about any programme is written here: the rights of before are the stored ones, those of after come from the one
evaluator, asked about the household as it is from the day of the move on. Supports that the move brings keep their own
notices for the archive; e-mail, LINE and the apps hear of the one message alone.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.households.consent import given_categories
from app.households.facts import only_consented
from app.households.moves import ANNOUNCED, DONE, moved_document
from app.households.outcomes import CLOSING
from app.households.tables import UNKNOWN_MUNICIPALITY, Move
from app.matching.evaluation import Engine, Right, rights_of
from app.matching.snapshot import Snapshot
from app.matching.tables import Entitlement
from app.notices import wording
from app.notices.quiet_hours import next_allowed
from app.notices.situation import Situation
from app.notices.tables import Notice
from app.platform.clock import at_japan_time, japan_date
from app.platform.rendering import japanese_date, phrases, short_date
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.rules.municipality_code import NATIONAL, covers, is_prefecture

MOVED = "moved"
"""The kind of the notice, and its programme key: it is about no single programme."""
ENDS, AGAIN, CHECK, STARTS, STILL_OPEN, RECEIVED, GOES_ON = PARTS = (
    "ends", "again", "check", "starts", "still_open", "received", "goes_on",
)  # fmt: skip
_IN_ORDER = (AGAIN, STARTS, CHECK, ENDS, STILL_OPEN, RECEIVED, GOES_ON)
"""What has to be done comes first, what takes care of itself last."""
_IN_BRIEF = (CHECK, GOES_ON)
"""Parts of which a message gives the names alone; the inbox says of whom."""
_TOLD_FOR = dt.timedelta(days=90)
_MOVED_IN = "moved_in"
_ONE_DAY = dt.timedelta(days=1)
Kept = dict[str, Any]
"""A right of before the move: stored, or kept in the move's row once it took effect."""


@dataclass(frozen=True, slots=True)
class _View:
    """What is compared for one move."""

    situation: Situation
    registry: Registry
    move: Move
    today: dt.date
    before: dict[tuple[str, str], Kept]
    after: dict[tuple[str, str], Right]
    last_days: dict[tuple[str, str], dt.date]

    def programme(self, key: str, day: dt.date) -> Programme | None:
        """Return a programme as it is on a day, or as it was last."""
        versions = self.registry.programmes.get(key)
        return self.registry.version_on(key, day) or (versions[-1] if versions else None)

    def lineage(self, key: str) -> str:
        """Return what a town's variant is a variant of, so that the two towns' are known as the same support."""
        versions = self.registry.programmes.get(key)
        return (versions[-1].based_on or key) if versions else key


def told_of(situation: Situation, registry: Registry, current: Iterable[Move], now: dt.datetime) -> list[Notice]:
    """Return one notice for each move of which there is something to say."""
    if not situation.agrees_to("matching:basic", now):
        return []
    looked = ((move, _items(_look(situation, registry, move, now))) for move in current)
    return [_notice(situation, move, items, now) for move, items in looked if items]


def current_moves(situation: Situation, now: dt.datetime) -> list[Move]:
    """Return the moves that are ahead or lately done, neither taken back nor replaced."""
    since = japan_date(now) - _TOLD_FOR
    return [
        move
        for move in situation.moves
        if move.state in (ANNOUNCED, DONE) and (move.moved_on >= since or move.recorded_at >= now - _TOLD_FOR)
    ]


def still_holds(situation: Situation, notice: Notice) -> bool:
    """Whether the move that a notice tells of was neither taken back nor replaced."""
    return any(str(move.id) == notice.occasion and move.state in (ANNOUNCED, DONE) for move in situation.moves)


def is_replaced(situation: Situation, notice: Notice) -> bool:
    """Whether another move took the place of the one that a notice tells of."""
    return any(str(move.id) == notice.occasion and move.state == "superseded" for move in situation.moves)


def as_it_is_now(situation: Situation, content: wording.Content) -> wording.Content:
    """Return a notice's content without persons who are stopped and supports that are done: what release may tell."""
    items = [
        item | {"part": part["part"]}
        for part in content["parts"]
        for item in part["items"]
        if not situation.is_stopped(item["subject"]) and not _is_done(situation, item)
    ]
    return {**content, **told_parts(items)}


def _is_done(situation: Situation, item: wording.Content) -> bool:
    return bool(item["new_here"]) and situation.is_closed(item["programme_key"], item["subject"])


def _look(situation: Situation, registry: Registry, move: Move, now: dt.datetime) -> _View:
    """Ask the evaluator about the household as it is from the day of the move on."""
    today = japan_date(now)
    if move.state == ANNOUNCED:
        before = [kept_of(row) for row in situation.entitlements]
        document = moved_document(situation.document, move)
    else:
        before, document = move.rights_before, situation.document
    engine = Engine.of(registry)
    day = max(today, move.moved_on)
    categories = given_categories(situation.consents, now)

    def asked(told: dict[str, Any], code: str, on: dt.date) -> list[Right]:
        household_id = situation.household.id
        readable = {**only_consented(told, categories, registry.facts), "id": str(household_id)}
        return rights_of(engine, Snapshot([household_id], [readable], frozenset({household_id})), code, on)

    left = asked(document, move.from_code, min(today, move.moved_on - _ONE_DAY))
    return _View(
        situation,
        registry,
        move,
        today,
        {(kept["programme_key"], kept["subject"]): kept for kept in before if is_of(move, kept["subject"])},
        {(right.programme_key, right.subject): right for right in reversed(asked(document, move.to_code, day))
         if is_of(move, right.subject) and (right.valid_until is None or right.valid_until >= day)},
        {(right.programme_key, right.subject): right.valid_until for right in reversed(left) if right.valid_until},
    )  # fmt: skip


def _items(view: _View) -> list[wording.Content]:
    """Return what the two towns' rights say beside each other, one item for each programme and person and part."""
    items = [*_of_before(view), *_of_after(view), *_received(view)]
    return [item for item in items if not view.situation.is_stopped(item["subject"])]


def _of_before(view: _View) -> Iterable[wording.Content]:
    """Yield what ends in the old town, and what can still be claimed there."""
    after = {(view.lineage(key), subject) for key, subject in view.after}
    for (key, subject), kept in view.before.items():
        programme = view.programme(key, view.move.moved_on)
        if programme is None or kept["verdict"] != "eligible" or _is_over(kept, view.move.moved_on - _ONE_DAY):
            continue
        covered = covers(programme.municipality, view.move.to_code)
        deadline = _day(kept["deadline_on"])
        if deadline and deadline >= view.today and not covered and not _is_closed(view, key, subject):
            yield _item(view, STILL_OPEN, programme, kept, deadline_on=deadline)
        elif not covered or (view.lineage(key), subject) not in after:
            last = view.last_days.get((key, subject)) or view.move.moved_on - _ONE_DAY
            yield _item(view, ENDS, programme, kept, last_on=min(last, _day(kept["valid_until"]) or last))


def _of_after(view: _View) -> Iterable[wording.Content]:
    """Yield what is to be applied for again, what starts, what to check, and what goes on by itself in the new town."""
    before = {(view.lineage(key), subject) for (key, subject), kept in view.before.items()
              if not _is_over(kept, view.move.moved_on - _ONE_DAY)}  # fmt: skip
    for (key, subject), right in view.after.items():
        programme = view.programme(key, max(view.today, right.valid_from))
        if programme is None or (right.verdict != "eligible" and not right.answer["judgement_only"]):
            continue
        if right.valid_from > max(view.today, view.move.moved_on):
            continue  # it is told when its own day comes
        known = (view.lineage(key), subject) in before
        moves_in = right.answer["occasion"] == _MOVED_IN
        by_application = right.answer["take_up"] in ("application", "opt_out", None)
        own = _is_a_towns(programme)
        if known and (moves_in or own):
            part = AGAIN
        elif known and (right.answer["amount"] or {}).get("per") == "once":
            continue  # paid once, by whoever pays it everywhere: nothing about it changes
        elif not known:
            part = AGAIN if moves_in else STARTS
        else:
            part = CHECK if by_application else GOES_ON
        yield _item(
            view, part, programme, kept_of(right), new_here=part in (AGAIN, STARTS), right=right,
            deadline_on=right.deadline_on if part in (AGAIN, STARTS) else None,
        )  # fmt: skip


def _received(view: _View) -> Iterable[wording.Content]:
    """Yield what was paid elsewhere already, as the family said: the new town does not pay it a second time."""
    told = view.situation.document.get("received_elsewhere") or {}
    for name, value in told.items():
        keys = [key for key in view.registry.programmes if name in (key, key.partition("/")[2])]
        here = [key for key in keys if covers(key.partition("/")[0], view.move.to_code)]
        programme = view.programme(here[0] if here else keys[0], view.today) if keys else None
        if programme is not None and value not in (False, 0, "declined"):
            kept = {"programme_key": programme.key, "subject": "household", "answer": {}, "verdict": "eligible"}
            yield _item(view, RECEIVED, programme, kept)


def _item(
    view: _View,
    part: str,
    programme: Programme,
    kept: Kept,
    *,
    last_on: dt.date | None = None,
    deadline_on: dt.date | None = None,
    new_here: bool = False,
    right: Right | None = None,
) -> wording.Content:
    words = phrases("notices/moved/phrases.ja")
    subject = str(kept["subject"])
    content = _content(view, programme, right)
    text = content["deadline_text"]
    if deadline_on is not None and not text:
        text = words["until"].format(day=japanese_date(deadline_on))
    return {
        "part": part,
        "programme_key": programme.key,
        "subject": subject,
        "subject_text": wording.subject_text(subject, view.situation.document),
        "name": programme.name.in_language(wording.LANGUAGE),
        "last_on": last_on.isoformat() if last_on else None,
        "last_text": words["last_day"].format(day=japanese_date(last_on)) if last_on else "",
        "deadline_on": deadline_on.isoformat() if deadline_on else None,
        "deadline_text": text if deadline_on else "",
        "amount_text": content["amount_text"] if new_here else "",
        "contact": content["contact"] if new_here else "",
        "documents": content["documents"] if new_here else [],
        "perhaps": kept["verdict"] != "eligible",
        "sensitive": programme.sensitive,
        "new_here": new_here,
        "programme_version": programme.version,
    }


def _content(view: _View, programme: Programme, right: Right | None) -> wording.Content:
    if right is None:
        return wording.BLANK
    row = Entitlement(
        household_id=right.household_id, municipality_code=view.move.to_code, programme_key=right.programme_key,
        programme_version=right.programme_version, subject=right.subject, verdict=right.verdict,
        valid_from=right.valid_from, valid_until=right.valid_until, announce_on=right.announce_on,
        deadline_on=right.deadline_on, answer=right.answer,
    )  # fmt: skip
    return wording.support_content(programme, row, "", view.today)


def _notice(situation: Situation, move: Move, items: Sequence[wording.Content], now: dt.datetime) -> Notice:
    told = told_parts(items)
    days = [item["deadline_on"] for item in items if item["deadline_on"]]
    return Notice(
        household_id=situation.household.id,
        municipality_code=situation.household.municipality_code,
        programme_key=MOVED,
        subject=move.subject,
        kind=MOVED,
        occasion=str(move.id),
        programme_version=japan_date(now),
        content={**wording.BLANK, **_heading(situation, move, now), **told},
        deadline_on=_day(min(days)) if days else None,
        release_at=next_allowed(now, situation.household.id),
        expires_at=at_japan_time(max(move.moved_on, japan_date(now)) + _TOLD_FOR, 0),
    )


def _heading(situation: Situation, move: Move, now: dt.datetime) -> wording.Content:
    words = phrases("notices/moved/phrases.ja")
    form = "ahead" if move.moved_on > japan_date(now) else "done"
    of_one = move.subject.partition(":")[0]
    about = wording.subject_text(move.subject, situation.document) if of_one != "household" else ""
    who = "household" if not about else "one"
    unknown = words["unknown_town"] if move.to_code == UNKNOWN_MUNICIPALITY else ""
    return {
        "kind": MOVED,
        "programme_kind": MOVED,
        "name": words["name"],
        "title": words["title"][who],
        "reason": words["reason"][form].format(day=japanese_date(move.moved_on)),
        "subject_text": about,
        "unknown_town": unknown,
        "deadline_label": words["deadline_label"],
    }


def told_parts(items: Sequence[wording.Content]) -> wording.Content:
    """Return items as the parts of a notice: in full for the inbox, and without sensitive ones for a message."""
    open_items = [item for item in items if not item["sensitive"]]
    deadlines = sorted(item["deadline_on"] for item in items if item["deadline_on"])
    return {
        "parts": _parts(items, together=False),
        "message_parts": _parts(open_items, together=True),
        "items": [item for item in items if item["sensitive"]],
        "deadline_on": deadlines[0] if deadlines else None,
        "deadline_short": short_date(deadlines[0]) if deadlines else "",
        "deadline_text": phrases("notices/moved/phrases.ja")["first_deadline"].format(day=japanese_date(deadlines[0]))
        if deadlines
        else "",
    }


def _parts(items: Iterable[wording.Content], *, together: bool) -> list[wording.Content]:
    by_part: dict[str, list[wording.Content]] = defaultdict(list)
    for item in items:
        by_part[item["part"]].append(item)
    words = phrases("notices/moved/phrases.ja")["part"]
    parts = []
    for part in _IN_ORDER:
        if shown := _joined(by_part[part]) if together else by_part[part]:
            parts.append({"part": part, "brief": part in _IN_BRIEF, **words[part], "items": _sorted(shown)})
    return parts


def _joined(items: Iterable[wording.Content]) -> list[wording.Content]:
    """Put the persons of one programme together who have the same days before them."""
    groups: dict[tuple[Any, ...], list[wording.Content]] = defaultdict(list)
    for item in items:
        groups[item["name"], item["last_on"], item["deadline_text"], item["amount_text"], item["perhaps"]].append(item)
    return [
        {**group[0], "subject_text": wording.joined_subjects(item["subject_text"] for item in group)}
        for group in groups.values()
    ]


def _sorted(items: Iterable[wording.Content]) -> list[wording.Content]:
    return sorted(items, key=lambda item: (item["deadline_on"] or "9999", item["last_on"] or "9999", item["name"]))


def kept_of(row: Entitlement | Right) -> Kept:
    """Return what a notice of the move says of a right of before: whose, how long, until when to act."""
    return {
        "programme_key": row.programme_key,
        "subject": row.subject,
        "verdict": row.verdict,
        "valid_from": row.valid_from.isoformat(),
        "valid_until": row.valid_until.isoformat() if row.valid_until else None,
        "deadline_on": row.deadline_on.isoformat() if row.deadline_on else None,
        "answer": row.answer,
    }


def is_of(move: Move, subject: str) -> bool:
    """Whether a move of one person touches a right; what is the household's stays with the household."""
    return move.subject in ("household", subject)


def _is_over(kept: Kept, day: dt.date) -> bool:
    """Whether a right had ended before a day, or would have begun only after it."""
    until = _day(kept["valid_until"])
    return (until is not None and until < day) or str(kept["valid_from"]) > day.isoformat()


def _is_closed(view: _View, key: str, subject: str) -> bool:
    return any(
        (row.programme_key, row.subject) == (key, subject) and row.outcome in CLOSING for row in view.situation.outcomes
    )


def _is_a_towns(programme: Programme) -> bool:
    return programme.municipality != NATIONAL and not is_prefecture(programme.municipality)


def _day(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None
