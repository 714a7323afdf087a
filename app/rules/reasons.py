"""Reasons: why a family gets a verdict, in one plain sentence, and what was checked for a right.

Short where the explanation is whole: a limit is "the limit", not its table; the tree itself is in ``explain``.
"""

from __future__ import annotations

from app.rules.columns import NO, UNKNOWN, YES
from app.rules.day_nodes import Window
from app.rules.nodes import Compared, Equals, Group, Negation, Open, Uncontradicted
from app.rules.people_nodes import Quantifier, Ranked
from app.rules.phrases import Phrases, condition, days_in_words, summary
from app.rules.reading import Reading
from app.rules.residence_nodes import Everywhere
from app.rules.trace import Trace, decisive, only_by_judgement

_SAID = 3
"""How many grounds, or missing facts, one sentence names."""


def reason(traced: Trace, phrases: Phrases, reading: Reading, stale: bool = False) -> str:
    """One sentence for a parent: why this verdict."""
    if stale:
        return phrases.say("reason_stale")
    if traced.verdict == UNKNOWN and only_by_judgement(traced):
        leaf = next(leaf for leaf in traced.leaves() if isinstance(leaf.node, Open))
        text = leaf.node.source.judgement.in_language(phrases.language).rstrip("。.")
        return phrases.say("reason_judgement", text=phrases.quoted(text))
    if traced.verdict == UNKNOWN:
        asked = [phrases.asked(missing.fact) for missing in decisive(traced)]
        return phrases.say("reason_undetermined", facts=_some_of(asked, phrases, "list_separator"))
    return _refused(deciding(traced), phrases, reading) if traced.verdict == NO else _granted(traced, phrases, reading)


def _granted(traced: Trace, phrases: Phrases, reading: Reading) -> str:
    procedure = "_procedure" if reading.rule.kind == "procedure" else ""
    leaves = {said: leaf for leaf in grounds(traced) if (said := _ground(leaf, phrases, reading)) is not None}
    if not leaves:
        return phrases.say(f"reason_all_met{procedure}")
    if len(leaves) == 1:
        (leaf,) = leaves.values()
        return phrases.say(f"reason_eligible{procedure}", condition=_clause(leaf, phrases, reading))
    quoted = [phrases.quoted(said) for said in leaves]
    return phrases.say(f"reason_eligible_all{procedure}", conditions=_some_of(quoted, phrases, "ground_separator"))


def _refused(leaf: Trace, phrases: Phrases, reading: Reading) -> str:
    """``leaf`` fails, or holds where the rule wants it not to."""
    node = leaf.node
    if isinstance(node, Everywhere):
        return phrases.say("reason_area")
    if isinstance(node, Window) and leaf.verdict == NO:
        if _is_device(leaf, reading):
            return phrases.say("reason_not_now")
        return phrases.say("reason_outside_window", fact=phrases.label(node.fact), days=_days(leaf, phrases, reading))
    said, unwanted = summary(node, phrases), leaf.verdict == YES
    if isinstance(node, Equals) and node.source.is_ is False:
        unwanted = not unwanted
    return phrases.say("reason_excluded" if unwanted else "reason_ineligible", condition=phrases.quoted(said))


def _some_of(parts: list[str], phrases: Phrases, separator: str) -> str:
    """The first parts as a list that says whether there are more."""
    parts = list(dict.fromkeys(parts))
    listed = phrases.join(parts[:_SAID], separator)
    return phrases.say("and_more", listed=listed) if len(parts) > _SAID else listed


def deciding(traced: Trace) -> Trace:
    """The first test that fails; below a negation, the first that holds."""
    if not traced.parts or (isinstance(traced.node, Quantifier | Ranked) and not _every_fails(traced)):
        return traced
    same = [part for part in traced.parts if part.verdict == traced.verdict] or list(traced.parts)
    return deciding(same[0])


def _every_fails(traced: Trace) -> bool:
    return isinstance(traced.node, Quantifier) and traced.node.quantifier == "every" and traced.verdict == NO


def grounds(traced: Trace) -> list[Trace]:
    """The tests a right rests on, in the order of the rule; of alternatives the first that holds."""
    if isinstance(traced.node, Group) and traced.parts:
        holding = [part for part in traced.parts if part.verdict == YES]
        return [ground for part in (holding[:1] if traced.node.largest else holding) for ground in grounds(part)]
    return [] if isinstance(traced.node, Negation | Uncontradicted) else [traced]


def checked(traced: Trace, phrases: Phrases, reading: Reading) -> tuple[str, ...]:
    """The tests that a right rests on, each in words: what was checked, and so need not be checked again."""
    if traced.verdict != YES:
        return ()
    return tuple(dict.fromkeys(_checked(leaf, phrases, reading) for leaf in grounds(traced)))


def _checked(leaf: Trace, phrases: Phrases, reading: Reading) -> str:
    """One test in full: with its limit by name, with what it asks of other people."""
    if isinstance(leaf.node, Quantifier | Ranked):
        return summary(leaf.node, phrases)
    said = None if isinstance(leaf.node, Compared) else _ground(leaf, phrases, reading)
    return condition(leaf.node, phrases) if said is None else said


def _ground(leaf: Trace, phrases: Phrases, reading: Reading) -> str | None:
    """One ground in a few words; None for what is not worth saying to a family, such as where it lives."""
    node = leaf.node
    because = getattr(node.source, "because", None)
    if because is not None:
        return str(because.in_language(phrases.language))
    if isinstance(node, Window):
        if _is_device(leaf, reading):
            return phrases.say(f"time_of.{reading.rule.subject}")
        return phrases.say("ground_window", days=_days(leaf, phrases, reading))
    wanted = isinstance(node, Equals) and node.source.is_ is True
    return summary(node, phrases) if wanted or isinstance(node, Compared) else None


def _clause(leaf: Trace, phrases: Phrases, reading: Reading) -> str:
    """The only ground, as a clause of its own."""
    if isinstance(leaf.node, Window) and not _is_device(leaf, reading):
        return phrases.say("reason_window", fact=phrases.label(leaf.node.fact), days=_days(leaf, phrases, reading))
    if isinstance(leaf.node, Equals) and leaf.node.source.because is None:
        return condition(leaf.node, phrases)
    return str(_ground(leaf, phrases, reading))


def _is_device(leaf: Trace, reading: Reading) -> bool:
    """Say whether a window's days are only how the rule is written: no family may take them for the law's."""
    return reading.rule.kind == "procedure" or getattr(leaf.node.source, "because", None) is not None


def _days(leaf: Trace, phrases: Phrases, reading: Reading) -> str:
    return days_in_words(*window_days(leaf, reading), phrases)


def window_days(leaf: Trace, reading: Reading) -> tuple[int | None, int | None]:
    """The first and the last day of a window for one row; None for an open end."""
    node = leaf.node
    assert isinstance(node, Window)
    first, last = (
        None if edge is None else int(reading.threshold(node.fact, edge, leaf.kind)[leaf.row])
        for edge in (node.opens, node.closes)
    )
    return first, last
