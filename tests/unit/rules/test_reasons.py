"""The one sentence a family reads: whole sentences, plain words, no window that is not the law's."""

import pytest
import yaml

from app.rules.documents import Text
from app.rules.evaluate import Rulebook, compile_rule
from app.rules.facts import FactCatalogue
from app.rules.household import read_household
from app.rules.inquiry import answers_on
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.read_back import read_back_text
from tests.unit.rules.world import CATALOGUE, ON, PARAMETERS, ROOT, D, answers, phrases, rule

FACTS = FactCatalogue.from_mapping(yaml.safe_load(
    (ROOT / "registry_data" / "vocabulary" / "facts.yaml").read_text(encoding="utf-8")))
SINGLE = {"fact": "household.single_parent", "is": True}
NOT_ASSISTED = {"fact": "household.public_assistance", "is": False}
TO_18 = {"fiscal_year_end": "child.birth_date", "of_age": 18}
INCOME = {"fact": "guardian.income_after_deductions", "under": {"parameter": "table", "by": "guardian.dependants"}}
RELATIVES = {"every": "co_resident", "where": {"fact": "co_resident.income_after_deductions", "under": {"parameter": "limit"}}}
GRADE = {"fact": "child.intellectual_disability_grade_tokyo", "in": [1, 2]}


def said(criteria, document, language="ja", subject="household", **more):
    """The reason for the first subject, with the labels of the real catalogue."""
    words = yaml.safe_load((ROOT / "templates" / "phrases" / f"{language}.yaml").read_text(encoding="utf-8"))
    made = rule(criteria, subject=subject, **more)
    people = Population.from_documents([read_household(document, FACTS, "h")], FACTS)
    found = answers_on(Rulebook.compile([made], FACTS, PARAMETERS), people, ON, [made.key],
                       Phrases(language, words, FACTS, PARAMETERS, {"gift": Text(ja="gift")}))
    return found[0].answers[0].reason


def household(income=0, dependants=0, born="2018-07-10", **facts):
    return {"facts": facts, "guardians": [{"id": "g", "facts": {"income_after_deductions": income, "dependants": dependants}}],
            "children": [{"id": "c", "birth_date": born}], "co_residents": []}


@pytest.mark.parametrize(("criteria", "document", "ja", "easy", "en"), [
    (NOT_ASSISTED, {}, "「生活保護を受けている」かどうかが分かると決まります。",
     "「生活保護(せいかつほご)を もらって います」か どうかが わかると きまります。",
     "It can be decided once this is known: whether “Receiving public assistance” applies."),
    ({"all": [SINGLE, {**INCOME}, RELATIVES]}, {},
     "「ひとりで子どもを育てている」かどうか、保護者のこと、同居のご家族のことが分かると決まります。",
     "「ひとりで 子(こ)どもを 育(そだ)てて います」か どうか、親(おや)の こと、いっしょに 住(す)んで いる 家族(かぞく)の ことが"
     " わかると きまります。",
     "It can be decided once this is known: whether “Raising children as a single parent” applies, the guardians, "
     "the family members living with you."),
    (INCOME, {"guardians": [{"id": "g", "facts": {"dependants": 1}}]}, "所得(控除後)が分かると決まります。",
     "1年(ねん)の 所得(しょとく)が わかると きまります。",
     "It can be decided once this is known: Income after deductions."),
    ({"receives": "gift"}, {}, "「gift」を受けているかどうかが分かると決まります。",
     "「gift」を もらって いるか どうかが わかると きまります。",
     "It can be decided once this is known: whether you receive “gift”."),
    ({"received_elsewhere": "gift"}, {}, "「gift」をほかの市区町村で受けたかどうかが分かると決まります。",
     "「gift」を ほかの 町(まち)で もらったか どうかが わかると きまります。",
     "It can be decided once this is known: whether you received “gift” from another municipality."),
    ({"resided": "1y", "area": "131121"}, {}, "いつから今の住所に住んでいるかが分かると決まります。",
     "いつから 今(いま)の ところに 住(す)んで いるかが わかると きまります。",
     "It can be decided once this is known: since when you live at this address."),
    ({"all": [SINGLE, NOT_ASSISTED, {"some": "pregnancy"}, RELATIVES]}, {},
     "「ひとりで子どもを育てている」かどうか、「生活保護を受けている」かどうか、妊娠のことなどが分かると決まります。", None, None),
])
def test_what_is_missing_reads_as_a_sentence(criteria, document, ja, easy, en):
    for language, expected in (("ja", ja), ("ja-easy", easy), ("en", en)):
        if expected is not None:
            assert said(criteria, document, language) == expected


def test_every_fact_of_the_catalogue_can_be_asked_for():
    for language, boolean in (("ja", "」かどうか"), ("ja-easy", "」か どうか"), ("en", "” applies")):
        words = yaml.safe_load((ROOT / "templates" / "phrases" / f"{language}.yaml").read_text(encoding="utf-8"))
        asked = {fact.path: Phrases(language, words, FACTS, PARAMETERS).asked(fact.path) for fact in FACTS}
        for fact in FACTS:
            assert asked[fact.path].endswith(boolean) == (fact.type == "bool"), asked[fact.path]


def test_several_grounds_are_quoted_and_short():
    document = household(single_parent=True, public_assistance=False)
    criteria = {"all": [TO_18, SINGLE, INCOME, RELATIVES, NOT_ASSISTED]}
    assert said(criteria, document, subject="child") == (
        "「対象の時期(2018年7月10日から2037年3月31日まで)」「ひとりで子どもを育てている」「所得(控除後)が限度額より少ない」"
        "に当てはまるため、対象になる見込みです。")
    assert said(criteria, document, "en", subject="child").startswith("This is likely yours because all of this applies: “the period")


def test_what_was_checked_keeps_the_name_of_the_limit():
    made = rule({"all": [SINGLE, {"fact": "household.levy", "under": {"parameter": "limit"}}]})
    answer = answers(made, {"facts": {"single_parent": True, "levy": 5}}, phrases=phrases())["household"]
    assert answer.checked == ("household.single_parent", "household.levyが「limit」未満")
    assert "「limit」" not in answer.reason
    assert "限度額より少ない" in answer.reason


@pytest.mark.parametrize(("criteria", "document", "expected"), [
    (SINGLE, household(single_parent=True), "「ひとりで子どもを育てている」に当てはまるため、対象になる見込みです。"),
    (INCOME, household(), "所得(控除後)が限度額より少ないため、対象になる見込みです。"),
    (NOT_ASSISTED, household(public_assistance=False), "条件に合うため、対象になる見込みです。"),
    ({"not": SINGLE}, household(single_parent=False), "条件に合うため、対象になる見込みです。"),
    (SINGLE, household(single_parent=False), "「ひとりで子どもを育てている」という条件に合わないため、対象になりません。"),
    (NOT_ASSISTED, household(public_assistance=True), "「生活保護を受けている」に当てはまるため、対象になりません。"),
    ({"not": SINGLE}, household(single_parent=True), "「ひとりで子どもを育てている」に当てはまるため、対象になりません。"),
    ({"not": NOT_ASSISTED}, household(public_assistance=False), "「生活保護を受けている」という条件に合わないため、対象になりません。"),
    (INCOME, household(income=9_000_000), "「所得(控除後)が限度額より少ない」という条件に合わないため、対象になりません。"),
    (RELATIVES, {**household(), "co_residents": [{"id": "r", "facts": {"income_after_deductions": 9_000_000}}]},
     "「同居家族の所得(控除後)が限度額より少ない」という条件に合わないため、対象になりません。"),
    ({"some": "child", "where": TO_18}, household(born="2000-01-01"),
     "「条件に当てはまるお子さんがいる」という条件に合わないため、対象になりません。"),
    ({"count": "child", "where": TO_18, "at_least": 3}, household(),
     "「条件に当てはまるお子さんが3人以上」という条件に合わないため、対象になりません。"),
])
def test_one_ground_or_one_failing_test(criteria, document, expected):
    assert said(criteria, document) == expected


def test_a_choice_inside_quotation_marks():
    document = household()
    document["children"][0]["facts"] = {"intellectual_disability_grade_tokyo": 4, "childcare": "kindergarten"}
    assert said(GRADE, document, subject="child") == "「愛の手帳の度数が1、2のいずれか」という条件に合わないため、対象になりません。"
    assert said({"fact": "child.childcare", "is": "none"}, document, subject="child") == (
        "「通っている保育・幼稚園が『どこにも通っていない』」という条件に合わないため、対象になりません。")


WINDOW = {"within": "child.birth_date", "from": "1y", "until": "2y"}
BECAUSE = {"ja": "お子さんが生まれた", "ja-easy": "赤(あか)ちゃんが 生(う)まれた", "en": "your child was born"}


def test_a_window_of_the_law_says_its_days():
    assert said(WINDOW, household(born="2025-06-01"), subject="child") == (
        "お子さんの生年月日から数えて、対象の時期(2026年6月1日から2027年5月31日まで)にあたるため、対象になる見込みです。")
    assert said(WINDOW, household(born="2026-06-01"), subject="child") == (
        "お子さんの生年月日から数えると、対象の時期は2027年6月1日から2028年5月31日までです。")


@pytest.mark.parametrize(("kind", "criteria", "expected"), [
    ("procedure", {**WINDOW, "because": BECAUSE}, "お子さんが生まれたため、この手続きが必要になる見込みです。"),
    ("procedure", WINDOW, "手続きをする時期のお子さんがいるため、この手続きが必要になる見込みです。"),
    ("procedure", {"all": [WINDOW, SINGLE]},
     "「手続きをする時期のお子さんがいる」「ひとりで子どもを育てている」に当てはまるため、この手続きが必要になる見込みです。"),
    ("cash", {**WINDOW, "because": BECAUSE}, "お子さんが生まれたため、対象になる見込みです。"),
])
def test_a_window_that_is_only_a_device_never_shows_its_days(kind, criteria, expected):
    words, made = phrases(), rule({"all": [criteria]}, subject="child").model_copy(update={"kind": kind})
    document = {"facts": {"single_parent": True}, "children": [{"id": "c", "birth_date": "2025-06-01"}]}
    answer = answers(made, document, phrases=words)["child:c"]
    assert answer.reason == expected.replace("ひとりで子どもを育てている", "household.single_parent")
    assert "2026年" not in "".join(answer.checked)
    before = answers(made, {**document, "children": [{"id": "c", "birth_date": "2026-06-01"}]}, phrases=words)["child:c"]
    assert before.reason == "いまは対象の時期ではありません。"


def test_because_changes_no_verdict_and_shares_its_leaf():
    plain, told = (compile_rule(rule(tree, subject="child"), CATALOGUE, PARAMETERS).criteria
                   for tree in (WINDOW, {**WINDOW, "because": BECAUSE}))
    assert plain.key == told.key


# ---- what contradicts a condition nobody is asked for --------------------------------------------------------------

AWAY = {"fact": "child.supported_by_guardian", "is": False}
UNMODELLED = [{"ja": "養っていること"}, {"ja": "育てていること", "contradicted_by": AWAY}]


@pytest.mark.parametrize("area", ["000000", "131121"])
def test_only_a_known_contradiction_refuses_a_right(area):
    made = rule(SINGLE, subject="child", municipality=area, unmodelled=UNMODELLED)
    children = [{"id": "a", "facts": {"supported_by_guardian": False}}, {"id": "b", "facts": {"supported_by_guardian": True}},
                {"id": "c"}, {"id": "d", "facts": {"supported_by_guardian": "declined"}}]
    document = {"municipality": "131121", "facts": {"single_parent": True}, "children": children}
    found = answers(made, document, phrases=phrases())
    assert [answer.verdict for answer in found.values()] == ["ineligible", "eligible", "eligible", "eligible"]
    assert found["child:a"].reason == "「child.supported_by_guardian」という条件に合わないため、対象になりません。"
    assert [answer.missing for answer in found.values()] == [()] * 4
    assert found["child:c"].checked[-1] == "household.single_parent"
    unknown = answers(made, {**document, "facts": {}})
    assert [answer.verdict for answer in unknown.values()] == ["ineligible"] + ["undetermined"] * 3
    assert [lack.fact for lack in unknown["child:c"].missing] == ["household.single_parent"]


def test_a_contradiction_may_hold_for_some_days_only():
    made = rule(SINGLE, subject="child", unmodelled=[{"ja": "…", "contradicted_by": {"all": [
        {"fiscal_year_end": "child.birth_date", "of_age": 6}, AWAY]}}])
    document = {"facts": {"single_parent": True},
                "children": [{"id": "c", "birth_date": "2020-06-15", "facts": {"supported_by_guardian": False}}]}
    answer = answers(made, document, D("2027-03-31"))["child:c"]
    assert (answer.verdict, answer.begins_on) == ("ineligible", D("2027-04-01"))


@pytest.mark.parametrize("language", ["ja", "ja-easy", "en"])
def test_who_approves_reads_what_refuses(language):
    compiled = compile_rule(rule(SINGLE, subject="child", unmodelled=UNMODELLED), CATALOGUE, PARAMETERS)
    read = read_back_text(compiled, phrases(language)).splitlines()
    assert len(read) == 4
    assert "child.supported_by_guardian" in read[3]
