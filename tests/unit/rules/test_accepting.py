"""The quick yes to a household document: never to one that the whole check refuses, and never with another meaning."""

import copy
import datetime as dt
import random

import pytest

from app.households.synthetic import synthetic_households
from app.registry.loading import load_vocabulary
from app.rules.accepting import Acceptance
from app.rules.documents import DocumentError
from app.rules.household import read_household
from app.rules.population import Population
from tests.unit.rules.world import CATALOGUE, ROOT

ACCEPTANCE = Acceptance(CATALOGUE)
PLAIN = {
    "id": "h", "municipality": "131121", "residence": [{"municipality": "131121", "from": "2020-04-01"}],
    "facts": {"single_parent": True, "levy": 1_000, "public_assistance": "declined"},
    "guardians": [{"id": "g", "birth_date": "1990-02-03", "facts": {
        "claimant": True, "income_after_deductions": [{"value": 1, "income_year": 2025}, {"value": None, "income_year": 2026}]}}],
    "children": [{"id": "c", "birth_date": "2024-04-02", "facts": {"grade": 2}, "receives": {"other": True}}],
    "pregnancies": [], "co_residents": None,
}
ODD = [None, "", "declined", True, 3, -1, 1.5, 10**18, [], {}, "2024-02-30", "20240402", "131122", "13112", "1234-5678-9018",
       123_456_789_018, {"value": 1}, {"value": "x"}, {"at_least": 1}, [{"value": 1, "income_year": 26}], {"x": 1}]


def keys_in(value):
    if isinstance(value, dict):
        return len(value) + sum(map(keys_in, value.values()))
    return sum(map(keys_in, value)) if isinstance(value, list) else 0


def spoilt(chance):
    """The plain document with one value, or one key, that is out of the ordinary."""
    document = copy.deepcopy(PLAIN)
    place = document
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        below = place[key]
        if not isinstance(below, dict | list) or not below or chance.random() < 0.3:
            break
        place = below
    if isinstance(place, dict) and chance.random() < 0.2:
        place[chance.choice(["childs", "facts", "id", "who", "123456789018", "levy"])] = chance.choice(ODD)
    else:
        place[key] = chance.choice(ODD)
    return document


def test_a_plain_document_is_accepted_with_all_its_keys():
    assert ACCEPTANCE.keys_of(PLAIN) == keys_in(PLAIN)


def test_what_is_accepted_the_whole_check_accepts_and_means_the_same():
    chance, accepted = random.Random(5), 0
    for _ in range(3_000):
        document = spoilt(chance)
        if ACCEPTANCE.keys_of(document) is None:
            continue
        accepted += 1
        assert ACCEPTANCE.keys_of(document) == keys_in(document)
        checked = Population.from_documents([read_household(copy.deepcopy(document), CATALOGUE, "h")], CATALOGUE)
        quick = Population.from_documents([{**document, "id": "h"} if document.get("id") is None else document], CATALOGUE)
        for fact in CATALOGUE:
            assert str(quick.stated(fact.path)) == str(checked.stated(fact.path)), document
        assert str(quick.residence) == str(checked.residence)
        assert quick._stored.declined == checked._stored.declined
        assert str(quick._stored.answers) == str(checked._stored.answers)
        assert {kind: list(part.ids) for kind, part in quick.people.items()} == {
            kind: list(part.ids) for kind, part in checked.people.items()}
    assert 200 < accepted < 2_500


@pytest.mark.parametrize("change", [
    {"children": [{"id": "g"}]}, {"guardians": [{"facts": {"claimant": True}}, {"facts": {"claimant": True}}]},
    {"facts": {"levy": 123_456_789_018}}, {"id": "1234-5678-9018"},
])
def test_what_only_the_whole_check_can_see_is_left_to_it(change):
    assert ACCEPTANCE.keys_of({**PLAIN, **change}) is None
    with pytest.raises(DocumentError):
        read_household({**PLAIN, **change}, CATALOGUE, "h")


def test_generated_families_are_accepted_quickly():
    _, facts = load_vocabulary(ROOT / "registry_data")
    acceptance = Acceptance(facts)
    assert all(acceptance.keys_of(one) is not None for one in synthetic_households(200, on=dt.date(2026, 11, 24)))
