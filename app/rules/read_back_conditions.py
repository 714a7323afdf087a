"""Read back of conditions: each test as a sentence, below it the dates and the figures it means on a day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from app.calendar.day_numbers import EARLIEST, date_of, number_of
from app.rules.day_nodes import Window
from app.rules.leaves import ParameterRef
from app.rules.nodes import Compared, Group, Negation, Node
from app.rules.parameters import Beyond, Parameter, ParameterPeriod
from app.rules.people_nodes import Ranked, Totalled
from app.rules.phrases import Phrases, condition

Line = tuple[int, str]
"""How deep a sentence stands, and the sentence."""


@dataclass
class Shown:
    """The day whose dates and figures are shown (None: none), and the tables that were shown already."""

    day: int | None
    tables: set[str] = field(default_factory=set)


def tree_read_back(node: Node, depth: int, phrases: Phrases, shown: Shown) -> Iterator[Line]:
    """Every test of a tree, the parts of a group below its head."""
    if _ways_of_one_test(node):
        yield depth, condition(node.parts[0], phrases)
        texts = [text for part in node.parts for text in _dates_of(part, phrases, shown)]
        if texts:
            yield depth + 1, _on_day(phrases.join(texts, "or_separator"), phrases, shown)
        return
    if _several_nodes_of_one_test(node):
        for part in node.parts:
            yield from tree_read_back(part, depth, phrases, shown)
        return
    yield depth, _head(node, phrases)
    if isinstance(node, Ranked):
        yield depth + 1, phrases.say("read_back.rank_ties")
    for sentence in meant_on(node, phrases, shown):
        yield depth + 1, sentence
    for part in node.parts:
        yield from tree_read_back(part, depth + 1, phrases, shown)


def _ways_of_one_test(node: Node) -> bool:
    """An ``any`` that a single test of the document was compiled to: one of several school grades."""
    return (
        isinstance(node, Group) and node.largest and len(node.parts) > 1
        and all(part.source is node.source for part in node.parts)
    )  # fmt: skip


def _several_nodes_of_one_test(node: Node) -> bool:
    """A group with one part, or one that a single test of the document was compiled to (a band, some grades)."""
    if not isinstance(node, Group) or node.largest:
        return isinstance(node, Group) and len(node.parts) == 1
    return len({id(part.source) for part in node.parts}) == 1 or len(node.parts) == 1


def _head(node: Node, phrases: Phrases) -> str:
    if isinstance(node, Group) and len({id(part.source) for part in node.parts}) > 1:
        return phrases.say("read_back.any" if node.largest else "read_back.all")
    if isinstance(node, Negation):
        return phrases.say("read_back.not")
    return condition(node.parts[0] if isinstance(node, Group) else node, phrases)


def meant_on(node: Node, phrases: Phrases, shown: Shown) -> Iterator[str]:
    """What a test means on the day shown: the dates of birth inside a window, the figures of a limit."""
    if shown.day is None:
        return
    for text in _dates_of(node, phrases, shown):
        yield _on_day(text, phrases, shown)
    for limit in _limits_of(node):
        parameter = phrases.parameters[limit.parameter]
        if parameter.is_table and parameter.id in shown.tables:
            yield phrases.say("read_back.table_again", parameter=parameter.label.in_language(phrases.language))
            continue
        shown.tables.add(parameter.id)
        yield from figures(parameter, limit, phrases, shown.day)


def _dates_of(node: Node, phrases: Phrases, shown: Shown) -> Iterator[str]:
    text = dates_inside(node, phrases, shown.day) if isinstance(node, Window) and shown.day is not None else None
    if text is not None:
        yield text


def _on_day(text: str, phrases: Phrases, shown: Shown) -> str:
    assert shown.day is not None
    return phrases.say("read_back.on_day", day=phrases.day(shown.day), text=text)


def _limits_of(node: Node) -> Iterator[ParameterRef]:
    words: tuple[str, ...] = ()
    if isinstance(node, Compared):
        words = (node.word,)
    elif isinstance(node, Totalled) and node.limit is not None:
        words = (node.limit.word,)
    for word in words:
        limit = getattr(node.source, word, None)
        if isinstance(limit, ParameterRef):
            yield limit


def dates_inside(node: Window, phrases: Phrases, day: int) -> str | None:
    """The dates that lie inside a window on a day, as people say them: 2023年4月2日〜2024年4月1日生まれ."""
    latest = None if node.opens is None else node.opens.last_date(day)
    earliest = None if node.closes is None else node.closes.last_date(day - 1) + 1
    if earliest is not None and earliest <= EARLIEST + 1000:
        earliest = None
    if earliest is None and latest is None:
        return None
    kind = "between" if earliest is not None and latest is not None else "from" if earliest is not None else "until"
    owner = node.fact.removesuffix(".birth_date")
    born = owner != node.fact and owner in ("child", "guardian")
    key = f"read_back.{owner}_born_{kind}" if born else f"date_{kind}"
    values = {
        "from": "" if earliest is None else phrases.day(earliest),
        "until": "" if latest is None else phrases.day(latest),
    }
    return phrases.say(key, fact=phrases.label(node.fact), **values)


# ---- figures --------------------------------------------------------------------------------------------------------


def figures(parameter: Parameter, limit: ParameterRef, phrases: Phrases, day: int) -> Iterator[str]:
    """The figures of a parameter in force on a day: the value, or a line for each row of its table."""
    period = parameter.on(date_of(day))
    name = parameter.label.in_language(phrases.language)
    if period is None:
        yield phrases.say("read_back.no_figure", parameter=name, day=phrases.day(day))
        return
    since = phrases.day(number_of(period.valid_from))
    if period.table is None:
        yield phrases.say(
            "read_back.figure", parameter=name, figure=amount_in_words(parameter, period.value, phrases), since=since
        )
        return
    yield phrases.say("read_back.table", parameter=name, since=since)
    by = phrases.label(limit.by or "")
    for number, row in enumerate(period.table):
        yield phrases.say("read_back.row", by=by, n=number, figure=amount_in_words(parameter, row, phrases))
    yield _beyond(parameter, period, by, phrases)


def _beyond(parameter: Parameter, period: ParameterPeriod, by: str, phrases: Phrases) -> str:
    last = len(period.table or ()) - 1
    if isinstance(period.beyond, Beyond):
        step = amount_in_words(parameter, period.beyond.step, phrases)
        return phrases.say("read_back.row_step", by=by, n=last, figure=step)
    return phrases.say(f"read_back.row_{period.beyond}", by=by, n=last)


def amount_in_words(parameter: Parameter, value: Fraction | None, phrases: Phrases) -> str:
    """One figure of a parameter with its unit; a ratio as a decimal."""
    if value is None:
        return phrases.say("open_value")
    text = exact(value)
    return phrases.say("yen", number=text) if parameter.unit == "yen" else text


def exact(value: Any) -> str:
    """A rational number in digits: whole numbers in groups of three, decimals as they are, else a fraction."""
    number = Fraction(value)
    if number.denominator == 1:
        return f"{int(number):,}"
    for places in range(1, 10):
        shifted = number * 10**places
        if shifted.denominator == 1:
            digits = f"{abs(int(shifted)):0{places + 1}d}"
            return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return f"{number.numerator}/{number.denominator}"
