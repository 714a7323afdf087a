"""Missing facts, explanation, read-back."""

import pytest

from app.rules.details import Detail
from app.rules.evaluate import compile_rule
from app.rules.explain import lines
from app.rules.read_back import read_back, read_back_text
from tests.unit.rules.world import CATALOGUE, ON, PARAMETERS, answers, phrases, population, rule, rulebook

SINGLE = {"fact": "household.single_parent", "is": True}
ASSISTED = {"fact": "household.public_assistance", "is": True}
POOR = {"fact": "household.levy", "under": 100}


def missing(criteria, document):
    answer = answers(rule(criteria), document)["household"]
    assert answer.verdict == "undetermined"
    return [lack.fact for lack in answer.missing]


def test_the_most_decisive_fact_comes_first():
    # Public assistance settles it either way; the two others only together.
    criteria = {"all": [{"any": [POOR, SINGLE]}, ASSISTED]}
    assert missing(criteria, {})[0] == "household.public_assistance"
    assert set(missing(criteria, {})) == {"household.levy", "household.single_parent", "household.public_assistance"}


def test_a_fact_that_cannot_matter_any_more_is_not_asked():
    criteria = {"all": [{"any": [SINGLE, POOR]}, ASSISTED]}
    assert missing(criteria, {"facts": {"single_parent": True}}) == ["household.public_assistance"]


def test_a_declined_fact_comes_last_and_says_so():
    answer = answers(rule({"all": [SINGLE, POOR]}), {"facts": {"single_parent": "declined"}})["household"]
    assert [(lack.fact, lack.declined) for lack in answer.missing] == [
        ("household.levy", False), ("household.single_parent", True)]


@pytest.mark.parametrize(("criteria", "fact"), [
    ({"every": "co_resident", "where": {"fact": "co_resident.income_after_deductions", "under": 5}},
     "household.co_residents"),
    ({"receives": "other"}, "household.receives.other"),
    ({"resided": "1y", "area": "131121"}, "residence.from"),
    ({"fact": "guardian.civil_servant", "is": True}, "household.guardians"),
])
def test_what_is_missing_beyond_facts(criteria, fact):
    assert missing(criteria, {}) == [fact]
    assert phrases().label(fact)


def test_a_right_open_by_judgement_alone_is_no_question():
    criteria = {"all": [SINGLE, {"judgement": "decided at the desk"}]}
    answer = answers(rule(criteria), {"facts": {"single_parent": True}}, phrases=phrases())["household"]
    assert (answer.verdict, answer.only_by_judgement, answer.missing) == ("undetermined", True, ())
    assert "decided at the desk" in answer.reason
    assert not answers(rule(criteria), {})["household"].only_by_judgement
    assert answers(rule(criteria), {"facts": {"single_parent": False}})["household"].verdict == "ineligible"


@pytest.mark.parametrize("language", ["ja", "ja-easy", "en"])
def test_reasons_in_one_sentence(language):
    words = phrases(language)
    made = rule({"all": [{"fiscal_year_end": "child.birth_date", "of_age": 18}, SINGLE]}, subject="child")
    household = {"children": [{"id": "c", "birth_date": "2020-04-01"}]}
    reasons = [answers(made, {**household, "facts": {"single_parent": known}}, phrases=words)["child:c"].reason
               for known in (True, False, None)]
    assert "2038" in reasons[0]
    assert "household.single_parent" in reasons[1]
    assert "household.single_parent" in reasons[2]
    assert len(set(reasons)) == 3


TREE = {"all": [
    {"any": [{"within": "child.birth_date", "from": "2m", "until": "90m", "until_end_of": "month"},
             {"fiscal_year_end": "child.birth_date", "of_age": 18, "from_age": 6}]},
    {"not": {"fact": "child.school_kind", "is": "private"}},
    {"fact": "child.grade", "in": [1, 2]},
    {"fact": "child.birth_date", "from": "2012-04-02", "until": "2027-04-01"},
    {"fact": "child.school_grade", "in": [0, 2]},
    {"fact": "guardian.income_after_deductions", "at_least": 5, "under": {"parameter": "table", "by": "guardian.dependants"}},
    {"fact": "household.levy", "over": {"parameter": "limit"}},
    {"rank": "child", "among": SINGLE, "at_least": 2}, {"rank": "child", "is": 1},
    {"some": "pregnancy"}, {"every": "co_resident", "where": {"fact": "co_resident.income_after_deductions", "at_most": 3}},
    {"count": "child", "where": SINGLE, "at_least": 1, "at_most": 3}, {"count": "child", "at_most": 3},
    {"on": {"from": "2026-04-01"}}, {"on": {"until": "2027-04-01"}}, {"each_year": {"from": "04-01", "until": "06-30"}},
    {"resided": "1y"}, {"resided": "3m", "by": "child.birth_date"}, {"resident_on": "month_start"},
    {"resident_on": "child.birth_date"}, {"receives": "other"}, {"received_elsewhere": "gift"},
    {"judgement": {"ja": "窓口", "en": "desk"}},
]}


@pytest.mark.parametrize("language", ["ja", "ja-easy", "en"])
def test_every_kind_of_test_has_words(language):
    words = phrases(language)
    made = rule(TREE, subject="child", municipality="131121")
    compiled = compile_rule(made, CATALOGUE, PARAMETERS)
    text = read_back_text(compiled, words)
    assert "{" not in text
    assert text.count("\n") > 30
    detail = Detail(rulebook(made), population({"children": [{"id": "c", "birth_date": "2020-04-01"}]}), 0, ON)
    explained = lines(detail.explanation("131121/programme", 0, words))
    assert len(explained) > 30
    assert all(sentence and "{" not in sentence for _, sentence in explained)


def test_read_back_says_birth_dates_as_people_do():
    compiled = compile_rule(rule({"fact": "child.birth_date", "from": "2023-04-02", "until": "2024-04-01"},
                                 subject="child"), CATALOGUE, PARAMETERS)
    assert read_back(compiled, phrases())[1] == (1, "2023年4月2日〜2024年4月1日生まれ")


def test_an_explanation_shows_the_value_its_source_and_the_limit():
    made = rule({"fact": "household.levy", "under": {"parameter": "limit"}})
    levy = {"value": 50, "source": "notice", "recorded_on": "2026-06-10"}
    detail = Detail(rulebook(made), population({"facts": {"levy": levy}}), 0, ON)
    explanation = detail.explanation("000000/programme", 0, phrases("en"))
    assert (explanation.verdict, explanation.source, explanation.recorded_on) == ("eligible", "notice", "2026-06-10")
    for part in ("50 yen", "1,200,000 yen", "notice", "2026-06-10"):
        assert part in explanation.sentence


def test_an_explanation_names_the_people_of_a_quantifier():
    made = rule({"some": "child", "where": {"fact": "child.supported_by_guardian", "is": True}})
    household = {"children": [{"id": "a", "facts": {"supported_by_guardian": False}}, {"id": "b"}]}
    explanation = Detail(rulebook(made), population(household), 0, ON).explanation("000000/programme", 0, phrases())
    assert [(part.person, part.verdict) for part in explanation.parts] == [
        ("child:a", "ineligible"), ("child:b", "undetermined")]
