"""Lint of documents: for each code a change to a sound programme that triggers it, and what nearly does and must not."""

from pathlib import Path

import pytest
import yaml

from app.cli.answers import phrases_of, words_of
from app.registry.example_coverage import coverage_of, total_coverage
from app.registry.examples import run_examples
from app.registry.linting import lint
from app.registry.loading import load_registry
from app.registry.public_bodies import is_public_body
from app.registry.skeleton import SkeletonError, new_programme
from tests.unit.rules.world import D

ON = D("2026-11-21")
SOUND = """
id: birth-gift
municipality: "131211"
name: {ja: 出産祝い金, ja-easy: 出産祝(しゅっさんいわ)い金(きん)（赤(あか)ちゃんの お金(かね)）, en: Birth gift}
summary: {ja: 3歳になるまでの子どもに出ます。, ja-easy: 3歳(さい)までの 子(こ)どもに 出(で)ます。}
kind: cash
valid: {from: 2025-04-01}
certainty: verified
sources: [{url: "https://www.city.adachi.example/gift", title: 出産祝い金, checked_on: 2026-07-01}]
subject: child
criteria: {within: child.birth_date, from: 0d, until: 3y}
unmodelled:
  - {ja: 子どもと同居していること, ja-easy: 子(こ)どもと 住(す)んで いること, reason: ふつうは満たすため}
amount: [{yen: 10000, per: once}]
application:
  pays_from: month_after_claim
  how: {counter: {ja: 窓口で申請します, ja-easy: 窓口(まどぐち)で 申(もう)しこみます, en: At the desk}}
  contact: {desk: {ja: 子育て窓口, ja-easy: 子育(こそだ)て 窓口(まどぐち), en: Family desk}}
notify: {lead: 0d}
examples:
  - {household: {municipality: "131211", guardians: [], children: [{id: c, birth_date: 2025-05-01}]}, on: 2026-11-21, expect: {"child:c": {verdict: eligible}}}
  - {household: {municipality: "131211", guardians: [], children: [{id: c, birth_date: 2020-05-01}]}, on: 2026-11-21, expect: {"child:c": {verdict: ineligible}}}
next_check_on: 2027-04-01
"""

FACTS = """
child.birth_date: {type: date, label: {ja: お子さんの生年月日}}
household.public_assistance: {type: bool, label: {ja: 生活保護を受けている}}
guardian.insured: {type: bool, label: {ja: 保険に入っている}}
"""
TOWNS = """
municipalities:
  - {code: "130001", name: 東京都, kana: とうきょうと, romanised: tokyo, kind: prefecture}
  - {code: "131211", name: 足立区, kana: あだちく, romanised: adachi, kind: special_ward, prefecture: "130001"}
  - {code: "131121", name: 世田谷区, kana: せたがやく, romanised: setagaya, kind: special_ward, prefecture: "130001"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "vocabulary" / "facts.yaml").write_text(FACTS, encoding="utf-8")
    (tmp_path / "vocabulary" / "municipalities.yaml").write_text(TOWNS, encoding="utf-8")
    (tmp_path / "programmes" / "131211-adachi").mkdir(parents=True)
    (tmp_path / "parameters").mkdir()
    return tmp_path


def findings(folder: Path, change: str = "", instead: str = "", on=ON):
    assert change in SOUND, "the change no longer fits the programme"
    path = folder / "programmes" / "131211-adachi" / "birth-gift.yaml"
    path.write_text(SOUND.replace(change, instead, 1), encoding="utf-8")
    registry = load_registry(folder)
    return lint(registry, on, phrases_of(registry, "ja"), words_of("lint"))


def test_a_sound_programme_has_no_remarks(folder: Path) -> None:
    assert findings(folder) == []


CASES = {
    "no_ja_easy": [(", ja-easy: 出産祝(しゅっさんいわ)い金(きん)（赤(あか)ちゃんの お金(かね)）", "", "name"),
                   (", ja-easy: 3歳(さい)までの 子(こ)どもに 出(で)ます。", "", "summary"),
                   (", ja-easy: 子(こ)どもと 住(す)んで いること", "", "unmodelled[0]"),
                   (", ja-easy: 窓口(まどぐち)で 申(もう)しこみます", "", "application.how.counter")],
    "no_en": [(", en: Birth gift", "", "name"), (", en: Family desk", "", "application.contact.desk"),
              ("  pays_from: month_after_claim", "  documents: [{ja: 通帳, ja-easy: 通帳(つうちょう)}]", "application.documents[0]"),
              ("  pays_from: month_after_claim", "  deadlines: [{occasion: last, each_year: 03-31, note: 年度の終わりまで}]",
               "application.deadlines[0].note")],
    "claimant_contradicts": [("ja: 子どもと同居していること,",
                              "ja: 働いていること, contradicted_by: {fact: guardian.insured, is: false},",
                              "unmodelled[0].contradicted_by")],
    "eligible_without_amount": [("amount: [{yen: 10000, per: once}]",
                                 "amount: [{when: {within: child.birth_date, until: 1y}, yen: 10000, per: once}]", "amount")],
    "easy_name_drops_name": [("出産祝(しゅっさんいわ)い金(きん)（赤(あか)ちゃんの お金(かね)）", "赤(あか)ちゃんの お金(かね)", "name.ja-easy")],
    "no_action": [("  how: {counter: {ja: 窓口で申請します, ja-easy: 窓口(まどぐち)で 申(もう)しこみます, en: At the desk}}\n", "", "application.how")],
    "no_contact": [("  contact: {desk: {ja: 子育て窓口, ja-easy: 子育(こそだ)て 窓口(まどぐち), en: Family desk}}\n", "", "application.contact")],
    "no_notify": [("notify: {lead: 0d}\n", "", "notify")],
    "no_amount": [("amount: [{yen: 10000, per: once}]\n", "", "amount")],
    "no_next_check": [("next_check_on: 2027-04-01\n", "", "")],
    "checked_in_future": [("checked_on: 2026-07-01", "checked_on: 2026-11-22", "sources[0].checked_on")],
    "source_old": [("checked_on: 2026-07-01", "checked_on: 2025-11-19", "sources[0].checked_on")],
    "no_official_source": [("https://www.city.adachi.example/gift", "https://adachi.city-hc.jp/gift", "sources")],
    "text_too_long": [("3歳になるまでの子どもに出ます。", "あ" * 201, "summary")],
    "unfilled": [("窓口で申請します", "ここに書く", "application.how.counter"),
                 ("https://www.city.adachi.example/gift", "https://www.example.jp/", "sources[0]")],
    "unmodelled_testable": [("子どもと同居していること", "生活保護を受けていないこと", "unmodelled[0]")],
    "judgement_is_sentence": [("criteria: {within: child.birth_date, from: 0d, until: 3y}",
                               "criteria: {all: [{within: child.birth_date, from: 0d, until: 3y}, {judgement: 窓口で確かめてください。}]}",
                               "criteria.all[1]")],
    "examples_one_sided": [("expect: {\"child:c\": {verdict: ineligible}}", "expect: {\"child:c\": {verdict: undetermined}}", "examples")],
    "leaf_never_false": [("birth_date: 2020-05-01", "birth_date: 2025-06-01", "criteria")],
    "leaf_never_true": [("birth_date: 2025-05-01", "birth_date: 2021-06-01", "criteria")],
    "overdue": [("next_check_on: 2027-04-01", "next_check_on: 2026-11-20", "next_check_on")],
    "expired": [("valid: {from: 2025-04-01}", "valid: {from: 2025-04-01, until: 2026-11-20}", "valid.until")],
}  # fmt: skip
NEAR = {
    "claimant_contradicts": (
        "ja: 子どもと同居していること,",
        "ja: 働いていること, contradicted_by: {every: guardian, where: {fact: guardian.insured, is: false}},"),
    "eligible_without_amount": (
        "unmodelled:\n  - {ja: 子どもと同居していること, ja-easy: 子(こ)どもと 住(す)んで いること, reason: ふつうは満たすため}\n"
        "amount: [{yen: 10000, per: once}]",
        "unmodelled:\n  - {ja: 1歳からの額は窓口で確かめること, ja-easy: 窓口(まどぐち)で 聞(き)いて ください, reason: 読めないため}\n"
        "amount: [{when: {within: child.birth_date, until: 1y}, yen: 10000, per: once}]"),
    "easy_name_drops_name": ("出産祝(しゅっさんいわ)い金(きん)（", "世田谷区(せたがやく)の 出産祝(しゅっさんいわ)い金(きん)（"),
    "no_notify": ("kind: cash", "kind: consultation"),
    "no_amount": ("amount: [{yen: 10000, per: once}]\n", "amount: [{yen: 1, per: month}]\n"),
    "checked_in_future": ("checked_on: 2026-07-01", "checked_on: 2026-11-21"),
    "source_old": ("checked_on: 2026-07-01", "checked_on: 2025-11-20"),
    "no_official_source": (
        "sources: [{url: \"https://www.city.adachi.example/gift\"",
        "sources: [{url: \"https://parents.example/gift\", title: 記事, checked_on: 2026-07-01}, "
        "{url: \"https://www.city.adachi.tokyo.jp/\""),
    "text_too_long": ("3歳になるまでの子どもに出ます。", "あ" * 200),
    "unmodelled_testable": (
        "ja: 子どもと同居していること,",
        "ja: 生活保護を受けていないこと, contradicted_by: {fact: household.public_assistance, is: true},"),
    "judgement_is_sentence": ("criteria: {within: child.birth_date, from: 0d, until: 3y}",
                              "criteria: {all: [{within: child.birth_date, from: 0d, until: 3y}, {judgement: 困っていること}]}"),
    "overdue": ("next_check_on: 2027-04-01", "next_check_on: 2026-11-21"),
    "expired": ("valid: {from: 2025-04-01}", "valid: {from: 2025-04-01, until: 2026-11-21}"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "place"), [(code, place) for code in CASES for place in range(len(CASES[code]))])
def test_a_code_at_its_place(folder: Path, code: str, place: int) -> None:
    change, instead, path = CASES[code][place]
    found = {(one.code, one.path): one for one in findings(folder, change, instead)}
    assert (code, path) in found, list(found)
    one = found[code, path]
    assert one.file == "programmes/131211-adachi/birth-gift.yaml"
    assert one.line >= 1
    assert "{" not in one.sentence or code.startswith("leaf_never")


@pytest.mark.parametrize("code", NEAR)
def test_a_near_miss(folder: Path, code: str) -> None:
    assert code not in {one.code for one in findings(folder, *NEAR[code])}


def test_a_draft_may_still_lack_its_official_page(folder: Path) -> None:
    path = folder / "programmes" / "131211-adachi" / "birth-gift.yaml"
    draft = "certainty: draft\ndraft_reason: 区のページを読む"
    text = SOUND.replace("https://www.city.adachi.example/gift", "https://parents.example/gift")
    path.write_text(text.replace("certainty: verified", draft), encoding="utf-8")
    registry = load_registry(folder)
    codes = {one.code for one in lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"))}
    assert "no_official_source" not in codes


@pytest.mark.parametrize(("host", "public"), [
    ("www.cfa.go.jp", True), ("www.city.setagaya.lg.jp", True), ("www2.city.katsushika.lg.jp", True),
    ("www.city.edogawa.tokyo.jp", True), ("www.vill.hinohara.tokyo.jp", True), ("web.pref.hyogo.lg.jp", True),
    ("www.city.yokohama.jp", True), ("www.kyoukaikenpo.or.jp", True), ("www.city.miharashi.example", True),
    ("nishitokyo.city-hc.jp", False), ("city.setagaya.co.jp", False), ("city.news.jp", False), ("mygo.jp", False),
    ("www.cfa.go.jp.example.com", False), ("notkouritu.or.jp", False), ("parents.example", False),
])
def test_whose_host_it_is(host: str, public: bool) -> None:
    assert is_public_body(f"https://{host}/page?at=www.cfa.go.jp") is public


def test_an_amount_that_stands_only_in_the_text(folder: Path) -> None:
    text = SOUND.replace("amount: [{yen: 10000, per: once}]\n", "").replace("3歳になるまでの子どもに出ます。", "1万円が出ます。")
    (folder / "programmes" / "131211-adachi" / "birth-gift.yaml").write_text(text, encoding="utf-8")
    registry = load_registry(folder)
    codes = {one.code for one in lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"))}
    assert "amount_only_in_words" in codes
    assert "amount_only_in_words" not in {one.code for one in findings(folder, "子どもに出ます。", "子どもに1万円出ます。")}


def test_what_later_versions_follow_is_not_kept_up(folder: Path) -> None:
    ended = SOUND.replace("valid: {from: 2025-04-01}", "valid: {from: 2024-04-01, until: 2025-03-31}")
    ended = ended.replace("on: 2026-11-21", "on: 2025-01-21").replace("2025-05-01", "2024-05-01")
    ended = ended.replace("next_check_on: 2027-04-01", "next_check_on: 2024-12-01")
    (folder / "programmes" / "131211-adachi" / "birth-gift.yaml").write_text(f"{ended}---\n{SOUND}", encoding="utf-8")
    registry = load_registry(folder)
    assert {one.code for one in lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"))} == set()


def test_a_parameter_that_nobody_uses_and_nobody_can_read(folder: Path) -> None:
    (folder / "parameters" / "gift.yaml").write_text(yaml.safe_dump({
        "id": "gift", "label": {"ja": "祝い金の額"}, "periods": [{"valid_from": "2025-04-01", "value": 5, "source": {
            "url": "https://www.city.adachi.example/gift", "title": "祝い金", "checked_on": "2026-07-01"}}]},
        allow_unicode=True), encoding="utf-8")
    found = {(one.code, one.file, one.line) for one in findings(folder)}
    assert found == {("unused_parameter", "parameters/gift.yaml", 1), ("no_ja_easy", "parameters/gift.yaml", 2),
                     ("no_en", "parameters/gift.yaml", 2)}
    used = findings(folder, "yen: 10000", "yen: {parameter: gift}")
    assert "unused_parameter" not in {one.code for one in used}


def test_a_figure_read_on_a_private_page_only(folder: Path) -> None:
    period = {"valid_from": "2025-04-01", "value": 5, "source": {
        "url": "https://parents.example/gift", "title": "記事", "checked_on": "2026-07-01"}}
    before = {**period, "valid_from": "2024-04-01", "valid_until": "2025-03-31"}
    official = {**period, "source": {**period["source"], "url": "https://www.city.adachi.example/gift"}}
    path = folder / "parameters" / "gift.yaml"

    def named(*periods) -> list:
        path.write_text(yaml.safe_dump({"id": "gift", "label": {"ja": "祝い金の額"}, "periods": list(periods)}), "utf-8")
        found = findings(folder, "yen: 10000", "yen: {parameter: gift}")
        return [one for one in found if one.code == "parameter_without_official_source"]

    (one,) = named(period)
    assert (one.path, one.level) == ("amount[0].yen.parameter", "warning")
    assert "出産祝い金" in one.sentence and "祝い金の額" in one.sentence
    assert named(official) == []
    assert named(before, official) == [], "what the version never uses"


def test_what_families_and_officers_must_not_miss_is_an_error(folder: Path) -> None:
    def levels(*change: str) -> dict[str, str]:
        return {one.code: one.level for one in findings(folder, *change)}

    assert levels(", en: Family desk", "")["no_en"] == "error"
    assert levels("birth_date: 2020-05-01", "birth_date: 2025-06-01")["leaf_never_false"] == "error"
    draft = ("certainty: verified", "certainty: draft\ndraft_reason: 区のページを読む")
    path = folder / "programmes" / "131211-adachi" / "birth-gift.yaml"
    text = SOUND.replace(*draft).replace(", en: Family desk", "").replace("birth_date: 2020-05-01", "birth_date: 2025-06-01")
    path.write_text(text, encoding="utf-8")
    registry = load_registry(folder)
    found = {one.code: one.level for one in lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"))}
    assert "no_en" not in found and found["leaf_never_false"] == "warning"


def test_where_a_person_decides_undetermined_is_the_better_side(folder: Path) -> None:
    within, judged = "criteria: {within: child.birth_date, from: 0d, until: 3y}", (
        "criteria: {all: [{within: child.birth_date, from: 0d, until: 3y}, {judgement: 困っていること}]}")
    path = folder / "programmes" / "131211-adachi" / "birth-gift.yaml"
    codes = {}
    for criteria in (within, judged):
        text = SOUND.replace(within, criteria).replace("{verdict: eligible}", "{verdict: undetermined}")
        path.write_text(text, encoding="utf-8")
        registry = load_registry(folder)
        codes[criteria] = {one.code for one in lint(registry, ON, phrases_of(registry, "ja"), words_of("lint"))}
    assert "examples_one_sided" in codes[within]
    assert "examples_one_sided" not in codes[judged]


def test_days_that_cover_the_whole_version_have_no_other_side(folder: Path) -> None:
    within = "criteria: {within: child.birth_date, from: 0d, until: 3y}"
    season = "criteria: {all: [{within: child.birth_date, from: 0d, until: 3y}, {on: {from: %s}}]}"
    assert "leaf_never_false" not in {one.code for one in findings(folder, within, season % "2025-04-01")}
    assert "leaf_never_false" in {one.code for one in findings(folder, within, season % "2025-04-02")}


def test_an_example_that_would_show_the_side_can_be_pasted(folder: Path) -> None:
    (one,) = [one for one in findings(folder, "birth_date: 2020-05-01", "birth_date: 2025-06-01")
              if one.code == "leaf_never_false"]
    example = one.sentence.split("たとえば: ")[1]
    pasted = SOUND.replace("birth_date: 2020-05-01", "birth_date: 2025-06-01").replace(
        'expect: {"child:c": {verdict: ineligible}}}', f'expect: {{"child:c": {{verdict: eligible}}}}}}\n  {example}')
    (folder / "programmes" / "131211-adachi" / "birth-gift.yaml").write_text(pasted, encoding="utf-8")
    registry = load_registry(folder)
    assert run_examples(registry) == []
    assert total_coverage(registry).percent == 100
    (seen,) = coverage_of(registry, registry.versions[0])
    assert (seen.true, seen.false) == (True, True)


def test_every_code_has_a_sentence() -> None:
    words = words_of("lint")
    assert set(CASES) <= set(words["remarks"])
    for code, said in words["remarks"].items():
        assert said["found"].endswith("。") and said["do"], code


def test_a_new_programme_loads_and_is_never_written_over(folder: Path) -> None:
    path = new_programme(load_registry(folder), "131211", "new-gift", ON)
    registry = load_registry(folder)
    assert registry.programmes["131211/new-gift"][0].certainty == "draft"
    assert run_examples(registry, ("131211/new-gift",)) == []
    before = path.read_text(encoding="utf-8")
    with pytest.raises(SkeletonError, match="new id"):
        new_programme(registry, "131211", "new-gift", ON)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(("municipality", "identifier", "based_on", "said"), [
    ("999999", "x", None, "999999"), ("131211", "Not An Id", None, "Not An Id"), ("131211", "x", "000000/none", "000000/none")])
def test_a_programme_that_cannot_be_begun_writes_nothing(folder, municipality, identifier, based_on, said) -> None:
    registry = load_registry(folder)
    with pytest.raises(SkeletonError, match=said):
        new_programme(registry, municipality, identifier, ON, based_on)
    assert list((folder / "programmes" / "131211-adachi").iterdir()) == []


def test_a_variant_loads_with_what_it_inherits(folder: Path) -> None:
    (folder / "programmes" / "131211-adachi" / "birth-gift.yaml").write_text(SOUND, encoding="utf-8")
    new_programme(load_registry(folder), "131121", "birth-gift", ON, "131211/birth-gift")
    (variant,) = load_registry(folder).programmes["131121/birth-gift"]
    assert (variant.based_on, variant.name.ja) == ("131211/birth-gift", "出産祝い金")
