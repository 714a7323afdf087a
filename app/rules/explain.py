"""Explanation: the tree with each node's verdict, the value used, its source and date, in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from app.calendar.day_numbers import number_of
from app.rules.columns import NO, UNKNOWN, YES
from app.rules.nodes import Compared, Everywhere, Group, Negation, Open, Window, limits
from app.rules.phrases import Phrases, condition, days_in_words
from app.rules.reading import Reading
from app.rules.trace import Trace, decisive, only_by_judgement

VERDICT_NAMES = {NO: "ineligible", UNKNOWN: "undetermined", YES: "eligible"}


@dataclass(frozen=True)
class Explanation:
    """One node in words. ``sentence`` holds the condition, the verdict and the value used.

    ``person`` is whose test it is inside a quantifier (``child:c1``); ``fact``/``value`` the value used, if any.
    """

    verdict: str
    sentence: str
    condition: str
    path: str
    person: str | None = None
    fact: str | None = None
    value: str | None = None
    source: str | None = None
    recorded_on: str | None = None
    parts: tuple[Explanation, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values; what is not there is left out."""
        document: dict[str, Any] = {"verdict": self.verdict, "sentence": self.sentence, "path": self.path}
        for name in ("person", "fact", "value", "source", "recorded_on"):
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
        facts[0] if facts else None,
        value,
        source,
        recorded_on,
        tuple(explain(part, reading, phrases) for part in traced.parts),
    )


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
        text = _window_days(node, traced, reading, phrases)
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


def _window_days(node: Window, traced: Trace, reading: Reading, phrases: Phrases) -> str:
    edges = [
        None if edge is None else int(reading.threshold(node.fact, edge, traced.kind)[traced.row])
        for edge in (node.opens, node.closes)
    ]
    return days_in_words(edges[0], edges[1], phrases)


def _beside_limit(node: Compared, text: str, traced: Trace, reading: Reading, phrases: Phrases) -> str:
    limit = limits(node.tables, node.by, reading, traced.kind)
    if not limit.known[traced.row]:
        return text
    # The compiled limit is the last whole number that still holds; the law's own figure is one beside it.
    shift = {"under": 1, "over": -1}.get(node.word, 0)
    return phrases.join([text, phrases.value(phrases.catalogue[node.fact], limit.values[traced.row] + shift)])


def deciding(traced: Trace) -> Trace:
    """The first test that fails (or, for a right, holds)."""
    if not traced.parts or any(part.person for part in traced.parts):
        return traced
    same = [part for part in traced.parts if part.verdict == traced.verdict] or list(traced.parts)
    return deciding(same[0])


def grounds(traced: Trace) -> list[Trace]:
    """The tests a right rests on, in the order of the rule; of alternatives the first that holds."""
    if isinstance(traced.node, Group) and traced.parts:
        holding = [part for part in traced.parts if part.verdict == YES]
        return [ground for part in (holding[:1] if traced.node.largest else holding) for ground in grounds(part)]
    return [] if isinstance(traced.node, Negation) else [traced]


def reason(traced: Trace, phrases: Phrases, reading: Reading, stale: bool = False) -> str:
    """One sentence for a parent: why this verdict."""
    if stale:
        return phrases.say("reason_stale")
    if traced.verdict == UNKNOWN and only_by_judgement(traced):
        leaf = next(leaf for leaf in traced.leaves() if isinstance(leaf.node, Open))
        return phrases.say("reason_judgement", text=leaf.node.source.judgement.in_language(phrases.language))
    if traced.verdict == UNKNOWN:
        labels = [phrases.label(missing.fact) for missing in decisive(traced)]
        return phrases.say("reason_undetermined", facts=phrases.join(list(dict.fromkeys(labels))[:3]))
    if traced.verdict == NO:
        leaf = deciding(traced)
        if isinstance(leaf.node, Everywhere):
            return phrases.say("reason_area")
        return phrases.say("reason_ineligible", condition=_with_days(leaf, reading, phrases))
    said = [text for leaf in grounds(traced) if (text := _ground(leaf, reading, phrases)) is not None]
    if not said:
        said = [_with_days(deciding(traced), reading, phrases)]
    return phrases.say(
        "reason_eligible" if len(said) == 1 else "reason_eligible_all",
        condition=phrases.join(list(dict.fromkeys(said))[:_GROUNDS_SAID], "ground_separator"),
    )


_GROUNDS_SAID = 3


def checked(traced: Trace, phrases: Phrases, reading: Reading) -> tuple[str, ...]:
    """The tests that a right rests on, each in words: what was checked, and so need not be checked again."""
    if traced.verdict != YES:
        return ()
    found = [_ground(leaf, reading, phrases) or condition(leaf.node, phrases) for leaf in grounds(traced)]
    return tuple(dict.fromkeys(found))


def _ground(leaf: Trace, reading: Reading, phrases: Phrases) -> str | None:
    """One ground in a few words; None for what is not worth saying to a family, such as where it lives."""
    node = leaf.node
    if isinstance(node, Window) and node.fact and reading.at(node.fact, leaf.kind).known[leaf.row]:
        days = _window_days(node, leaf, reading, phrases)
        return phrases.say("reason_window", fact=phrases.label(node.fact), days=days)
    source = node.source
    if isinstance(node, Compared):
        return condition(node, phrases) if getattr(source, "is_", None) is None else None
    if getattr(source, "is_", None) is True:
        return phrases.label(source.fact)
    return None


def _with_days(leaf: Trace, reading: Reading, phrases: Phrases) -> str:
    words = condition(leaf.node, phrases)
    if isinstance(leaf.node, Window) and reading.at(leaf.node.fact, leaf.kind).known[leaf.row]:
        return phrases.say("with_value", sentence=words, value=_window_days(leaf.node, leaf, reading, phrases))
    return words


def lines(explanation: Explanation, depth: int = 0) -> list[tuple[int, str]]:
    """(depth, sentence) of every node, for a page or a terminal."""
    own = explanation.sentence if explanation.person is None else f"{explanation.person}: {explanation.sentence}"
    return [(depth, own)] + [line for part in explanation.parts for line in lines(part, depth + 1)]
