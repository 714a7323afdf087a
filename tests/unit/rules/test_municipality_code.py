"""Wards of designated cities, and a stay whose beginning nobody knows."""

import datetime as dt

import pytest

from app.households.facts import catalogue
from app.rules.documents import DocumentError
from app.rules.household import read_household
from app.rules.municipality_code import check_digit, municipality_of_ward
from app.rules.population import Population


@pytest.mark.parametrize(
    ("ward", "city"),
    [("14101", "14100"), ("14131", "14130"), ("14153", "14150"), ("27141", "27140"), ("01110", "01100"),
     ("13121", "13121"), ("14201", "14201"), ("08201", "08201"), ("22137", "22130"), ("40109", "40100")],
)  # fmt: skip
def test_a_ward_of_a_designated_city_stands_for_its_city(ward, city):
    assert municipality_of_ward(f"{ward}{check_digit(ward)}") == f"{city}{check_digit(city)}"


def test_only_the_first_stay_may_begin_on_an_unknown_day():
    stays = [{"municipality": "131164", "until": "2026-12-09"}, {"municipality": "131172", "from": "2026-12-10"}]
    household = read_household({"residence": stays}, catalogue())
    table = Population.from_documents([household], catalogue()).residence
    assert table.assumed.tolist() == [True, False]
    sure, earliest = table.run_starts("130001")
    assert sure[1] < table.first[1] and earliest[1] < sure[1]
    with pytest.raises(DocumentError, match="first stay"):
        read_household({"residence": [stays[0], {"municipality": "131172"}]}, catalogue())
    assert household.document()["residence"][0] == {"municipality": "131164", "until": dt.date(2026, 12, 9)}
