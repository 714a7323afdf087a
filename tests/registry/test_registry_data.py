"""What must hold for every file that is delivered."""

import dataclasses
import datetime as dt
import json
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from app.registry.loading import Registry, load_registry
from app.registry.positions import read_documents
from app.registry.public_bodies import is_public_body
from app.registry.schemas import as_text, json_schemas
from app.rules.household import read_household
from app.rules.municipality_code import covers
from app.rules.parameters import Beyond

WRITTEN_ON = dt.date(2026, 11, 22)
"""The last day on which a page was read for these files; nobody can have checked one after it."""

NAMES_THAT_STAY = {
    "000000/child-allowance", "000000/child-rearing-allowance", "000000/special-child-rearing-allowance",
    "000000/disabled-child-welfare-allowance", "130001/child-development-allowance",
    "130001/child-development-allowance-disability", "130001/018-support",
}  # fmt: skip
FACTS_THAT_STAY = {
    "household": {"single_parent", "public_assistance", "residence_tax_exempt", "residence_tax_income_levy"},
    "guardian": {
        "claimant", "income_after_deductions", "dependants", "employment_insurance", "civil_servant",
        "on_childcare_leave",
    },
    "child": {
        "birth_date", "birth_weight_grams", "lives_with_guardian", "supported_by_guardian", "in_institution",
        "childcare", "school_kind", "physical_disability_grade", "intellectual_disability_grade",
        "intellectual_disability_grade_tokyo", "mental_disability_grade", "special_allowance_grade",
        "cerebral_palsy_or_progressive_muscular_atrophy",
    },
    "pregnancy": {"due_date", "fetuses"},
}  # fmt: skip


def test_there_are_at_least_sixteen_programmes_and_the_promised_names(registry: Registry) -> None:
    assert len(registry.programmes) >= 16
    assert set(registry.programmes) >= NAMES_THAT_STAY


def test_the_promised_facts_are_in_the_catalogue(registry: Registry) -> None:
    for owner, names in FACTS_THAT_STAY.items():
        assert names <= set(registry.facts.by_owner[owner])


def test_every_fact_people_are_asked_for_has_a_question_in_three_languages(registry: Registry) -> None:
    for fact in registry.facts:
        assert fact.label.ja_easy, fact.path
        assert fact.label.en, fact.path
        if not fact.derived:
            assert fact.question is not None, fact.path
            assert fact.question.ja_easy, fact.path
            assert fact.question.en, fact.path


def test_loading_twice_gives_the_same(registry: Registry, registry_data: Path) -> None:
    again = load_registry(registry_data)
    assert again.programmes == registry.programmes
    assert again.documents == registry.documents


def test_every_source_was_checked_and_not_in_the_future(registry: Registry) -> None:
    for version in registry.versions:
        assert version.sources, version.key
        for source in version.sources:
            assert source.checked_on <= WRITTEN_ON, version.key
            assert source.url.startswith("https://"), version.key


def test_a_verified_programme_rests_on_a_page_of_a_public_body(registry: Registry) -> None:
    verified = [version for version in registry.versions if version.certainty == "verified"]
    assert verified
    assert [
        version.key for version in verified if not any(is_public_body(source.url) for source in version.sources)
    ] == []


def test_every_figure_has_a_source_that_was_checked(registry: Registry) -> None:
    for document in registry.parameter_documents.values():
        for period in document["periods"]:
            assert dt.date.fromisoformat(period["source"]["checked_on"]) <= WRITTEN_ON, document["id"]


def test_every_programme_can_be_read_and_acted_on(registry: Registry) -> None:
    for version in registry.versions:
        assert version.name.ja_easy, version.key
        assert version.name.en, version.key
        assert version.summary.ja_easy, version.key
        assert version.application is not None, version.key
        assert version.application.contact is not None, version.key
        assert version.application.how is not None, version.key
        assert (version.notify is None) == (version.kind == "consultation"), version.key
        assert version.examples, version.key
        assert version.next_check_on is not None, version.key
        if version.municipality == "000000":
            assert version.legal_basis, version.key


def test_nobody_is_asked_to_check_a_page_more_than_a_year_after_it_was_read(registry: Registry) -> None:
    for version in registry.versions:
        earliest = min(source.checked_on for source in version.sources)
        assert version.next_check_on is not None
        assert version.next_check_on <= earliest.replace(year=earliest.year + 1), version.key


NUMBERS_READ_IN_A_SOURCE = {
    "000000/consultation-child-guidance": "189",
    "000000/consultation-child-sos": "0120-0-78310",
    "000000/consultation-partner-violence": "0120-279-889",
    "130001/consultation-children-family": "03-3366-4152",
    "130001/consultation-children-net": "0120-874-374",
    "130001/consultation-child-illness": "#8000",
    "130001/consultation-pregnancy": "03-5339-1133",
    "130001/painless-delivery-subsidy": "0120-620-620",
}
"""Every telephone number of the registry, as it was read on a page that the programme names as its source."""


def test_telephone_numbers_are_not_invented(registry: Registry) -> None:
    given = {
        version.key: version.application.contact.phone
        for version in registry.versions
        if version.application and version.application.contact and version.application.contact.phone
    }
    assert given == NUMBERS_READ_IN_A_SOURCE


def test_rules_name_parameters_and_copy_no_figure(registry: Registry) -> None:
    def figures(part: object) -> list[int]:
        if isinstance(part, dict):
            return [number for value in part.values() for number in figures(value)]
        if isinstance(part, list):
            return [number for value in part for number in figures(value)]
        return [part] if isinstance(part, int) and not isinstance(part, bool) else []

    for (key, _), document in registry.documents.items():
        for part in ("criteria", "amount"):
            assert all(number < 100 for number in figures(document.get(part, {}))), key


# ---- codes ----------------------------------------------------------------------------------------------------------


def test_tokyo_has_sixty_two_municipalities_with_right_check_digits(registry: Registry) -> None:
    tokyo = [town for town in registry.municipalities if town.prefecture == "130001" and not town.fictional]
    assert len(tokyo) == 62
    assert [sum(town.kind == kind for town in tokyo) for kind in ("special_ward", "city", "town", "village")] == [
        23,
        26,
        5,
        8,
    ]
    for town in registry.municipalities:
        if town.code != "000000":
            weighted = sum(int(digit) * weight for digit, weight in zip(town.code[:5], (6, 5, 4, 3, 2), strict=True))
            assert int(town.code[5]) == (11 - weighted % 11) % 10, town.name


def test_an_invented_town_is_covered_by_tokyo_and_offered_to_nobody(registry: Registry) -> None:
    invented = [town for town in registry.municipalities if town.fictional]
    assert [town.code for town in invented] == ["139904"]
    homes = {town.code for town in registry.municipalities.where_people_live()}
    assert len(homes) == 62
    assert "139904" not in homes
    covering = registry.offered_in("139904", WRITTEN_ON)
    assert "130001/018-support" in covering
    assert "139904/infant-medical-subsidy" in covering
    assert "130001/infant-medical-subsidy" not in covering


def test_a_name_that_several_towns_could_bear_is_looked_up_not_guessed(registry: Registry) -> None:
    assert [town.code for town in registry.municipalities.named("世田谷区")] == ["131121"]
    assert registry.municipalities.named("中央") == ()


def test_a_local_variant_takes_the_place_of_its_original_only_at_home(registry: Registry) -> None:
    kita, elsewhere = registry.offered_in("131172", WRITTEN_ON), registry.offered_in("131121", WRITTEN_ON)
    assert "131172/child-allowance" in kita
    assert "000000/child-allowance" not in kita
    assert "000000/child-allowance" in elsewhere
    assert "131172/child-allowance" not in elsewhere
    assert registry.replaced_in("000000/child-allowance", "131172", WRITTEN_ON) == "131172"


def test_a_variant_takes_a_place_while_it_is_law_and_a_draft_never(registry: Registry) -> None:
    original, (variant,) = "000000/child-allowance", registry.programmes["131172/child-allowance"]
    starts = variant.valid.from_
    assert registry.replaced_in(original, "131172", starts - dt.timedelta(days=1)) is None
    assert registry.replaced_in(original, "131172", starts) == "131172"
    drafted = variant.model_copy(update={"certainty": "draft", "draft_reason": "読んでいない"})
    with_draft = dataclasses.replace(registry, programmes={**registry.programmes, variant.key: (drafted,)})
    assert original in with_draft.offered_in("131172", WRITTEN_ON)


def test_a_town_without_programmes_still_has_the_national_ones(registry: Registry) -> None:
    sapporo = registry.covering("011002")
    assert sapporo
    assert all(key.startswith("000000/") for key in sapporo)
    assert not registry.has_own_programmes("011002")
    assert registry.has_own_programmes("131121")
    assert all(covers(key[:6], "131121") for key in registry.covering("131121"))


# ---- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["", "further-"])
def test_coefficients_follow_from_the_band_of_partial_amounts(registry: Registry, which: str) -> None:
    """Basis: 児童扶養手当法施行令 2条の4; the coefficient is (most − least) ÷ 1,390,000 to seven places."""
    name = "child-rearing-allowance-"
    coefficients = registry.parameters[f"{name}{which}coefficient"]
    assert len(coefficients.periods) == 3
    for period in coefficients.periods:
        most = registry.parameters[f"{name}{which}partial-most"].on(period.valid_from)
        least = registry.parameters[f"{name}{which}partial-least"].on(period.valid_from)
        full = registry.parameters[f"{name}{which}full"].on(period.valid_from)
        assert most is not None
        assert least is not None
        assert full is not None
        assert most.value == full.value - 10
        band = Decimal(int(most.value - least.value)) / Decimal(1_390_000)
        assert str(band.quantize(Decimal("0.0000001"), ROUND_HALF_UP)) == f"{float(period.value):.7f}"


def test_limits_rise_by_the_step_from_row_to_row(registry: Registry) -> None:
    for document in registry.parameter_documents.values():
        for period in registry.parameters[document["id"]].periods:
            if period.table is None:
                continue
            if not isinstance(period.beyond, Beyond):
                assert list(period.table) == sorted(period.table), document["id"]
                continue
            steps = {later - earlier for earlier, later in pairwise(period.table[1:])}
            assert steps == {period.beyond.step}, document["id"]


@pytest.mark.parametrize("name", ["child-rearing-allowance", "special-child-rearing-allowance"])
def test_the_least_limit_is_the_first_row_of_its_table(registry: Registry, name: str) -> None:
    table, least = (registry.parameters[f"{name}-supporter-{end}"].periods[0] for end in ("limit", "least-limit"))
    assert table.table is not None
    assert least.value == table.table[0] == min(table.table)


# ---- schemas, households, cast --------------------------------------------------------------------------------------


def test_schemas_are_current(registry_data: Path) -> None:
    stored = {path.name: path.read_text(encoding="utf-8") for path in (registry_data / "schema").iterdir()}
    assert stored == {name: as_text(schema) for name, schema in json_schemas().items()}, "run: todoke registry schema"


def test_every_document_fits_its_schema(registry: Registry, registry_data: Path) -> None:
    def validator(name: str) -> Draft202012Validator:
        schema = json.loads((registry_data / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        return Draft202012Validator(schema)

    programme, parameter, household = (validator(name) for name in ("programme", "parameter", "household"))
    for key, document in registry.documents.items():
        assert list(programme.iter_errors(document)) == [], key
    for key, document in registry.parameter_documents.items():
        assert list(parameter.iter_errors(document)) == [], key
    for path in (registry_data / "households").glob("*.yaml"):
        assert list(household.iter_errors(read_documents(path)[0].value)) == [], path.name


def test_example_households_are_valid_and_say_that_they_are_fictional(registry: Registry, registry_data: Path) -> None:
    files = sorted((registry_data / "households").glob("*.yaml"))
    assert len(files) >= 13
    for path in files:
        assert "架空の世帯" in path.read_text(encoding="utf-8").splitlines()[0], path.name
        (document,) = read_documents(path)
        household = read_household(document.value, registry.facts, path.stem)
        assert household.id == path.stem


def test_the_cast_plays_households_that_exist_and_twins_are_identical(registry_data: Path) -> None:
    cast = yaml.safe_load((registry_data / "demo/cast.yaml").read_text(encoding="utf-8"))["households"]
    by_id = {member["id"]: member for member in cast}
    assert set(by_id) == {path.stem for path in (registry_data / "households").glob("*.yaml")}
    marked = [member for member in cast if member.get("protected") or member.get("withdrawn")]
    assert len(marked) == 2
    for member in marked:
        twin = by_id[member["twin_of"]]
        assert not {"protected", "withdrawn", "stop"} & set(twin)
        for key in ("channels", "preference", "consents"):
            assert member[key] == twin[key]
        one, other = (
            read_documents(registry_data / "households" / f"{name}.yaml")[0].value
            for name in (member["id"], twin["id"])
        )
        assert {**one, "id": None} == {**other, "id": None}
    for member in cast:
        assert set(member["preference"]) <= set(member["channels"]) - {"inbox"}
