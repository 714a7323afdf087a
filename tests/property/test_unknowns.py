"""What is not known: filling it in never overturns what was sure, and what is asked for is what decides."""

import copy
import datetime as dt
import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.columns import NO, UNKNOWN, YES
from app.rules.evaluate import Rulebook, evaluate
from app.rules.inquiry import answers_on
from tests.property.contradictions import refused_by_contradiction
from tests.property.trees import FIRST, LEAVES, MAKER, areas, book_of, calm, households, people, seeds, trees
from tests.unit.rules.world import CATALOGUE, PARAMETERS, rule


def verdicts_by_subject(book, key, population):
    """(household, subject) → verdict."""
    subject = book.versions[key][0].subject
    kind = population.people[subject]
    found = evaluate(book, population, FIRST, [key]).get(key, np.zeros(0, dtype=np.int8))
    return {(population.ids[kind.household[row]], kind.ids[row]): int(verdict) for row, verdict in enumerate(found)}


def overturned(book, key, before, after):
    """Subjects of a sure verdict that another one took the place of."""
    then, now = verdicts_by_subject(book, key, before), verdicts_by_subject(book, key, after)
    return {who: (verdict, now[who]) for who, verdict in then.items()
            if verdict != UNKNOWN and now.get(who) != verdict and not who[0].startswith("household-")}


@calm
@given(seeds, trees, areas)
def test_filling_never_overturns_a_tree(seed, tree, area):
    documents, chance = households(seed, 8), random.Random(seed)
    book = book_of(tree, area)
    full = [MAKER.filled(document, chance) for document in documents]
    assert not overturned(book, f"{area}/programme", people(documents), people(full))


PARTLY = households(20261124, 200)
_CHANCE = random.Random(20261124)
WHOLE = [MAKER.filled(document, _CHANCE) for document in PARTLY]
BEFORE, AFTER = people(PARTLY), people(WHOLE)


@pytest.mark.parametrize("area", ["000000", "130001", "131121"])
@pytest.mark.parametrize("name", LEAVES)
def test_filling_never_overturns_a_leaf_and_opens_nothing(name, area):
    book = book_of(LEAVES[name], area)
    assert not overturned(book, f"{area}/programme", BEFORE, AFTER)
    if name != "judgement":
        after = verdicts_by_subject(book, f"{area}/programme", AFTER)
        open_still = sum(verdict == UNKNOWN for verdict in after.values())
        assert open_still <= len(after) // 10, "everything was filled in, and still it is not known"


def test_filling_overturns_a_programme_only_by_a_contradiction(registry, maker_of):
    """Verdicts: yes becomes no where a known fact contradicts what a family checks itself; nothing else ever changes.

    Every programme by itself: which of an original and its variant is told is a matter of the town, not of the criteria.
    """
    rulebook = Rulebook.compile(registry.versions, registry.facts, registry.parameters)
    seed = random.randrange(2**32)
    chance, maker = random.Random(seed), maker_of(FIRST)
    documents = [maker.household(chance) for _ in range(120)]
    before = people(documents, registry.facts)
    after = people([maker.filled(document, chance) for document in documents], registry.facts)
    ended = 0
    for key in rulebook:
        changed, rule = overturned(rulebook, key, before, after), rulebook.on(key, FIRST)
        if rule is not None and rule.rule.reaches is not None:
            # Geography again: an unknown former town is no perhaps in every town (rule.Reaches).
            changed = {who: verdicts for who, verdicts in changed.items() if verdicts[0] != NO}
        if changed:
            assert set(changed.values()) == {(YES, NO)}, f"{key} with seed {seed}"
            assert set(changed) <= refused_by_contradiction(rule, after, FIRST), f"{key} with seed {seed}"
            ended += len(changed)
    assert ended, "no answer contradicted anything: the exception was not seen"


def test_an_undetermined_verdict_says_what_is_missing(registry, rulebook, maker_of):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    maker = maker_of(FIRST)
    population = people([maker.household(chance) for _ in range(25)], registry.facts)
    for answer in (answer for one in answers_on(rulebook, population, FIRST) for answer in one.answers):
        if answer.verdict == "undetermined" and not answer.only_by_judgement and not answer.stale:
            assert answer.missing, (seed, answer)
        if answer.verdict == "eligible" and answer.amount is not None and answer.amount.yen is None:
            assert answer.missing, (seed, answer)


# ---- what is asked for is what decides --------------------------------------------------------------------------

INCOME, LEVY = "guardian.income_after_deductions", "household.levy"
ASKED = {
    "household.single_parent": ({"fact": "household.single_parent", "is": True}, ("facts", "single_parent"), (False, True)),
    "household.public_assistance": ({"fact": "household.public_assistance", "is": False}, ("facts", "public_assistance"), (True, False)),
    LEVY: ({"fact": LEVY, "under": 100}, ("facts", "levy"), (100, 99)),
    INCOME: ({"fact": INCOME, "at_least": {"parameter": "limit"}}, ("guardians", 0, "facts", "income_after_deductions"),
             (999_999, 1_000_000)),
    "guardian.civil_servant": ({"fact": "guardian.civil_servant", "is": True}, ("guardians", 0, "facts", "civil_servant"), (False, True)),
    "child.supported_by_guardian": ({"fact": "child.supported_by_guardian", "is": True},
                                    ("children", 0, "facts", "supported_by_guardian"), (False, True)),
    "child.school_kind": ({"fact": "child.school_kind", "is": "public"}, ("children", 0, "facts", "school_kind"), ("private", "public")),
    "child.birth_date": ({"within": "child.birth_date", "from": "1y", "until": "2y"}, ("children", 0, "birth_date"),
                         ("2020-01-01", "2024-06-01")),
    "household.receives.other": ({"receives": "other"}, ("receives", "other"), (False, True)),
    "residence.from": ({"resided": "1y", "area": "131121"}, ("residence",), (
        [{"municipality": "131121", "from": "2025-05-01"}], [{"municipality": "131121", "from": "2020-01-01"}])),
}
"""A test of one fact, where the fact stands in a document, and a value by which the test fails and holds."""


@st.composite
def once_each(draw):
    """A tree that reads each fact once (so that what is open in it can really change it), and the facts it reads."""
    names = draw(st.lists(st.sampled_from(list(ASKED)), min_size=1, max_size=5, unique=True))
    nodes = [ASKED[name][0] for name in names]
    while len(nodes) > 1:
        size = draw(st.integers(2, min(3, len(nodes))))
        joined = {draw(st.sampled_from(["all", "any"])): nodes[:size]}
        nodes = [*nodes[size:], {"not": joined} if draw(st.booleans()) else joined]
    return nodes[0] if draw(st.booleans()) else {"not": nodes[0]}, names


def put(document, name, holds):
    """The household with one fact known."""
    other, (_, path, values) = copy.deepcopy(document), ASKED[name]
    place = other
    for step in path[:-1]:
        place = place[step] if isinstance(step, int) or step in place else place.setdefault(step, {})
    place[path[-1]] = values[holds]
    return other


EMPTY = {"municipality": "131121", "guardians": [{"id": "g", "facts": {}}], "children": [{"id": "c", "facts": {}}], "facts": {}}


@settings(calm, max_examples=60)
@given(once_each(), st.data())
def test_what_is_missing_decides_and_each_of_it_can_change_the_verdict(drawn, data):
    tree, names = drawn
    document = EMPTY
    for name in names:
        known = data.draw(st.sampled_from([None, None, False, True]))
        document = document if known is None else put(document, name, known)
    book = Rulebook.compile([rule(tree, subject="child")], CATALOGUE, PARAMETERS)
    answer = answers_on(book, people([document]), FIRST)[0].answers[0]
    lacking = [missing.fact for missing in answer.missing]
    assert (answer.verdict == "undetermined") == bool(lacking)
    assert set(lacking) <= set(names)
    if not lacking:
        return

    def decided(known):
        full = document
        for name, holds in known.items():
            full = put(full, name, holds)
        return full

    worlds = [dict(zip(lacking, holds, strict=True)) for holds in itertools.product((False, True), repeat=len(lacking))]
    found = evaluate(book, people([decided(world) for world in worlds]), FIRST)["000000/programme"].tolist()
    assert UNKNOWN not in found, "all that is missing has been filled in"
    by_world = {tuple(world.values()): verdict for world, verdict in zip(worlds, found, strict=True)}
    for place, name in enumerate(lacking):
        changes = any(by_world[world] != by_world[(*world[:place], not world[place], *world[place + 1:])] for world in by_world)
        assert changes, f"{name} decides nothing"
    singly = [evaluate(book, people([decided({name: holds}) for holds in (False, True)]), FIRST)["000000/programme"]
              for name in lacking]
    settled = [int((verdicts != UNKNOWN).sum()) for verdicts in singly]
    assert settled == sorted(settled, reverse=True), "the most decisive fact comes first"


def test_one_who_declined_is_asked_last_and_marked():
    tree = {"any": [{"fact": "household.single_parent", "is": True}, {"fact": LEVY, "under": 100}]}
    book = Rulebook.compile([rule(tree)], CATALOGUE, PARAMETERS)
    (answer,) = answers_on(book, people([{"facts": {"single_parent": "declined"}}]), FIRST)[0].answers
    assert [(missing.fact, missing.declined) for missing in answer.missing] == [
        (LEVY, False), ("household.single_parent", True)]


def test_filling_a_list_reveals_the_next_question():
    tree = {"some": "child", "where": {"within": "child.birth_date", "until": "1y"}}
    book = Rulebook.compile([rule(tree)], CATALOGUE, PARAMETERS)
    asked = []
    for document in ({}, {"children": [{"id": "c"}]}, {"children": [{"id": "c", "birth_date": FIRST.isoformat()}]}):
        (answer,) = answers_on(book, people([document]), FIRST + dt.timedelta(days=30))[0].answers
        asked.append((answer.verdict, [missing.fact for missing in answer.missing]))
    assert asked == [("undetermined", ["household.children"]), ("undetermined", ["child.birth_date"]), ("eligible", [])]
