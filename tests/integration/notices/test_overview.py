"""A family's first match, in one message, in which words."""

import datetime as dt
import json
import re

import pytest

from app.notices import inbox
from app.notices.rows import OVERVIEW
from app.platform import clock
from app.platform.database import Context, app_session
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import CLOSING, NEWBORN, SIBLINGS, at, messages, notices, save, tell


def test_a_first_match_is_one_overview_in_one_message(world):
    household_id = enrolled(NEWBORN)
    partner_id, subject_id, _ = a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    (overview,) = notices(household_id, programme_key=OVERVIEW)
    items = notices(household_id, overview_id=overview.id)
    assert len(items) >= 5 and all(item.state == "released" for item in items)
    ((_, mail),) = messages(household_id, "email")
    supports = {item.programme_key for item in items if item.kind == "new_support"}
    assert f"{len(supports)}件" in mail["subject"]
    ((_, event),) = messages(household_id, "webhook")
    body = json.loads(event["body"])
    assert (body["type"], body["data"]["kind"], body["data"]["subject_id"]) == (
        "notice.created",
        "overview",
        subject_id,
    )


def test_every_notice_says_why_until_when_where_to_ask_and_that_it_decides_nothing(world):
    household_id = enrolled(NEWBORN)
    tell()
    ((_, mail),) = messages(household_id, "email")
    for part in (mail["text"], mail["html"]):
        assert CLOSING in part
        assert "2026年12月4日(金)まで" in part
        assert "2026年12月7日(月)まで(法律上の最後の日は2026年12月6日(日)ですが" in part
        assert "受け取れる額が15,000円ずつ減る見込みです" in part
        assert "児童手当担当窓口" in part
    for notice in notices(household_id, kind="new_support"):
        if notice.programme_key != OVERVIEW:
            assert notice.content["reason"] and notice.content["contact"] and notice.content["source_title"]
    with app_session(Context(household=household_id)) as session:
        first = inbox.todo(session, household_id, clock.today())[0]
        page = inbox.read_notice(session, household_id, first.notice_id, clock.now())
        session.commit()
    assert page.closing.startswith(CLOSING)
    assert first.deadline_on == dt.date(2026, 12, 4)
    assert notices(household_id, id=first.notice_id)[0].read_at is not None


def test_an_overview_names_each_programme_once_and_lists_as_many_as_it_says(world):
    household_id = enrolled(SIBLINGS)
    on_line = enrolled(SIBLINGS, contacts=(("line", "U" + "3" * 32),))
    tell()
    ((_, mail),) = messages(household_id, "email")
    told = int(re.search(r"(\d+)件", mail["subject"])[1])
    hidden = int(re.search(r"サインインしてからご覧いただく支援が(\d+)件", mail["text"])[1])
    listed = re.findall(r"^(\d+)\. (.+?): ", mail["text"], re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, told - hidden + 1))
    assert len({name for _, name in listed}) == len(listed)
    assert "018サポート: 2018年5月・2015年2月・2010年8月生まれのお子さん" in mail["text"]
    assert all(name in mail["html"] for _, name in listed)
    assert mail["text"].count("問い合わせ:") == 3 and mail["text"].count("/home") == 1
    ((_, push),) = messages(on_line, "line")
    bubble = json.dumps(push, ensure_ascii=False)
    assert bubble.count("・018サポート: 2018年5月・2015年2月・2010年8月生まれのお子さん、3/1(月)まで") == 1


def test_an_overview_ends_with_what_is_not_sure(world):
    household_id = enrolled(NEWBORN)
    tell()
    ((_, mail),) = messages(household_id, "email")
    sure, _, perhaps = mail["text"].partition("対象になるかもしれないもの")
    unsure = {
        notice.content["name"] for notice in notices(household_id, kind="new_support") if notice.content.get("perhaps")
    }
    assert unsure and all(name in perhaps and name not in sure for name in unsure)


@pytest.mark.parametrize(("receives", "costs"), [(None, False), (False, True)])
def test_what_waiting_costs_is_not_told_to_who_most_likely_receives_already(world, receives, costs):
    children = [{"id": "c1", "birth_date": "2018-05-05"}]
    if receives is not None:
        children[0]["receives"] = {"child-allowance": receives}
    household_id = enrolled(a_household(children=children))
    tell()
    (allowance,) = notices(household_id, programme_key="000000/child-allowance", kind="new_support")
    assert ("ずつ減る見込み" in allowance.content["cost_of_delay_text"]) == costs
    assert (allowance.content["received_text"] == "すでに受けている方は、手続きはいりません。") != costs
    (yearly,) = notices(household_id, programme_key="130001/018-support", kind="new_support")
    assert yearly.content["received_text"] == "", "nothing is lost by the month, and it may be applied for each year"


def test_a_reason_that_says_nothing_is_left_out(world):
    household_id = enrolled(SIBLINGS)
    tell()
    bare = "条件に合うため"
    told = notices(household_id, programme_key="130001/child-rearing-plus", kind="new_support")
    assert all(notice.content["reason"].startswith(bare) for notice in told) and told
    ((_, mail),) = messages(household_id, "email")
    assert "子育て応援＋" in mail["text"] and bare not in mail["text"] + mail["html"]
    with app_session(Context(household=household_id)) as session:
        cards = inbox.all_notices(session, household_id)
    assert all(bare not in card.reason for card in cards) and any(card.reason for card in cards)


def test_later_news_is_told_one_by_one(world):
    household_id = enrolled(a_household(children=[a_child("2023-11-02")]))
    partner_id, _, _ = a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    before = len(messages(household_id, "webhook"))
    known = {notice.id for notice in notices(household_id)}
    at("2026-11-26")
    save(household_id, children=[{"id": "c1", "birth_date": "2023-11-02"}, {"id": "c2", "birth_date": "2026-11-21"}])
    tell()
    new = [notice for notice in notices(household_id, state="released") if notice.id not in known]
    assert {notice.programme_key for notice in new if notice.subject == "child:c2"} >= {
        "000000/child-allowance",
        "000000/birth-registration",
    }
    assert all(notice.overview_id is None for notice in new)
    assert len(messages(household_id, "webhook")) - before == len(new)  # events are not digested
    assert len(messages(household_id, "email")) == 2  # one message for all of them
