"""The golden cases of the facts page, asked the way people ask: `todoke check --json`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import main

HOUSEHOLDS = Path(__file__).parents[2] / "registry_data" / "households"
ALLOWANCE = "000000/child-allowance"
REARING = "000000/child-rearing-allowance"

Result = dict[str, Any]


def check(household: str | dict[str, Any], on: str, *programmes: str) -> dict[tuple[str, str], Result]:
    """Return the results by (programme, subject) for a named or an inline household."""
    named = [option for programme in programmes for option in ("--programme", programme)]
    source = str(HOUSEHOLDS / f"{household}.yaml") if isinstance(household, str) else "-"
    content = None if isinstance(household, str) else json.dumps(household)
    run = CliRunner().invoke(main, ["check", source, "--on", on, "--json", *named], input=content)
    assert run.exit_code == 0, run.stderr
    answered = json.loads(run.stdout)
    assert answered["on"] == on
    refused = {
        (programme, subject): {"programme": programme, "subject": subject, "verdict": "ineligible"}
        for programme, subjects in answered.get("ineligible", {}).items()
        for subject in subjects
    }
    return refused | {(result["programme"], result["subject"]): result for result in answered["results"]}


def children(*births: str, **more: Any) -> dict[str, Any]:
    return {
        "municipality": "131113",
        "guardians": [{"id": "g1"}],
        "children": [{"id": f"c{number}", "birth_date": born} for number, born in enumerate(births, 1)],
        **more,
    }


@pytest.mark.parametrize(
    ("born", "last_day"),
    [
        ("2008-04-01", "2026-03-31"),
        ("2008-04-02", "2027-03-31"),
        ("2008-03-31", "2026-03-31"),
        ("2008-02-29", "2026-03-31"),
    ],
)
def test_the_fiscal_year_end_of_eighteen(born: str, last_day: str) -> None:
    result = check(children(born), "2026-03-31", ALLOWANCE)[ALLOWANCE, "child:c1"]
    assert (result["verdict"], result["eligible_until"]) == ("eligible", last_day)


@pytest.mark.parametrize(
    ("born", "last_month", "next_month"),
    [("2023-11-01", "2026-10-31", "2026-11-01"), ("2023-11-02", "2026-11-30", "2026-12-01")],
)
def test_the_last_month_of_fifteen_thousand(born: str, last_month: str, next_month: str) -> None:
    amounts = [
        check(children(born), on, ALLOWANCE)[ALLOWANCE, "child:c1"]["amount"]["yen"] for on in (last_month, next_month)
    ]
    assert amounts == [15_000, 10_000]


@pytest.mark.parametrize(
    ("born", "counted_on", "deadline"),
    [("2026-11-21", "2026-12-06", "2026-12-07"), ("2026-12-14", "2026-12-29", "2027-01-04")],
)
def test_fifteen_days_from_the_day_after_birth(born: str, counted_on: str, deadline: str) -> None:
    result = check(children(born), born, ALLOWANCE)[ALLOWANCE, "child:c1"]
    assert (result["counted_on"], result["deadline"]) == (counted_on, deadline)
    assert result["amount"] == {"yen": 15_000, "per": "month"}


def test_birth_registration_counts_the_day_of_birth() -> None:
    result = check(children("2026-11-21"), "2026-11-21")["000000/birth-registration", "child:c1"]
    assert (result["counted_on"], result["deadline"]) == ("2026-12-04", "2026-12-04")


def test_the_newborn_in_setagaya() -> None:
    results = check("newborn-setagaya", "2026-11-24")
    newborn = results[ALLOWANCE, "child:newborn"]
    assert (newborn["deadline"], newborn["form"], newborn["pays_from"]) == ("2026-12-07", "額改定認定請求書", "2026-12")
    assert newborn["cost_of_delay"] == 15_000
    elder = results[ALLOWANCE, "child:elder"]
    assert [step["amount"]["yen"] for step in elder["steps"]] == [15_000, 10_000]
    assert elder["steps"][1]["from"] == "2026-12-01"
    assert results["000000/birth-registration", "child:newborn"]["deadline"] == "2026-12-04"
    assert results["131121/birth-cost-grant", "child:newborn"]["amount"] == {"yen": 50_000, "per": "once"}
    assert results["130001/018-support", "child:elder"]["verdict"] == "eligible"


@pytest.mark.parametrize(("on", "yen"), [("2026-11-21", 44_080), ("2025-06-15", 42_830), ("2024-12-02", 41_740)])
def test_the_partial_amount_of_each_year(on: str, yen: int) -> None:
    assert check("single-parent", on, REARING)[REARING, "child:c1"]["amount"] == {"yen": yen, "per": "month"}


@pytest.mark.parametrize(("on", "yen"), [("2026-11-21", 10_730), ("2025-06-15", 10_430)])
def test_the_partial_amount_of_a_second_child(on: str, yen: int) -> None:
    household = children(
        "2015-05-01", "2018-05-01", facts={"single_parent": True}, co_residents=[],
        guardians=[{"id": "g1", "facts": {"income_after_deductions": 1_220_000, "dependants": 1}}],
    )  # fmt: skip
    assert check(household, on, REARING)[REARING, "child:c2"]["amount"]["yen"] == yen


def test_a_month_end_is_brought_forward_to_the_last_open_day() -> None:
    assert check("single-parent", "2026-12-01", REARING)[REARING, "child:c1"]["deadline"] == "2026-12-28"


def test_single_parent_gets_both_allowances_and_a_bare_household_is_a_question() -> None:
    results = check("single-parent", "2026-11-24")
    monthly = [results[key, "child:c1"]["amount"]["yen"] for key in (REARING, "130001/child-development-allowance")]
    assert monthly == [44_080, 13_500]
    assert check(children("2018-07-10"), "2026-11-24", REARING)[REARING, "child:c1"]["verdict"] == "undetermined"


@pytest.mark.parametrize(
    ("supported", "amounts", "missing"),
    [
        (True, (10_000, 30_000), []),
        (False, (10_000, 15_000), []),
        (None, (10_000, None), ["child.supported_by_guardian"]),
    ],
)
def test_the_third_child_depends_on_the_supported_twenty_year_old(
    supported: bool | None, amounts: tuple[int, int | None], missing: list[str]
) -> None:
    household = children("2003-05-20", "2006-06-11", "2009-08-02", "2024-09-15")
    household["children"][1]["facts"] = {"supported_by_guardian": supported}
    results = check(household, "2026-11-21", ALLOWANCE)
    assert results[ALLOWANCE, "child:c1"]["verdict"] == "ineligible"
    assert results[ALLOWANCE, "child:c2"]["verdict"] == "ineligible"
    assert (results[ALLOWANCE, "child:c3"]["amount"]["yen"], results[ALLOWANCE, "child:c4"]["amount"]["yen"]) == amounts
    assert results[ALLOWANCE, "child:c4"]["missing"] == missing
    if supported is None:
        assert results[ALLOWANCE, "child:c4"]["amount"] == {
            "yen": None,
            "per": "month",
            "least": 15_000,
            "most": 30_000,
        }


def test_the_order_of_listing_children_never_matters() -> None:
    births = ["2009-08-02", "2024-09-15", "2015-01-01"]
    forward = check(
        {"municipality": "131113", "children": [{"id": born, "birth_date": born} for born in births]},
        "2026-11-21",
        ALLOWANCE,
    )
    backward = check(
        {"municipality": "131113", "children": [{"id": born, "birth_date": born} for born in reversed(births)]},
        "2026-11-21",
        ALLOWANCE,
    )
    assert {key: result["amount"] for key, result in forward.items()} == {
        key: result["amount"] for key, result in backward.items()
    }
    assert forward[ALLOWANCE, "child:2024-09-15"]["amount"]["yen"] == 30_000


@pytest.mark.parametrize(
    ("programme", "first", "last"),
    [
        ("000000/rota-first-dose", "2027-01-02", "2027-03-05"),
        ("000000/rota-monovalent", None, "2027-05-08"),
        ("000000/rota-pentavalent", None, "2027-07-03"),
        ("000000/measles-rubella-first", "2027-11-21", "2028-11-20"),
    ],
)
def test_vaccination_windows_of_a_child_born_on_21_november(programme: str, first: str | None, last: str) -> None:
    household = json.dumps(children("2026-11-21"))
    days = ["--from", "2026-11-21", "--until", "2029-01-01"]
    run = CliRunner().invoke(main, ["timeline", "-", *days, "--programme", programme, "--json"], input=household)
    assert run.exit_code == 0, run.stderr
    (right,) = [period for period in json.loads(run.stdout)["periods"] if period["verdict"] == "eligible"]
    assert right["until"] == last
    assert first is None or right["from"] == first


@pytest.mark.parametrize(
    ("programme", "first", "last"),
    [
        ("000000/rsv-maternal-vaccination", "2026-12-07", "2027-02-07"),
        ("000000/pregnancy-support-benefit-second", "2027-01-04", None),
    ],
)
def test_days_counted_from_a_due_date(programme: str, first: str, last: str | None) -> None:
    run = CliRunner().invoke(
        main,
        ["timeline", str(HOUSEHOLDS / "expecting-twins.yaml"), "--from", "2026-11-21", "--until", "2027-03-01",
         "--programme", programme, "--json"],
    )  # fmt: skip
    (right,) = [period for period in json.loads(run.stdout)["periods"] if period["verdict"] == "eligible"]
    assert right["from"] == first
    assert last is None or right["until"] == last


@pytest.mark.parametrize(
    ("born", "first_school_day"),
    [("2020-04-01", "2026-04-01"), ("2020-04-02", "2027-04-01"), ("2020-02-29", "2026-04-01")],
)
def test_the_infant_certificate_gives_way_on_the_first_school_day(born: str, first_school_day: str) -> None:
    household = json.dumps(children(born, facts={"public_assistance": False}))
    run = CliRunner().invoke(
        main,
        ["timeline", "-", "--from", "2025-12-01", "--until", "2028-01-01", "--programme", "130001/child-medical-subsidy",
         "--json"],
        input=household,
    )  # fmt: skip
    (right,) = [period for period in json.loads(run.stdout)["periods"] if period["verdict"] == "eligible"]
    assert right["from"] == first_school_day


def test_moving_to_kita_counts_from_the_day_of_moving_in() -> None:
    def moving_to(town: str) -> dict[str, Any]:
        return children("2025-10-03", municipality=town, residence=[
            {"municipality": "131164", "from": "2022-05-01", "until": "2026-12-11"},
            {"municipality": town, "from": "2026-12-12", "planned_move_out_on": "2026-12-08"},
        ])  # fmt: skip

    results = check(moving_to("131172"), "2026-12-12")
    assert results["131172/child-allowance", "child:c1"]["counted_on"] == "2026-12-27"
    assert results.get((ALLOWANCE, "child:c1"), {"verdict": "ineligible"})["verdict"] == "ineligible"
    elsewhere = check(moving_to("131121"), "2026-12-12")
    assert elsewhere[ALLOWANCE, "child:c1"]["counted_on"] == "2026-12-23"


def test_moved_into_tokyo_on_the_second_has_018_from_the_next_month() -> None:
    household = children("2024-05-05", residence=[
        {"municipality": "141003", "from": "2020-04-01"}, {"municipality": "131113", "from": "2026-12-02"},
    ])  # fmt: skip
    support = "130001/018-support"
    assert check(household, "2026-12-15", support)[support, "child:c1"]["verdict"] == "ineligible"
    assert check(household, "2026-12-15", support)[support, "child:c1"]["begins_on"] == "2027-01-01"


def test_twins_double_the_second_payment() -> None:
    benefit = "000000/pregnancy-support-benefit-second"
    result = check("expecting-twins", "2027-01-04", benefit)[benefit, "pregnancy:p1"]
    assert (result["amount"], result["eligible_from"]) == ({"yen": 100_000, "per": "once"}, "2027-01-04")


def test_a_household_outside_tokyo_gets_the_national_programmes_and_is_told_what_is_not_known() -> None:
    run = CliRunner().invoke(main, ["check", str(HOUSEHOLDS / "outside-tokyo.yaml"), "--on", "2026-11-24", "--json"])
    answered = json.loads(run.stdout)
    assert {result["programme"][:6] for result in answered["results"]} == {"000000"}
    assert answered["coverage"] == {"municipality": "011002", "name": None, "own_programmes": False}
    shown = CliRunner().invoke(main, ["check", str(HOUSEHOLDS / "outside-tokyo.yaml"), "--on", "2026-11-24"])
    assert "お住まいの自治体の制度はまだ登録されていません" in shown.stdout


def test_a_named_programme_is_answered_elsewhere_too() -> None:
    grant = "131121/birth-cost-grant"
    assert check("two-children-tokyo", "2026-11-24", grant)[grant, "child:newborn"]["verdict"] == "ineligible"


@pytest.mark.parametrize("pair", [("protected", "protected-twin"), ("consent-withdrawn", "consent-withdrawn-twin")])
def test_twins_have_the_same_rights(pair: tuple[str, str]) -> None:
    one, other = (check(name, "2026-11-24") for name in pair)
    assert one == other
    assert any(result["verdict"] == "eligible" for result in one.values())


def test_moving_between_two_wards_at_fourteen_months_is_told_by_both() -> None:
    """新宿 pays at the 18-month checkup, 大田 at the first birthday: neither is silent, both say to ask."""
    family = {
        "municipality": "131113",
        "residence": [{"municipality": "131041", "from": "2023-04-01"}, {"municipality": "131113", "from": "2026-03-20"}],
        "guardians": [{"id": "g1"}],
        "children": [{"id": "c1", "birth_date": "2025-01-20"}],
        "received_elsewhere": {"birthday-support": False},
    }
    found = check(family, "2026-08-01")
    for town in ("131041", "131113"):
        result = found[f"{town}/birthday-support", "child:c1"]
        assert (result["verdict"], result["only_by_judgement"], result["missing"]) == ("undetermined", True, [])
        assert "お問い合わせ" in result["reason"]["ja"]
    stayed = {**family, "municipality": "131041", "residence": family["residence"][:1]}
    assert check(stayed, "2026-08-01")["131041/birthday-support", "child:c1"]["verdict"] == "eligible"
    paid = {**family, "received_elsewhere": {"birthday-support": True}}
    assert "eligible" not in {
        result["verdict"] for (key, _), result in check(paid, "2026-08-01").items() if key.endswith("/birthday-support")
    }
