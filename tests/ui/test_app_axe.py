"""Every tab with its results and every detail open, by axe-core: four widths, light and dark."""

import pytest
from axe import barriers
from browser_fixtures import CHROMIUM, FAINT, chromium, new_page, settled

SIZES = {360: 740, 390: 844, 1280: 800, 1920: 1080}
TABS = ("Read", "Compare", "Video", "Live", "Batch", "Models", "About")
CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the path (apt: chromium)"),
]


@pytest.fixture(scope="module")
def browser():
    with chromium(*CAMERA) as opened:
        yield opened


def turn_to(page, name):
    """Open a tab, which on a narrow page stands in a menu."""
    settled(page)
    if not page.get_by_role("tab", name=name).is_visible():
        page.get_by_role("button", name="More tabs").click()
    page.locator(
        f".tab-wrapper :is([role=tab], .overflow-dropdown button):has-text('{name}')"
    ).click()
    settled(page)


def read(page):
    page.locator(".raw [download$='.json']").wait_for()


def compare(page):
    page.locator(".compare .examples button").nth(1).click()
    page.locator(".compare .status", has_text="models read it").wait_for()


def video(page):
    page.get_by_role("button", name="Take the example clip").click()
    page.locator(".watched [download$='.json']").wait_for()


def batch(page):
    page.get_by_role("button", name="Take the").and_(page.get_by_text("examples")).click()
    page.locator(".batch .status", has_text="to read.").wait_for()
    page.get_by_role("button", name="Read them").click()
    page.locator(".results .downloads").wait_for()
    page.locator(".part-results [data-index]").first.click()
    page.locator(".opened .card").first.wait_for()


def models(page):
    page.locator(".model-card button").first.click()


FLOWS = {"Read": read, "Compare": compare, "Video": video, "Batch": batch, "Models": models}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", SIZES)
def test_no_barriers_on_any_tab_with_every_detail_open(browser, real, width, theme):
    page = new_page(browser, width, SIZES[width])
    page.goto(f"{real}/?__theme={theme}")
    page.get_by_text("classifier:").wait_for()
    kept_out = {}
    for name in TABS:
        turn_to(page, name)
        FLOWS.get(name, settled)(page)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        kept_out |= {name: told} if (told := barriers(page)) else {}
        kept_out |= {f"{name}, faint": told} if (told := page.evaluate(FAINT)) else {}
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    page.context.close()
    assert kept_out == {}
