"""A clerk in a real browser: by keyboard, on a phone and on a desk, judged by axe."""

import pytest

from app.accounts.sign_in import create_link
from app.accounts.tables import StaffAccount
from app.matching.oversight_tables import Campaign
from app.platform import clock
from app.platform.database import Context, app_session, worker_session
from app.platform.identifiers import new_id
from app.platform.settings import settings

pytestmark = pytest.mark.browser
SETAGAYA = "131121"


@pytest.fixture
def link(address) -> str:
    staff_id = new_id()
    with app_session(Context(municipality=SETAGAYA)) as session:
        session.add(StaffAccount(id=staff_id, municipality_code=SETAGAYA, post="子ども家庭課(架空)", role="viewer"))
        session.flush()
        token = create_link(session, municipality_code=SETAGAYA, staff_id=staff_id)
        session.commit()
    return f"/staff/sign-in/{token}"


@pytest.mark.parametrize("width", [320, 1280])
def test_programmes_by_keyboard(watch, work, link, width):
    watched = watch(width)
    work()
    watched.open("/staff")
    watched.judge("sign-in", width)
    watched.open(link)
    watched.judge("link", width)
    watched.tab_to("サインインする")
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_url("**/staff")
    watched.judge("programmes", width)
    watched.tab_to("児童手当")
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_url("**/programmes/**")
    watched.judge("programme", width)
    assert watched.page.get_by_text("10未満").first.is_visible()


def test_the_demo_banner_moves_the_date_by_keyboard(watch, work, monkeypatch):
    monkeypatch.setenv("TODOKE_DEMO", "true")
    settings.cache_clear()
    watched = watch(320)
    watched.open("/")
    watched.judge("demo banner", 320)
    before = watched.page.locator(".demo-banner__date strong").inner_text()
    watched.tab_to("日付を進める")
    with watched.page.expect_navigation():
        watched.page.keyboard.press("Enter")
    assert watched.page.locator(".demo-banner__date strong").inner_text() != before


@pytest.mark.parametrize("width", [320, 1280])
def test_a_campaign_is_decided_by_keyboard(watch, work, address, width):
    campaign_id, staff_id = new_id(), new_id()
    with worker_session() as session:
        figures = {"expected": {"gains": 300, "loses": None}, "found": {"gains": 1200, "loses": None, "changes": 40}}
        session.add(
            Campaign(
                id=campaign_id, sweep_id=new_id(), programme_key=f"{SETAGAYA}/x", municipality_code=SETAGAYA,
                state="paused", question="size", looked_at_on=clock.today(), figures=figures, begun_at=clock.now(),
            )
        )  # fmt: skip
        session.commit()
    with app_session(Context(municipality=SETAGAYA)) as session:
        session.add(StaffAccount(id=staff_id, municipality_code=SETAGAYA, post="子ども課長(架空)", role="approver"))
        session.flush()
        token = create_link(session, municipality_code=SETAGAYA, staff_id=staff_id)
        session.commit()
    work()
    watched = watch(width)
    watched.open(f"/staff/sign-in/{token}")
    watched.tab_to("サインインする")
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_url("**/staff")
    watched.open("/staff/work")
    watched.judge("work", width)
    watched.tab_to("差し止める")
    with watched.page.expect_navigation():
        watched.page.keyboard.press("Enter")
    assert watched.page.get_by_text("差し止めました").is_visible()
    watched.judge("work, decided", width)
