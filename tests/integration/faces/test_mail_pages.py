"""What a family sees of its mail: how to stop it, that it came back, and how it starts again."""

import pytest
from sqlalchemy import text

from app.households.contacts import unsubscribe_token
from app.platform.database import owner_session
from app.platform.settings import settings
from tests.integration.faces.test_parent_face import confirm_email, rows

STOPPED = "SELECT suspended_reason FROM contact_points WHERE suspended_at IS NOT NULL"


def one_click() -> str:
    ((contact_id, household_id),) = rows("SELECT id, household_id FROM contact_points")
    return f"/unsubscribe/{unsubscribe_token(household_id, contact_id)}"


def set_aside(reason: str) -> None:
    with owner_session() as session:
        session.execute(text("UPDATE contact_points SET suspended_at = now(), suspended_reason = :r"), {"r": reason})
        session.commit()


@pytest.mark.parametrize("body", ["form", "multipart", "empty"])
def test_one_click_in_every_form_that_mail_programs_use(family, browser_of, code, body):
    confirm_email(family, code)
    path, mail_program = one_click(), browser_of().client
    for _scanner in range(2):
        looked = mail_program.get(path, follow_redirects=False)
        assert looked.status_code == 200
        assert mail_program.head(path, follow_redirects=False).status_code in (200, 405)
    assert rows(STOPPED) == []
    sent = {"form": {"data": {"List-Unsubscribe": "One-Click"}}, "multipart": {"files": {"List-Unsubscribe": (None, "One-Click")}}}
    for _again in range(2):
        answer = mail_program.post(path, follow_redirects=False, **sent.get(body, {}))
        assert answer.status_code == 200, "no redirect, and twice is no error"
        assert "メールを止めました" in answer.text
        assert "お知らせの届け先" in answer.text, "how it starts again"
    assert rows(STOPPED) == [("unsubscribed",)]


def test_who_takes_parts_of_the_address_stops_nobody(family, browser_of, code):
    confirm_email(family, code)
    path = one_click()
    for forged in (path[:-1], path[:-4] + "AAAA", "/unsubscribe/" + "A" * 64, path + "A"):
        assert browser_of().client.post(forged).status_code == 404
    assert rows(STOPPED) == []


@pytest.mark.parametrize("reason", ["bounced_5.1.1", "smtp_5.1.1", "bounced_soft_4.2.2"])
def test_a_family_sees_that_mail_came_back_and_what_to_do(family, code, reason):
    confirm_email(family, code)
    assert "戻ってきました" not in family.open("/home").text
    set_aside(reason)
    assert "お送りしたメールが戻ってきました" in family.open("/home").text
    page = family.open("/contact").text
    assert "メールが戻ってきました" in page
    assert f"「{settings().email.sender_domain}」からのメールを許可します" in page
    confirm_email(family, code)
    assert rows(STOPPED) == []
    assert "戻ってきました" not in family.open("/contact").text


def test_who_wanted_no_mail_is_not_told_that_it_came_back(family, code):
    confirm_email(family, code)
    set_aside("unsubscribed")
    assert "戻ってきました" not in family.open("/home").text + family.open("/contact").text
