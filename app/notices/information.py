"""Information for everybody in an area: what a bulletin becomes for one household, and how it ranks. Pure.

Everybody hears it in the same words, so that it says nothing about who reads it; what would tell one family something
about itself is a notice of another kind. How it goes out:

- **An ordinary bulletin ranks below a family's own news.** It goes along with the next of them in one message. By
  itself it goes only where the week has had no other bulletin and at most one message, and it does not count towards
  the two that the family's own news may use.
- **An emergency** (disaster, special benefit) goes at once, at any hour, as a message of its own, to every address that
  works, of every guardian: in a disaster nobody knows which of them is in reach, and a second telling costs a family
  less than none. It is no part of the day's message and uses up nothing of what caps allow.
- **Where a person is stopped** (a death), information about a programme stays in the inbox and is not pushed, unless a
  living child of the family has that programme. General information goes out.
- **Under protection** it goes in neutral words and to newly confirmed addresses only: the words would tell the town.
"""

import datetime as dt
from collections.abc import Sequence

from app.notices import wording
from app.notices.quiet_hours import next_allowed
from app.notices.rows import HOUSEHOLD, end_of
from app.notices.situation import Situation
from app.notices.tables import Bulletin, Notice
from app.platform.clock import japan_date
from app.platform.rendering import japanese_date, phrases

INFORMATION = "information"
BULLETIN = "bulletin"
"""The programme key of information that concerns no programme."""
_WEEK = dt.timedelta(days=7)
_MOST_BEFORE = 1
"""How many messages a week may have had for information to go by itself."""


def is_information(notice: Notice) -> bool:
    """Whether a notice tells everybody in an area the same."""
    return notice.kind == INFORMATION


def is_emergency(notice: Notice) -> bool:
    """Whether a notice goes out at any hour, past every cap."""
    return is_information(notice) and bool(notice.content["urgent"])


def is_held(situation: Situation, notice: Notice) -> bool:
    """Whether an operator halted the programme that information concerns; it waits for no sweep and no campaign."""
    return notice.programme_key in situation.halted


def keeps_quiet(situation: Situation, notice: Notice) -> bool:
    """Whether information stays in the inbox: it concerns a programme, and the family may have lost whom it was for."""
    if not is_information(notice) or notice.programme_key == BULLETIN or not situation.household.stopped_subjects:
        return False
    told = [(other.programme_key, other.subject) for other in situation.notices if other is not notice]
    rights = [(row.programme_key, row.subject) for row in situation.entitlements]
    return not any(
        key == notice.programme_key and subject.startswith("child:") and not situation.is_stopped(subject)
        for key, subject in [*rights, *told]
    )


def waiting(situation: Situation, due: Sequence[Notice]) -> list[Notice]:
    """Return the information that waits for its turn and may go along with a family's own news, if any is due."""
    chosen = {notice.id for notice in due}
    if all(map(is_information, due)):
        return []
    planned = (notice for notice in situation.notices if notice.state == "planned" and is_information(notice))
    return [notice for notice in planned if notice.id not in chosen]


def alone_not_before(situation: Situation, now: dt.datetime) -> dt.date | None:
    """Return the first day on which information may go by itself; None where it may today."""
    today = japan_date(now)
    days = sorted(push.day for push in situation.pushes if push.day > today - _WEEK)
    told = [
        japan_date(notice.released_at)
        for notice in situation.notices
        if is_information(notice)
        and notice.released_at
        and situation.was_pushed(notice.id)
        and not is_emergency(notice)
    ]
    free_on = [day + _WEEK for day in told if day > today - _WEEK]
    if len(days) > _MOST_BEFORE:
        free_on.append(days[-1 - _MOST_BEFORE] + _WEEK)
    if today in days:
        free_on.append(today + dt.timedelta(days=1))
    return max(free_on, default=None)


def notice_of(situation: Situation, bulletin: Bulletin, content: wording.Content, now: dt.datetime) -> Notice:
    """Return the planned notice by which a household hears of a bulletin."""
    household = situation.household
    return Notice(
        household_id=household.id,
        municipality_code=household.municipality_code,
        programme_key=bulletin.programme_key or BULLETIN,
        subject=HOUSEHOLD,
        kind=INFORMATION,
        occasion=str(bulletin.id),
        programme_version=bulletin.valid_from,
        content=content,
        release_at=now if bulletin.urgent else next_allowed(now, household.id),
        expires_at=end_of(bulletin.valid_until),
    )


def content_of(bulletin: Bulletin, area_name: str | None, *, sensitive: bool = False) -> wording.Content:
    """Return what a bulletin says: the same to everybody.

    Args:
        bulletin: as approved.
        area_name: of the municipality or prefecture; None: it goes to everybody.
        sensitive: whether the very name of its programme says something; apps hear a category then.
    """
    words = phrases("notices/information/phrases.ja")
    title = bulletin.title
    if bulletin.corrects is not None:
        title = words["correction"].format(title=title)
    to = words["to"]
    return {
        **wording.BLANK,
        "kind": INFORMATION,
        "name": title,
        "title": title,
        "body": _paragraphs(bulletin.body),
        "title_easy": bulletin.title_easy or "",
        "body_easy": _paragraphs(bulletin.body_easy or ""),
        "source": bulletin.source,
        "contact": bulletin.contact,
        "source_url": bulletin.link or "",
        "source_title": words["link"] if bulletin.link else "",
        "source_checked_on": None,
        "valid_text": words["until"].format(day=japanese_date(bulletin.valid_until)),
        "to_text": to["area"].format(area=area_name) if area_name else to["everybody"],
        "programme_kind": INFORMATION,
        "programme_sensitive": sensitive,
        "urgent": bulletin.urgent,
        "version": "",
    }


def _paragraphs(body: str) -> list[str]:
    return [line.strip() for line in body.splitlines() if line.strip()]
