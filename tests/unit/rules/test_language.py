"""Totals, ranges, windows from a moved date, seasons of application, what others paid, and what is refused."""

from typing import ClassVar

import pytest
from pydantic import ValidationError

from app.rules.documents import DocumentError
from app.rules.household import read_household
from app.rules.inquiry import answers_on
from tests.unit.rules.world import CATALOGUE, ON, D, answers, phrases, population, rule, rulebook, verdict, verdicts


def guardians(*incomes, **facts):
    people = [{"id": f"g{n}", "facts": {} if income is None else {"income_after_deductions": income, **facts}}
              for n, income in enumerate(incomes)]
    return {"guardians": people}


class TestTotals:
    BOTH: ClassVar = {"total": "guardian.income_after_deductions", "under": 100}

    @pytest.mark.parametrize(("household", "expected"), [
        (guardians(50, 49), "eligible"),
        (guardians(50, 50), "ineligible"),
        (guardians(50, None), "undetermined"),
        (guardians(100, None), "ineligible"),
        ({"guardians": []}, "eligible"),
        ({}, "undetermined"),
    ])
    def test_the_sum_of_both_parents(self, household, expected):
        assert verdict(self.BOTH, household) == expected

    def test_ranges_add_up(self):
        low_high = {"at_least": 10, "at_most": 20}
        assert verdict(self.BOTH, guardians(79, low_high)) == "eligible"
        assert verdict(self.BOTH, guardians(90, low_high)) == "ineligible"
        assert verdict(self.BOTH, guardians(80, low_high)) == "undetermined"
        assert verdict(self.BOTH, guardians(80, {"at_least": 20})) == "ineligible"

    def test_a_dated_table_limits_a_household(self):
        limit = {"total": ["guardian.income_after_deductions", "co_resident.income_after_deductions"],
                 "at_most": {"parameter": "table", "by": "guardian.dependants"}}
        household = {**guardians(500_000, dependants=0), "co_residents": [
            {"id": "r", "facts": {"income_after_deductions": 190_000}}]}
        assert verdict(limit, household) == "eligible"
        household["co_residents"][0]["facts"]["income_after_deductions"] = 190_001
        assert verdict(limit, household) == "ineligible"
        del household["co_residents"]
        assert verdict(limit, household) == "undetermined"
        assert verdict(limit, household, on=D("2024-10-31")) == "undetermined"

    def test_what_is_missing_is_named_by_person(self):
        made = rule(self.BOTH)
        found = answers(made, guardians(50, None, None))["household"]
        assert [(lack.fact, lack.subject) for lack in found.missing] == [
            ("guardian.income_after_deductions", "guardian:g1"), ("guardian.income_after_deductions", "guardian:g2")]
        assert [lack.fact for lack in answers(made, {})["household"].missing] == ["household.guardians"]

    def test_a_total_is_a_figure_of_an_amount(self):
        made = rule({"on": {"from": "2020-01-01"}},
                    amount=[{"yen": {"min": [{"total": "guardian.income_after_deductions"}, 500]}, "per": "once"}])
        assert answers(made, guardians(100, 150))["household"].amount.yen == 250
        found = answers(made, guardians(100, None))["household"]
        assert found.amount.yen is None
        assert [lack.subject for lack in found.missing] == ["guardian:g1"]

    @pytest.mark.parametrize("language", ["ja", "ja-easy", "en"])
    def test_words(self, language):
        from app.rules.phrases import condition

        made = rule({"total": "guardian.income_after_deductions", "at_least": 5, "under": 100})
        said = condition(rulebook(made).versions[made.key][0].criteria, phrases(language))
        assert "guardian.income_after_deductions" in said and "100" in said and "{" not in said


class TestRanges:
    UNDER: ClassVar = {"fact": "guardian.income_after_deductions", "under": {"parameter": "limit"}}

    @pytest.mark.parametrize(("stated", "expected"), [
        ({"at_most": 1_199_999}, "eligible"),
        ({"at_least": 1_200_000}, "ineligible"),
        ({"at_least": 0, "at_most": 1_200_000}, "undetermined"),
        ({"at_least": 1_000_000, "at_most": 1_199_999, "income_year": 2025}, "eligible"),
    ])
    def test_a_range_decides_where_the_limit_lies_outside(self, stated, expected):
        assert verdict(self.UNDER, guardians(stated)) == expected

    def test_a_range_between_literals(self):
        band = {"fact": "household.levy", "at_least": 10, "under": 20}
        for stated, expected in (((10, 19), "eligible"), ((20, 30), "ineligible"), ((0, 9), "ineligible"), ((5, 15), "undetermined")):
            levy = {"at_least": stated[0], "at_most": stated[1]}
            assert verdict(band, {"facts": {"levy": levy}}) == expected

    def test_a_range_of_one_programme_or_year_stands_in_for_the_general_figure(self):
        own = {"programme": {"at_most": 5}, "other": 5_000_000}
        assert verdict(self.UNDER, guardians(own)) == "eligible"
        dated = {"value": 5_000_000, "income_year": 2023}
        yearly = {"income_year": {"switches": "11-01", "uses": "previous_year"}}
        layered = [dated, {"at_most": 5, "income_year": 2025}]
        assert verdict(self.UNDER, guardians(layered), **yearly) == "eligible"
        assert verdict(self.UNDER, guardians(layered), on=D("2024-12-01"), **yearly) == "ineligible"

    def test_a_range_is_asked_for_when_it_does_not_decide(self):
        found = answers(rule(self.UNDER), guardians({"at_least": 0, "at_most": 2_000_000}))["household"]
        assert [lack.fact for lack in found.missing] == ["guardian.income_after_deductions"]

    @pytest.mark.parametrize(("stated", "words"), [
        ({"at_least": 5, "at_most": 4}, "from 5 on"),
        ({"at_least": 5, "value": 4}, "only"),
        ({"at_least": "many"}, "whole number of yen"),
        ({"at_least": 1.5}, "whole number of yen"),
        ([{"income_year": 2025}], "at_least and/or at_most"),
    ])
    def test_wrong_ranges_are_refused(self, stated, words):
        with pytest.raises(DocumentError, match=words):
            read_household(guardians(stated), CATALOGUE)

    def test_only_numbers_have_ranges(self):
        with pytest.raises(DocumentError, match="is no number"):
            read_household({"facts": {"single_parent": {"at_least": 1}}}, CATALOGUE)


class TestWindows:

    def first_and_last(self, criteria, household, subject):
        """The first and last day of the right."""
        found = answers(rule({**criteria, "because": "x"}, subject=subject), household, D("2026-06-15"))
        (answer,) = found.values()
        return str(answer.eligible_from), str(answer.eligible_until)

    def test_from_the_first_of_the_month_before(self):
        months = {"within": "pregnancy.due_date", "from": "-1m", "from_start_of": "month", "until": "2m", "until_end_of": "month"}
        for due, first, last in (("2026-07-31", "2026-06-01", "2026-09-30"), ("2026-06-30", "2026-05-01", "2026-08-31")):
            household = {"pregnancies": [{"id": "p", "due_date": due}]}
            assert self.first_and_last(months, household, "pregnancy") == (first, last)

    def test_from_1_april_of_the_year(self):
        year = {"within": "child.birth_date", "from": "3y", "from_start_of": "school_year", "until": "4y"}
        household = {"children": [{"id": "c", "birth_date": "2023-09-10"}]}
        assert self.first_and_last(year, household, "child") == ("2026-04-01", "2027-09-09")

    def test_two_years_from_eight_weeks_before(self):
        lapse = {"within": "pregnancy.due_date", "after": "-56d", "from": "0d", "until": "2y", "reckoning": {"until": "included"}}
        household = {"pregnancies": [{"id": "p", "due_date": "2025-02-01"}]}
        assert self.first_and_last(lapse, household, "pregnancy") == ("2024-12-07", "2026-12-07")


class TestApplying:

    def of(self, application, household, day, **more):
        made = rule({"on": {"from": "2020-01-01"}}, subject="child", application=application, **more)
        return answers(made, {"children": [{"id": "c", **household}]}, D(day))["child:c"]

    def test_a_limitation_counts_from_a_moved_anchor(self):
        deadline = {"occasion": "limitation", "anchor": "child.birth_date", "after": "-56d", "within": "2y"}
        found = self.of({"deadlines": [deadline]}, {"birth_date": "2027-03-01"}, "2026-11-21")
        assert found.counted_on == D("2029-01-04")
        last_day = self.of({"deadlines": [{"occasion": "one", "anchor": "child.birth_date", "after": "1y"}]},
                           {"birth_date": "2026-02-28"}, "2026-11-21")
        assert last_day.deadline == D("2027-02-28")
        month = self.of({"deadlines": [{"occasion": "one", "anchor": "child.birth_date", "after": "1y", "end_of": "month"}]},
                        {"birth_date": "2026-02-10"}, "2026-11-21")
        assert month.deadline == D("2027-02-28")

    @pytest.mark.parametrize(("day", "opens", "deadline"), [
        ("2026-09-30", "2026-10-01", "2026-11-30"), ("2026-11-30", "2026-10-01", "2026-11-30"),
        ("2026-12-01", "2027-10-01", "2027-11-30"),
    ])
    def test_a_season_opens_before_its_own_deadline(self, day, opens, deadline):
        season = {"opens": {"each_year": "10-01"}, "deadlines": [{"occasion": "season", "each_year": "11-30"}]}
        found = self.of(season, {"birth_date": "2020-01-01"}, day)
        assert (found.opens_on, found.deadline) == (D(opens), D(deadline))

    def test_a_deadline_without_a_day_names_what_is_missing(self):
        import numpy as np

        from app.calendar.day_numbers import number_of
        from app.rules.deadlines import open_anchors
        from app.rules.reading import Moment, Reading

        servant = {"fact": "guardian.civil_servant", "is": True}
        made = rule({"judgement": "x"}, subject="child", application={"deadlines": [
            {"occasion": "latest", "anchor": {"latest": ["child.birth_date", "residence.from"]}, "within": "1m"},
            {"occasion": "certified", "anchor": "child.certified_on", "within": "1m"},
            {"occasion": "servants", "anchor": "guardian.birth_date", "within": "1m", "when": servant}]})
        household = {"municipality": "131121", "children": [
            {"id": "c", "birth_date": "2026-01-01", "facts": {"certified_on": "declined"}}]}
        (compiled,) = rulebook(made).versions[made.key]
        reading = Reading(Moment.on(population(household), ON), compiled.rule)
        today = np.full(1, number_of(ON), dtype=np.int32)
        found = [(deadline.occasion, lack.fact, lack.subject, lack.declined)
                 for deadline, lack in open_anchors(compiled, reading, today, 0)]
        assert found == [("latest", "residence.from", "household", False), ("certified", "child.certified_on", "child:c", True)]

    def test_a_season_over_the_new_year_and_one_without_an_end(self):
        season = {"opens": {"each_year": "12-01"}, "deadlines": [{"occasion": "season", "each_year": "02-29"}]}
        found = self.of(season, {}, "2026-11-21")
        assert (found.opens_on, found.deadline) == (D("2026-12-01"), D("2027-02-28"))
        assert self.of({"opens": {"each_year": "04-01"}}, {}, "2026-03-31").opens_on == D("2025-04-01")

    def test_several_payments_each_with_its_own_closing_day(self):
        payments = {"deadlines": [{"occasion": "december", "on": "2026-11-01"}, {"occasion": "april", "on": "2027-03-01"}]}
        found = [self.of(payments, {}, day) for day in ("2026-10-31", "2026-11-02", "2027-03-02")]
        assert [answer.occasion for answer in found] == ["december", "april", None]
        assert [answer.lapsed_on for answer in found] == [None, D("2026-11-01"), D("2027-03-01")]

    def test_refusing_what_comes_unasked(self):
        servant = {"fact": "guardian.civil_servant", "is": True}
        take_up = [{"when": servant, "is": "application"}, {"else": "opt_out"}]
        application = {"deadlines": [{"occasion": "refusal", "on": "2026-12-10", "when": {"not": servant}},
                                     {"occasion": "claim", "on": "2027-03-31", "when": servant}]}
        made = rule({"on": {"from": "2020-01-01"}}, take_up=take_up, application=application)
        for is_servant, way, occasion in ((True, "application", "claim"), (False, "opt_out", "refusal"), (None, None, None)):
            household = {"guardians": [{"id": "g", "facts": {"civil_servant": is_servant}}]}
            found = answers(made, household)["household"]
            assert (found.take_up, found.occasion) == (way, occasion)

    def test_a_refusal_needs_something_that_comes_unasked(self):
        with pytest.raises(ValidationError, match="opt_out"):
            rule({"judgement": "x"}, application={"deadlines": [{"occasion": "refusal", "on": "2026-12-10"}]})

    def test_an_anchor_names_what_has_to_be_known(self):
        from app.rules.application import Deadline, anchor_facts

        latest = Deadline.model_validate({"occasion": "x", "anchor": {"latest": ["child.birth_date", "residence.from"]}, "within": "1m"})
        assert anchor_facts(latest.anchor) == ("child.birth_date", "residence.from")
        today = Deadline.model_validate({"occasion": "x", "anchor": "today", "end_of": "month"})
        assert anchor_facts(today.anchor) == anchor_facts(None) == ()


class TestPaidElsewhere:
    LESS: ClassVar = {"max": [0, {"subtract": [100_000, {"paid_elsewhere": "000000/gift", "assumed": 0}]}]}

    def amount(self, received, term=None):
        made = rule({"on": {"from": "2020-01-01"}}, amount=[{"yen": term or self.LESS, "per": "once"}])
        return answers(made, {} if received is None else {"received_elsewhere": {"gift": received}})["household"]

    @pytest.mark.parametrize(("received", "yen"), [
        (None, 100_000), (False, 100_000), (0, 100_000), (30_000, 70_000), (150_000, 0), ("declined", 100_000), (True, None)])
    def test_what_another_town_paid_is_taken_off(self, received, yen):
        assert self.amount(received).amount.yen == yen

    def test_without_an_assumption_the_figure_waits_for_the_answer(self):
        found = self.amount(None, {"paid_elsewhere": "gift"})
        assert found.amount.yen is None
        assert [lack.fact for lack in found.missing] == ["household.received_elsewhere.gift"]

    def test_a_sum_is_a_yes_and_nothing_a_no(self):
        asked = {"received_elsewhere": "gift"}
        assert [verdict(asked, {"received_elsewhere": {"gift": paid}}) for paid in (1, 0)] == ["eligible", "ineligible"]

    def test_a_persons_own_answer_comes_first(self):
        made = rule({"on": {"from": "2020-01-01"}}, subject="child", amount=[{"yen": self.LESS, "per": "once"}])
        household = {"received_elsewhere": {"gift": 10_000},
                     "children": [{"id": "a"}, {"id": "b", "received_elsewhere": {"gift": 60_000}}]}
        found = answers(made, household)
        assert [found[f"child:{name}"].amount.yen for name in "ab"] == [90_000, 40_000]

    @pytest.mark.parametrize("paid", [-1, 1.5, "some"])
    def test_only_whole_yen_are_an_answer(self, paid):
        with pytest.raises(DocumentError, match="yen that were paid"):
            read_household({"received_elsewhere": {"gift": paid}}, CATALOGUE)


class TestReceives:

    def test_programmes_that_wait_for_each_other_are_refused_with_the_circle(self):
        one = rule({"not": {"receives": "two"}}, identifier="one")
        two = rule({"all": [{"receives": "000000/three"}]}, identifier="two")
        three = rule({"judgement": "x"}, identifier="three", amount=[{"when": {"receives": "one"}, "yen": 1, "per": "once"}])
        with pytest.raises(DocumentError, match="one → two → three → one"):
            rulebook(one, two, three)
        rulebook(one, two)
        with pytest.raises(DocumentError, match="one → one"):
            rulebook(rule({"receives": "one"}, identifier="one"))

    def test_an_unknown_receipt_stays_unknown(self):
        tree = {"all": [{"receives": "other"}, {"fact": "household.single_parent", "is": True}]}
        assert verdict(tree, {"facts": {"single_parent": True}}) == "undetermined"
        assert verdict(tree, {"facts": {"single_parent": False}}) == "ineligible"


class TestNthChild:
    """Each programme has its own counting rule."""

    CHILDREN: ClassVar = {"children": [
        {"id": "adult", "birth_date": "2000-05-01", "facts": {"supported_by_guardian": False, "school_kind": "public"}},
        {"id": "pupil", "birth_date": "2016-05-01", "facts": {"supported_by_guardian": True, "school_kind": "public"}},
        {"id": "twin-a", "birth_date": "2024-05-01", "facts": {"supported_by_guardian": True, "school_kind": "private"}},
        {"id": "twin-b", "birth_date": "2024-05-01", "facts": {"supported_by_guardian": True, "school_kind": "private"}},
    ]}

    @pytest.mark.parametrize(("among", "second", "third"), [
        (None, ["pupil"], ["twin-a", "twin-b"]),
        ({"fact": "child.supported_by_guardian", "is": True}, ["twin-a"], ["twin-b"]),
        ({"fact": "child.school_kind", "is": "private"}, ["twin-b"], []),
        ({"fiscal_year_end": "child.birth_date", "of_age": 22}, ["twin-a"], ["twin-b"]),
    ])
    def test_no_age_cap_own_children_the_same_facility(self, among, second, third):
        def named(**bound):
            made = rule({"rank": "child", **({} if among is None else {"among": among}), **bound}, subject="child")
            found = answers(made, self.CHILDREN)
            return [name.split(":")[1] for name, answer in found.items() if answer.verdict == "eligible"]

        assert named(**{"is": 2}) == second
        assert named(at_least=3) == third


INCOME = "guardian.income_after_deductions"
WRONG = {
    "a decimal in a comparison": ({"fact": INCOME, "under": 1.0}, "at under: found 1.0; expected a whole number"),
    "a decimal literal": ({"fact": INCOME, "is": 1.0}, "at is: found 1.0; expected true, false"),
    "true for a number": ({"fact": INCOME, "under": True}, "at under: found True; expected a whole number"),
    "a decimal in a count": ({"count": "child", "at_least": 1.0}, "at at_least: found 1.0; expected a whole number"),
    "a decimal age": ({"some": "child", "where": {"fiscal_year_end": "child.birth_date", "of_age": 18.0}}, "of_age: found 18.0"),
    "yen compared with a span": ({"fact": INCOME, "under": "1y"}, "at under: found '1y'; expected a whole number"),
    "yen in a range of dates": ({"fact": INCOME, "from": "2026-01-01"}, "of type yen; expected a fact of type date"),
    "a date compared with a number": ({"fact": "guardian.birth_date", "under": 5}, "type date; expected a fact of type int"),
    "a window from yen": ({"within": "household.levy", "from": "1y"}, "type yen; expected a fact of type date"),
    "a parameter of another unit": ({"fact": INCOME, "under": {"parameter": "coefficient"}}, "coefficient in ratio"),
    "an unknown parameter": ({"fact": INCOME, "under": {"parameter": "no-such"}}, "'no-such'; expected the id of a parameter"),
    "an unknown fact": ({"fact": "household.colour", "is": True}, "'household.colour'; expected a fact of the catalogue"),
    "a child's leaf at household level": ({"within": "child.birth_date", "from": "1y"}, "at within: found 'child.birth_date'"),
    "a child's day at household level": ({"resident_on": "child.birth_date"}, "child.birth_date in the scope of a household"),
    "a reversed window": ({"within": "guardian.birth_date", "from": "2y", "until": "1y"}, "found 2y … 1y"),
    "an empty window": ({"within": "guardian.birth_date", "from": "1y", "until": "1y"}, "found 1y … 1y"),
    "a start without its span": ({"within": "guardian.birth_date", "until": "1y", "from_start_of": "month"}, "from wherever"),
    "a reversed back-count": ({"within": "pregnancy.due_date", "from": "-1m", "until": "-2m"}, "found -1m … -2m"),
    "a total of dates": ({"total": "child.birth_date", "under": 5}, "of type date; expected a fact of type int or yen"),
    "a total of the household's own": ({"total": "household.levy", "under": 5}, "at total[0]: found 'household.levy'"),
    "a total without a limit": ({"total": INCOME}, "expected at_least, over"),
    "a mixed total": ({"total": [INCOME, "guardian.dependants"], "under": 5}, "facts of one type"),
    "a span that is none": ({"resided": "0d"}, "at least a day"),
    "a month start moved": ({"resident_on": "month_start", "after": "1y"}, "only beside a date"),
    "no such day": ({"resided_since": "2026-02-30"}, "'2026-02-30'; expected a date"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_criteria_are_refused_with_what_was_found_and_expected(name):
    from app.rules.documents import problems_of

    tree, words = WRONG[name]
    subject = "pregnancy" if "pregnancy" in str(tree) else "household"
    with pytest.raises((ValidationError, DocumentError)) as refused:
        rulebook(rule({"all": [tree]}, subject=subject))
    error = refused.value
    problems = problems_of(error) if isinstance(error, ValidationError) else error.problems
    said = "; ".join(f"at {problem.path.removeprefix('criteria.all[0]').lstrip('.')}: found {problem.found}; expected {problem.expected}"
                     for problem in problems)
    assert words in said
    assert len(problems) == 1 and "criteria.all[0]" in problems[0].path


WRONG_APPLICATIONS = [
    ({"deadlines": [{"occasion": "x", "anchor": "child.birth_date"}]}, "within or end_of"),
    ({"deadlines": [{"occasion": "x", "anchor": "child.birth_date", "after": "1y", "within": "1m", "end_of": "month"}]}, "within or end_of"),
    ({"deadlines": [{"occasion": "x", "on": "2026-01-01", "after": "1y"}]}, "only beside an anchor"),
    ({"deadlines": [{"occasion": "x", "anchor": "child.birth_date", "within": "-1m"}]}, "after its event"),
    ({"deadlines": [{"occasion": "x", "anchor": "child.birth_date", "within": "15d", "after": "1d", "no_loss": True}]}, "no_loss"),
    ({"opens": {"anchor": "child.birth_date", "each_year": "04-01"}}, "one of anchor, on, each_year"),
]


@pytest.mark.parametrize(("application", "words"), WRONG_APPLICATIONS)
def test_wrong_applications_are_refused(application, words):
    with pytest.raises(ValidationError, match=words):
        rule({"judgement": "x"}, subject="child", application=application)


def test_whom_a_programme_reaches_is_a_span_ahead():
    with pytest.raises(ValidationError, match="at least a day"):
        rule({"judgement": "x"}, reaches={"left_within": "-1m"})


def test_incomes_of_one_programme_and_the_day_to_look_again():
    limit = {"fact": INCOME, "under": 100}
    yearly = {"income_year": {"switches": "11-01", "uses": "previous_year"}}
    own = {"programme": {"value": 5, "income_year": 2025}, "other": 500}
    found = answers(rule(limit, **yearly), guardians(own))["household"]
    assert (found.verdict, found.review_on) == ("eligible", D("2027-11-01"))
    other = rule(limit, identifier="other", **yearly)
    asked = answers_on(rulebook(other), population(guardians(own)), ON, [other.key])[0].answers[0]
    assert (asked.verdict, asked.review_on) == ("ineligible", None)
    assert verdicts(limit, guardians({"other": 500}), **yearly) == ["undetermined"]
