"""One question at a time."""

from sqlalchemy import text

from app.platform.database import owner_session
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.notices.telling import at, notices, save, tell


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
