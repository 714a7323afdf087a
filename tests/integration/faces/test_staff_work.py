"""How the work stands, as staff see it: figures rounded, decisions by approvers alone, previews asked for."""

import pytest

from app.accounts.sign_in import create_link
from app.matching import reach
from app.matching.sweep import drain
from app.platform import clock
from app.platform.database import Context, app_session
from app.platform.settings import settings
from app.registry import lifecycle
from app.registry.drafts import save_draft
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.registry.conftest import NOW, SETAGAYA, a_programme, context_of, office

__all__ = ["office"]


def signed_in(browser, person):
    with app_session(Context(municipality=SETAGAYA)) as session:
        token = create_link(session, municipality_code=SETAGAYA, staff_id=person.account_id)
        session.commit()
    path = f"/staff/sign-in/{token}"
    browser.send(path, page=path)
    return browser


@pytest.fixture
def draft(office):
    drain()
    for _ in range(12):
        enrolled(a_household(SETAGAYA, [a_child("2025-05-05")]), contacts=())
    with app_session(office.context) as session:
        made = save_draft(session, a_programme(), office.author.account_id, NOW)
        session.commit()
    return made


def test_a_preview_is_asked_for_and_shown_in_rounded_figures(browser_of, office, draft):
    author = signed_in(browser_of(), office.author)
    assert "届く範囲を見積もる" in author.open("/staff/work").text
    assert "数えています" in author.send(f"/staff/work/drafts/{draft.id}/reach").text
    reach.count_asked()
    page = author.open("/staff/work").text
    assert "約10世帯" in page
    assert "12世帯" not in page
    assert "届く範囲を見積もる" not in page


def test_an_approver_decides_about_a_paused_campaign_and_an_editor_cannot(browser_of, office, draft, monkeypatch):
    monkeypatch.setenv("TODOKE_CAMPAIGNS__MOST_WITHOUT_PREVIEW", "5")
    settings.cache_clear()
    with app_session(office.context) as session:
        submitted = lifecycle.submit(session, draft.id, draft.revision, office.author, NOW)
        session.commit()
    with app_session(context_of(office.approver)) as session:
        lifecycle.approve_and_publish(session, draft.id, submitted.revision, office.approver, clock.now())
        session.commit()
    drain()
    author, approver = signed_in(browser_of(), office.author), signed_in(browser_of(), office.approver)
    page = author.open("/staff/work").text
    assert "えほん手当(架空)" in page
    assert "承認の権限がある方が決めます" in page
    action = approver.open("/staff/work").text.partition('action="/staff/work/campaigns/')[2].partition('"')[0]
    path = f"/staff/work/campaigns/{action}"
    author.open("/staff/work")
    assert author.send(path, {"decision": "approved"}, page="/staff").status_code == 403
    assert approver.send(path, {"decision": "perhaps"}, page="/staff/work").status_code == 422
    assert "承認されました" in approver.send(path, {"decision": "approved"}, page="/staff/work").text


def test_an_office_without_work_says_so(browser_of, office):
    page = signed_in(browser_of(), office.author).open("/staff/work").text
    for text in ("止まっている配信はありません", "公開を待つ案はありません", "まだ行われていません"):
        assert text in page
