"""One evaluator: many households together, each alone, any part of them, their people in any order."""

import copy
import random
from dataclasses import replace

from hypothesis import given

from app.rules.evaluate import evaluate
from app.rules.inquiry import answers_on
from tests.property.made_up import FIELDS
from tests.property.trees import FIRST, areas, book_of, calm, households, people, seeds, trees


@calm
@given(seeds, trees, areas)
def test_a_population_equals_each_household_alone(seed, tree, area):
    documents, key = households(seed, 6), f"{area}/programme"
    book, whole = book_of(tree, area, reaches={"left_within": "6m"}), people(documents)
    together = evaluate(book, whole, FIRST)[key]
    alone = [evaluate(book, people([document]), FIRST)[key] for document in documents]
    assert list(together) == [int(verdict) for part in alone for verdict in part]
    part = whole.subset(list(range(whole.size))[::-1])
    assert list(evaluate(book, part, FIRST)[key]) == [int(verdict) for found in alone[::-1] for verdict in found]


def shuffled(document, chance):
    """The same household with every list in another order."""
    other = copy.deepcopy(document)
    for field in (*FIELDS, "residence"):
        if field in other:
            chance.shuffle(other[field])
    for owner in [other, *(person for field in FIELDS for person in other.get(field, ()))]:
        items = list(owner.get("facts", {}).items())
        chance.shuffle(items)
        owner["facts"] = dict(items)
        for stated in owner["facts"].values():
            if isinstance(stated, list):
                chance.shuffle(stated)
    return other


@calm
@given(seeds, trees, areas)
def test_the_order_of_lists_is_irrelevant_to_a_tree(seed, tree, area):
    documents, key, chance = households(seed, 6), f"{area}/programme", random.Random(seed)
    book = book_of(tree, area)
    for document in documents:
        population, other = people([document]), people([shuffled(document, chance)])
        verdicts = [dict(zip(part.people["child"].ids, evaluate(book, part, FIRST)[key].tolist(), strict=True))
                    for part in (population, other)]
        assert verdicts[0] == verdicts[1]


def test_the_order_of_lists_is_irrelevant_to_every_programme(registry, rulebook, maker_of):
    """Verdict, amount, days, form and what is missing, of every programme in force."""
    chance = random.Random()
    maker = maker_of(FIRST)
    documents = [maker.household(chance) for _ in range(8)]
    answered = []
    for some in (documents, [shuffled(document, chance) for document in documents]):
        found = answers_on(rulebook, people(some, registry.facts), FIRST)
        answered.append([{(answer.programme, answer.subject): (replace(answer, missing=()), frozenset(answer.missing))
                          for answer in one.answers} for one in found])
    assert answered[0] == answered[1], documents
