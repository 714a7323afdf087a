"""Phrases: the words of a language as a value, and the sentences of conditions put together from them.

The caller reads ``templates/phrases/<language>.yaml`` and passes the mapping; labels of facts come from the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.calendar.day_numbers import date_of
from app.calendar.spans import Span
from app.rules import criteria
from app.rules.day_nodes import Season, Window
from app.rules.documents import Text
from app.rules.facts import Fact, FactCatalogue
from app.rules.nodes import Compared, Equals, Group, Negation, Node, Open, Uncontradicted
from app.rules.parameters import Parameters
from app.rules.people_nodes import Answered, Quantifier, Ranked, Totalled
from app.rules.residence_nodes import Everywhere, LivedOn, Resided, ResidedSince, Stay


@dataclass(frozen=True)
class Phrases:
    """The words of one language (``ja``, ``ja-easy`` or ``en``), and the labels they speak about.

    ``programmes`` are the names of programmes by id, for what a rule says of other ones.
    """

    language: str
    words: Mapping[str, Any]
    catalogue: FactCatalogue
    parameters: Parameters
    programmes: Mapping[str, Text] = field(default_factory=dict)

    def say(self, key: str, /, **values: Any) -> str:
        """A phrase with its places filled; ``a.b`` goes into a group. Raises ``KeyError`` for a missing phrase."""
        phrase: Any = self.words
        for step in key.split("."):
            phrase = phrase[step]
        return str(phrase).format(**values)

    def label(self, path: str) -> str:
        """The label of a fact, or of something that is asked but is no fact of the catalogue."""
        fact = self.catalogue.get(path)
        if fact is not None:
            return fact.label.in_language(self.language)
        owner, _, name = path.partition(".")
        if name in self.words["lists"]:
            return self.say(f"lists.{name}")
        if name.startswith(("receives.", "received_elsewhere.")):
            question, programme = name.split(".", 1)
            return self.say(f"{question}_fact", programme=self.programme(programme))
        return self.say("residence_fact" if owner == "residence" else "municipality_fact")

    def programme(self, programme: str) -> str:
        """The name of another programme (its id, or ``CODE/id``), never the id itself."""
        name = self.programmes.get(programme.rsplit("/", 1)[-1])
        return self.say("other_programme") if name is None else name.in_language(self.language)

    def asked(self, path: str) -> str:
        """Something that is not known yet, as a thing to find out: 「…」かどうか, an amount, 保護者のこと."""
        fact = self.catalogue.get(path)
        boolean = fact is not None and fact.type == "bool"
        return self.say("fact_open", fact=self.label(path)) if boolean else self.label(path)

    def quoted(self, text: str) -> str:
        """A text in quotation marks; marks inside it become the inner ones."""
        return self.say("quoted", text=text.translate(str.maketrans(self.words["inner_marks"])))

    def day(self, number: int) -> str:
        """A date in words."""
        day = date_of(number)
        return self.say("date", year=day.year, month=day.month, day=day.day)

    def value(self, fact: Fact, value: Any) -> str:
        """A stored value in words: yes/no, a choice's label, a date, yen, or a number with its unit."""
        if fact.type == "bool":
            return self.say("yes_value" if value else "no_value")
        if fact.type == "choice":
            return list(fact.choices.values())[int(value)].in_language(self.language)
        if fact.type == "date":
            return self.day(int(value))
        number = f"{int(value):,}"
        if fact.type == "yen":
            return self.say("yen", number=number)
        return self.say("number", number=number, unit=fact.unit.in_language(self.language) if fact.unit else "").strip()

    def join(self, parts: list[str], separator: str = "list_separator") -> str:
        """A list in words."""
        return str(self.words[separator]).join(parts)

    def span(self, span: Span, of_age: bool = False) -> str:
        """A span in words: 3歳, 90か月, 24週, 22日前."""
        if not span.in_days:
            years, months = divmod(abs(span.months), 12)
            parts = [self.say("span.age" if of_age else "span.years", n=years)] if years else []
            whole = "".join([*parts, self.say("span.months", n=months)] if months else parts)
            return self.say("span.before", span=whole) if span.months < 0 else whole
        weeks, days = divmod(abs(span.days), 7)
        text = self.say("span.days", n=abs(span.days)) if days or not weeks else self.say("span.weeks", n=weeks)
        return self.say("span.before", span=text) if span.days < 0 else text


def condition(node: Node, phrases: Phrases) -> str:
    """What a node asks, in words, without the parts below it."""
    if isinstance(node, Everywhere):
        return phrases.say("area")
    if isinstance(node, Group):
        return phrases.say("any" if node.largest else "all")
    if isinstance(node, Negation):
        return phrases.say("not")
    if isinstance(node, Uncontradicted):
        return _uncontradicted(node, phrases)
    if isinstance(node, Open):
        return phrases.say("judgement", text=node.source.judgement.in_language(phrases.language))
    if isinstance(node, Quantifier | Ranked):
        return _people(node, phrases)
    if isinstance(node, Season):
        return _season(node, phrases)
    if isinstance(node, Window) and not isinstance(node.source, criteria.FactTest):
        return _window(node, phrases)
    if isinstance(node, Answered):
        return phrases.say(node.question, programme=phrases.programme(node.programme))
    if isinstance(node, Stay):
        return _residence(node, phrases)
    if isinstance(node, Totalled):
        return _total(node, phrases)
    return _test(node, phrases)


def _uncontradicted(node: Uncontradicted, phrases: Phrases) -> str:
    """The condition that is contradicted; in a rank, who is not counted."""
    if node.source is node.inner.source:
        return phrases.say("rank_unless")
    return phrases.say("uncontradicted", text=node.source.in_language(phrases.language))


def summary(node: Node, phrases: Phrases) -> str:
    """What a node asks in a few words that stand alone: a bare label, "the limit", no "the following"."""
    if isinstance(node, Equals) and isinstance(node.source.is_, bool):
        return phrases.label(node.fact)
    if isinstance(node, Compared) and phrases.catalogue[node.fact].type == "yen":
        return phrases.say(f"limit.{node.word}", fact=phrases.label(node.fact))
    if isinstance(node, Quantifier) and node.where is not None:
        return _quantifier(node, phrases, "summary.")
    if isinstance(node, Ranked) and node.among is not None:
        return phrases.say("summary.rank", bounds=_bounds("rank", node.low, node.high, phrases))
    return condition(node, phrases)


def _people(node: Quantifier | Ranked, phrases: Phrases) -> str:
    if isinstance(node, Quantifier):
        return _quantifier(node, phrases)
    return phrases.say("rank" if node.among else "rank_any", bounds=_bounds("rank", node.low, node.high, phrases))


def _quantifier(node: Quantifier, phrases: Phrases, prefix: str = "") -> str:
    people = phrases.say(f"people.{node.kind}")
    if node.quantifier == "count":
        bounds = _bounds("bounds", node.low, node.high, phrases)
        return phrases.say(f"{prefix}count" if node.where else "count_any", people=people, bounds=bounds)
    key = "some_any" if node.quantifier == "some" and node.where is None else f"{prefix}{node.quantifier}"
    return phrases.say(key, people=people)


def _bounds(prefix: str, low: int | None, high: int | None, phrases: Phrases) -> str:
    if low is not None and low == high:
        return phrases.say(f"{prefix}_is", n=low)
    if low is not None and high is not None:
        return phrases.say(f"{prefix}_between", n=low, m=high)
    return phrases.say(f"{prefix}_at_least", n=low) if low is not None else phrases.say(f"{prefix}_at_most", n=high)


def _season(node: Season, phrases: Phrases) -> str:
    if node.yearly is not None:
        start, end = (phrases.say("month_day", month=place // 100, day=place % 100) for place in node.yearly)
        return phrases.say("each_year", **{"from": start, "until": end})
    return phrases.say("programme_days", days=days_in_words(node.first_day, node.last_day, phrases))


def days_in_words(first: int | None, last: int | None, phrases: Phrases) -> str:
    """From … to …, either end open."""
    if first is not None and last is not None:
        return phrases.say("in_force", **{"from": phrases.day(first), "until": phrases.day(last)})
    if first is not None:
        return phrases.say("in_force_from", **{"from": phrases.day(first)})
    return phrases.say("in_force_until", until=phrases.day(last or 0))


def _window(node: Window, phrases: Phrases) -> str:
    source, fact = node.source, phrases.label(node.fact)
    if isinstance(source, criteria.FiscalYearEnd):
        key = "fiscal_year_end" if source.from_age is None else "fiscal_year_between"
        return phrases.say(key, fact=fact, age=source.of_age, from_age=source.from_age)
    age = node.fact.endswith(".birth_date")
    opens = closes = ""
    if source.from_ is not None:
        key = "opens_now" if source.from_ == Span() else f"opens_{source.from_reckoning}"
        opens = phrases.say(key, span=phrases.span(source.from_, age))
        if source.from_start_of is not None:
            opens = phrases.say(f"from_start_of_{source.from_start_of}", opens=opens)
    if source.until is not None:
        closes = phrases.say(f"closes_{source.until_reckoning}", span=phrases.span(source.until, age))
        if source.until_end_of is not None:
            closes = phrases.say(f"until_end_of_{source.until_end_of}", closes=closes)
    if source.after is not None:
        fact = phrases.say("day_after", fact=fact, span=phrases.span(source.after))
    words = phrases.say("window", fact=fact, opens=opens, closes=closes)
    return words if phrases.language == "ja" else " ".join(words.split())


def _residence(node: Stay, phrases: Phrases) -> str:
    text = _stay(node, phrases)
    if node.whose is None:
        return text
    return phrases.say("residence_of", whose=phrases.say(f"whose.{node.whose}"), text=text)


def _stay(node: Stay, phrases: Phrases) -> str:
    """Since when or on which day somebody lived in the area."""
    day = None if node.date_fact is None else phrases.label(node.date_fact)
    if node.fixed is not None:
        day = phrases.day(node.fixed)
    if isinstance(node, ResidedSince):
        return phrases.say("resided_since", day=day)
    if isinstance(node, Resided):
        key = "resided" if day is None else "resided_by" if node.fixed is None else "resided_by_day"
        return phrases.say(key, span=phrases.span(node.span), fact=day)
    if isinstance(node, LivedOn) and day is None:
        if not node.month_start:
            return phrases.say("resident_today")
        return phrases.say("resident_month_start_born" if node.since_birth else "resident_month_start")
    if node.edge is not None:
        after = node.edge.span
        if after != Span():
            of_age = str(node.date_fact).endswith(".birth_date")
            day = phrases.say("day_after", fact=day, span=phrases.span(after, of_age))
        if node.edge.start_of is not None:
            day = phrases.say(f"start_of_{node.edge.start_of}", day=day)
    return phrases.say("resident_on" if node.fixed is None else "resident_on_day", fact=day)


def _total(node: Totalled, phrases: Phrases) -> str:
    label = phrases.say("total", facts=phrases.join([phrases.label(path) for path in node.facts]))
    fact = phrases.catalogue[node.facts[0]]
    words = [word for word in ("at_least", "over", "at_most", "under") if getattr(node.source, word) is not None]
    if node.limit is not None:
        words = [node.limit.word]
    elif len(words) > 1:
        words = [word for word in words if isinstance(getattr(node.source, word), int)]
    return phrases.join(
        [phrases.say(word, fact=label, limit=_limit(fact, getattr(node.source, word), phrases)) for word in words]
    )


def _test(node: Node, phrases: Phrases) -> str:
    source = node.source
    fact = phrases.catalogue[source.fact]
    label = fact.label.in_language(phrases.language)
    if source.is_ is not None:
        if fact.type == "bool":
            return phrases.say("fact_true" if source.is_ else "fact_false", fact=label)
        return phrases.say("fact_is", fact=label, value=_literal(fact, source.is_, phrases))
    if source.in_ is not None:
        return phrases.say(
            "fact_in", fact=label, values=phrases.join([_literal(fact, value, phrases) for value in source.in_])
        )
    if source.from_ is not None or source.until is not None:
        return _dates(source, label, phrases)
    bounds = []
    for word in ("at_least", "over", "at_most", "under"):
        limit = getattr(source, word)
        if limit is not None and (not isinstance(node, Compared) or not isinstance(limit, int)):
            bounds.append(phrases.say(word, fact=label, limit=_limit(fact, limit, phrases)))
    return phrases.join(bounds)


def _literal(fact: Fact, value: Any, phrases: Phrases) -> str:
    if fact.type == "choice":
        return fact.choices[value].in_language(phrases.language)
    return phrases.value(fact, value)


def _limit(fact: Fact, limit: Any, phrases: Phrases) -> str:
    if isinstance(limit, int):
        return _literal(fact, limit, phrases) if fact.type == "choice" else phrases.value(fact, limit)
    label = phrases.parameters[limit.parameter].label.in_language(phrases.language)
    if limit.by is None:
        return phrases.say("parameter", parameter=label)
    return phrases.say("parameter_by", parameter=label, by=phrases.label(limit.by))


def _dates(source: Any, label: str, phrases: Phrases) -> str:
    first, last = (
        None if day is None else phrases.say("date", year=day.year, month=day.month, day=day.day)
        for day in (source.from_, source.until)
    )
    kind = "between" if first and last else "from" if first else "until"
    prefix = "born" if source.fact == "child.birth_date" else "date"
    return phrases.say(f"{prefix}_{kind}", fact=label, **{"from": first, "until": last})
