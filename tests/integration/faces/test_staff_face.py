"""The staff face: programmes, read-back and counts of one municipality, and no household."""

import pytest


@pytest.fixture
def clerk(browser, staff_link, published):
    path = f"/staff/sign-in/{staff_link}"
    browser.send(path, page=path)
    return browser


def test_the_list_shows_own_prefecture_and_national_programmes(clerk):
    page = clerk.open("/staff")
    assert page.status_code == 200
    for part in ("世田谷区", "児童手当", "018サポート", "国", "東京都"):
        assert part in page.text
    assert "未集計" in page.text


def test_a_programme_is_read_back_with_its_sources(clerk, published):
    page = clerk.open("/staff/programmes/000000/child-allowance").text
    assert "18歳に達する日以後の最初の3月31日まで" in page
    assert "すべて一致" in page
    version = published.programmes["000000/child-allowance"][-1]
    assert version.sources[0].url in page
    assert version.unmodelled[0].ja in page


def test_small_counts_are_hidden_and_no_household_is_shown(clerk, browser_of, work):
    family = browser_of()
    family.enter_family()
    work()
    for path in ("/staff", "/staff/programmes/000000/child-allowance"):
        page = clerk.open(path).text
        assert "10未満" in page
        assert "2026年11月5日" not in page
        assert "2026-11-05" not in page


def test_another_municipalitys_programme_is_not_found(clerk, published):
    key = next(key for key in published.programmes if key.startswith("131172/"))
    assert clerk.open(f"/staff/programmes/{key}").status_code == 404
    assert clerk.open("/staff/programmes/000000/no-such").status_code == 404


def test_nobody_gets_in_without_a_link(browser_of, published):
    stranger = browser_of()
    assert stranger.open("/staff").url.path == "/staff/sign-in"
    assert stranger.open("/staff/sign-in/wrong").status_code == 404
