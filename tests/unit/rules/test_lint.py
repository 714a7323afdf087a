"""Lint of rules: for each code a rule that triggers it, and one that nearly does and must not."""

import pytest

from app.rules.evaluate import compile_rule
from app.rules.lint import lint
from app.rules.parameters import Parameters
from tests.unit.rules.world import CATALOGUE, ON, PARAMETERS, parameter, rule

SINGLE = {"fact": "household.single_parent", "is": True}
NOT_SINGLE = {"fact": "household.single_parent", "is": False}
POOR = {"fact": "household.levy", "under": 100}
TABLE = {"parameter": "table", "by": "guardian.dependants"}
HIGHER = parameter("higher", {"valid_from": "2024-11-01", "table": [700_000, 1_080_000], "beyond": {"step": 380_000}})
RATIO = parameter("ratio", {"valid_from": "2024-04-01", "value": "0.5"}).model_copy(update={"unit": "ratio"})
ENDED = parameter("ended", {"valid_from": "2024-04-01", "valid_until": "2027-03-31", "value": 5})
LATER = parameter("later", {"valid_from": "2024-04-01", "valid_until": "2028-03-31", "value": 5})
FIGURES = Parameters([PARAMETERS["table"], PARAMETERS["limit"], PARAMETERS["full"], HIGHER, RATIO, ENDED, LATER])


def codes(criteria, subject="household", today=ON, **more):
    compiled = compile_rule(rule(criteria, subject=subject, **more), CATALOGUE, FIGURES)
    return [(remark.code, remark.path) for remark in lint(compiled, today, CATALOGUE, FIGURES)]


def income(**bounds):
    return {"fact": "guardian.income_after_deductions", **bounds}


def born(**span):
    return {"within": "child.birth_date", **span}


def cases(*whens):
    return {"amount": [{"yen": number + 1, "per": "once", **({} if when is None else {"when": when})}
                       for number, when in enumerate(whens)]}


def unmodelled(number):
    return {"unmodelled": [{"ja": f"{place}番目"} for place in range(number)]}


def application(**more):
    return {"application": {"pays_from": "month_after_claim", **more}}


FIXED = {"occasion": "a", "on": "2026-04-01"}
WITHIN = {"occasion": "a", "anchor": "child.birth_date", "within": "1y"}

CASES = {
    # code: (criteria, more) that triggers it, (criteria, more) that nearly does
    "never_true": [
        (({"all": [SINGLE, {"not": SINGLE}]}, {}), ({"all": [SINGLE, {"not": POOR}]}, {})),
        (({"all": [SINGLE, NOT_SINGLE]}, {}), ({"any": [SINGLE, {"all": [NOT_SINGLE, POOR]}]}, {})),
        (({"all": [{"fact": "household.levy", "over": 9}, {"fact": "household.levy", "under": 9}]}, {}),
         ({"all": [{"fact": "household.levy", "at_least": 9}, {"fact": "household.levy", "at_most": 9}]}, {})),
        (({"all": [born(until="2y"), born(**{"from": "3y"})]}, {"subject": "child"}),
         ({"all": [born(until="3y", reckoning={"until": "included"}), born(**{"from": "3y"})]}, {"subject": "child"})),
        (({"all": [born(until="2y"), {"fact": "child.birth_date", "until": "2015-01-01"}]}, {"subject": "child"}),
         ({"all": [born(until="20y"), {"fact": "child.birth_date", "until": "2015-01-01"}]}, {"subject": "child"})),
        (({"all": [income(under=TABLE), income(at_least={"parameter": "higher", "by": "guardian.dependants"})]}, {}),
         ({"all": [income(under={"parameter": "higher", "by": "guardian.dependants"}), income(at_least=TABLE)]}, {})),
        (({"all": [income(under=TABLE), income(at_least=90_000_000)]}, {}),
         ({"all": [income(under=TABLE), income(at_least=3_000_000)]}, {})),
        (({"all": [{"fact": "child.grade", "in": [1, 2]}, {"fact": "child.grade", "in": [3]}]}, {"subject": "child"}),
         ({"all": [{"fact": "child.grade", "in": [1, 2]}, {"fact": "child.grade", "in": [2, 3]}]}, {"subject": "child"})),
        (({"all": [SINGLE, NOT_SINGLE]}, {}), ({"all": [SINGLE, {"not": {"some": "pregnancy"}}]}, {})),
        (({"count": "child", "at_least": 2, "where": {"all": [born(until="2y"), born(**{"from": "3y"})]}}, {}),
         ({"count": "child", "at_least": 2, "where": born(until="2y")}, {})),
    ],
    "always_true": [
        (({"any": [SINGLE, {"not": SINGLE}]}, {}), ({"any": [SINGLE, {"not": POOR}]}, {})),
        (({"any": [SINGLE, NOT_SINGLE]}, {}), ({"all": [SINGLE, POOR]}, {})),
        (({"any": [SINGLE, NOT_SINGLE]}, {}), ({"any": [SINGLE, {"some": "pregnancy"}]}, {})),
        (({"any": [POOR, {"fact": "household.levy", "at_least": 50}]}, {}),
         ({"any": [POOR, {"fact": "household.levy", "at_least": 102}]}, {})),
    ],
    "repeated": [(({"any": [SINGLE, SINGLE]}, {}), ({"any": [SINGLE, POOR]}, {}))],
    "band_gap": [
        (({"any": [{"fact": "household.levy", "under": 100}, {"fact": "household.levy", "over": 100}]}, {}),
         ({"any": [{"fact": "household.levy", "under": 100}, {"fact": "household.levy", "over": 200}]}, {})),
    ],
    "only_judgements": [(({"judgement": "x"}, {}), ({"all": [SINGLE, {"judgement": "x"}]}, {}))],
    "much_unmodelled": [((SINGLE, unmodelled(5)), (SINGLE, unmodelled(4)))],
    "outside_validity": [(({"on": {"until": "2024-03-31"}}, {}), ({"on": {"until": "2024-04-01"}}, {}))],
    "unreachable_case": [
        ((SINGLE, cases(None, None)), (SINGLE, cases(POOR, None))),
        ((SINGLE, cases(POOR, {"fact": "household.levy", "under": 50}, None)),
         (SINGLE, cases({"fact": "household.levy", "under": 50}, POOR, None))),
    ],
    "overlapping_cases": [
        ((SINGLE, cases({"fact": "household.levy", "at_least": 0, "at_most": 100},
                        {"fact": "household.levy", "at_least": 100, "at_most": 200}, None)),
         (SINGLE, cases({"fact": "household.levy", "at_least": 0, "at_most": 100},
                        {"fact": "household.levy", "at_least": 101, "at_most": 200}, None))),
    ],
    "amount_gap": [
        (({"fact": "child.grade", "in": [1, 2]}, {"subject": "child", **cases({"fact": "child.grade", "is": 1})}),
         ({"fact": "child.grade", "in": [1, 2]}, {"subject": "child", **cases({"fact": "child.grade", "in": [1, 2]})})),
    ],
    "no_last_case": [((SINGLE, cases({"all": [SINGLE, POOR]})), (SINGLE, cases({"all": [SINGLE, POOR]}, None)))],
    "unit_mix": [
        ((SINGLE, {"amount": [{"yen": {"add": [{"parameter": "limit"}, {"parameter": "ratio"}]}, "per": "once"}]}),
         (SINGLE, {"amount": [{"yen": {"multiply": [{"parameter": "limit"}, {"parameter": "ratio"}]}, "per": "once"}]})),
    ],
    "span_mix": [
        ((born(**{"from": "6w", "until": "8m"}), {"subject": "child"}),
         (born(**{"from": "0d", "until": "8m"}), {"subject": "child"})),
        ((born(**{"from": "6w", "until": "8m"}), {"subject": "child"}),
         ({"within": "pregnancy.due_date", "from": "-8w", "until": "8m"}, {"subject": "pregnancy"})),
    ],
    "no_deadline": [((SINGLE, {"application": {}}), (SINGLE, application()))],
    "repeated_occasion": [
        ((SINGLE, application(deadlines=[FIXED, {**FIXED, "on": "2026-05-01"}])),
         (SINGLE, application(deadlines=[FIXED, {**FIXED, "occasion": "b"}]))),
    ],
    "deadline_before_opening": [
        ((SINGLE, application(opens={"on": "2026-05-01"}, deadlines=[FIXED])),
         (SINGLE, application(opens={"on": "2026-04-01"}, deadlines=[FIXED]))),
    ],
    "deadline_before_right": [
        ((born(**{"from": "2y", "until": "3y"}), {"subject": "child", **application(deadlines=[WITHIN])}),
         (born(**{"from": "1y", "until": "3y"}), {"subject": "child", **application(deadlines=[WITHIN])})),
    ],
    "deadline_after_right": [
        ((born(**{"from": "0d", "until": "6m"}), {"subject": "child", **application(deadlines=[WITHIN])}),
         (born(**{"from": "0d", "until": "1y"}), {"subject": "child", **application(deadlines=[WITHIN])})),
    ],
    "overdue": [((SINGLE, {"next_check_on": "2026-11-20"}), (SINGLE, {"next_check_on": "2026-11-21"}))],
    "expired": [
        ((SINGLE, {"valid": {"from": "2024-04-01", "until": "2026-11-20"}}),
         (SINGLE, {"valid": {"from": "2024-04-01", "until": "2026-11-21"}})),
    ],
    "parameter_ends": [
        (({"fact": "household.levy", "under": {"parameter": "ended"}}, {}),
         ({"fact": "household.levy", "under": {"parameter": "later"}}, {})),
    ],
}


@pytest.mark.parametrize(("code", "position"), [(code, place) for code in CASES for place in range(len(CASES[code]))])
def test_a_code_and_its_near_miss(code, position):
    (criteria, more), (near, near_more) = CASES[code][position]
    assert code in {found for found, _ in codes(criteria, **more)}
    assert code not in {found for found, _ in codes(near, **near_more)}


def test_what_is_always_false_is_reported_where_it_stands():
    inner = {"all": [SINGLE, NOT_SINGLE]}
    assert codes({"all": [POOR, {"any": [POOR, inner]}]}) == [("never_true", "criteria.all[1].any[1]")]


def test_a_right_that_gives_people_away_should_be_sensitive():
    facts = {"household.single_parent": {"type": "bool", "consent": "single_parent", "sensitive": True,
                                         "label": {"ja": "ひとり親"}},
             "household.public_assistance": {"type": "bool", "consent": "income", "sensitive": True,
                                             "label": {"ja": "生活保護"}}}
    catalogue = type(CATALOGUE).from_mapping(facts)

    def found(criteria, **more):
        compiled = compile_rule(rule(criteria, **more), catalogue, FIGURES)
        return {remark.code for remark in lint(compiled, ON, catalogue, FIGURES)}

    assisted = {"fact": "household.public_assistance", "is": True}
    assert "should_be_sensitive" in found(SINGLE)
    assert "should_be_sensitive" in found({"all": [assisted]})
    assert "should_be_sensitive" not in found(SINGLE, sensitive=True)
    assert "should_be_sensitive" not in found({"fact": "household.public_assistance", "is": False})
    assert "should_be_sensitive" not in found({"not": SINGLE})


def test_a_sound_rule_has_no_remarks():
    assert codes({"all": [SINGLE, POOR]}) == []
