"""Each operator with its three outcomes."""

import datetime as dt

import pytest

from app.calendar.day_numbers import date_of, number_of
from app.rules.residence_nodes import Replacement
from tests.unit.rules.world import D, answers, population, rule, rulebook, verdict, verdicts

CHILD = {"id": "c1", "birth_date": "2020-06-15"}


def child(**facts):
    return {"children": [{**CHILD, "facts": facts}]}


def guardian(**facts):
    return {"guardians": [{"id": "g1", "facts": facts}]}


CASES = {
    "is": ({"fact": "household.single_parent", "is": True}, {"facts": {"single_parent": True}},
           {"facts": {"single_parent": False}}, {}),
    "is false": ({"fact": "household.single_parent", "is": False}, {"facts": {"single_parent": False}},
                 {"facts": {"single_parent": True}}, {"facts": {"single_parent": "declined"}}),
    "at_least": ({"fact": "household.levy", "at_least": 100}, {"facts": {"levy": 100}}, {"facts": {"levy": 99}}, {}),
    "over": ({"fact": "household.levy", "over": 100}, {"facts": {"levy": 101}}, {"facts": {"levy": 100}}, {}),
    "at_most": ({"fact": "household.levy", "at_most": 100}, {"facts": {"levy": 100}}, {"facts": {"levy": 101}}, {}),
    "under": ({"fact": "household.levy", "under": 100}, {"facts": {"levy": 99}}, {"facts": {"levy": 100}}, {}),
    "range": ({"fact": "household.levy", "at_least": 5, "under": 8}, {"facts": {"levy": 7}}, {"facts": {"levy": 8}},
              {"facts": {"levy": None}}),
    "parameter": ({"fact": "household.levy", "under": {"parameter": "limit"}}, {"facts": {"levy": 1_199_999}},
                  {"facts": {"levy": 1_200_000}}, {}),
    "parameter outside its dates": ({"fact": "household.levy", "under": {"parameter": "ends"}}, None, None,
                                    {"facts": {"levy": 1}}),
    "table": ({"fact": "guardian.income_after_deductions", "under": {"parameter": "table", "by": "guardian.dependants"}},
              guardian(income_after_deductions=1_449_999, dependants=2),
              guardian(income_after_deductions=1_450_000, dependants=2), guardian(income_after_deductions=0)),
    "table far beyond": ({"fact": "guardian.income_after_deductions",
                          "under": {"parameter": "table", "by": "guardian.dependants"}},
                         guardian(income_after_deductions=690_000 + 38 * 380_000 - 1, dependants=38),
                         guardian(income_after_deductions=690_000 + 38 * 380_000, dependants=38),
                         guardian(income_after_deductions=1, dependants=90)),
    "table, same beyond": ({"fact": "guardian.income_after_deductions",
                            "under": {"parameter": "table-same", "by": "guardian.dependants"}},
                           guardian(income_after_deductions=1_069_999, dependants=5),
                           guardian(income_after_deductions=1_070_000, dependants=5), None),
    "table, unknown beyond": ({"fact": "guardian.income_after_deductions",
                               "under": {"parameter": "table-unknown", "by": "guardian.dependants"}},
                              guardian(income_after_deductions=1_069_999, dependants=1), None,
                              guardian(income_after_deductions=0, dependants=2)),
    "on": ({"on": {"from": "2026-11-21", "until": "2026-11-21"}}, {}, None, None),
    "on, over": ({"on": {"until": "2026-11-20"}}, None, {}, None),
    "each_year": ({"each_year": {"from": "11-01", "until": "02-28"}}, {}, None, None),
    "each_year, out of season": ({"each_year": {"from": "04-01", "until": "06-30"}}, None, {}, None),
    "some": ({"some": "child", "where": {"fact": "child.supported_by_guardian", "is": True}},
             child(supported_by_guardian=True), child(supported_by_guardian=False), child()),
    "some, list left out": ({"some": "child"}, {"children": [CHILD]}, {"children": []}, {}),
    "every": ({"every": "child", "where": {"fact": "child.supported_by_guardian", "is": True}}, {"children": []},
              child(supported_by_guardian=False), {}),
    "count": ({"count": "child", "where": {"fact": "child.supported_by_guardian", "is": True}, "at_least": 1},
              child(supported_by_guardian=True), child(supported_by_guardian=False), child()),
    "count, list left out": ({"count": "child", "at_most": 2}, {"children": []},
                             {"children": [{"id": f"c{n}"} for n in range(3)]}, {}),
    "count is": ({"count": "child", "is": 0}, {"children": []}, {"children": [CHILD]}, {}),
    "every co-resident": (
        {"every": "co_resident", "where": {"fact": "co_resident.income_after_deductions", "under": 5}},
        {"co_residents": []}, {"co_residents": [{"id": "r", "facts": {"income_after_deductions": 5}}]}, {}),
    "receives": ({"receives": "000000/other"}, {"receives": {"other": True}}, {"receives": {"000000/other": False}}, {}),
    "received_elsewhere": ({"received_elsewhere": "gift"}, {"received_elsewhere": {"gift": True}},
                           {"received_elsewhere": {"gift": False}}, {"received_elsewhere": {"gift": "declined"}}),
    "judgement": ({"judgement": "decided at the desk"}, None, None, {}),
    "not a judgement": ({"not": {"judgement": "decided at the desk"}}, None, None, {}),
    "resided": ({"resided": "1y", "area": "131121"}, {"residence": [{"municipality": "131121", "from": "2025-11-21"}]},
                {"residence": [{"municipality": "131121", "from": "2025-11-22"}]}, {"municipality": "131121"}),
    "resided in the prefecture": (
        {"resided": "1y", "area": "130001"},
        {"residence": [{"municipality": "131130", "from": "2020-01-01"}, {"municipality": "131121", "from": "2026-10-01"}]},
        {"residence": [{"municipality": "141003", "from": "2020-01-01"}, {"municipality": "131121", "from": "2026-10-01"}]},
        {}),
    "resident on the first of the month": (
        {"resident_on": "month_start", "area": "130001"}, {"municipality": "131121"},
        {"residence": [{"municipality": "141003", "from": "2020-01-01"}, {"municipality": "131121", "from": "2026-11-02"}]},
        {"residence": [{"municipality": "131121", "from": "2026-11-02"}]}),
    "resided in the country": ({"resided": "1y"}, {"residence": [{"municipality": "131121", "from": "2020-01-01"}]},
                               None, {"residence": [{"municipality": "131121", "from": "2026-01-01"}]}),
    "resident in the country": ({"resident_on": "month_start"}, {"municipality": "131121"}, None, {}),
    "resident in a town on the first of the month": (
        {"resident_on": "month_start", "area": "131121"}, None,
        {"residence": [{"municipality": "131121", "from": "2026-11-02"}]}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_three_outcomes_at_household_level(name):
    criteria, *documents = CASES[name]
    assert any(document is not None for document in documents)
    for expected, document in zip(("eligible", "ineligible", "undetermined"), documents, strict=True):
        if document is not None:
            assert verdict(criteria, document) == expected


CHILD_CASES = {
    "within": ({"within": "child.birth_date", "from": "2m", "until": "3y"}, "2026-01-01", "2020-01-01"),
    "fiscal_year_end": ({"fiscal_year_end": "child.birth_date", "of_age": 18}, "2008-04-02", "2008-04-01"),
    "fiscal_year_end from": ({"fiscal_year_end": "child.birth_date", "of_age": 18, "from_age": 15}, "2011-04-01",
                             "2011-04-02"),
    "school_grade": ({"fact": "child.school_grade", "is": 1}, "2020-04-01", "2020-04-02"),
    "school_grade at_most": ({"fact": "child.school_grade", "at_most": 0}, "2020-04-02", "2020-04-01"),
    "school_grade in": ({"fact": "child.school_grade", "in": [6, 1]}, "2015-04-01", "2016-04-01"),
    "class_age": ({"fact": "child.class_age", "at_least": 3, "at_most": 5}, "2023-04-01", "2023-04-02"),
    "date range": ({"fact": "child.birth_date", "from": "2012-04-02", "until": "2027-04-01"}, "2012-04-02", "2012-04-01"),
}


@pytest.mark.parametrize("name", CHILD_CASES)
def test_three_outcomes_of_a_birth_date(name):
    criteria, inside, outside = CHILD_CASES[name]
    children = [{"id": "a", "birth_date": inside}, {"id": "b", "birth_date": outside}, {"id": "c"}]
    assert verdicts(criteria, {"children": children}, subject="child") == ["eligible", "ineligible", "undetermined"]


def test_choice_and_ordered_choice():
    people = {"children": [{"id": "a", "facts": {"grade": 1}}, {"id": "b", "facts": {"grade": 3}}, {"id": "c"}]}
    expected = ["eligible", "ineligible", "undetermined"]
    assert verdicts({"fact": "child.grade", "in": [1, 2]}, people, subject="child") == expected
    assert verdicts({"fact": "child.grade", "at_most": 2}, people, subject="child") == expected


def test_rank_counts_sure_and_possible_siblings_and_breaks_ties_by_id():
    third = {"rank": "child", "among": {"fact": "child.supported_by_guardian", "is": True}, "at_least": 3}

    def ranked(*facts):
        children = [{"id": f"c{n}", "birth_date": birth, "facts": {"supported_by_guardian": supported}}
                    for n, (birth, supported) in enumerate(facts)]
        return verdicts(third, {"children": children}, subject="child")

    assert ranked(("2001-01-01", True), ("2003-01-01", True), ("2005-01-01", None))[2] == "eligible"
    assert ranked(("2001-01-01", True), ("2003-01-01", False), ("2005-01-01", None))[2] == "ineligible"
    assert ranked(("2001-01-01", True), ("2003-01-01", None), ("2005-01-01", None))[2] == "undetermined"
    assert ranked(("2001-01-01", True), (None, True), ("2005-01-01", None)) == ["ineligible", "undetermined", "undetermined"]
    same = [("2020-01-01", True)] * 3
    assert ranked(*same) == ["ineligible", "ineligible", "eligible"]


@pytest.mark.parametrize(("reckoning", "first", "last"), [
    ({"from": "birthday", "until": "birthday"}, "2026-02-28", "2026-08-27"),
    ({"from": "reached", "until": "reached"}, "2026-02-27", "2026-08-27"),
    ({"from": "birthday", "until": "until_reached"}, "2026-02-28", "2026-08-26"),
    ({"from": "birthday", "until": "included"}, "2026-02-28", "2026-08-28"),
])
def test_reckonings_of_a_window(reckoning, first, last):
    criteria = {"within": "child.birth_date", "from": "6m", "until": "1y", "reckoning": reckoning}
    people = {"children": [{"id": "c", "birth_date": "2025-08-28"}]}
    for day, expected in ((first, "eligible"), (last, "eligible")):
        assert verdict(criteria, people, on=D(day), subject="child") == expected
    for day, step in ((first, -1), (last, 1)):
        beside = D(day).fromordinal(D(day).toordinal() + step)
        assert verdict(criteria, people, on=beside, subject="child") == "ineligible"


def test_days_and_weeks_name_days_so_that_both_edges_are_included():
    criteria = {"within": "pregnancy.due_date", "from": "-84d", "until": "-22d"}
    due = {"pregnancies": [{"id": "p", "due_date": "2027-03-01"}]}
    found = [verdict(criteria, due, on=D(day), subject="pregnancy")
             for day in ("2026-12-06", "2026-12-07", "2027-02-07", "2027-02-08")]
    assert found == ["ineligible", "eligible", "eligible", "ineligible"]


CIVIL_SERVANT = {"fact": "guardian.civil_servant", "is": True}
LOW_INCOME = {"fact": "guardian.income_after_deductions", "under": 100}
YEARLY = {"income_year": {"switches": "11-01", "uses": "previous_year"}}
SINGLE = {"fact": "household.single_parent", "is": True}
SINGLE_PARENT = {"facts": {"single_parent": True}}


class TestClaimant:

    def of(self, *guardians):
        people = [{"id": f"g{n}", "facts": facts} for n, facts in enumerate(guardians)]
        return verdict(CIVIL_SERVANT, {"guardians": people})

    def test_the_highest_income_claims(self):
        low, high = {"income_after_deductions": 1, "civil_servant": True}, {"income_after_deductions": 2, "civil_servant": False}
        assert self.of(low, high) == self.of(high, low) == "ineligible"

    def test_the_marked_one_claims(self):
        assert self.of({"claimant": True, "income_after_deductions": 1, "civil_servant": True},
                       {"income_after_deductions": 2, "civil_servant": False}) == "eligible"

    def test_one_who_does_not_claim_leaves_the_other(self):
        assert self.of({"claimant": False, "civil_servant": False}, {"civil_servant": True}) == "eligible"

    def test_an_unknown_income_leaves_it_open_unless_all_are_alike(self):
        assert self.of({"civil_servant": True}, {"income_after_deductions": 2, "civil_servant": False}) == "undetermined"
        assert self.of({"civil_servant": True}, {"income_after_deductions": 2, "civil_servant": True}) == "eligible"

    def test_what_is_missing_is_the_income(self):
        made = rule(CIVIL_SERVANT)
        people = {"guardians": [{"id": "g1", "facts": {"civil_servant": True}},
                                {"id": "g2", "facts": {"civil_servant": False, "income_after_deductions": 1}}]}
        (missing,) = answers(made, people)["household"].missing
        assert (missing.fact, missing.subject) == ("guardian.income_after_deductions", "guardian:g1")

    def test_inside_a_quantifier_it_is_the_bound_person(self):
        people = {"guardians": [{"id": "g1", "facts": {"civil_servant": False, "claimant": True}},
                                {"id": "g2", "facts": {"civil_servant": True}}]}
        assert verdict({"some": "guardian", "where": CIVIL_SERVANT}, people) == "eligible"


class TestIncomeYear:
    def on(self, day, income):
        people = {"guardians": [{"id": "g", "facts": {"income_after_deductions": income}}]}
        return verdict(LOW_INCOME, people, on=D(day), **YEARLY)

    def test_a_dated_income_counts_in_its_year_only(self):
        income = {"value": 50, "income_year": 2025}
        assert [self.on(day, income) for day in ("2026-10-31", "2026-11-01", "2027-10-31", "2027-11-01")] == [
            "undetermined", "eligible", "eligible", "undetermined"]

    def test_a_bare_income_continues(self):
        assert self.on("2024-06-01", 50) == self.on("2030-06-01", 50) == "eligible"

    def test_one_of_several_years(self):
        income = [{"value": 50, "income_year": 2025}, {"value": 500, "income_year": 2026}]
        assert [self.on(day, income) for day in ("2027-10-31", "2027-11-01")] == ["eligible", "ineligible"]

    def test_a_figure_of_the_programme_comes_first(self):
        assert self.on("2026-11-21", {"programme": 500, "other": 50}) == "ineligible"
        assert self.on("2026-11-21", {"other": 50}) == "undetermined"
        assert self.on("2026-11-21", {"000000/programme": {"value": 50, "income_year": 2025}}) == "eligible"

    def test_a_switch_does_not_cut_the_right_but_asks_again(self):
        made = rule(LOW_INCOME, **YEARLY)
        people = {"guardians": [{"id": "g", "facts": {"income_after_deductions": {"value": 50, "income_year": 2025}}}]}
        answer = answers(made, people)["household"]
        assert answer.eligible_from == D("2026-11-01")
        assert answer.eligible_until is None
        assert answer.review_on == D("2027-11-01")


class TestArea:
    @pytest.mark.parametrize(("area", "town", "expected"), [
        ("000000", None, "eligible"), ("130001", "131121", "eligible"), ("130001", "141003", "ineligible"),
        ("130001", None, "undetermined"), ("131121", "131121", "eligible"), ("131121", "131130", "ineligible"),
        ("131121", None, "undetermined"),
    ])
    def test_areas(self, area, town, expected):
        document = {**SINGLE_PARENT, **({"municipality": town} if town else {})}
        assert verdict(SINGLE, document, municipality=area) == expected

    def test_an_unknown_town_is_one_question(self):
        from app.rules.inquiry import answers_on
        book = rulebook(rule(SINGLE), rule(SINGLE, municipality="131121"))
        (found,) = answers_on(book, population(SINGLE_PARENT), D("2026-11-21"))
        assert [answer.programme for answer in found.answers] == ["000000/programme"]
        assert found.municipality_open

    def test_a_programme_replaced_in_a_town(self):
        from app.rules.evaluate import Rulebook, evaluate
        from app.rules.timeline import timeline
        from tests.unit.rules.world import CATALOGUE, PARAMETERS
        kita = Replacement("131172", number_of(D("2026-11-21")), number_of(D("2027-03-31")))
        book = Rulebook.compile([rule(SINGLE)], CATALOGUE, PARAMETERS, {"000000/programme": [kita]})
        people = population({**SINGLE_PARENT, "municipality": "131172"}, {**SINGLE_PARENT, "municipality": "131121"}, SINGLE_PARENT)
        for day, expected in (("2026-11-20", [2, 2, 2]), ("2026-11-21", [0, 2, 2]), ("2027-03-31", [0, 2, 2]), ("2027-04-01", [2, 2, 2])):
            assert list(evaluate(book, people, D(day))["000000/programme"]) == expected, day
        periods = timeline(book, people, D("2026-10-01"), D("2027-06-01"))["000000/programme"]
        in_kita = periods.rows_between(0, 1)
        assert [str(date_of(int(day))) for day in in_kita.first] == ["2026-10-01", "2026-11-21", "2027-04-01"]

    def test_where_a_child_lives_is_the_childs_own(self):
        people = {"municipality": "131121",
                  "children": [{"id": name, "birth_date": "2021-04-01"} for name in ("a", "b")],
                  "residence": [{"municipality": "131121", "from": "2020-01-01"},
                                {"municipality": "141003", "from": "2020-01-01", "who": "b"}]}
        assert verdicts({"resident_on": "month_start", "area": "131121"}, people, subject="child") == [
            "eligible", "ineligible"]


@pytest.mark.parametrize(("birth", "first"), [
    ("2026-11-21", "2026-12-01"), ("2026-12-01", "2026-12-01"), ("2026-12-02", "2027-01-01"), ("2026-12-31", "2027-01-01")])
def test_a_child_lives_nowhere_on_a_first_before_its_birth(birth, first):
    made = rule({"resident_on": "month_start"}, subject="child", municipality="130001")
    residence = [{"municipality": "131121", "from": "2020-01-01"}]
    document = {"municipality": "131121", "residence": residence, "children": [{"id": "c", "birth_date": birth}]}
    before, on = (answers(made, document, day)["child:c"] for day in (D(first) - dt.timedelta(days=1), D(first)))
    assert (before.verdict, before.begins_on) == ("ineligible", D(first))
    assert (on.verdict, on.eligible_from) == ("eligible", D(first))
    open_birth = answers(made, {**document, "children": [{"id": "c"}]})["child:c"]
    assert (open_birth.verdict, [lack.fact for lack in open_birth.missing]) == ("undetermined", ["child.birth_date"])


def test_a_bare_municipality_says_nothing_of_a_stay_in_the_past():
    made = {"resided": "3m", "by": "child.birth_date", "area": "131121"}
    for town in ("131121", "131130"):
        document = {"municipality": town, "children": [{"id": "c", "birth_date": "2022-05-05"}]}
        assert verdicts(made, document, subject="child") == ["undetermined"]


def test_a_programme_overdue_for_checking_is_undetermined_at_best():
    made = rule({"fact": "household.single_parent", "is": True}, next_check_on="2026-11-20")
    assert answers(made, {"facts": {"single_parent": True}})["household"].verdict == "undetermined"
    assert answers(made, {"facts": {"single_parent": True}})["household"].stale
    assert answers(made, {"facts": {"single_parent": False}})["household"].verdict == "ineligible"
    assert answers(made, {"facts": {"single_parent": True}}, D("2026-11-20"))["household"].verdict == "eligible"


def test_versions_are_chosen_by_the_day_and_stitched():
    old = rule({"fact": "household.levy", "under": 100}, valid="2025-04-01")
    new = rule({"fact": "household.levy", "under": 50}, valid="2026-04-01")
    found = answers([old, new], {"facts": {"levy": 60}}, D("2025-12-01"))["household"]
    assert (found.version, found.verdict, found.eligible_until) == ("2025-04-01", "eligible", D("2026-03-31"))
    found = answers([old, new], {"facts": {"levy": 40}})["household"]
    assert (found.version, found.eligible_from) == ("2026-04-01", D("2025-04-01"))
