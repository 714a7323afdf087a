"""What the lint of message texts finds, and that it finds nothing in what families read of every programme."""

import pytest

from app.notices import wording
from app.notices.message_lint import findings, text_kinds
from app.notices.message_samples import plain, remarks, said_in, samples
from app.platform.rendering import phrases
from tests.conftest import registry

OWN = "https://todoke.example"
GOOD_MAIL = (
    "■ 「児童手当」の対象になりそうです\n\n申請期限: 2026年12月7日(月)まで\nいくら: 月15,000円(目安)\n"
    f"問い合わせ: 子育て支援課 03-0000-0000\n▼ くわしい内容はこちら\n{OWN}/home\n\n" + wording.closing()
)


def codes(kind, text):
    return [one.code for one in findings(kind, text, own_url=OWN)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mail", GOOD_MAIL),
        ("subject", "【Todoke】「児童手当」の申請期限は12/7(月)です"),
        ("bulletin_body", "2026年12月29日(火)から2027年1月3日(日)まで休みます。\n図書館は開いています。"),
        ("bulletin_body", "1,000円の券を配ります。受け取れる見込みの方へ送ります。80万円までの方です。"),
        ("mail", GOOD_MAIL.replace("■", "なぜ: 対象の時期(2026年4月1日から2032年3月31日まで)にあたるため\n■")),
        ("mail", GOOD_MAIL.replace("■", "もとにした案内: 「広報 令和7年4月5日号」\n■")),
    ],
)
def test_good_texts_pass(kind, text):
    assert findings(kind, text, own_url=OWN) == []


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        ("too_long", "bulletin_title", "あ" * 31),
        ("sentence_too_long", "bulletin_body", "あ" * 61 + "。"),
        ("double_negation", "bulletin_body", "対象にならないわけではありません。"),
        ("private_word", "subject", "ひとり親の方へ"),
        ("private_word", "lock_screen", "2018年7月生まれのお子さんのお知らせ"),
        ("private_word", "bulletin_title", "所得が少ない方へ"),
        ("private_word", "subject", "身体障害者手帳のお知らせ"),
        ("private_word", "subject", "支援措置を受けている方へ"),
        ("date_without_weekday", "bulletin_body", "2026年12月29日まで"),
        ("date_without_weekday", "bulletin_body", "2026年12月1日から2026年12月4日まで"),
        ("wrong_weekday", "bulletin_body", "2026年12月29日(水)まで"),
        ("no_such_date", "bulletin_body", "2026年2月29日(日)まで"),
        ("era_year", "bulletin_body", "令和8年12月29日まで"),
        ("slash_date", "bulletin_body", "12/29まで"),
        ("fiscal_year_only", "bulletin_body", "2026年度末まで"),
        ("deadline_without_until", "mail", GOOD_MAIL.replace("まで\nいくら", "\nいくら")),
        ("money_without_comma", "bulletin_body", "10000円"),
        ("money_without_comma", "bulletin_body", "１００円"),
        ("money_sign", "bulletin_body", "￥500"),
        ("promise", "bulletin_body", "必ずもらえます。"),
        ("promise", "bulletin_body", "手当が支給されます。"),
        ("closing_missing", "mail", GOOD_MAIL.replace(wording.closing(), "")),
        ("contact_missing", "mail", GOOD_MAIL.replace("問い合わせ: ", "")),
        ("own_link_missing", "mail", GOOD_MAIL.replace(OWN, "")),
        ("foreign_link", "mail", GOOD_MAIL + "\nhttps://todoke.example.attacker.example/home"),
        ("foreign_link", "bulletin_body", "www.town.example を見てください"),
        ("jargon", "bulletin_body", "償還払いになります"),
        ("shouting", "bulletin_title", "急いで!!"),
        ("labels_twice", "bulletin_title", "【重要】【緊急】"),
        ("not_jis", "subject", "①のお知らせ"),
        ("not_jis", "subject", "10～12時"),
        ("not_jis", "bulletin_title", "ｶﾅ"),
        ("control_character", "bulletin_title", "お知らせ\u200b"),
        ("empty", "bulletin_contact", "  "),
    ],
)
def test_each_fault_is_found_alone(code, kind, text):
    assert set(codes(kind, text)) == {code}


def test_every_finding_has_a_test_and_every_kind_a_reason():
    tested = {mark.args[1][number][0] for mark in test_each_fault_is_found_alone.pytestmark for number in range(34)}
    catalogue = phrases("notices/message_limits")
    assert tested == set(catalogue["findings"])
    assert all(catalogue["kinds"][kind]["why"] and catalogue["kinds"][kind]["name"] for kind in text_kinds())


def test_a_finding_says_what_was_found_expected_and_to_do():
    (one,) = findings("bulletin_title", "急いで!!")
    said = one.sentence()
    assert (one.found, said.count("!!")) == ("!!", 1)
    assert one.expected in said
    assert one.todo in said


def test_the_words_of_html_and_of_a_bubble():
    assert plain('<html><head><title>x</title></head><body><p>一<br>二</p><a href="https://a.example">三 &amp; 四</a></body>') == (
        "一\n二\n三 & 四\nhttps://a.example"
    )  # fmt: skip
    assert said_in({"body": {"contents": [{"type": "text", "text": "一"}, {"type": "button"}]}, "x": "y"}) == "一"


def test_nothing_is_found_in_what_families_read_of_every_programme():
    known = registry()
    found = [(sample.programme_key, sample.notice_kind, one.sentence()) for sample, one in remarks(known)]
    assert found == []


def test_the_walk_sees_every_programme_kind_and_channel():
    known = registry()
    seen = list(samples(known))
    assert {sample.programme_key for sample in seen} >= set(known.programmes)
    assert {sample.notice_kind for sample in seen} == {
        "new_support", "question", "deadline_reminder", "ending_soon", "correction", "moved"
    }  # fmt: skip
    assert {sample.text_kind for sample in seen} == {
        "subject", "lock_screen", "mail", "moved_mail", "push", "neutral_mail", "neutral_push"
    }  # fmt: skip
    sensitive = {key for key, versions in known.programmes.items() if versions[-1].sensitive}
    shown = {sample.programme_key for sample in seen if sample.text_kind == "mail"}
    assert sensitive
    assert not sensitive & shown
