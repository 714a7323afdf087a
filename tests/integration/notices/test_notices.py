"""What a family is told, when, in which words, and what it is spared."""

import datetime as dt
import json
import re

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.delivery.outbox import content_of
from app.delivery.tables import Delivery
from app.households import consent, outcomes, profiles
from app.matching.sweep import drain, queue_reviews
from app.matching.tables import Entitlement
from app.notices import inbox
from app.notices.announce import announce, release_due
from app.notices.rows import OVERVIEW
from app.notices.tables import Notice, PushLog
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from app.platform.settings import settings
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled

NEWBORN = a_household(
    children=[a_child("2023-11-02"), a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False}
)
SINGLE_PARENT = a_household(
    "131211",
    [a_child("2018-07-10", lives_with_guardian=True)],
    facts={"single_parent": True, "public_assistance": False},
    guardians=[
        {"id": "g1", "facts": {"income_after_deductions": {"value": 1220000, "income_year": 2025}, "dependants": 1}}
    ],
    co_residents=[],
)
SIBLINGS = a_household(
    children=[a_child("2018-05-05"), a_child("2015-02-02"), a_child("2010-08-08")],
    facts={"single_parent": False, "public_assistance": False},
)
CLOSING = "これは決定ではありません。審査のうえ市区町村が決定します"


@pytest.fixture
def world(published_registry, monkeypatch):
    """The published registry, and private addresses allowed for a test's receiver."""
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    return published_registry


def tell():
    drain()
    return announce()


def at(day: str, hour: int = 9):
    clock.shift_to(clock.at_japan_time(dt.date.fromisoformat(day), hour))


def notices(household_id, **wanted):
    with owner_session() as session:
        rows = session.exec(select(Notice).where(Notice.household_id == household_id).order_by(Notice.release_at)).all()
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def messages(household_id, channel=None):
    with owner_session() as session:
        statement = select(Delivery).where(
            Delivery.household_id == household_id, Delivery.event_type.startswith("notice.")
        )
        rows = session.exec(statement.order_by(Delivery.id)).all()
    return [(row, content_of(row.id, row.message_sealed)) for row in rows if channel is None or row.channel == channel]


def arrived(household_id):
    """What was queued has been delivered: it cannot be called back any more."""
    with owner_session() as session:
        session.execute(
            text("UPDATE deliveries SET state = 'delivered', requests = 1 WHERE household_id = :id AND state = 'scheduled'"),
            {"id": household_id},
        )
        session.commit()


def save(household_id, **changes):
    with app_session(Context(household=household_id)) as session:
        row = profiles.read_document(session, household_id)
        profiles.save_document(
            session, household_id, {**row.document, **changes}, expected_version=row.version, source="parent",
            by="guardian:g1",
        )  # fmt: skip
        session.commit()


def say(household_id, programme, subject, outcome):
    with app_session(Context(household=household_id)) as session:
        outcomes.record_outcome(session, household_id, programme, subject, outcome, by="guardian:g1")
        session.commit()


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


def test_children_with_the_same_deadline_are_reminded_of_in_one_section(world):
    household_id = enrolled(SIBLINGS)
    tell()
    at("2027-01-30")
    release_due()
    rows = notices(household_id, kind="deadline_reminder", programme_key="130001/018-support", state="released")
    assert {row.subject for row in rows} == {"child:c1", "child:c2", "child:c3"}
    (row, mail) = messages(household_id, "email")[-1]
    assert {notice.id for notice in rows} <= set(row.notice_ids)
    assert mail["text"].count("「018サポート」の申請期限は3/1(月)です") == 1
    assert "どなたのこと: 2018年5月・2015年2月・2010年8月生まれのお子さん" in mail["text"]


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


def test_the_inbox_shows_three_things_by_deadline(world):
    household_id = enrolled(NEWBORN)
    tell()
    with app_session(Context(household=household_id)) as session:
        cards = inbox.todo(session, household_id, clock.today())
        everything = inbox.all_notices(session, household_id)
    assert len(cards) == 3 < len(everything)
    assert [card.deadline_on for card in cards][:2] == [dt.date(2026, 12, 4), dt.date(2026, 12, 7)]
    assert cards[0].days_left == 10


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


def test_a_sensitive_programme_is_told_in_neutral_words(world):
    household_id = enrolled(SINGLE_PARENT, contacts=(("line", "U" + "0" * 32), ("email", "f@home.example")))
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    amounts = {notice.programme_key: notice.content["amount_text"] for notice in notices(household_id)}
    assert amounts["000000/child-rearing-allowance"] == "月44,080円"
    assert amounts["130001/child-development-allowance"] == "月13,500円"
    for _, message in messages(household_id):
        told = json.dumps(message, ensure_ascii=False)
        for secret in ("児童扶養手当", "児童育成手当", "child-rearing", "ひとり", "44,080", "1220000", "1,220,000"):
            assert secret not in told
    ((_, push),) = messages(household_id, "line")
    assert "サインインしてからご覧いただく" in json.dumps(push, ensure_ascii=False)


def test_only_the_first_working_channel_gets_the_push(world):
    household_id = enrolled(NEWBORN, contacts=(("line", "U" + "1" * 32), ("email", "f@home.example")))
    tell()
    assert {row.channel for row, _ in messages(household_id)} == {"line"}
    other = enrolled(
        NEWBORN,
        purposes=("matching:basic", "channel:email"),
        contacts=(("line", "U" + "2" * 32), ("email", "g@home.example")),
    )
    tell()
    assert {row.channel for row, _ in messages(other)} == {"email"}


def test_one_question_is_asked_and_it_names_what_it_decides(world):
    children = [
        {"id": "a", "birth_date": "2003-05-20"}, {"id": "b", "birth_date": "2006-06-11"},
        {"id": "c", "birth_date": "2009-08-02"}, {"id": "d", "birth_date": "2024-09-15"},
    ]  # fmt: skip
    household_id = enrolled(a_household("131202", children, facts={"single_parent": False, "public_assistance": False}))
    tell()
    (question,) = notices(household_id, kind="question")
    assert (question.content["fact"], question.content["asked_about"]) == ("child.childcare", "child:d")
    assert {"こども誰でも通園制度(乳児等通園支援事業)"} < set(question.content["decides"])
    youngest = notices(household_id, programme_key="000000/child-allowance", subject="child:d", kind="new_support")[0]
    assert youngest.content["amount_text"] == "月15,000円〜月30,000円"
    children[3]["facts"] = {"childcare": "none"}
    save(household_id, children=children)
    tell()
    assert len(notices(household_id, kind="question")) == 1


def test_a_question_is_not_repeated_within_two_weeks(world):
    household_id = enrolled(
        a_household("131229", [a_child("2016-01-25")], facts={"single_parent": True}, co_residents=[])
    )
    tell()
    assert len(notices(household_id, kind="question")) == 1
    for day in ("2026-11-25", "2026-11-28", "2026-12-01"):
        at(day)
        tell()
    assert len(notices(household_id, kind="question")) == 1
    at("2026-12-09")
    with owner_session() as session:
        session.execute(text("UPDATE entitlements SET announce_on = '2026-12-09' WHERE verdict = 'undetermined'"))
        session.commit()
    tell()
    first, second = notices(household_id, kind="question")
    assert first.content["fact"] != second.content["fact"]


def test_quiet_hours_hold_the_release_until_morning(world):
    at("2026-11-24", 22)
    household_id = enrolled(NEWBORN)
    tell()
    assert messages(household_id) == []
    with app_session(Context(household=household_id)) as session:  # who opens the page is not disturbed by it
        assert len(inbox.todo(session, household_id, clock.today())) == 3
    at("2026-11-25", 7)
    release_due()
    assert messages(household_id) == []
    at("2026-11-25", 9)
    release_due()
    assert len(messages(household_id, "email")) == 1


def test_reminders_come_before_the_deadline_and_stop_when_the_family_says_so(world):
    household_id = enrolled(NEWBORN)
    tell()
    planned = notices(household_id, kind="deadline_reminder", programme_key="000000/birth-registration")
    assert planned and all(notice.state == "planned" for notice in planned)
    say(household_id, "000000/birth-registration", "child:c2", "filed")
    tell()
    at("2026-12-03")
    release_due()
    ended = notices(household_id, kind="deadline_reminder", programme_key="000000/birth-registration")
    assert {notice.state for notice in ended} == {"cancelled"}
    allowance = notices(
        household_id, kind="deadline_reminder", programme_key="000000/child-allowance", state="released"
    )
    assert allowance
    mails = [mail["text"] for _, mail in messages(household_id, "email")]
    assert not any("出生届」の" in text for text in mails[1:])
    assert any("「児童手当」の申請期限は12/7(月)です" in text for text in mails[1:])


def test_nothing_is_told_after_its_last_useful_day(world):
    household_id = enrolled(NEWBORN)
    tell()
    at("2026-12-20")
    release_due()
    late = [n for n in notices(household_id, kind="deadline_reminder") if n.deadline_on < dt.date(2026, 12, 20)]
    assert late and {notice.state for notice in late} == {"expired"}


def test_at_most_one_message_a_day_and_two_a_week(world):
    household_id = enrolled(a_household(children=[a_child("2020-05-05")]))
    tell()
    ages = ["2015-05-05", "2016-05-05", "2017-05-05", "2018-05-05"]
    children = [{"id": "c1", "birth_date": "2020-05-05"}]
    days = []
    for day, born in zip(["2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28"], ages, strict=True):
        at(day, 10)
        children = [*children, {"id": f"x{born}", "birth_date": born}]
        save(household_id, children=children)
        tell()
        release_due()
    with owner_session() as session:
        days = [row.day for row in session.exec(select(PushLog).where(PushLog.household_id == household_id))]
    assert days == [dt.date(2026, 11, 24), dt.date(2026, 11, 25)]
    at("2026-12-01", 10)
    release_due()
    assert len(messages(household_id, "email")) == 3
    told = {notice.subject for notice in notices(household_id, kind="new_support", state="released")}
    assert {f"child:x{born}" for born in ages} <= told


def test_planning_twice_tells_once(world):
    household_id = enrolled(NEWBORN)
    tell()
    first = {notice.id for notice in notices(household_id)}
    for _ in range(3):
        save(household_id, facts={"single_parent": False, "public_assistance": False} if _ % 2 else {})
        tell()
    assert first <= {notice.id for notice in notices(household_id)}
    assert len(messages(household_id, "email")) == 1
    keys = [(n.programme_key, n.subject, n.kind, n.occasion) for n in notices(household_id)]
    assert len(keys) == len(set(keys))


def test_what_a_family_receives_already_is_not_announced(world):
    household_id = enrolled(
        a_household(children=[{"id": "c1", "birth_date": "2023-11-02", "receives": {"child-allowance": True}}])
    )
    tell()
    assert notices(household_id, programme_key="000000/child-allowance") == []


def test_a_draft_programme_never_notifies(world):
    drafts = {key for key, versions in world.programmes.items() if versions[-1].certainty == "draft"}
    household_id = enrolled(NEWBORN)
    tell()
    assert not drafts & {notice.programme_key for notice in notices(household_id)}


def test_a_reminder_built_on_facts_that_were_taken_back_does_not_go_out(world):
    household_id = enrolled(SINGLE_PARENT)
    tell()
    before = len(messages(household_id))
    save(household_id, facts={}, guardians=[{"id": "g1"}])
    at("2026-11-29")
    release_due()  # the evaluation is still to come: nothing is released that it might overturn
    assert len(messages(household_id)) == before
    tell()
    release_due()
    ended = notices(household_id, programme_key="000000/child-rearing-allowance", kind="deadline_reminder")
    assert {notice.state for notice in ended} <= {"superseded", "cancelled"}
    assert not [n for n in notices(household_id, state="released") if n.kind == "deadline_reminder" and n.sensitive]


def test_a_refused_category_is_never_asked_about(world):
    household_id = enrolled(
        a_household("131229", [a_child("2016-01-25")]), purposes=("matching:basic", "channel:email")
    )
    with app_session(Context(household=household_id)) as session:
        refused = ["matching:single_parent", "matching:income"]
        consent.refuse(session, household_id, refused, language="ja", by="guardian:g1", source="web")
        session.commit()
    tell()
    asked = {world.facts[notice.content["fact"]].consent for notice in notices(household_id, kind="question")}
    assert not asked & {"single_parent", "income"}


def test_a_right_that_goes_on_is_told_even_after_its_deadline(world):
    at("2026-12-07", 22)
    household_id = enrolled(NEWBORN)
    tell()
    at("2026-12-08", 9)
    release_due()
    allowance = notices(household_id, programme_key="000000/child-allowance", subject="child:c2", kind="new_support")[0]
    assert allowance.state == "released"
    ((_, mail),) = messages(household_id, "email")
    assert "児童手当" in mail["text"]


def test_a_corrected_birth_date_ends_the_old_notice_and_its_reminders(world):
    household_id = enrolled(a_household(children=[a_child("2026-11-12")], facts={"single_parent": False}))
    _, _, _ = a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    save(household_id, children=[{"id": "c1", "birth_date": "2026-11-21"}])
    tell()
    (old,) = notices(household_id, programme_key="000000/birth-registration", kind="new_support")
    (new,) = notices(household_id, programme_key="000000/birth-registration", kind="correction")
    assert (old.state, old.occasion, old.superseded_by) == ("superseded", "2026-11-12", new.id)
    assert (new.state, new.content["valid_from"]) == ("planned", "2026-11-21")  # told tomorrow: one message a day
    planned = notices(household_id, programme_key="000000/birth-registration", state="planned")
    assert {notice.deadline_on for notice in planned} == {dt.date(2026, 12, 4)}
    with app_session(Context(household=household_id)) as session:
        cards = [card for card in inbox.all_notices(session, household_id) if "出生届" in card.title]
    assert sorted(card.finished for card in cards) == [False, True]


def test_an_answer_that_turns_back_is_told_again(world):
    household_id = enrolled(a_household(children=[a_child("2023-11-02")], facts={"single_parent": False}))
    tell()
    save(household_id, children=[])
    tell()
    ended = notices(household_id, programme_key="000000/child-allowance", kind="new_support")
    assert {notice.state for notice in ended} == {"cancelled"}
    save(household_id, children=[{"id": "c1", "birth_date": "2023-11-02"}])
    tell()
    again = notices(household_id, programme_key="000000/child-allowance", kind="new_support")
    assert [notice.state for notice in again] != ["cancelled"]


def test_an_app_hears_that_a_notice_no_longer_holds(world):
    household_id = enrolled(a_household(children=[a_child("2023-11-02")], facts={"single_parent": False}))
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    at("2026-11-26")
    children = [{"id": "c1", "birth_date": "2023-11-02"}, {"id": "c2", "birth_date": "2026-11-21"}]
    save(household_id, children=children)
    tell()
    arrived(household_id)
    save(household_id, children=children[:1])
    tell()
    bodies = [json.loads(message["body"]) for _, message in messages(household_id, "webhook")]
    created = {body["data"]["notice_id"] for body in bodies if body["type"] == "notice.created"}
    ended = {body["data"]["notice_id"] for body in bodies if body["type"] == "notice.cancelled"}
    assert ended and ended < created
    at("2026-11-27")
    save(household_id, children=children)
    tell()
    release_due()
    bodies = [json.loads(message["body"]) for _, message in messages(household_id, "webhook")]
    again = [body for body in bodies if body["data"]["notice_id"] in ended]
    assert {body["data"]["sequence"] for body in again if body["type"] == "notice.created"} == {1, 3}


def test_a_monthly_deadline_is_looked_at_again_when_it_has_passed(world):
    household_id = enrolled(SINGLE_PARENT)
    tell()
    assert queue_reviews() == 0
    at("2026-12-01")
    assert queue_reviews() == 1
    tell()
    with owner_session() as session:
        statement = select(Entitlement.deadline_on).where(
            Entitlement.household_id == household_id, Entitlement.programme_key == "000000/child-rearing-allowance"
        )
        assert list(session.exec(statement)) == [dt.date(2026, 12, 28)]
    assert queue_reviews() == 0


def test_a_card_leaves_the_list_of_things_to_do_after_its_last_day(world):
    household_id = enrolled(a_household(children=[a_child("2026-09-20")], facts={"single_parent": False}))
    tell()
    with app_session(Context(household=household_id)) as session:
        cards = inbox.all_notices(session, household_id, clock.today())
        later = inbox.all_notices(session, household_id, dt.date(2028, 1, 1))
    assert sum(card.finished for card in cards) < sum(card.finished for card in later)


@pytest.mark.parametrize(("day", "told"), [("2027-02-26", True), ("2027-03-10", False)])
def test_a_right_whose_claim_can_pay_nothing_any_more_is_not_told(world, day, told):
    """Paid from the month after the claim: in the last month of the right a claim would pay nothing."""
    at(day)
    household_id = enrolled(a_household(children=[a_child("2009-03-31")]))
    tell()
    told_of = {notice.programme_key for notice in notices(household_id)}
    assert ("000000/child-allowance" in told_of) == told
    assert told_of - {OVERVIEW}, "other rights are told as ever"
