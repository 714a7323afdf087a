"""Where people lived: on a day, since a day, for how long, whose address; and the gap between two towns."""

import datetime as dt
from typing import ClassVar

import pytest

from tests.unit.rules.world import D, answers, phrases, population, rule, rulebook, verdict, verdicts

SETAGAYA, KITA, YOKOHAMA = "131121", "131172", "141003"


def lived(*entries, **more):
    """A history of (municipality, from, until or None, who or None)."""
    keys = ("municipality", "from", "until", "who")
    found = [{key: value for key, value in zip(keys, entry, strict=False) if value is not None} for entry in entries]
    return {"residence": found, **more}


HOME = (SETAGAYA, "2020-01-01")


def child(birth="2025-11-21", **facts):
    return {"children": [{"id": "c", "birth_date": birth, "facts": facts}]}


ON_A_DAY = {
    "a fixed day": ({"resident_on": "2027-03-01", "area": SETAGAYA}, "2027-03-01"),
    "the first birthday": ({"resident_on": "child.birth_date", "after": "1y", "area": SETAGAYA}, "2026-11-21"),
    "the first of the month of the first birthday": (
        {"resident_on": "child.birth_date", "after": "1y", "start_of": "month", "area": SETAGAYA}, "2026-11-01"),
    "1 April of the school year of birth": (
        {"resident_on": "child.birth_date", "start_of": "school_year", "area": SETAGAYA}, "2025-04-01"),
    "the day asked": ({"resident_on": "today", "area": SETAGAYA}, "2027-06-01"),
}


@pytest.mark.parametrize("name", ON_A_DAY)
def test_living_somewhere_on_a_day(name):
    criteria, text = ON_A_DAY[name]
    day = D(text)
    before, after = (day - dt.timedelta(days=1)).isoformat(), (day + dt.timedelta(days=1)).isoformat()
    on = D("2027-06-01")

    def asked(*entries):
        return verdicts(criteria, lived(*entries, **child()), subject="child", on=on)

    assert asked((YOKOHAMA, "2020-01-01"), (SETAGAYA, text)) == ["eligible"]
    assert asked((YOKOHAMA, "2020-01-01"), (SETAGAYA, after)) == ["ineligible"]
    assert asked((SETAGAYA, "2020-01-01"), (YOKOHAMA, text)) == ["ineligible"]
    if criteria["resident_on"] != "today":
        assert asked((SETAGAYA, "2020-01-01"), (YOKOHAMA, after)) == ["eligible"]
        assert verdicts(criteria, {"municipality": SETAGAYA, **child()}, subject="child", on=on) == ["undetermined"]
    assert asked((SETAGAYA, "2020-01-01", before)) == ["undetermined"]
    assert asked() == ["undetermined"]


class TestSince:
    SINCE: ClassVar = {"resided_since": "2026-05-01", "area": "130001"}

    @pytest.mark.parametrize(("entries", "expected"), [
        ([HOME], "eligible"),
        ([(YOKOHAMA, "2020-01-01"), (SETAGAYA, "2026-05-01")], "eligible"),
        ([(YOKOHAMA, "2020-01-01"), (SETAGAYA, "2026-05-02")], "ineligible"),
        ([HOME, (KITA, "2026-08-01")], "eligible"),
        ([HOME, (YOKOHAMA, "2026-06-01"), (KITA, "2026-08-01")], "ineligible"),
        ([(SETAGAYA, "2026-06-01")], "undetermined"),
        ([(SETAGAYA, "2020-01-01", "2026-06-30"), (KITA, "2026-08-01")], "undetermined"),
        ([], "undetermined"),
    ])
    def test_since_a_fixed_day(self, entries, expected):
        assert verdict(self.SINCE, lived(*entries)) == expected

    def test_since_a_date_fact_until_the_day_of_applying(self):
        since = {"resided_since": "child.certified_on", "area": SETAGAYA}
        household = lived((YOKOHAMA, "2020-01-01"), (SETAGAYA, "2026-04-01"), (YOKOHAMA, "2026-12-01"),
                          **child(certified_on="2026-04-01"))
        for day, expected in (("2026-11-30", "eligible"), ("2026-12-01", "ineligible")):
            assert verdicts(since, household, subject="child", on=D(day)) == [expected]
        assert verdicts(since, lived(HOME, **child()), subject="child") == ["undetermined"]
        never = lived((YOKOHAMA, "2020-01-01"), **child())
        assert verdicts(since, never, subject="child") == ["ineligible"]


class TestHoles:
    """What nobody has stated is unknown, never a no."""

    @pytest.mark.parametrize(("entries", "expected"), [
        ([(SETAGAYA, "2020-01-01", "2026-01-31"), (SETAGAYA, "2026-02-02")], "undetermined"),
        ([(SETAGAYA, "2020-01-01", "2025-01-31"), (SETAGAYA, "2025-11-21")], "eligible"),
        ([(YOKOHAMA, "2020-01-01", "2025-11-30"), (SETAGAYA, "2026-02-02")], "ineligible"),
        ([(YOKOHAMA, "2020-01-01", "2025-11-20"), (SETAGAYA, "2026-02-02")], "undetermined"),
        ([(SETAGAYA, "2025-11-22")], "ineligible"),
    ])
    def test_in_a_town(self, entries, expected):
        assert verdict({"resided": "1y", "area": SETAGAYA}, lived(*entries)) == expected

    def test_before_the_first_entry_people_lived_in_another_town_of_the_prefecture_perhaps(self):
        assert verdict({"resided": "1y", "area": "130001"}, lived((SETAGAYA, "2026-10-01"))) == "undetermined"
        assert verdict({"resided": "1y", "area": SETAGAYA}, lived((SETAGAYA, "2026-10-01"))) == "ineligible"


class TestWhose:
    """単身赴任: the one who claims lives elsewhere."""

    HOUSEHOLD = lived(HOME, (YOKOHAMA, "2024-04-01", None, "g1"), **child(),
                      guardians=[{"id": "g1", "facts": {"income_after_deductions": 9}},
                                 {"id": "g2", "facts": {"income_after_deductions": 1}}])

    def test_the_childs_the_claimants_and_the_households_own_address(self):
        lives = {"resident_on": "today", "area": SETAGAYA}
        assert verdicts(lives, self.HOUSEHOLD, subject="child") == ["eligible"]
        assert verdicts({**lives, "whose": "claimant"}, self.HOUSEHOLD, subject="child") == ["ineligible"]
        assert verdicts({**lives, "whose": "household"}, self.HOUSEHOLD, subject="child") == ["eligible"]
        away = lived(HOME, (YOKOHAMA, "2024-04-01", None, "c"), **child())
        assert verdicts(lives, away, subject="child") == ["ineligible"]
        assert verdicts({**lives, "whose": "household"}, away, subject="child") == ["eligible"]

    def test_an_open_claimant_leaves_it_open_unless_all_live_together(self):
        lives = {"resident_on": "today", "area": SETAGAYA, "whose": "claimant"}
        open_claim = {**self.HOUSEHOLD, "guardians": [{"id": "g1"}, {"id": "g2"}]}
        assert verdicts(lives, open_claim, subject="child") == ["undetermined"]
        together = lived(HOME, **child(), guardians=[{"id": "g1"}, {"id": "g2"}])
        assert verdicts(lives, together, subject="child") == ["eligible"]
        assert verdicts(lives, lived(HOME, **child()), subject="child") == ["undetermined"]

    def test_how_long_the_claimant_has_lived_there(self):
        stayed = {"resided": "1y", "area": YOKOHAMA, "whose": "claimant"}
        assert verdicts(stayed, self.HOUSEHOLD, subject="child") == ["eligible"]
        assert verdicts(stayed, self.HOUSEHOLD, subject="child", on=D("2025-03-31")) == ["ineligible"]


class TestTheGapBetweenTwoTowns:
    """The old ward pays at the 18-month checkup, the new one at the first birthday, the family moved at 14 months."""

    DESK: ClassVar = {"judgement": {"ja": "引っ越した方を対象とするか"}}
    OLD = rule(
        {"all": [{"within": "child.birth_date", "from": "1y6m", "until": "2y"},
                 {"any": [{"resident_on": "today"}, DESK]}]},
        subject="child", municipality=KITA, identifier="birthday-support", reaches={"left_within": "1y"})
    NEW = rule(
        {"all": [{"within": "child.birth_date", "from": "1y", "until": "2y"},
                 {"any": [{"resident_on": "child.birth_date", "after": "1y"},
                          {"all": [{"not": {"received_elsewhere": "birthday-support"}}, DESK]}]}]},
        subject="child", municipality=SETAGAYA, identifier="birthday-support")
    MOVED: ClassVar = {**lived((KITA, "2024-01-01"), (SETAGAYA, "2026-01-10")), "municipality": SETAGAYA,
             "children": [{"id": "c", "birth_date": "2024-11-10", "received_elsewhere": {"birthday-support": False}}]}

    def told(self, day, household=MOVED):
        from app.rules.inquiry import answers_on

        found = answers_on(rulebook(self.OLD, self.NEW), population(household), D(day), phrases=phrases())[0]
        return {answer.programme.split("/")[0]: (answer.verdict, answer.only_by_judgement, answer.reason)
                for answer in found.answers}

    def test_both_towns_are_told_as_maybe_yours_ask_at_the_desk(self):
        for verdict_, by_judgement, reason in self.told("2026-06-01").values():
            assert (verdict_, by_judgement) == ("undetermined", True)
            assert "窓口" in reason and "お問い合わせ" in reason
        assert set(self.told("2026-06-01")) == {KITA, SETAGAYA}

    def test_before_the_old_town_would_have_paid_only_the_new_one_is_asked(self):
        found = self.told("2026-02-01")
        assert found[KITA][0] == "ineligible"
        assert found[SETAGAYA][:2] == ("undetermined", True)

    def test_who_was_paid_already_or_never_moved_has_no_gap(self):
        paid = {**self.MOVED, "children": [{**self.MOVED["children"][0], "received_elsewhere": {"birthday-support": True}}]}
        assert self.told("2026-06-01", paid)[SETAGAYA][0] == "ineligible"
        settled = {**self.MOVED, **lived((SETAGAYA, "2020-01-01"))}
        assert {code: found[0] for code, found in self.told("2026-06-01", settled).items()} == {SETAGAYA: "eligible"}
        stayed = {**self.MOVED, **lived((KITA, "2020-01-01")), "municipality": KITA}
        assert {code: found[0] for code, found in self.told("2026-06-01", stayed).items()} == {KITA: "eligible"}

    def test_the_old_town_stops_looking_a_year_after_the_move(self):
        found = answers(self.OLD, self.MOVED, D("2026-06-01"))["child:c"]
        assert found.verdict == "undetermined"
        later = {**self.MOVED, "children": [{"id": "c", "birth_date": "2025-06-20"}]}
        assert answers(self.OLD, later, D("2027-01-09"))["child:c"].verdict == "undetermined"
        assert answers(self.OLD, later, D("2027-01-10"))["child:c"].verdict == "ineligible"


@pytest.mark.parametrize(("criteria", "words"), [
    ({"resident_on": "2027-03-01"}, "2027年3月1日に制度の対象地域に住んでいた"),
    ({"resident_on": "child.birth_date", "after": "1y"}, "child.birth_dateから数えて1歳になる日の日に"),
    ({"resided_since": "2026-05-01"}, "2026年5月1日から続けて"),
    ({"resided": "1y", "whose": "claimant"}, "申請する保護者が、"),
    ({"resident_on": "today"}, "制度の対象地域に住んでいる"),
])
@pytest.mark.parametrize("language", ["ja", "ja-easy", "en"])
def test_every_kind_of_stay_has_words(criteria, words, language):
    from app.rules.phrases import condition

    made = rule(criteria, subject="child")
    (compiled,) = rulebook(made).versions[made.key]
    said = condition(compiled.criteria, phrases(language))
    assert said and "{" not in said
    if language == "ja":
        assert words in said
