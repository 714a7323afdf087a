"""Explanation: the tree with each node's verdict, the value used, its source and date, in words.

The one sentence for a family is in ``reasons``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from app.calendar.day_numbers import number_of
from app.rules.columns import NO, UNKNOWN, YES
from app.rules.day_nodes import Window
from app.rules.nodes import Compared, limits
from app.rules.phrases import Phrases, condition, days_in_words
from app.rules.reading import Reading
from app.rules.reasons import window_days
from app.rules.trace import Trace

VERDICT_NAMES = {NO: "ineligible", UNKNOWN: "undetermined", YES: "eligible"}


@dataclass(frozen=True)
class Explanation:
    """One node in words. ``sentence`` holds the condition, the verdict and the value used.

    ``person`` is whose test it is inside a quantifier (``child:c1``), ``whose`` the same in words (1人目のお子さん);
    ``fact``/``value`` the value used, if any.
    """

    verdict: str
    sentence: str
    condition: str
    path: str
    person: str | None = None
    whose: str | None = None
    fact: str | None = None
    value: str | None = None
    source: str | None = None
    recorded_on: str | None = None
    parts: tuple[Explanation, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values; what is not there is left out."""
        document: dict[str, Any] = {"verdict": self.verdict, "sentence": self.sentence, "path": self.path}
        for name in ("person", "whose", "fact", "value", "source", "recorded_on"):
            if getattr(self, name) is not None:
                document[name] = getattr(self, name)
        if self.parts:
            document["parts"] = [part.as_document() for part in self.parts]
        return document


def explain(traced: Trace, reading: Reading, phrases: Phrases) -> Explanation:
    """A trace in the words of one language."""
    words = condition(traced.node, phrases)
    value, source, recorded_on = _value(traced, reading, phrases)
    sentence = phrases.say(f"verdict_{traced.verdict}", condition=words)
    if value is not None:
        shown = value if source is None else phrases.say("with_source", value=value, source=source)
        if recorded_on is not None:
            shown = phrases.say("with_date", value=shown, date=phrases.day(number_of(_date(recorded_on))))
        sentence = phrases.say("with_value", sentence=sentence, value=shown)
    facts = traced.node.reads
    return Explanation(
        VERDICT_NAMES[traced.verdict],
        sentence,
        words,
        traced.node.path,
        traced.person,
        None if traced.person is None else _whose(traced, reading, phrases),
        facts[0] if facts else None,
        value,
        source,
        recorded_on,
        tuple(explain(part, reading, phrases) for part in traced.parts),
    )


def _whose(traced: Trace, reading: Reading, phrases: Phrases) -> str:
    """The person by its place in the household's list, because ids are nothing to read out."""
    kind, identifier = str(traced.person).split(":", 1)
    people = reading.population.people[kind]
    household = int(reading.population.people[traced.kind].household[traced.row])
    first, last = int(people.offsets[household]), int(people.offsets[household + 1])
    place = next((number for number, row in enumerate(range(first, last)) if people.ids[row] == identifier), 0)
    return phrases.say("person_at", people=phrases.say(f"people.{kind}"), n=place + 1)


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _value(traced: Trace, reading: Reading, phrases: Phrases) -> tuple[str | None, str | None, str | None]:
    """(value, source, recorded on) of the fact a leaf read; for a window the days it runs."""
    node = traced.node
    if traced.parts or not node.reads:
        return None, None, None
    path = node.reads[0]
    column = reading.at(path, traced.kind)
    if not column.known[traced.row]:
        declined = any(missing.declined for missing in traced.missing)
        return phrases.say("declined_value" if declined else "open_value"), None, None
    raw = column.values[traced.row]
    if isinstance(node, Window):
        text = days_in_words(*window_days(traced, reading), phrases)
    else:
        text = phrases.value(phrases.catalogue[path], raw)
    if isinstance(node, Compared):
        text = _beside_limit(node, text, traced, reading, phrases)
    provenance = reading.population.provenance(path, _owner_row(path, traced, reading))
    return (text, None, None) if provenance is None else (text, provenance.source, provenance.recorded_on)


def _owner_row(path: str, traced: Trace, reading: Reading) -> int:
    owner = path.split(".", 1)[0]
    if owner == traced.kind:
        return traced.row
    household = int(reading.population.people[traced.kind].household[traced.row])
    return household if owner == "household" else int(reading.claimant_rows()[household])


def _beside_limit(node: Compared, text: str, traced: Trace, reading: Reading, phrases: Phrases) -> str:
    limit = limits(node.tables, node.by, reading, traced.kind)
    if not limit.known[traced.row]:
        return text
    # The compiled limit is the last whole number that still holds; the law's own figure is one beside it.
    shift = {"under": 1, "over": -1}.get(node.word, 0)
    return phrases.join([text, phrases.value(phrases.catalogue[node.fact], limit.values[traced.row] + shift)])


def lines(explanation: Explanation, depth: int = 0) -> list[tuple[int, str]]:
    """(depth, sentence) of every node, for a page or a terminal."""
    own = explanation.sentence if explanation.whose is None else f"{explanation.whose}: {explanation.sentence}"
    return [(depth, own)] + [line for part in explanation.parts for line in lines(part, depth + 1)]
