"""A variant of the files becomes several versions where its original changes; lint names what both changed."""

from pathlib import Path

import pytest

from app.cli.answers import phrases_of, words_of
from app.registry.examples import run_examples
from app.registry.inheritance import followed
from app.registry.linting import lint
from app.registry.loading import Registry, load_registry
from tests.unit.registry.test_linting import ON, SOUND, folder  # noqa: F401 - a fixture

ORIGINAL = SOUND.replace("131211", "130001")
NEXT = ORIGINAL.replace("{from: 2025-04-01}", "{from: 2027-04-01}").replace("yen: 10000", "yen: 20000")
NEXT = NEXT.replace("next_check_on: 2027-04-01", "next_check_on: 2028-04-01")
VARIANT = """
id: our-gift
municipality: "131211"
based_on: 130001/birth-gift
name: {ja: 区の祝い金, ja-easy: 区(く)の 祝(いわ)い金(きん), en: Our gift}
valid: {from: 2025-04-01}
certainty: verified
sources: [{url: "https://www.city.adachi.example/gift", title: 区の祝い金, checked_on: 2026-07-01}]
examples:
  - {household: {municipality: "131211", guardians: [], children: [{id: c, birth_date: 2026-05-01}]}, on: 2026-11-21, expect: {"child:c": {verdict: eligible, amount: 10000}}}
  - {household: {municipality: "131211", guardians: [], children: [{id: c, birth_date: 2020-05-01}]}, on: 2026-11-21, expect: {"child:c": {verdict: ineligible}}}
  - {household: {municipality: "131211", guardians: [], children: [{id: c, birth_date: 2026-05-01}]}, on: 2027-11-21, expect: {"child:c": {verdict: eligible, amount: 10000}}}
"""


def read(folder: Path, originals: str, variant: str = VARIANT) -> Registry:  # noqa: F811
    (folder / "programmes" / "130001-tokyo").mkdir()
    (folder / "programmes" / "130001-tokyo" / "birth-gift.yaml").write_text(originals, encoding="utf-8")
    (folder / "programmes" / "131211-adachi" / "our-gift.yaml").write_text(variant, encoding="utf-8")
    return load_registry(folder)


def spans(registry: Registry) -> list[tuple[str, str, object, int]]:
    found = registry.programmes["131211/our-gift"]
    return [(one.version, str(one.valid.until or ""), one.amount[0].yen, len(one.examples)) for one in found]  # type: ignore[index, union-attr]


def until_march(original: str) -> str:
    return original.replace("{from: 2025-04-01}", "{from: 2025-04-01, until: 2027-03-31}")


def test_a_new_version_of_the_original_is_one_of_the_variant_too(folder: Path) -> None:  # noqa: F811
    registry = read(folder, f"{until_march(ORIGINAL)}---{NEXT}")
    assert spans(registry) == [("2025-04-01", "2027-03-31", 10000, 2), ("2027-04-01", "", 20000, 1)]
    complaints = run_examples(registry, ("131211/our-gift",))
    (wrong,) = complaints  # the answer expected is the old law's, said with its line
    assert (wrong.line, wrong.message) == (
        VARIANT.splitlines().index(VARIANT.splitlines()[-1]) + 1,
        "found 20000; expected 10000",
    )
    assert list(registry.written) == [
        ("130001/birth-gift", "2025-04-01"), ("130001/birth-gift", "2027-04-01"), ("131211/our-gift", "2025-04-01"),
    ]  # fmt: skip
    assert not [one for one in lint(registry, ON, phrases_of(registry, "ja"), words_of("lint")) if one.level == "error"]


def test_what_both_changed_stays_and_is_an_error(folder: Path) -> None:  # noqa: F811
    registry = read(folder, f"{until_march(ORIGINAL)}---{NEXT}", f"{VARIANT}amount: [{{yen: 15000, per: once}}]\n")
    assert [one[2] for one in spans(registry)] == [15000, 15000]
    found = lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"), ["131211/our-gift"])
    assert [(one.code, one.path, one.version) for one in found if one.level == "error"] == [
        ("template_conflict", "amount", "2027-04-01")
    ]


def test_nothing_unchanged_is_split_and_nothing_outlives_the_original(folder: Path) -> None:  # noqa: F811
    registry = read(folder, f"{until_march(ORIGINAL)}---{NEXT.replace('20000', '10000').replace('2028-', '2027-')}")
    assert spans(registry) == [("2025-04-01", "", 10000, 3)]
    original = {"valid": {"from": "2025-04-01", "until": "2027-03-31"}, "kind": "cash"}
    (one,) = followed({"valid": {"from": "2026-04-01"}, "kind": "cash"}, original, [original])
    assert one.document["valid"] == {"from": "2026-04-01", "until": "2027-03-31"}


def test_what_nobody_checked_yet_is_told_to_nobody(folder: Path) -> None:  # noqa: F811
    unchecked = NEXT.replace("certainty: verified", "certainty: draft\ndraft_reason: 確認中")
    registry = read(folder, f"{until_march(ORIGINAL)}---{unchecked}")
    found = registry.programmes["131211/our-gift"]
    assert [(one.certainty, one.draft_reason) for one in found] == [("verified", None), ("draft", "確認中")]


@pytest.mark.parametrize(("first", "codes"), [("2027-04-02", ["version_gap"]), ("2027-04-01", [])])
def test_a_day_between_two_versions_is_remarked(folder: Path, first: str, codes: list[str]) -> None:  # noqa: F811
    registry = read(folder, f"{until_march(ORIGINAL)}---{NEXT.replace('2027-04-01', first)}")
    found = lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"), ["130001/birth-gift"])
    assert [one.code for one in found if one.code == "version_gap"] == codes
