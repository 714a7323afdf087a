"""A family in a real browser: by keyboard, on a phone and on a desk, with and without JavaScript, judged by axe."""

import re

import pytest
from sqlmodel import select

from app.households.tables import Household
from app.platform.database import owner_session
from app.safeguards.bereavement import stop_pushes_about

pytestmark = pytest.mark.browser
WIDTHS = (320, 1280)


def enter(watched, *, judge: int | None = None) -> None:
    """Enter a family in 世田谷区 with a newborn, with a pointer."""
    page = watched.page
    look = (lambda name: watched.judge(name, judge)) if judge else (lambda name: None)
    watched.open("/start")
    look("start")
    page.select_option("#municipality", label="世田谷区")
    for part, value in (("year", "2026"), ("month", "11"), ("day", "5")):
        page.fill(f"[name=birth-{part}]", value)
    watched.follow(page.get_by_role("button", name="次へ", exact=True).last)
    look("consent")
    page.get_by_role("group", name=re.compile("使える制度を調べるため")).get_by_label("同意する", exact=True).check()
    page.get_by_role("group", name=re.compile("所得と税")).get_by_label("同意する", exact=True).check()
    watched.follow(page.get_by_role("button", name="使える支援を調べる"))


def lay_aside_what_concerns_the_child() -> None:
    with owner_session() as session:
        household_id = session.exec(select(Household)).one().id
    stop_pushes_about(household_id, "child:c1", reason="death", by="guardian:g1")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_accessible_and_fits(watch, work, width):
    watched = watch(width)
    page = watched.page
    for path in ("/", "/help", "/sign-in"):
        watched.open(path)
        watched.judge(path, width)
    watched.open("/start")
    watched.follow(page.get_by_role("button", name="次へ", exact=True).last)
    assert page.get_by_role("alert").is_visible()
    watched.judge("refused form", width)
    enter(watched, judge=width)
    watched.judge("waiting", width)
    work()
    page.locator("article.card").first.wait_for()  # htmx asked again by itself
    assert re.fullmatch(r"確認が終わりました。今することは[1-3]件です。", page.locator("#cards-status").inner_text())
    watched.judge("home", width)
    watched.follow(page.locator(".card__action a").first)
    watched.judge("notice", width)
    page.locator("#outcome button").first.click()
    page.get_by_text("記録しました").wait_for()
    watched.judge("outcome", width)
    for path in ("/notices?view=all", "/notices?view=done", "/family", "/family/edit", "/consent", "/contact"):
        watched.open(path)
        watched.judge(path, width)
    watched.open("/questions")
    watched.judge("question or its consent", width)
    if page.get_by_role("button", name="同意する").count():
        watched.follow(page.get_by_role("button", name="同意する"))
        watched.judge("question", width)
    watched.open("/contact")
    page.get_by_label(re.compile("メールアドレス")).fill("hanako@example.jp")
    watched.follow(page.get_by_role("button", name=re.compile("確認コードを受け取る")))
    watched.judge("code", width)
    lay_aside_what_concerns_the_child()
    watched.open("/notices")
    watched.follow(page.get_by_role("link", name="そっと置いてあるお知らせ"))
    watched.judge("laid aside", width)
    watched.follow(page.locator(".row__link").first)
    watched.judge("one that was laid aside", width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_way_by_keyboard(watch, work, width):
    watched = watch(width)
    keyboard = watched.page.keyboard
    watched.open("/")
    keyboard.press("Tab")
    assert watched.focused() == "本文へ"
    watched.tab_to("はじめる")
    keyboard.press("Enter")
    watched.page.wait_for_url("**/start")
    watched.tab_to("選んでください")
    while watched.page.locator("#municipality option:checked").inner_text() != "世田谷区":
        keyboard.press("ArrowDown")
    for name, value in (("birth-year", "2026"), ("birth-month", "11"), ("birth-day", "5")):
        watched.tab_to(name, most=1)
        keyboard.type(value)
    keyboard.press("Enter")  # Enter goes on; it does not add a child
    watched.page.get_by_role("heading", name=re.compile("何に使ってよいか")).wait_for()
    watched.tab_to("given")
    keyboard.press("Space")
    watched.tab_to("使える支援を調べる")
    keyboard.press("Enter")
    watched.page.wait_for_url("**/home")
    work()
    watched.page.locator("article.card").first.wait_for()
    watched.tab_to("手続きを見る")
    keyboard.press("Enter")
    watched.page.wait_for_url("**/notices/*")
    choice = watched.page.locator("#outcome .outcome__buttons button").first.inner_text()
    watched.tab_to(choice)
    keyboard.press("Enter")
    watched.page.get_by_text("記録しました").wait_for()
    assert watched.focused() == "記録しました。", "the focus follows the button that went away"
    watched.tab_to("取り消す", most=1)
    keyboard.press("Enter")
    watched.page.get_by_text("取り消しました").wait_for()
    assert watched.complaints == []


def test_the_whole_way_without_javascript(watch, work):
    watched = watch(360, java_script_enabled=False)
    page = watched.page
    enter(watched)
    assert page.get_by_text("確認しています").is_visible()
    work()
    watched.follow(page.get_by_role("link", name="表示を更新する"))
    assert 1 <= page.locator("article.card").count() <= 3
    watched.follow(page.locator(".card__action a").first)
    assert page.get_by_text("これは決定ではありません").is_visible()
    watched.follow(page.locator("#outcome button").first)
    assert page.get_by_role("button", name="取り消す").is_visible()
    watched.follow(page.get_by_role("button", name="取り消す"))
    assert page.locator("#outcome .outcome__buttons").first.is_visible()
    watched.open("/family/edit")
    watched.follow(page.get_by_role("button", name=re.compile("お子さんを足す")))
    assert page.locator("[name=birth-year]").count() == 2
    watched.open("/consent")
    watched.follow(page.get_by_role("button", name=re.compile("すべて止める")))
    assert page.get_by_text("止めました").is_visible()
    assert watched.outside == []


def test_forced_colours_and_print_keep_what_matters(watch, work):
    watched = watch(360, forced_colors="active")
    enter(watched)
    work()
    watched.open("/home")
    watched.judge("home in forced colours", 360)
    watched.follow(watched.page.locator(".card__action a").first)
    watched.page.emulate_media(media="print", forced_colors="none")
    assert watched.page.get_by_text("これは決定ではありません").is_visible()
    assert watched.page.get_by_text("用意するもの").first.is_visible()
    for hidden in (".tabs", ".site-footer", ".outcome", ".skip-link"):
        assert not watched.page.locator(hidden).first.is_visible(), f"{hidden} is printed"
