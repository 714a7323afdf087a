"""Read back: the criteria as plain sentences for a clerk, from the same tree that runs. An approver approves this.

What refuses a right where it is known, though nobody is asked for it, comes last.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.rules.evaluate import CompiledRule
from app.rules.nodes import Group, Negation, Node
from app.rules.phrases import Phrases, condition


def read_back(rule: CompiledRule, phrases: Phrases) -> list[tuple[int, str]]:
    """(depth, sentence) for each condition, headed by whose right it is, without what families check."""
    head = phrases.say(f"read_back_subject.{rule.subject}")
    refusals = [line for node in rule.contradictions for line in _lines(node.inner, 1, phrases)]
    last = [(0, phrases.say("read_back_refused")), *refusals] if refusals else []
    return [(0, head), *_lines(rule.criteria, 1, phrases), *last]


def read_back_text(rule: CompiledRule, phrases: Phrases) -> str:
    """``read_back`` as indented text."""
    return "\n".join(f"{'  ' * depth}{sentence}" for depth, sentence in read_back(rule, phrases))


def _lines(node: Node, depth: int, phrases: Phrases) -> Iterator[tuple[int, str]]:
    joined = isinstance(node, Group) and len({id(part.source) for part in node.parts}) == 1 and len(node.parts) > 1
    if joined or (isinstance(node, Group) and len(node.parts) == 1):
        for part in node.parts:
            yield from _lines(part, depth, phrases)
        return
    yield depth, condition(node, phrases)
    if isinstance(node, Group | Negation) or node.parts:
        for part in node.parts:
            yield from _lines(part, depth + 1, phrases)
