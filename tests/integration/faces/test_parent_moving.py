"""引っ越し・お知らせを止めたいとき: what a parent sees and presses."""

import re

from sqlmodel import select

from app.households.tables import Household, HouseholdDocument, Move
from app.notices.tables import Notice
from app.platform.database import owner_session

MOVE = {
    "municipality": "131172", "who": "household", "date-year": ["2026", ""], "date-month": ["12", ""],
    "date-day": ["10", ""],
}  # fmt: skip


def test_a_move_is_told_ahead_seen_as_one_notice_and_taken_back(family, work):
    family.send("/move", MOVE, page="/move", follow_redirects=False)
    assert family.last.headers["location"] == "/move?done=told"
    work()
    with owner_session() as session:
        (notice,) = session.exec(select(Notice).where(Notice.kind == "moved"))
        assert session.exec(select(Household)).one().municipality_code == "131121"
    shown = family.open(f"/notices/{notice.id}").text
    for words in ("新しい市区町村で申請し直すもの", "児童手当", "2026年12月25日(金)まで", "前の市区町村で終わるもの"):
        assert words in shown
    assert "予定" in family.open("/move").text
    with owner_session() as session:
        move_id = session.exec(select(Move)).one().id
    family.send("/move/undo", {"move": str(move_id)}, page="/move")
    work()
    assert "取り消しました" in family.last.text
    assert "条件が変わったため" in family.open(f"/notices/{notice.id}").text


def test_a_move_needs_a_town_and_a_day(family):
    answer = family.send("/move", {"municipality": "", "date-year": ["2026"], "date-month": ["13"], "date-day": ["1"]},
                         page="/move")  # fmt: skip
    assert answer.status_code == 422
    assert 'id="municipality-error"' in answer.text
    assert 'id="date-0-error"' in answer.text
    with owner_session() as session:
        assert session.exec(select(Move)).all() == []


def test_a_move_within_the_town_changes_nothing(family):
    answer = family.send("/move", {**MOVE, "municipality": "131121"}, page="/move")
    assert "同じ市区町村の中" in answer.text


def test_another_town_in_the_familys_form_leads_to_the_move_and_a_mistake_can_be_put_right(family):
    shown = family.open("/family/edit").text
    assert 'name="home"' not in shown
    version = re.search(r'name="version" value="(\d+)"', shown)[1]
    edit = {"municipality": "131172", "birth-year": "2026", "birth-month": "11", "birth-day": "7", "child_id": "c1",
            "version": version}  # fmt: skip
    asked = family.send("/family/edit", edit)
    assert asked.status_code == 422
    assert "引っ越しの場合は" in asked.text and 'href="/move"' in asked.text and 'id="municipality-error"' in asked.text
    assert 'value="131172" selected' in asked.text and 'name="birth-day" value="7"' in asked.text
    with owner_session() as session:
        assert session.exec(select(Household)).one().municipality_code == "131121"
        assert session.exec(select(HouseholdDocument)).one().version == int(version), "nothing is half-saved"
    family.send("/family/edit", {**edit, "home": "correction"})
    assert family.last.url.path == "/family" and "北区" in family.last.text
    with owner_session() as session:
        assert session.exec(select(Household)).one().municipality_code == "131172"
        assert session.exec(select(Move)).all() == []


def test_messages_about_one_person_are_stopped_without_being_asked_why(family, work):
    answer = family.send("/care/stop", {"who": "child:c1"}, page="/care")
    assert "もう届きません" in answer.text
    assert "そっと置いてあるお知らせ" in answer.text
    assert family.open("/notices/quiet").status_code == 200
    assert "選んでください" in family.send("/care/stop", {}, page="/care").text


def test_protection_signs_every_device_out_this_one_too(family, browser_of):
    answer = family.send("/care/protect", {"sure": "yes"}, page="/care")
    assert "サインアウトしました" in answer.text
    assert family.client.get("/home", follow_redirects=False).status_code in (303, 401)
    assert browser_of().open("/care/protected").text.count("窓口") == answer.text.count("窓口")
    with owner_session() as session:
        assert session.exec(select(Household)).one().protected_at is not None
