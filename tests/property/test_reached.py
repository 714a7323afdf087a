"""Every verified programme is seen granted and refused: what the other properties hold of it is not held of nothing."""

import datetime as dt
import random

from app.rules.columns import NO, YES
from app.rules.evaluate import evaluate
from app.rules.nodes import Open
from tests.property.trees import people

FIRST = dt.date(2026, 5, 20)
DAYS = [FIRST + dt.timedelta(days=offset) for offset in range(-560, 310, 29)]
FAMILIES = 1500


def test_every_verified_programme_is_seen_granted_and_refused(registry, rulebook, maker_of):
    """Day by day would be dear: one day a month of the years in which the programmes are law and not overdue."""
    chance = random.Random(20260520)
    maker = maker_of(FIRST, 0.05)
    population = people([maker.household(chance) for _ in range(FAMILIES)], registry.facts)
    seen = {key: set() for key in rulebook}
    for day in DAYS:
        for key, verdicts in evaluate(rulebook, population, day).items():
            seen[key] |= set(verdicts.tolist())
    verified = {version.key for version in registry.versions if version.certainty == "verified"}
    assert {key for key in verified if NO not in seen[key]} == set()
    assert {key for key in verified if YES not in seen[key]} == {key for key in verified if judged(rulebook, key)}


def judged(rulebook, key):
    """No household has the right of a programme unless somebody at a counter judges so."""
    return all(
        any(isinstance(node, Open) for node in version.criteria.parts) or isinstance(version.criteria, Open)
        for version in rulebook.versions[key]
    )
