"""Digest: what one message says of many notices, grouped by programme. Pure; the notices stay one for each person.

A family with three children is told of a programme once, all three in one line; what differs is said of each.
"""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from app.notices import wording
from app.notices.wording import Content
from app.platform.rendering import japanese_date, phrases

_DIFFERS = ("reason", "amount_text", "deadline_text", "cost_of_delay_text", "received_text", "form_text")
"""Texts that may be another for each person of one programme."""
_PERIOD = re.compile(r"\([^()]*日(?:から|まで)[^()]*\)")
"""In a reason, from when until when it holds; it is another for each birth date."""
_IN_FULL = 3
_NEAR = dt.timedelta(days=180)
"""A deadline within this time comes first in an overview, and its day is told without the year."""


def overview_parts(items: Iterable[Content], today: dt.date) -> dict[str, list[Content]]:
    """Return what an overview lists: the first three programmes `in_full`, the others `brief`, the unsure `perhaps`.

    Args:
        items: contents of notices with `programme_key`, those that the message may show.
        today: decides which deadlines still run.
    """
    groups: dict[str, list[Content]] = defaultdict(list)
    for item in sorted(({**wording.BLANK, **item} for item in items), key=lambda item: _order(item, today)):
        groups[item["programme_key"]].append(item)
    told = [{**combined(members), "line": _line(members, today)} for members in groups.values()]
    rest = told[_IN_FULL:]
    return {
        "in_full": told[:_IN_FULL],
        "brief": [group for group in rest if not group["perhaps"]],
        "perhaps": [group for group in rest if group["perhaps"]],
    }


def combined(contents: Sequence[Content]) -> Content:
    """Return one content for several of one programme; it leads with the first, and a reason that says nothing goes."""
    whole = [{**wording.BLANK, **content, "reason": wording.told_reason(content)} for content in contents]
    if len(whole) == 1:
        return whole[0]
    _say_the_same_reason_alike(whole)
    step = _of_each((one["subject_text"], one["steps"][0] if one["steps"] else "") for one in whole)
    return {
        **whole[0],
        **{name: _of_each((one["subject_text"], one[name]) for one in whole) for name in _DIFFERS},
        "steps": [step] if step else [],
        "subject_text": _about(whole),
    }


def _order(item: Content, today: dt.date) -> tuple[bool, str, int, str, str]:
    """Order by what is sure, then by a deadline that comes near, then by amount.

    A deadline years ahead (a vaccination until the sixth year) presses nobody and ranks with what has none.
    """
    return item["perhaps"], _near(item, today) or "9999", -int(item["yen"]), item["name"], item["programme_key"]


def _near(item: Content, today: dt.date) -> str | None:
    day = _running(item, today)
    return day if day and dt.date.fromisoformat(day) - today <= _NEAR else None


def _running(item: Content, today: dt.date) -> str | None:
    day = item["deadline_on"]
    return day if day and day >= today.isoformat() else None


def _of_each(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a text once where it is everybody's, else each text with whom it is about; pairs are (about, text)."""
    words = phrases("notices/phrases.ja")["digest"]
    said: dict[str, list[str]] = defaultdict(list)
    for about, text in pairs:
        said[text].append(about)
    if len(said) == 1:
        return next(iter(said))
    each = [
        words["each"].format(about=wording.joined_subjects(abouts), text=text) for text, abouts in said.items() if text
    ]
    return str(words["between"]).join(each)


def _say_the_same_reason_alike(whole: Sequence[Content]) -> None:
    """Leave each child's own period out of reasons that are the same but for it; the page of each says it in full."""
    reasons: dict[str, set[str]] = defaultdict(set)
    for one in whole:
        reasons[_PERIOD.sub("", one["reason"])].add(one["reason"])
    for one in whole:
        without_period = _PERIOD.sub("", one["reason"])
        if len(reasons[without_period]) > 1:
            one["reason"] = without_period


def _about(members: Sequence[Content]) -> str:
    """Return whom a programme is about, those for whom it is not sure apart."""
    words = phrases("notices/phrases.ja")["digest"]
    sure = wording.joined_subjects(one["subject_text"] for one in members if not one["perhaps"])
    perhaps = wording.joined_subjects(one["subject_text"] for one in members if one["perhaps"])
    if sure and perhaps:
        return str(words["and_perhaps"].format(sure=sure, perhaps=perhaps))
    return sure or perhaps


def _line(members: Sequence[Content], today: dt.date) -> str:
    """Return about whom, until when and how much, in one line."""
    words = phrases("notices/phrases.ja")["digest"]
    until, amount = "", "・".join(dict.fromkeys(one["amount_text"] for one in members if one["amount_text"]))
    if _running(members[0], today):
        day = dt.date.fromisoformat(members[0]["deadline_on"])
        until = words["until"].format(day=members[0]["deadline_short"] if day - today <= _NEAR else japanese_date(day))
    parts = _about(members), until, words["amount"].format(amount=amount) if amount else ""
    return "、".join(part for part in parts if part)
