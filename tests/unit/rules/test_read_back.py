"""Read back: everything that decides, as sentences, with the dates and figures of a day."""

import re

import pytest
import yaml

from app.rules.documents import Text
from app.rules.evaluate import compile_rule
from app.rules.phrases import Phrases
from app.rules.read_back import as_text, full_read_back, read_back
from app.rules.read_back_conditions import exact
from tests.unit.rules.world import CATALOGUE, ON, PARAMETERS, ROOT, D, phrases, rule

SINGLE = {"fact": "household.single_parent", "is": True}
TABLE = {"parameter": "table", "by": "guardian.dependants"}
INCOME = {"fact": "guardian.income_after_deductions", "under": TABLE}


def said(criteria, language="ja", on=ON, subject="household", **more):
    names = {"gift": Text(ja="お祝い金", ja_easy="お祝(いわ)い金(きん)", en="Gift")}
    words = phrases(language)
    words = Phrases(language, words.words, words.catalogue, words.parameters, names)
    compiled = compile_rule(rule(criteria, subject=subject, **more), CATALOGUE, PARAMETERS)
    return as_text(full_read_back(compiled, words, on))


def test_groups_are_nested_and_headed():
    text = said({"all": [SINGLE, {"any": [{"fact": "household.levy", "under": 5}, {"receives": "gift"}]}]})
    assert text.splitlines()[1:5] == [
        "  次のすべてに当てはまること", "    「household.single_parent」に当てはまる", "    次のいずれかに当てはまること",
        "      household.levyが5円未満"]
    assert "「お祝い金」を受けている" in text


@pytest.mark.parametrize(("criteria", "expected"), [
    ({"fiscal_year_end": "child.birth_date", "of_age": 18}, "2026年11月21日には: 2008年4月2日〜2026年11月21日生まれのお子さん"),
    ({"within": "child.birth_date", "until": "3y"}, "2026年11月21日には: 2023年11月22日〜2026年11月21日生まれのお子さん"),
    ({"within": "child.birth_date", "from": "6y"}, "2026年11月21日には: 2020年11月21日以前に生まれたお子さん"),
    ({"fact": "child.school_grade", "is": 1}, "2026年11月21日には: 2019年4月2日〜2020年4月1日生まれのお子さん"),
])
def test_a_window_says_the_dates_of_birth_it_means_on_a_day(criteria, expected):
    assert expected in said(criteria, subject="child")
    assert "には:" not in said(criteria, subject="child", on=None)


def test_a_due_date_is_said_as_a_date():
    assert "2026年12月13日〜2027年2月13日" in said(
        {"within": "pregnancy.due_date", "from": "-84d", "until": "-22d"}, subject="pregnancy")


def test_a_table_of_limits_is_shown_once_with_its_step():
    amount = [{"when": INCOME, "yen": 5, "per": "once"}, {"yen": 1, "per": "once"}]
    lines = [line.strip() for line in said(INCOME, amount=amount).splitlines()]
    assert "guardian.dependantsが1人のとき: 1,070,000円" in lines
    assert "guardian.dependantsが1人を超えるとき: 1人増えるごとに380,000円を足す" in lines
    assert lines.count("guardian.dependantsが1人のとき: 1,070,000円") == 1
    assert "「table」の表は、上に示したとおり" in lines


@pytest.mark.parametrize(("parameter", "expected"), [
    ("table-unknown", "決まっていない"), ("table-same", "1人のときと同じ")])
def test_what_holds_past_the_last_row(parameter, expected):
    text = said({"fact": "guardian.income_after_deductions", "under": {"parameter": parameter, "by": "guardian.dependants"}})
    assert expected in text


def test_a_limit_is_the_one_in_force_and_its_absence_is_said():
    limited = {"fact": "household.levy", "under": {"parameter": "limit"}}
    assert "「limit」は1,000,000円(2024年4月1日から)" in said(limited, on=D("2026-03-31"))
    assert "「limit」は1,200,000円(2026年4月1日から)" in said(limited, on=D("2026-04-01"))
    assert "額が登録されていない" in said({"fact": "household.levy", "under": {"parameter": "ends"}})


def test_amounts_say_their_cases_and_their_arithmetic():
    partial = {"max": [{"parameter": "limit"}, {"subtract": [
        {"parameter": "full"}, {"round": {"multiply": [{"fact": "household.levy"}, {"parameter": "coefficient"}]}, "to": 10}]}]}
    lines = said(SINGLE, amount=[{"when": SINGLE, "yen": {"parameter": "full"}, "per": "month"},
                                 {"yen": partial, "per": "month"}]).splitlines()
    assert "  1番目: 次に当てはまるとき、月に、「full」(48,050円)" in lines
    place = lines.index("  2番目: それ以外のとき、月に、次のとおり計算した額")
    assert lines[place + 1 : place + 6] == [
        "    計算のしかた",
        "      ① household.levyに「coefficient」(0.0264029)を掛けた額",
        "      ② ①を10円単位で四捨五入した額",
        "      ③ 「full」(48,050円)から②を引いた額",
        "      受け取る額は、「limit」(1,200,000円)と、③のうち、いちばん多いもの",
    ]


def test_the_income_year_and_the_year_that_counts_today():
    text = said(SINGLE, income_year={"switches": "11-01", "uses": "previous_year"})
    assert "所得は、11月1日から前の年のものを使う" in text
    assert "2026年11月21日には、2025年の所得を使う" in text
    assert "2026年10月31日には、2024年の所得を使う" in said(
        SINGLE, on=D("2026-10-31"), income_year={"switches": "11-01", "uses": "previous_year"})


def test_deadlines_by_occasion_with_how_they_are_counted():
    birth = {"occasion": "birth", "anchor": "child.birth_date", "within": "15d", "holiday": "next_working_day", "no_loss": True}
    text = said(SINGLE, subject="child", application={"deadlines": [
        birth, {"occasion": "unheard_of", "each_year": "06-30"},
        {"occasion": "moved_in", "anchor": {"latest": ["child.birth_date", "residence.from"]}, "within": "2m",
         "first_day": "included"},
        {"occasion": "this_month", "anchor": "today", "end_of": "month", "holiday": "previous_working_day"}],
        "pays_from": "month_after_claim"}, amount=[{"yen": 3, "per": "month"}])
    for part in ("生まれたとき: child.birth_dateから数えて15日以内", "はじめの日は数えない", "次の開庁日まで", "損をしない",
                 "  毎年6月30日まで", "child.birth_dateと、今の住所に住み始めた日のうち、いちばん遅い日から数えて2か月以内", "はじめの日も数える",
                 "申請の日の月の終わりまで", "その前の開庁日まで", "申請した月の翌月分から", "1か月ごとに1か月分の額を受け取れない"):
        assert part in text
    assert "unheard_of" not in text


def test_through_whom_and_with_which_form():
    text = said(SINGLE, take_up=[{"when": SINGLE, "is": "via_employer"}, {"else": "application"}],
                form={"first": "認定請求書", "further": "額改定請求書"})
    assert "次に当てはまるときは、勤務先を通して手続きする。\n  「household.single_parent」に当てはまる\nそれ以外のときは、本人が申請する。" in text
    assert "はじめは「認定請求書」、お子さんが増えたときは「額改定請求書」" in text


def test_the_counting_rule_of_the_third_child():
    lines = said({"rank": "child", "among": SINGLE, "at_least": 3}, subject="child").splitlines()
    assert lines[1] == "  次に当てはまるお子さんを生まれた順に数えて3番目以降"
    assert "同じ日に生まれた" in lines[2]


def test_a_programme_nobody_knows_is_never_said_by_its_id():
    for language in ("ja", "ja-easy", "en"):
        text = said({"any": [{"receives": "stranger"}, {"received_elsewhere": "999999/stranger"}]}, language)
        assert "stranger" not in text


@pytest.mark.parametrize(("number", "text"), [("1220000", "1,220,000"), ("0.0264029", "0.0264029"), ("1/3", "1/3"), ("-0.5", "-0.5")])
def test_exact_numbers_in_digits(number, text):
    assert exact(number) == text


def test_head_and_criteria_come_first():
    compiled = compile_rule(rule(SINGLE), CATALOGUE, PARAMETERS)
    assert read_back(compiled, phrases())[:2] == [(0, "世帯ごとに、次の条件を満たすとき。"), (1, "「household.single_parent」に当てはまる")]


KANJI = re.compile(r"[一-龠々]+")


def easy_phrases():
    def texts(part):
        for value in part.values():
            yield from texts(value) if isinstance(value, dict) else [str(value)]

    words = yaml.safe_load((ROOT / "templates" / "phrases" / "ja-easy.yaml").read_text(encoding="utf-8"))
    return list(texts(words))


def test_every_kanji_of_the_easy_phrases_has_its_reading():
    """漢字(かんじ): what follows the last kanji of a word is its reading; okurigana stand inside it (生(う)まれ)."""
    for text in easy_phrases():
        for run in KANJI.finditer(text):
            assert re.match(r"\([ぁ-んー]+\)", text[run.end():]), f"{run.group()} in {text}"


def test_a_short_calculation_stays_one_sentence():
    twice = {"multiply": [{"subtract": [{"fact": "household.levy"}, 10]}, 2]}
    assert "  月に、（household.levyから10円を引いた額）に2を掛けた額" in said(SINGLE, amount=[{"yen": twice, "per": "month"}])


@pytest.mark.parametrize(("more", "expected", "not_said"), [
    ({"reaches": {"left_within": "4m"}}, "住んでいる世帯と、そこを出て4か月たっていない世帯を見る", "に限る"),
    ({}, "住んでいる世帯に限る", "そこを出て"),
])
def test_it_says_whether_families_who_left_are_judged(more, expected, not_said):
    text = said(SINGLE, municipality="131121", **more)
    assert expected in text
    assert not_said not in text


def test_one_of_several_grades_is_one_sentence():
    lines = said({"fact": "child.school_grade", "in": [0, 6]}, subject="child").splitlines()
    assert lines[1:3] == [
        "  child.school_gradeが0、6のいずれか",
        "    2026年11月21日には: 2020年4月2日〜2021年4月1日生まれのお子さんまたは2014年4月2日〜2015年4月1日生まれのお子さん",
    ]
    assert "のいずれか" not in lines[3]


def test_what_is_assumed_while_unknown_is_said():
    assumed = said(SINGLE, amount=[{"yen": {"paid_elsewhere": "gift", "assumed": 0}, "per": "once"}])
    assert "「お祝い金」としてほかの市区町村から受け取った額(受け取ったかどうか分からない間は0円とみなす)" in assumed
    assert "とみなす" not in said(SINGLE, amount=[{"yen": {"paid_elsewhere": "gift"}, "per": "once"}])


def test_children_who_do_not_count_are_said():
    third = {"rank": "child", "at_least": 3, "unless": {"fact": "child.supported_by_guardian", "is": True}}
    lines = said(third, subject="child").splitlines()
    assert lines[3:5] == ["    次に当てはまると分かっているお子さんは数えない",
                          "      「child.supported_by_guardian」に当てはまる"]
