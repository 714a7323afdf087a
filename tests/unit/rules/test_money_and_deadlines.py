"""Amounts, deadlines, what waiting costs; the golden cases of the law's own examples."""

import pytest

from tests.unit.rules.world import ON, D, answers, rule

PARTIAL = {
    "subtract": [
        {"parameter": "full"},
        {"round": {"add": [{"multiply": [{"subtract": [{"fact": "guardian.income_after_deductions"},
                                                       {"parameter": "table", "by": "guardian.dependants"}]},
                                         {"parameter": "coefficient"}]}, 10]}, "to": 10},
    ]
}
BY_THE_END_OF_THE_MONTH = {
    "deadlines": [{"occasion": "this_month", "anchor": "today", "end_of": "month", "holiday": "previous_working_day"}],
    "pays_from": "month_after_claim",
}
REARING = rule(
    {"fiscal_year_end": "child.birth_date", "of_age": 18}, subject="child", valid="2024-11-01",
    amount=[{"when": {"fact": "guardian.income_after_deductions",
                      "under": {"parameter": "table", "by": "guardian.dependants"}},
             "yen": {"parameter": "full"}, "per": "month"},
            {"yen": PARTIAL, "per": "month", "least": 11_340, "most": {"parameter": "full"}}],
    application=BY_THE_END_OF_THE_MONTH,
)


def single_parent(**facts):
    return {"guardians": [{"id": "g", "facts": facts}], "children": [{"id": "c", "birth_date": "2018-07-10"}]}


@pytest.mark.parametrize(("day", "yen"), [("2026-11-21", 44_080), ("2025-06-15", 42_830), ("2024-12-02", 41_740)])
def test_the_partial_child_rearing_allowance(day, yen):
    household = single_parent(income_after_deductions=1_220_000, dependants=1)
    assert answers(REARING, household, D(day))["child:c"].amount.yen == yen


def test_the_limit_and_one_yen_below():
    for income, yen in ((1_069_999, 48_050), (1_070_000, 48_040)):
        found = answers(REARING, single_parent(income_after_deductions=income, dependants=1))
        assert found["child:c"].amount.yen == yen


def test_an_unknown_income_gives_least_and_most_and_says_what_is_missing():
    answer = answers(REARING, single_parent(dependants=1))["child:c"]
    assert (answer.amount.yen, answer.amount.least, answer.amount.most) == (None, 11_340, 48_050)
    assert [missing.fact for missing in answer.missing] == ["guardian.income_after_deductions"]


def test_a_step_of_the_amount_is_a_step_and_not_a_new_right():
    answer = answers(REARING, single_parent(income_after_deductions=0, dependants=1), D("2024-12-02"))["child:c"]
    assert [(day.isoformat(), amount.yen) for day, amount in answer.steps] == [
        ("2024-12-02", 45_500), ("2025-04-01", 46_690), ("2026-04-01", 48_050)]
    assert (answer.eligible_from, answer.eligible_until) == (D("2024-11-01"), D("2037-03-31"))


@pytest.mark.parametrize(("day", "counted", "deadline", "pays_from"), [
    ("2026-11-21", "2026-11-30", "2026-11-30", "2026-12"),
    ("2026-12-01", "2026-12-31", "2026-12-28", "2027-01"),
    ("2026-12-28", "2026-12-31", "2026-12-28", "2027-01"),
    ("2026-12-30", "2027-01-31", "2027-01-29", "2027-02"),
])
def test_by_the_end_of_this_month_moves_back_and_nobody_claims_on_a_closed_day(day, counted, deadline, pays_from):
    answer = answers(REARING, single_parent(income_after_deductions=0, dependants=0), D(day))["child:c"]
    assert (answer.counted_on, answer.deadline, answer.pays_from) == (D(counted), D(deadline), pays_from)
    assert answer.cost_of_delay == 48_050


def test_in_the_last_month_of_a_right_no_claim_is_urged():
    """Paid from the month after the claim: a claim in March pays from April, when there is no right any more."""
    def asked(day, **income):
        household = single_parent(income_after_deductions=0, dependants=0) | income
        household["children"] = [{"id": "c", "birth_date": "2009-03-31"}]
        return answers(REARING, household, D(day))["child:c"]

    def said(answer):
        return answer.eligible_until, answer.deadline, answer.pays_from, answer.cost_of_delay

    assert said(asked("2027-02-26")) == (D("2027-03-31"), D("2027-02-26"), "2027-03", 48_050)
    for day in ("2027-02-27", "2027-03-10", "2027-03-31"):  # the last open day of February is the 26th
        answer = asked(day)
        assert said(answer) == (D("2027-03-31"), None, None, None)
        assert (answer.occasion, answer.counted_on, answer.amount.yen) == (None, None, 48_050)


def test_a_right_that_may_run_on_can_still_be_claimed():
    """What comes after the sure right is open, not refused."""
    until_open = rule(
        {"any": [{"fiscal_year_end": "child.birth_date", "of_age": 18}, {"all": [
            {"within": "child.birth_date", "until": "20y"}, {"fact": "child.grade", "at_most": 2}]}]},
        subject="child", amount=[{"yen": 1000, "per": "month"}], application={"pays_from": "month_after_claim"})
    for facts, expected in (({}, "2027-04"), ({"grade": 3}, None)):
        child = {"id": "c", "birth_date": "2009-03-31", "facts": facts}
        assert answers(until_open, {"children": [child]}, D("2027-03-10"))["child:c"].pays_from == expected


def test_an_open_question_keeps_the_dates_of_its_own_day():
    """The income of 2025 is known and counts from November on; until then the income of 2024 is asked for."""
    made = rule(
        {"fact": "guardian.income_after_deductions", "under": {"parameter": "limit"}}, subject="child",
        income_year={"switches": "11-01", "uses": "previous_year"}, application=BY_THE_END_OF_THE_MONTH)
    household = single_parent(income_after_deductions=[{"value": 0, "income_year": 2025}], dependants=0)
    answer = answers(made, household, D("2026-05-10"))["child:c"]
    assert (answer.verdict, answer.begins_on) == ("undetermined", D("2026-11-01"))
    assert (answer.counted_on, answer.deadline, answer.pays_from) == (D("2026-05-31"), D("2026-05-29"), "2026-06")


BIRTH = {"occasion": "birth", "anchor": "child.birth_date", "within": "15d", "holiday": "next_working_day", "no_loss": True}
MOVE = {"occasion": "moved_in", "anchor": "residence.planned_move_out_on", "within": "15d",
        "holiday": "next_working_day", "no_loss": True}
ALLOWANCE = rule(
    {"fiscal_year_end": "child.birth_date", "of_age": 18}, subject="child", valid="2024-10-01",
    amount=[
        {"when": {"rank": "child", "at_least": 3, "among": {"any": [
            {"fiscal_year_end": "child.birth_date", "of_age": 18},
            {"all": [{"fiscal_year_end": "child.birth_date", "of_age": 22},
                     {"fact": "child.supported_by_guardian", "is": True}]}]}}, "yen": 30_000, "per": "month"},
        {"when": {"within": "child.birth_date", "until": "3y", "reckoning": {"until": "reached"},
                  "until_end_of": "month"}, "yen": 15_000, "per": "month"},
        {"yen": 10_000, "per": "month"}],
    application={"opens": {"anchor": "child.birth_date"}, "deadlines": [BIRTH, MOVE], "pays_from": "month_after_claim"},
    take_up=[{"when": {"fact": "guardian.civil_servant", "is": True}, "is": "via_employer"}, {"else": "application"}],
    form={"first": "first form", "further": "further form"},
)


def children(*births, **facts):
    return {"children": [{"id": f"c{n}", "birth_date": birth, "facts": facts.get(f"c{n}", {})}
                         for n, birth in enumerate(births)]}


@pytest.mark.parametrize(("birth", "counted", "deadline", "pays_from"), [
    ("2026-11-21", "2026-12-06", "2026-12-07", "2026-12"),
    ("2026-12-14", "2026-12-29", "2027-01-04", "2027-01"),
    ("2026-11-01", "2026-11-30", "2026-11-30", "2026-12"),
])
def test_the_no_loss_day_of_a_birth(birth, counted, deadline, pays_from):
    answer = answers(ALLOWANCE, children(birth), D(birth))["child:c0"]
    assert (answer.counted_on, answer.deadline, answer.pays_from) == (D(counted), D(deadline), pays_from)


def test_after_the_no_loss_day_every_month_costs():
    household = children("2026-11-21")
    assert answers(ALLOWANCE, household, D("2026-12-07"))["child:c0"].pays_from == "2026-12"
    late = answers(ALLOWANCE, household, D("2026-12-08"))["child:c0"]
    assert (late.deadline, late.lapsed_on, late.pays_from) == (None, D("2026-12-07"), "2027-01")
    assert late.cost_of_delay == 15_000


def test_moving_counts_from_the_planned_day():
    household = {**children("2025-10-03"), "residence": [
        {"municipality": "131164", "from": "2022-05-01"},
        {"municipality": "131121", "from": "2026-12-12", "planned_move_out_on": "2026-12-10"}]}
    answer = answers(ALLOWANCE, household, D("2026-12-12"))["child:c0"]
    assert (answer.occasion, answer.counted_on, answer.deadline) == ("moved_in", D("2026-12-25"), D("2026-12-25"))


@pytest.mark.parametrize(("birth", "last"), [("2023-11-01", "2026-10-31"), ("2023-11-02", "2026-11-30")])
def test_the_last_month_of_15000(birth, last):
    steps = answers(ALLOWANCE, children(birth), D("2026-10-15"))["child:c0"].steps
    assert [amount.yen for _, amount in steps] == [15_000, 10_000]
    assert steps[1][0].toordinal() - 1 == D(last).toordinal()


@pytest.mark.parametrize(("supported", "total"), [(True, 40_000), (False, 25_000)])
def test_the_nth_child(supported, total):
    household = children("2003-05-20", "2006-06-11", "2009-08-02", "2024-09-15", c1={"supported_by_guardian": supported})
    found = answers(ALLOWANCE, household)
    assert sum(answer.amount.yen for answer in found.values() if answer.verdict == "eligible") == total
    assert [answer.verdict for answer in found.values()] == ["ineligible", "ineligible", "eligible", "eligible"]


def test_the_nth_child_waits_for_one_fact():
    found = answers(ALLOWANCE, children("2003-05-20", "2006-06-11", "2009-08-02", "2024-09-15"))
    youngest = found["child:c3"]
    assert (youngest.verdict, youngest.amount.least, youngest.amount.most) == ("eligible", 15_000, 30_000)
    assert [(missing.fact, missing.subject) for missing in youngest.missing] == [
        ("child.supported_by_guardian", "child:c1")]
    assert found["child:c2"].amount.yen == 10_000


def test_take_up_and_form():
    household = {**children("2023-11-02", "2026-11-21"), "guardians": [{"id": "g", "facts": {"civil_servant": True}}]}
    found = answers(ALLOWANCE, household)
    assert found["child:c1"].take_up == "via_employer"
    assert (found["child:c0"].form, found["child:c1"].form) == ("first form", "further form")
    assert answers(ALLOWANCE, children("2026-11-21"))["child:c0"].take_up is None


def test_a_later_right_names_its_first_day_and_no_claim():
    answer = answers(rule({"within": "child.birth_date", "from": "1y", "until": "2y"}, subject="child"),
                     children("2026-11-21"))["child:c0"]
    assert (answer.verdict, answer.begins_on, answer.deadline) == ("ineligible", D("2027-11-21"), None)


def deadline_of(deadline, household, day=ON):
    made = rule({"fiscal_year_end": "child.birth_date", "of_age": 18}, subject="child",
                application={"deadlines": [{"occasion": "one", **deadline}]})
    return answers(made, household, day)["child:c0"]


def test_the_first_day_counts_where_the_law_says_so():
    answer = deadline_of({"anchor": "child.birth_date", "within": "14d", "first_day": "included"}, children("2026-11-21"))
    assert answer.deadline == D("2026-12-04")


def test_the_latest_of_two_anchors_and_an_unknown_one():
    deadline = {"anchor": {"latest": ["child.birth_date", "residence.from"]}, "within": "1m"}
    moved = {**children("2026-11-01"), "residence": [{"municipality": "131121", "from": "2026-11-10"}]}
    assert deadline_of(deadline, moved).deadline == D("2026-12-10")
    assert deadline_of(deadline, children("2026-11-01")).deadline is None


def test_fixed_and_yearly_deadlines():
    household = children("2020-01-01")
    assert deadline_of({"on": "2027-03-01"}, household).deadline == D("2027-03-01")
    assert deadline_of({"each_year": "06-30"}, household).deadline == D("2027-06-30")
    assert deadline_of({"on": "2026-03-01"}, household).lapsed_on == D("2026-03-01")
    assert deadline_of({"anchor": "child.birth_date", "end_of": "fiscal_year"}, children("2026-11-01")).deadline == D(
        "2027-03-31")


def amount_of(amount, household=None):
    return answers(rule({"on": {"from": "2020-01-01"}}, amount=amount), household or {})["household"].amount


@pytest.mark.parametrize(("term", "yen"), [
    ({"add": [1, 2, 3]}, 6), ({"subtract": [10, 2, 3]}, 5), ({"multiply": [3, "1.5", 2]}, 9), ({"min": [7, 5]}, 5),
    ({"max": [7, 5]}, 7), ({"round": "14.9"}, 15), ({"round": 15, "to": 10}, 20), ({"round": "14.999999999", "to": 10}, 10),
    ({"round": 11, "to": 10, "direction": "up"}, 20), ({"round": 19, "to": 10, "direction": "down"}, 10),
    ({"round": {"multiply": [10**12, "0.123456789"]}}, 123_456_789_000),
    ({"multiply": [10**9, "0.0264029", "0.5", 2]}, 26_402_900),
])
def test_terms_are_exact(term, yen):
    assert amount_of([{"yen": term, "per": "once"}]).yen == yen


def test_a_figure_that_is_not_whole_yen_is_refused():
    with pytest.raises(ValueError, match="round"):
        amount_of([{"yen": "0.5", "per": "once"}])


def test_counts_in_amounts():
    amount = [{"yen": {"multiply": [1000, {"count": "child", "where": {"fact": "child.supported_by_guardian", "is": True}}]},
               "per": "once"}]
    known = children("2020-01-01", "2021-01-01", c0={"supported_by_guardian": True}, c1={"supported_by_guardian": True})
    assert amount_of(amount, known).yen == 2000
    assert amount_of(amount, children("2020-01-01")).yen is None


def test_no_case_is_no_amount_and_a_possible_one_has_no_least():
    cases = [{"when": {"fact": "household.single_parent", "is": True}, "yen": 500, "per": "once"}]
    assert amount_of(cases, {"facts": {"single_parent": False}}) is None
    open_amount = amount_of(cases)
    assert (open_amount.yen, open_amount.least, open_amount.most) == (None, 0, 500)
