"""Read back of applying, through whom, from when, until when, paid from which month; and of how families are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.calendar.day_numbers import number_of
from app.calendar.spans import Span
from app.rules.application import Application, Deadline, LatestOf
from app.rules.deadlines import BIRTH_ANCHOR
from app.rules.evaluate import CompiledRule
from app.rules.nodes import Node
from app.rules.phrases import Phrases
from app.rules.read_back_conditions import Line, Shown, tree_read_back


def application_read_back(rule: CompiledRule, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    """Everything about applying that dates and money follow from."""
    yield from _take_up(rule, phrases, shown)
    if rule.rule.form is not None:
        key = "form" if rule.rule.form.further is None else "form_further"
        form = rule.rule.form
        yield 0, phrases.say(f"read_back.{key}", first=form.first, further=form.further)
    application = rule.rule.application
    if application is None:
        return
    if application.opens is not None:
        yield 0, phrases.say("read_back.opens", day=_opening(application, phrases))
    if rule.deadlines:
        yield 0, phrases.say("read_back.deadlines")
    for deadline, when in rule.deadlines:
        yield from _deadline(deadline, when, phrases, shown)
    yield from _payment(application, rule, phrases)


def _take_up(rule: CompiledRule, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    """One way for everybody in one sentence; several ways with the condition of each."""
    ways = rule.take_up
    if len(ways) == 1 and ways[0][0] is None:
        yield 0, phrases.say(f"read_back.take_up.{ways[0][1]}")
        return
    for when, way in ways:
        if when is None:
            yield 0, phrases.say("read_back.take_up.else", way=phrases.say(f"read_back.take_up.{way}"))
        else:
            yield 0, phrases.say("read_back.take_up.when", way=phrases.say(f"read_back.take_up.{way}"))
            yield from tree_read_back(when, 1, phrases, shown)


def _opening(application: Application, phrases: Phrases) -> str:
    opens = application.opens
    assert opens is not None
    if opens.on is not None:
        return phrases.day(number_of(opens.on))
    yearly = getattr(opens, "each_year", None)
    if yearly is not None:
        return phrases.say("read_back.each_year", day=_month_day(yearly, phrases))
    return _moved(opens.anchor, opens.after, phrases)


def _month_day(month_day: tuple[int, int], phrases: Phrases) -> str:
    return phrases.say("month_day", month=month_day[0], day=month_day[1])


def anchor_in_words(anchor: Any, phrases: Phrases) -> str:
    """The event a deadline counts from: the day of a fact, of a move, the day of asking, or the latest of several."""
    if isinstance(anchor, LatestOf):
        parts = phrases.join([anchor_in_words(single, phrases) for single in anchor.latest], "and_separator")
        return phrases.say("read_back.anchor.latest", days=parts)
    if anchor == "today" or str(anchor).startswith("residence."):
        return phrases.say(f"read_back.anchor.{str(anchor).replace('.', '_')}")
    return phrases.label(str(anchor))


def _moved(anchor: Any, after: Any, phrases: Phrases) -> str:
    day = anchor_in_words(anchor, phrases)
    if after is None or (not after.months and not after.days):
        return phrases.say("read_back.anchor.day", day=day)
    return phrases.say("day_after", fact=day, span=phrases.span(after))


def _deadline(deadline: Deadline, when: Node | None, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    """The occasion and the rule; below it how it is counted, what a closed day does, and what is not lost."""
    text = _until(deadline, phrases)
    occasion = phrases.words["read_back"]["occasions"].get(deadline.occasion)
    yield 1, text if occasion is None else phrases.say("read_back.occasion", occasion=occasion, text=text)
    if when is not None:
        yield 2, phrases.say("read_back.deadline_when")
        yield from tree_read_back(when, 3, phrases, shown)
    if deadline.within is not None:
        yield 2, phrases.say(f"read_back.first_day_{deadline.first_day}")
    yield 2, phrases.say(f"read_back.holiday_{deadline.holiday}")
    if deadline.no_loss:
        birth = "_birth" if deadline.anchor == BIRTH_ANCHOR else ""
        yield 2, phrases.say(f"read_back.no_loss{birth}")
    if deadline.note is not None:
        yield 2, deadline.note.in_language(phrases.language)


def _until(deadline: Deadline, phrases: Phrases) -> str:
    if deadline.on is not None:
        return phrases.say("read_back.until_day", day=phrases.day(number_of(deadline.on)))
    if deadline.each_year is not None:
        yearly = phrases.say("read_back.each_year", day=_month_day(deadline.each_year, phrases))
        return phrases.say("read_back.until_day", day=yearly)
    event = _moved(deadline.anchor, getattr(deadline, "after", None), phrases)
    if deadline.within is not None:
        return phrases.say("read_back.within", event=event, span=phrases.span(deadline.within))
    if deadline.end_of is not None:
        return phrases.say(f"read_back.end_of_{deadline.end_of}", event=event)
    return phrases.say("read_back.until_day", day=event)


def _payment(application: Application, rule: CompiledRule, phrases: Phrases) -> Iterator[Line]:
    """From which month it pays, and what waiting costs where that is the following month's amount."""
    if application.pays_from is None:
        return
    yield 0, phrases.say(f"read_back.pays_from.{application.pays_from}")
    if any(case.per == "month" for case in rule.cases):
        yield 1, phrases.say("read_back.cost_of_delay")


def telling_read_back(rule: CompiledRule, phrases: Phrases) -> Iterator[Line]:
    """Whom families' notices go to, how long before, how often again, and whether they name the programme.

    The registry's documents say so; a bare rule does not.
    """
    programme: Any = rule.rule
    if not hasattr(programme, "notify"):
        return
    yield 0, phrases.say("read_back.telling.head")
    if not programme.notifies:
        yield 1, phrases.say("read_back.telling.nobody")
        return
    yield 1, phrases.say("read_back.telling.who")
    plan = programme.notify
    if plan is None:
        yield 1, phrases.say("read_back.telling.lead_usual")
    else:
        key = "lead" if plan.lead != Span() else "lead_none"
        yield 1, phrases.say(f"read_back.telling.{key}", span=phrases.span(plan.lead))
        again = phrases.join([phrases.span(span) for span in plan.remind_before_deadline])
        yield 1, phrases.say(f"read_back.telling.{'remind' if again else 'remind_never'}", spans=again)
    if programme.sensitive:
        yield 1, phrases.say("read_back.telling.sensitive")
