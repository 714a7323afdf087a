"""Drafts in which a condition holds, or fails, or hangs on one of its tests alone.

A first guess, put together test by test: whoever uses a draft asks the evaluator what it really gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.calendar.day_numbers import EARLIEST, date_of
from app.rules.day_nodes import Window
from app.rules.drafts import Draft
from app.rules.edges import edge_pairs, with_elders
from app.rules.evaluate import CompiledRule
from app.rules.facts import FactCatalogue
from app.rules.nodes import Compared, Group, Negation, Node, Uncontradicted
from app.rules.people_nodes import Quantifier, Ranked

WAYS = 4
"""How many different ways a condition is tried to be met."""


@dataclass(frozen=True)
class Satisfying:
    """``branch``: which part of an ``any`` is made to hold (the last one where there are fewer).

    It also says where in a window a date is put: the middle, the old end, the young end.
    """

    catalogue: FactCatalogue
    branch: int = 0

    def holding(self, node: Node, wanted: bool, draft: Draft) -> Draft:
        """A draft in which a node holds (or does not)."""
        if isinstance(node, Group):
            return self._group(node, wanted, draft)
        if isinstance(node, Negation):
            return self.holding(node.inner, not wanted, draft)
        if isinstance(node, Uncontradicted):
            return draft if wanted else self.holding(node.inner, True, draft)
        if isinstance(node, Quantifier) and node.where is not None:
            return self._quantifier(node, node.where, wanted, draft)
        if isinstance(node, Ranked):
            return self._ranked(node, wanted, draft)
        return self._leaf(node, wanted, draft)

    def _group(self, node: Group, wanted: bool, draft: Draft) -> Draft:
        members = node.members
        if node.largest == wanted:  # one part is enough: of an any that holds, of an all that fails
            members = (members[min(self.branch, len(members) - 1)],)
        for part in members:
            draft = self.holding(part, wanted, draft)
        return draft

    def _leaf(self, node: Node, wanted: bool, draft: Draft) -> Draft:
        if isinstance(node, Window):
            return draft.with_fact(node.fact, date_of(_dated(node, draft.day, wanted, self.branch)))
        pairs = list(edge_pairs(node, draft, self.catalogue))
        if not pairs:
            return draft
        if isinstance(node, Compared) and node.by is not None and wanted:
            pairs = pairs[1:2] or pairs
        return pairs[0].inside if wanted else pairs[0].outside

    def _quantifier(self, node: Quantifier, where: Node, wanted: bool, draft: Draft) -> Draft:
        own = draft.subject[0] == node.kind
        if node.quantifier == "every":
            if wanted and not own:
                return draft.with_people(node.kind, [])
            return self._each(node.kind, where, wanted, draft)
        if node.quantifier == "some":
            if not wanted and not own:
                return draft.with_people(node.kind, [])
            return self._one(node.kind, where, draft) if wanted else self._each(node.kind, where, False, draft)
        number = (node.low or 0) if wanted else max((node.low or 1) - 1, 0) if node.low else (node.high or 0) + 1
        return self._counted(node.kind, where, max(number, 1 if own else 0), draft)

    def _one(self, kind: str, where: Node, draft: Draft) -> Draft:
        draft, position = draft.owner(kind)
        return self._restored(self.holding(where, True, draft.bound(kind, position)), draft)

    def _each(self, kind: str, where: Node, wanted: bool, draft: Draft) -> Draft:
        before = draft
        if not draft.people(kind):
            draft, _ = draft.owner(kind)
        for position in range(len(draft.people(kind))):
            draft = self.holding(where, wanted, draft.bound(kind, position))
        return self._restored(draft, before)

    def _counted(self, kind: str, where: Node, number: int, draft: Draft) -> Draft:
        before = draft
        draft = draft.with_people(kind, draft.people(kind)[:number])
        while len(draft.people(kind)) < number:
            draft = draft.with_people(kind, [*draft.people(kind), draft.new_person(kind)])
        for position in range(number):
            draft = self.holding(where, True, draft.bound(kind, position))
        return self._restored(draft, before)

    def _ranked(self, node: Ranked, wanted: bool, draft: Draft) -> Draft:
        place = node.low if node.low is not None else 1
        if not wanted:
            place = place - 1 if node.low is not None and node.low > 1 else (node.high or 1) + 1
        return self.elders(node, place - 1, draft)

    def elders(self, node: Ranked, number: int, draft: Draft) -> Draft:
        """The child with this many older siblings that count."""
        found = with_elders(draft, number)
        for position in range(1, number + 1):
            if node.among is not None and position < len(found.people("child")):
                elder = found.bound("child", position)
                born = elder.fact("child.birth_date")
                counted = self.holding(node.among, True, elder)
                # A sibling that counts only if it is born when the child was stays older by its own date.
                kept = counted.with_fact("child.birth_date", min(born, _as_date(counted, born)))
                found = replace(kept, persons=found.persons)
        return found

    @staticmethod
    def _restored(draft: Draft, before: Draft) -> Draft:
        return replace(draft, persons=before.persons)

    # ---- one test alone ---------------------------------------------------------------------------------------------

    def hanging_on(self, root: Node, leaf: Node, draft: Draft) -> Draft:
        """A draft in which the verdict of ``root`` hangs on ``leaf`` alone, the tests about the person it asks of.

        On the way down, the other parts of an ``all`` hold and those of an ``any`` fail.
        """
        if root is leaf:
            return draft
        if isinstance(root, Group):
            for part in root.members:
                if not _contains(part, leaf):
                    draft = self.holding(part, not root.largest, draft)
        if isinstance(root, Quantifier) and root.where is not None:
            draft = self._bound_in(root, root.where, draft)
        if isinstance(root, Ranked) and root.among is not None:
            draft = self.elders(root, max((root.low or 2) - 1, 1), draft).bound("child", 1)
        below = next((part for part in root.parts if _contains(part, leaf)), None)
        return draft if below is None else self.hanging_on(below, leaf, draft)

    def _bound_in(self, node: Quantifier, where: Node, draft: Draft) -> Draft:
        if node.quantifier == "count":
            number = max(node.low or node.high or 1, 1)
            return self._counted(node.kind, where, number, draft).bound(node.kind, number - 1)
        if draft.subject[0] == node.kind:
            return draft.bound(node.kind, draft.subject[1])
        alone = draft.with_people(node.kind, draft.people(node.kind)[:1])
        alone, position = alone.bound(node.kind, 0).owner(node.kind)
        return alone.bound(node.kind, position)


def _contains(node: Node, leaf: Node) -> bool:
    return node is leaf or any(_contains(part, leaf) for part in node.parts)


def _dated(node: Window, day: int, wanted: bool, branch: int) -> int:
    """A date well inside a window on a day, or well outside it: past it where it closes."""
    latest = None if node.opens is None else node.opens.last_date(day)
    earliest = None if node.closes is None else node.closes.last_date(day - 1) + 1
    if not wanted:
        return earliest - 40 if earliest is not None and (branch % 2 == 0 or latest is None) else (latest or day) + 40
    if latest is None:
        return (earliest or day) + 40
    if earliest is None or earliest < EARLIEST:
        return latest - 40
    return ((latest + earliest) // 2, min(earliest + 40, latest), max(latest - 40, earliest))[branch % 3]


def _as_date(draft: Draft, default: object) -> object:
    return draft.fact("child.birth_date") or default


def skeleton(rule: CompiledRule, day: int) -> Draft:
    """A household of the programme's area of which nothing is known but who belongs to it."""
    area = rule.rule.municipality
    document = {
        "facts": {},
        "guardians": [{"id": "g1", "birth_date": date_of(day - 12_000)}],
        "children": [{"id": "c1", "birth_date": date_of(day - 1000)}],
        "pregnancies": [{"id": "p1", "due_date": date_of(day + 100)}] if rule.subject == "pregnancy" else [],
        "co_residents": [],
    }
    bare = Draft(document, day, (rule.subject, 0), {} if rule.subject == "household" else {rule.subject: 0})
    return bare.living(area)


def built_bases(rule: CompiledRule, catalogue: FactCatalogue, day: int) -> Iterator[Draft]:
    """Households put together so that the criteria may hold: one for each way through the first alternatives."""
    for branch in range(WAYS):
        satisfying = Satisfying(catalogue, branch)
        yield satisfying.holding(rule.criteria, True, skeleton(rule, day))
