"""Generated households: valid, reproducible, and roughly like families in Tokyo."""

import datetime as dt
from collections import Counter
from itertools import islice, pairwise

import pytest

from app.households.synthetic import TOKYO_THOUSANDS, synthetic_households
from app.registry.loading import Registry
from app.rules.household import read_household

ON = dt.date(2026, 11, 24)


def test_every_household_is_a_valid_document(registry: Registry) -> None:
    for document in synthetic_households(600, on=ON):
        household = read_household(document, registry.facts)
        assert household.municipality in registry.municipalities
        assert (household.id or "").startswith("synthetic-")


def test_the_same_seed_gives_the_same_household_however_many_are_asked_for() -> None:
    few = list(synthetic_households(30, on=ON))
    assert few == list(islice(synthetic_households(12_000, on=ON), 30))
    assert few != list(synthetic_households(30, on=ON, seed=1))


def test_the_population_looks_like_families() -> None:
    households = list(synthetic_households(8_000, on=ON))
    single = [household for household in households if household["facts"]["single_parent"]]
    assert 0.06 < len(single) / len(households) < 0.12
    numbers = Counter(len(household["children"]) for household in households)
    assert numbers[1] > numbers[3] > numbers[4] > 0
    assert set(numbers) <= {0, 1, 2, 3, 4}
    unknown = [household for household in households if household["facts"]["public_assistance"] is None]
    assert 0.07 < len(unknown) / len(households) < 0.13
    towns = Counter(household["municipality"] for household in households)
    assert set(towns) <= set(TOKYO_THOUSANDS)
    assert towns["131121"] > towns["131016"]


def test_dates_make_sense() -> None:
    for household in synthetic_households(2_000, on=ON):
        births = [dt.date.fromisoformat(child["birth_date"]) for child in household["children"]]
        assert births == sorted(births, reverse=True)
        assert all(born <= ON for born in births)
        for one, next_one in pairwise(births):
            assert (one - next_one).days >= 300
        for guardian in household["guardians"]:
            born = dt.date.fromisoformat(guardian["birth_date"])
            assert all((child - born).days >= 16 * 365 for child in births)
        for pregnancy in household["pregnancies"]:
            assert dt.date.fromisoformat(pregnancy["due_date"]) > ON
        assert household["children"] or household["pregnancies"]


def test_a_town_can_be_chosen() -> None:
    assert {one["municipality"] for one in synthetic_households(50, on=ON, municipality="133639")} == {"133639"}


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        next(synthetic_households(-1, on=ON))
