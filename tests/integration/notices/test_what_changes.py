"""What a family is spared, and what happens to what was told when rights change."""

import json

from app.households import consent
from app.notices.announce import release_due
from app.platform.database import Context, app_session
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import SINGLE_PARENT, arrived, at, messages, notices, save, tell


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


def test_what_a_family_receives_already_is_not_announced(world):
    household_id = enrolled(
        a_household(children=[{"id": "c1", "birth_date": "2023-11-02", "receives": {"child-allowance": True}}])
    )
    tell()
    assert notices(household_id, programme_key="000000/child-allowance") == []


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
