"""Three-valued logic: what a tree says follows from its leaves alone, and the laws of Kleene hold for every tree."""

import numpy as np
from hypothesis import given

from app.rules.columns import NO, UNKNOWN, YES
from app.rules.evaluate import evaluate
from tests.property.trees import FIRST, LEAVES, book_of, calm, households, people, trees

POPULATION = people(households(20261124, 150))
KEY = "000000/programme"
_LEAF = {}


def said(tree):
    """What the engine says of every child."""
    return evaluate(book_of(tree), POPULATION, FIRST)[KEY]


def expected(tree):
    """Minimum, maximum and 2 − x over what the engine says of the leaves alone."""
    if "all" in tree:
        return np.minimum.reduce([expected(part) for part in tree["all"]])
    if "any" in tree:
        return np.maximum.reduce([expected(part) for part in tree["any"]])
    if "not" in tree:
        return 2 - expected(tree["not"])
    key = str(tree)
    if key not in _LEAF:
        _LEAF[key] = said(tree)
    return _LEAF[key]


def test_every_leaf_is_seen_in_all_its_outcomes():
    """Otherwise the laws below would hold of nothing."""
    alike = {"judgement": {UNKNOWN}, "on": {NO}, "each year": {NO}}
    for name, leaf in LEAVES.items():
        area = "131121" if "resid" in str(leaf) else "000000"
        found = evaluate(book_of(leaf, area), POPULATION, FIRST)[f"{area}/programme"]
        assert alike.get(name, {NO, UNKNOWN, YES}) <= set(found.tolist()), name


@calm
@given(trees)
def test_a_tree_says_what_follows_from_its_leaves(tree):
    assert (said(tree) == expected(tree)).all()


@calm
@given(trees, trees, trees)
def test_the_laws_of_kleene(one, two, three):
    neither = {"not": {"any": [one, two]}}
    assert (said(neither) == said({"all": [{"not": one}, {"not": two}]})).all()
    assert (said({"not": {"not": one}}) == said(one)).all()
    assert (said({"all": [one, {"any": [two, three]}]}) == said({"any": [{"all": [one, two]}, {"all": [one, three]}]})).all()
    assert (said({"any": [one, {"all": [one, two]}]}) == said(one)).all()
    assert (said({"all": [one, two]}) == said({"all": [two, one]})).all()
