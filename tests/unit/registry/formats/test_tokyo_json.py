"""The official registry's records: read with their dirt, written back to the letter."""

import copy
import datetime as dt
import json

import pytest

from app.registry.formats import tokyo_json
from app.registry.programme import Programme
from tests.fixtures.official_records import REFUSED, SPOILED, record, spoiled


def codes(reading):
    return {finding.code for finding in reading.findings}


def document_of(one, known):
    reading = tokyo_json.read(one, 1, known)
    assert reading.document is not None, list(reading.error_rows())
    return reading.document


def test_a_clean_record(known):
    reading = tokyo_json.read(record(), 1, known)
    assert reading.findings == ()
    document = reading.document
    assert document["id"] == "um15-0001"
    assert document["municipality"] == "131121"
    assert document["certainty"] == "draft" and document["draft_reason"]
    assert document["subject"] == "child"
    assert document["criteria"] == {
        "all": [
            {"within": "child.birth_date", "until": "1y"},
            {"judgement": {"ja": "区内に住む産後1年未満の母親と赤ちゃん\n医療行為が必要な方を除きます"}},
        ]
    }
    assert document["application"]["opens"] == {"on": "2026-04-01"}
    assert document["application"]["deadlines"] == [{"occasion": "published", "on": "2027-03-31"}]
    assert document["application"]["documents"] == [{"ja": "母子健康手帳"}, {"ja": "本人確認ができるもの"}]
    assert document["application"]["contact"] == {"desk": {"ja": "架空健康課"}, "phone": "03-0000-0000"}
    assert document["legal_basis"] == [
        {"name": "母子保健法", "e_gov_law_id": "340AC0000000141", "article": "第17条の2"}
    ]
    assert document["official_record"]["record"] == record()
    assert "CC BY 4.0" in document["official_record"]["credit"]
    assert document["official_record"]["licence"] == "https://creativecommons.org/licenses/by/4.0/"


@pytest.mark.parametrize("name", SPOILED)
def test_dirt_is_read_and_comes_back_to_the_letter(name, known, registry):
    one = spoiled(name)
    before = copy.deepcopy(one)
    reading = tokyo_json.read(one, 7, known)
    assert one == before, "reading changes nothing"
    programme = Programme.model_validate(reading.document)
    written = tokyo_json.official_record(programme, registry)
    assert json.dumps(written, ensure_ascii=False) == json.dumps(one, ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("full-width comma in a code", "code_written_otherwise"),
        ("blank after a code", "code_written_otherwise"),
        ("two digits", "code_written_otherwise"),
        ("code in the wrong list", "code_in_wrong_list"),
        ("words in a date", "date_in_words"),
        ("link in a text", "embedded_links"),
        ("(at)", "email_written_otherwise"),
        ("several contacts", "contacts_several"),
        ("tab after a town", "blanks_around"),
        ("same text twice", "same_text_twice"),
        ("over an age", "age_exclusive"),
        ("under no months", "age_window_empty"),
        ("wrong check digit of a town", "municipality_code_wrong"),
        ("wrong check digit of a body", "organisation_wrong"),
        ("http", "page_http"),
        ("no page", "page_from_catalogue"),
    ],
)
def test_dirt_is_remarked_on(name, code, known):
    assert code in codes(tokyo_json.read(spoiled(name), 1, known))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no psid", "psid_missing"),
        ("unknown town", "municipality_unknown"),
        ("個人番号", "my_number"),
        ("control character", "control_characters"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(name, code, known):
    assert set(REFUSED) == {"no psid", "unknown town", "個人番号", "control character"}
    reading = tokyo_json.read(spoiled(name), 12, known)
    assert reading.refused
    assert code in codes(reading)
    row = next(reading.error_rows())
    assert len(row) == 6 and row[0] == "12" and row[5].startswith("【取り込めません】")


@pytest.mark.parametrize("value", [None, 3, "text", [], [record()], {}, {"basicInformation": None}])
def test_anything_may_stand_in_a_file(value, known):
    assert tokyo_json.read(value, 1, known).refused


@pytest.mark.parametrize("key", list(record()))
@pytest.mark.parametrize("value", [None, "", [], {}, "text", 7])
def test_every_key_may_hold_nonsense(key, value, known, registry):
    one = {**record(), key: value}
    reading = tokyo_json.read(one, 1, known)
    if reading.document is not None:
        assert tokyo_json.official_record(Programme.model_validate(reading.document), registry) == one
    one.pop(key)
    tokyo_json.read(one, 1, known)


@pytest.mark.parametrize(
    ("bounds", "window"),
    [
        ({"lessThan": (3, None)}, {"until": "3y"}),
        ({"lessThan": (None, 18)}, {"until": "1y6m"}),
        ({"lessThanOrEqualTo": (6, None)}, {"until": "7y"}),
        ({"lessThanOrEqualTo": (None, 5)}, {"until": "6m"}),
        ({"lessThanOrEqualTo": (1, 6)}, {"until": "1y7m"}),
        ({"greaterThanOrEqualTo": (1, None), "lessThan": (2, None)}, {"from": "1y", "until": "2y"}),
        ({"greaterThanOrEqualTo": ("０", ""), "lessThan": ("3歳", None)}, {"until": "3y"}),
        ({"greaterThanOrEqualTo": (3, None)}, {"from": "3y"}),
        ({"greaterThan": (1, None)}, {"from": "1y"}),
        ({"lessThan": (2, None), "lessThanOrEqualTo": (3, None)}, {"until": "4y"}),
        ({"lessThan": (0, None)}, None),
        ({"greaterThanOrEqualTo": (3, None), "lessThan": (3, None)}, None),
        ({"lessThan": ("未就学", None)}, None),
        ({}, None),
    ],
)
def test_age_bounds_become_a_window(bounds, window, known):
    one = record()
    one["target"]["lessThan"] = {}
    for key, (years, months) in bounds.items():
        one["target"][key] = {"targetAge": years, "targetAgeOfMonths": months}
    document = document_of(one, known)
    if window is None:
        assert set(document["criteria"]) == {"judgement"}
        assert document["subject"] == "household"
    else:
        assert document["criteria"]["all"][0] == {"within": "child.birth_date", **window}


def test_no_rule_is_made_up(known):
    """Whatever the prose says of incomes, the criteria are the age window and a judgement."""
    one = record()
    one["target"]["conditions"] = "前年の所得税が3万円以下、または入院が26日以上。生活保護を除く"
    kinds = [set(part) for part in document_of(one, known)["criteria"]["all"]]
    assert kinds == [{"within", "until"}, {"judgement"}]


def test_a_changed_programme_is_its_record_with_the_changes(known, registry):
    one = spoiled("full-width comma in a code")
    document = copy.deepcopy(document_of(one, known))
    document["summary"] = {"ja": "職員が書き直した概要"}
    document["application"]["contact"]["phone"] = "03-0000-9999"
    document["application"]["deadlines"][0]["on"] = "2027-02-28"
    written = tokyo_json.official_record(Programme.model_validate(document), registry)
    expected = copy.deepcopy(one)
    expected["summary"] = "職員が書き直した概要"
    expected["contact"]["contactPhone"] = "03-0000-9999"
    expected["procedurePeriod"]["toYMD"] = "2027-02-28"
    assert written == expected


def test_our_own_programmes_have_every_key_of_the_official_definition(latest, registry):
    def keys(value, path=""):
        if isinstance(value, dict):
            for key, part in value.items():
                yield f"{path}.{key}"
                yield from keys(part, f"{path}.{key}")

    expected = set(keys(record()))
    for programme in latest:
        written = tokyo_json.official_record(programme, registry)
        assert set(keys(written)) == expected, programme.key
        for part, key in (("implementationPeriod", "fromYMD"), ("procedurePeriod", "toYMD")):
            assert written[part][key] == "" or dt.date.fromisoformat(written[part][key])
        assert written["utilizationTime"]["condiutilizationConditionstions"] == ""
        for name in ("categoryCode", "targetCode", "contentsCode"):
            assert written["tag"][name]


def test_our_own_programme_comes_back_as_a_draft(registry, known):
    """What we publish for a town, another installation can import, once it has a psid."""
    source = registry.programmes["131121/birth-cost-grant"][-1]
    written = tokyo_json.official_record(source, registry)
    written["basicInformation"]["psid"] = "psid3.0+1000020131121+0900+UM5090"
    reading = tokyo_json.read(written, 1, known)
    assert reading.document["name"]["ja"] == source.name.ja
    assert reading.document["sources"][0]["url"] == source.sources[0].url
    assert "50,000円" in written["support"]["monetarySupport"]
