"""The edges of one test on a day: for each, the household just inside and the household just outside.

Inside is where the test holds. A new kind of test gets its edges here; until then its facts are tried one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.calendar.day_numbers import EARLIEST, OPEN_END, as_days, date_of, number_of
from app.calendar.legal_age import corresponding_days
from app.calendar.windows import Edge
from app.rules.day_nodes import Season, Window
from app.rules.drafts import Draft
from app.rules.facts import Fact, FactCatalogue
from app.rules.nodes import Between, Compared, Equals, LimitTable, Node, Open
from app.rules.people_nodes import Answered, Quantifier, Ranked, Totalled
from app.rules.residence_nodes import Everywhere, LivedOn, Resided, ResidedSince, Stay

AWKWARD_DAYS = ((3, 31), (4, 1), (4, 2))
"""Days of birth around the change of the school year; 29 February is tried besides."""
_SOON = (1, 35, 200)
"""Days after a fixed date on which both sides of it are tried: another window may be over on the day asked."""
_ROWS = 8
"""Rows of a limit table that are tried; past the last own row one more."""


@dataclass(frozen=True)
class EdgePair:
    """``edge`` names the kind of edge (opens, closes, limit, value …); the test holds for ``inside`` only."""

    edge: str
    inside: Draft
    outside: Draft


def edge_pairs(node: Node, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """Pairs around every edge of one test, moved in a draft; nothing for a judgement."""
    if isinstance(node, Open):
        return
    for kind, pairs in _PAIRS.items():
        if isinstance(node, kind):
            yield from pairs(node, draft, catalogue)
            return
    for path in node.reads:
        yield from _any_values(catalogue[path], draft)


def _window(node: Window, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """The dates on either side of an edge on this day; then awkward births on either side of their own edge."""

    def dated(value: int) -> Draft:
        return draft.with_fact(node.fact, date_of(value))

    if node.opens is not None:
        latest = node.opens.last_date(draft.day)
        yield EdgePair("opens", dated(latest), dated(latest + 1))
        if node.fact.endswith(".birth_date"):
            for birth in _awkward_births(latest):
                edge = _edge_day(node.opens, birth)
                yield EdgePair("opens", dated(birth).on_day(edge), dated(birth).on_day(edge - 1))
    if node.closes is not None:
        earliest = node.closes.last_date(draft.day - 1) + 1
        yield EdgePair("closes", dated(earliest), dated(earliest - 1))
        if node.fact.endswith(".birth_date"):
            for birth in _awkward_births(earliest):
                edge = _edge_day(node.closes, birth)
                yield EdgePair("closes", dated(birth).on_day(edge), dated(birth).on_day(edge + 1))


def _edge_day(edge: Edge, birth: int) -> int:
    return int(edge.days(np.asarray([birth], dtype=np.int32))[0])


def _awkward_births(near: int) -> list[int]:
    """29 February and the days around 1 April that lie nearest to a date; their own edges fall near the day asked."""
    year = date_of(near).year
    leap = min((other for other in range(year - 4, year + 5) if _is_leap(other)), key=lambda other: abs(other - year))
    found = [number_of(date_of(near).replace(year=leap, month=2, day=29))]
    for month, day in AWKWARD_DAYS:
        days = [
            number_of(date_of(near).replace(year=other, month=month, day=day)) for other in (year - 1, year, year + 1)
        ]
        found.append(min(days, key=lambda other: abs(other - near)))
    return found


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _between(node: Between, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """A number by one; a fixed date by a day, on the day asked and on days soon after it."""
    fact = catalogue[node.fact]
    dates = fact.type == "date"
    lowest = (EARLIEST if dates else 0) if fact.at_least is None else fact.at_least
    for edge, value, outward in (("lowest", node.low, -1), ("highest", node.high, 1)):
        if value is None or value + outward < lowest or (fact.at_most is not None and value + outward > fact.at_most):
            continue
        for day in (draft.day, *(value + later for later in _SOON if dates)):
            inside, outside = (
                draft.on_day(day).with_fact(node.fact, date_of(number) if dates else number)
                for number in (value, value + outward)
            )
            yield EdgePair(edge, inside, outside)


def _equals(node: Equals, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """Each value that is wanted beside one that is not; of choices in order, the nearest ones."""
    fact = catalogue[node.fact]
    if fact.type in ("int", "yen"):
        lowest, highest = fact.at_least or 0, fact.at_most
        for value in node.values:
            for other in (value - 1, value + 1):
                if other not in node.values and lowest <= other and (highest is None or other <= highest):
                    yield EdgePair("value", draft.with_fact(node.fact, value), draft.with_fact(node.fact, other))
        return
    stored: list[Any] = [False, True] if fact.type == "bool" else list(fact.choices)
    others = [position for position in range(len(stored)) if position not in node.values]
    for wanted in node.values:
        for other in sorted(others, key=lambda position: abs(position - wanted))[:2]:
            yield EdgePair(
                "value", draft.with_fact(node.fact, stored[wanted]), draft.with_fact(node.fact, stored[other])
            )


def _compared(node: Compared, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """The limit ± 1, for each number of dependants that a table writes out and one more."""
    table = next((one for one in node.tables if one.first <= draft.day <= one.last), None)
    if table is None:
        return
    outward = -1 if node.word in ("at_least", "over") else 1
    for row in _rows_to_try(node, table):
        if not table.known[row]:
            continue
        limit = int(table.rows[row])
        chosen = draft if node.by is None else draft.with_fact(node.by, row)
        if limit >= 0 and limit + outward >= 0:
            yield EdgePair("limit", chosen.with_fact(node.fact, limit), chosen.with_fact(node.fact, limit + outward))
    if node.by is not None and not table.known.all():
        last = int(np.flatnonzero(table.known)[-1])
        chosen = draft.with_fact(node.fact, max(int(table.rows[last]) - 1, 0))
        if last < len(table.known) - 2:
            yield EdgePair("last_row", chosen.with_fact(node.by, last), chosen.with_fact(node.by, last + 1))


def _rows_to_try(node: Compared, table: LimitTable) -> range:
    return range(1) if node.by is None else range(min(len(table.rows), _ROWS))


def _totalled(node: Totalled, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """One person's figure at the limit of the sum, one yen beside it; everybody else has none."""

    def summing(start: Draft, value: int) -> Draft:
        for path in node.facts:
            kind = path.split(".", 1)[0]
            for position in range(len(start.people(kind)) if kind != "household" else 1):
                start = start.bound(kind, position).with_fact(path, 0)
        return replace(start.with_fact(node.facts[0], value), persons=draft.persons)

    if node.limit is not None:
        table = next((one for one in node.limit.tables if one.first <= draft.day <= one.last), None)
        rows = [] if table is None else [row for row in range(min(len(table.rows), _ROWS)) if table.known[row]]
        if node.limit.by is None:
            rows = rows[:1]
        lower = node.limit.word in ("at_least", "over")
        for row in rows:
            assert table is not None
            start = draft if node.limit.by is None else draft.with_fact(node.limit.by, row)
            limit = int(table.rows[row])
            yield EdgePair("limit", summing(start, limit), summing(start, max(limit + (-1 if lower else 1), 0)))
        return
    for value, outward in ((node.low, -1), (node.high, 1)):
        if value is not None and value + outward >= 0:
            yield EdgePair("limit", summing(draft, value), summing(draft, value + outward))


def _season(node: Season, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    for first, last in _season_days(node, draft.day):
        if first is not None:
            yield EdgePair("opens", draft.on_day(first), draft.on_day(first - 1))
        if last is not None:
            yield EdgePair("closes", draft.on_day(last), draft.on_day(last + 1))


def _season_days(node: Season, day: int) -> Iterator[tuple[int | None, int | None]]:
    if node.yearly is None:
        yield node.first_day, node.last_day
        return
    year = date_of(day).year
    start, end = node.yearly
    for begins in (year - 1, year):
        ends = begins if start <= end else begins + 1
        yield _day_of(begins, start), _day_of(ends, end)


def _day_of(year: int, place: int) -> int:
    month, day = divmod(place, 100)
    return number_of(date_of(0).replace(year=year, month=month, day=min(day, 28 if month == 2 else day)))


def _area(node: Everywhere, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """Moved in on the day or on the day after; still there on the day, or gone."""
    yield EdgePair("moves_in", draft.living(node.area, draft.day), draft.living(node.area, draft.day + 1))
    yield EdgePair(
        "moves_out",
        draft.living(node.area, draft.day - 800, draft.day + 1),
        draft.living(node.area, draft.day - 800, draft.day),
    )


def _lived_on(node: LivedOn, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """Moved in on the day that counts, or on the day after."""
    draft, day = _counted_day(node, draft)
    yield EdgePair("moves_in", draft.living(node.area, day), draft.living(node.area, day + 1))


def _resided(node: Resided, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """Moved in so early that the span is just full, or a day later."""
    draft, day = _counted_day(node, draft)
    latest = day
    if not isinstance(node, ResidedSince):
        since = np.arange(day - node.span.days - node.span.months * 31 - 62, day + 2, dtype=np.int32)
        latest = int(since[as_days(corresponding_days(since, node.span)) <= day][-1])
    yield EdgePair("moves_in", draft.living(node.area, latest), draft.living(node.area, latest + 1))


def _counted_day(node: Stay, draft: Draft) -> tuple[Draft, int]:
    """The day of a residence that is asked about; a date nobody has stated yet becomes one a month ago."""
    if node.date_fact is None and node.fixed is None:
        return draft, int(node.day(as_days(draft.day)))
    if node.date_fact is None:
        day = int(node.fixed or 0)
    else:
        if draft.fact(node.date_fact) is None:
            draft = draft.with_fact(node.date_fact, date_of(draft.day - 30))
        day = number_of(_date(draft.fact(node.date_fact)))
    return draft, day if node.edge is None else _edge_day(node.edge, day)


def _date(value: Any) -> Any:
    return date_of(0).fromisoformat(value) if isinstance(value, str) else value


def _answered(node: Answered, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    yield EdgePair(
        "answer",
        draft.with_answer(node.question, node.programme, True),
        draft.with_answer(node.question, node.programme, False),
    )


def _people(node: Quantifier, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """One person more or fewer, each like the first of the list; a right that belongs to one keeps that one."""
    counts = [bound for bound in ((node.low, -1), (node.high, 1)) if bound[0] is not None and bound[0] + bound[1] >= 0]
    if node.quantifier == "some":
        counts = [(1, -1)]
    for inside, step in counts:
        if inside is not None and min(inside, inside + step) >= (1 if draft.subject[0] == node.kind else 0):
            yield EdgePair("number", _numbering(draft, node.kind, inside), _numbering(draft, node.kind, inside + step))


def _numbering(draft: Draft, kind: str, number: int) -> Draft:
    people = draft.people(kind)[:number]
    draft = draft.with_people(kind, people)
    while len(draft.people(kind)) < number:
        people = draft.people(kind)
        like = {name: value for name, value in people[0].items() if name != "id"} if people else {}
        draft = draft.with_people(kind, [*people, {**draft.new_person(kind), **like}])
    return draft


def _ranked(node: Ranked, draft: Draft, catalogue: FactCatalogue) -> Iterator[EdgePair]:
    """The child with as many older siblings as the place needs, and with one fewer (or one more)."""
    for place, step in ((node.low, -1), (node.high, 1)):
        if place is not None and place + step >= 1:
            yield EdgePair("place", with_elders(draft, place - 1), with_elders(draft, place - 1 + step))


def with_elders(draft: Draft, number: int) -> Draft:
    """The child that the tests are about with exactly this many older siblings, each about a year apart."""
    position = draft.subject[1] if draft.subject[0] == "child" else draft.persons.get("child", 0)
    people = draft.people("child")
    if position >= len(people):
        return draft
    child = people[position]
    born = number_of(_date(child.get("birth_date") or date_of(draft.day - 900)))
    like = {name: value for name, value in child.items() if name not in ("id", "birth_date")}
    only = draft.with_people("child", [{**child, "birth_date": date_of(born)}])
    for elder in range(number):
        sibling = {**only.new_person("child"), "birth_date": date_of(born - 370 * (elder + 1)), **like}
        only = only.with_people("child", [*only.people("child"), sibling])
    subject = ("child", 0) if draft.subject[0] == "child" else draft.subject
    return Draft(only.document, draft.day, subject, {**draft.persons, "child": 0})


def _any_values(fact: Fact, draft: Draft) -> Iterator[EdgePair]:
    """A test this module does not know: the values of a fact, two by two."""
    if fact.derived:
        return
    if fact.type in ("bool", "choice"):
        values: list[Any] = [False, True] if fact.type == "bool" else list(fact.choices)
        pairs = [(one, other) for one in values for other in values if one != other]
    elif fact.type == "date":
        pairs = [(date_of(draft.day), date_of(draft.day + 1)), (date_of(draft.day), date_of(draft.day - 1))]
    else:
        pairs = [(0, 1), (1, 0), (1, 2), (2, 1)]
    for inside, outside in pairs:
        yield EdgePair("value", draft.with_fact(fact.path, inside), draft.with_fact(fact.path, outside))


def within_reach(pair: EdgePair, first: int, last: int) -> bool:
    """Both households stand on days on which the version is law."""
    days = (pair.inside.day, pair.outside.day)
    return max(first, EARLIEST) <= min(days) and max(days) <= min(last, OPEN_END)


_PAIRS: dict[type[Node], Callable[[Any, Draft, FactCatalogue], Iterator[EdgePair]]] = {
    Window: _window,
    Between: _between,
    Equals: _equals,
    Compared: _compared,
    Season: _season,
    Everywhere: _area,
    LivedOn: _lived_on,
    Resided: _resided,
    Totalled: _totalled,
    Answered: _answered,
    Quantifier: _people,
    Ranked: _ranked,
}
