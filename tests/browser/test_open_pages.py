"""Open-data pages in a real browser: by keyboard, on a phone and on a desk, judged by axe; the leaflet fits one sheet."""

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [320, 1280])
def test_from_the_list_to_a_leaflet_by_keyboard(watch, published_registry, width):
    watched = watch(width)
    watched.open("/open?municipality=131121")
    watched.judge("list", width)
    watched.tab_to("世田谷区 出産費助成", most=120)
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_url("**/open/programmes/131121/birth-cost-grant")
    watched.judge("programme", width)
    watched.tab_to("印刷して配るチラシ")
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_url("**/leaflet")
    watched.judge("leaflet", width)
    assert watched.page.locator(".leaflet__code img").evaluate("image => image.complete && image.naturalWidth > 0")


def test_a_leaflet_is_one_sheet_of_paper(watch, published_registry):
    watched = watch()
    watched.open("/open/programmes/131121/birth-cost-grant/leaflet")
    pdf = watched.page.pdf(format="A4", prefer_css_page_size=True)
    assert pdf.count(b"/Type /Page\n") == 1
    assert not watched.page.locator(".site-footer").evaluate("one => getComputedStyle(one).display === 'none'")
    watched.page.emulate_media(media="print")
    assert watched.page.locator(".site-footer").evaluate("one => getComputedStyle(one).display === 'none'")
