"""What one message says of several notices of a programme."""

import datetime as dt

from app.notices import digest

TODAY = dt.date(2026, 11, 24)


def content(programme, about, **told):
    return {"programme_key": programme, "name": programme, "subject_text": about, "verdict_text": "", **told}


def test_what_is_the_same_is_said_once_and_what_differs_of_each():
    told = digest.combined(
        [
            content("a", "2026年11月生まれのお子さん", amount_text="月15,000円", form_text="請求書"),
            content("a", "2018年5月生まれのお子さん", amount_text="月10,000円", form_text="請求書"),
            content("a", "2018年5月生まれのお子さん", amount_text="月10,000円", form_text="請求書"),
        ]
    )
    assert told["subject_text"] == "2026年11月・2018年5月生まれのお子さん"
    assert told["amount_text"] == "2026年11月生まれのお子さん: 月15,000円 / 2018年5月生まれのお子さん: 月10,000円"
    assert (told["form_text"], told["deadline_text"]) == ("請求書", "")


def test_a_reason_that_differs_in_its_period_alone_is_said_once_for_all():
    why = "お子さんの生年月日から数えて、対象の時期{}にあたるため、対象になる見込みです。".format
    older = content("a", "2018年5月生まれのお子さん", reason=why("(2018年5月5日から2037年3月31日まで)"))
    younger = content("a", "2023年8月生まれのお子さん", reason=why("(2023年8月8日から2042年3月31日まで)"))
    other = content("a", "2015年2月生まれのお子さん", reason="学校に通っているため、対象になる見込みです。")
    assert digest.combined([older, younger])["reason"] == why("")
    assert digest.combined([older, younger, other])["reason"] == (
        f"2018年5月・2023年8月生まれのお子さん: {why('')} / 2015年2月生まれのお子さん: {other['reason']}"
    )
    assert digest.combined([older])["reason"] == older["reason"], "of one child it is said in full"
    assert digest.combined([older, older, other])["reason"].count(older["reason"]) == 1


def test_what_only_one_has_is_said_of_that_one():
    told = digest.combined(
        [content("a", "2026年11月生まれのお子さん", deadline_text="12月7日まで"), content("a", "保護者の方")]
    )
    assert told["deadline_text"] == "2026年11月生まれのお子さん: 12月7日まで"
    assert told["subject_text"] == "2026年11月生まれのお子さん・保護者の方"


def test_who_is_only_perhaps_entitled_is_named_apart():
    parts = digest.overview_parts(
        [content("a", "2015年2月生まれのお子さん", perhaps=True), content("a", "2018年5月生まれのお子さん")], TODAY
    )
    (only,) = parts["in_full"]
    assert only["subject_text"] == "2018年5月生まれのお子さん、2015年2月生まれのお子さん(対象になるかもしれません)"
    assert not only["perhaps"]


def test_near_deadlines_come_first_then_amounts_and_the_unsure_last():
    parts = digest.overview_parts(
        [
            content("unsure", "ご家庭", perhaps=True, deadline_on="2026-11-25"),
            content("passed", "ご家庭", deadline_on="2026-11-23", deadline_short="11/23(月)"),
            content("late", "ご家庭", deadline_on="2028-11-21", deadline_short="11/21(火)"),
            content("money", "ご家庭", yen=5000, amount_text="月5,000円"),
            content("soon", "ご家庭", deadline_on="2026-11-24"),
        ],
        TODAY,
    )
    assert [told["name"] for told in parts["in_full"]] == ["soon", "money", "late"]  # years ahead presses nobody
    assert [(told["name"], told["line"]) for told in parts["brief"]] == [("passed", "ご家庭")]
    assert [told["name"] for told in parts["perhaps"]] == ["unsure"]
    assert parts["in_full"][2]["line"] == "ご家庭、2028年11月21日(火)まで"
    assert parts["in_full"][1]["line"] == "ご家庭、月5,000円(目安)"
