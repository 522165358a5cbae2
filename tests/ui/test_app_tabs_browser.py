"""Batch, Compare and Models in a real browser: flows, looks at three sizes, light and dark."""

import io
import json
import shutil
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from app_fixtures import BROKEN, NEGATIVE, label_of, scene
from app_server import serving
from axe import barriers
from browser_fixtures import CHROMIUM, FAINT, SHIFTS, SHOTS, chromium, new_page, settled
from PIL import Image
from publish_fixtures import measurements

SIZES = {"phone": (390, 844), "tablet": (1024, 768), "desktop": (1440, 900)}
# Under 0.1 counts as good (web.dev/cls). Chromium takes the headline of a column, put in where grey
# lines were, for one that came from the top of the page; where columns stand is tested by itself.
SHIFT = {"Batch": 0.1, "Compare": 0.4}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the path (apt: chromium)"),
]

# Pictures out of shape, and text or pictures that stick out of their card: "what: by how much".
ODD = """() => {
  const odd = [];
  for (const card of document.querySelectorAll('.card')) {
    const edge = card.getBoundingClientRect().right + 1;
    for (const node of card.querySelectorAll('p, li, td, th, img, h2, h3, pre, button, small')) {
      const box = node.getBoundingClientRect();
      if (!box.width || node.closest('.confusion, pre, .aloud')) continue;
      const table = node.closest('table');
      if (table && getComputedStyle(table).overflowX === 'auto') continue;  // scrolls by itself
      const words = node.textContent.slice(0, 30);
      if (box.right > edge) odd.push(`${node.tagName} ${words}: sticks out`);
      if (node.tagName === 'IMG' && Math.abs(box.width - box.height) > 1) {
        odd.push(`${node.alt}: ${box.width} by ${box.height}`);
      }
      if (/^T[DH]$/.test(node.tagName) && box.width < 24) odd.push(`${node.textContent}: narrow`);
    }
  }
  return odd;
}"""


def png(*levels):
    buffer = io.BytesIO()
    Image.fromarray(scene(*levels)).save(buffer, "PNG")
    return buffer.getvalue()


# Keeps what a copy button says, which it takes back after a while.
COPIED = """() => {
  const button = document.querySelector('[data-copy]');
  new MutationObserver(() => (window.copied ||= button.textContent === 'Copied'))
    .observe(button, {childList: true});
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photo; a ZIP with two faces, a broken file and a text; a model that was evaluated."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "one.png").write_bytes(png(10))
    with zipfile.ZipFile(folder / "more.zip", "w") as file:
        file.writestr("a_long_folder_name/two_faces_by_the_sea.png", png(100, 200))
        file.writestr("a_long_folder_name/broken.jpg", b"no photo")
        file.writestr("a_long_folder_name/notes.txt", b"hello")
    (folder / "results" / "evaluation").mkdir(parents=True)
    told = measurements() | {"evaluation": {"model": "embedded", "date": "2026-01-01"}}
    (folder / "results" / "evaluation" / "metrics.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="module")
def url(files, hold):
    told = {"results": str(files / "results"), "allow_any": True, "max_photos": 5}
    told |= {"pause": 0.02, "hold": str(hold.folder), "models": [NEGATIVE, BROKEN]}
    with serving(**told) as address:
        yield address


@pytest.fixture
def visit(browser, url):
    """Opens a tab of the page; in the end nothing may have been logged or fetched elsewhere."""
    pages, faults = [], []

    def open_page(tab, size="desktop", theme="light"):
        page = new_page(browser, *SIZES[size])
        pages.append(page)
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.extend(stranger(request.url)))
        page.goto(f"{url}/?__theme={theme}")
        page.get_by_text("classifier:").wait_for()
        page.get_by_role("tab", name="Read").wait_for()
        settled(page)  # on a narrow page tabs go into a menu once they are laid out
        if not page.get_by_role("tab", name=tab).is_visible():
            page.get_by_role("button", name="More tabs").click()
        page.locator(
            f".tab-wrapper :is([role=tab], .overflow-dropdown button):has-text('{tab}')"
        ).click()
        return settled(page)

    yield open_page
    for page in pages:
        page.context.close()
    assert faults == []


def stranger(url):
    parts = urlsplit(url)
    return [] if parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1" else [url]


def upload(page, files, names=("one.png", "more.zip")):
    page.locator(".files input[type=file]").set_input_files([str(files / name) for name in names])
    page.locator(".status", has_text="to read.").first.wait_for()


def batch(page, files):
    upload(page, files)
    page.get_by_role("button", name="Read them").click()
    page.locator(".downloads").wait_for()


def compare(page, files):
    page.locator(".compare .photo input[type=file]").set_input_files(str(files / "one.png"))
    page.locator(".status", has_text="2 of 3 models read it").first.wait_for()


def models(page, files):
    for summary in page.locator(".dossier > details > summary").all():
        summary.click()


FLOWS = {"Batch": batch, "Compare": compare, "Models": models}


@pytest.mark.parametrize(
    ("size", "theme"), [("phone", "light"), ("tablet", "light"), ("desktop", "dark")]
)
@pytest.mark.parametrize("tab", FLOWS)
def test_looks(visit, files, tab, size, theme):
    page = visit(tab, size, theme)
    SHOTS.mkdir(exist_ok=True)
    assert page.evaluate(FAINT) == []
    page.evaluate(SHIFTS)
    FLOWS[tab](page, files)
    settled(page)
    assert page.evaluate("window.shifts") < SHIFT.get(tab, 9)  # before the picture, which shifts
    page.screenshot(path=SHOTS / f"{tab.lower()}-{size}-{theme}.png", full_page=True)
    assert page.evaluate(FAINT) == []
    assert page.evaluate(ODD) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("img:not([alt])").count() == 0


@pytest.mark.parametrize("size", ["phone", "tablet", "desktop"])
def test_columns_stay_where_they_stand(visit, files, size):
    tops = """() => [...document.querySelectorAll('.columns > .card')]
      .map((card) => card.getBoundingClientRect().top + scrollY)"""
    page = visit("Compare", size)
    before = page.evaluate(tops)
    compare(page, files)
    assert page.evaluate(tops)[:2] == pytest.approx(before[:2], abs=2)


@pytest.mark.parametrize("tab", FLOWS)
def test_no_barriers_by_axe(visit, files, tab):
    page = visit(tab)
    FLOWS[tab](page, files)
    assert barriers(page) == {}


# ---- batch ----


def test_a_batch_is_read_and_taken_away(visit, files, hold):
    from playwright.sync_api import expect

    page = visit("Batch")
    start = page.get_by_role("button", name="Read them")
    expect(start).to_be_disabled()
    upload(page, files)
    assert "1 file not read" in page.locator(".refused").inner_text()
    with hold.on(100):
        start.click()
        page.locator(".progress progress").wait_for()
    page.locator(".downloads").wait_for()
    assert page.locator(".faces-read tbody tr").count() == 3
    assert label_of(200) in page.locator(".faces-read").inner_text()
    assert "2 files not read" in page.locator(".refused").inner_text()
    for suffix in ("html", "csv", "json"):
        with page.expect_download() as waiting:
            page.locator(f".downloads [download$='.{suffix}']").click()
        assert waiting.value.suggested_filename == f"ferce-batch.{suffix}"
        assert Path(waiting.value.path()).stat().st_size > 500
    expect(start).to_be_enabled()


def test_too_many_photos_are_refused_before_they_are_read(visit, files, tmp_path):
    for i in range(6):
        shutil.copy(files / "one.png", tmp_path / f"{i}.png")
    page = visit("Batch")
    names = [str(tmp_path / f"{i}.png") for i in range(6)]
    page.locator(".files input[type=file]").set_input_files(names)
    page.locator(".status.sorry", has_text="These are 6 photos, more than the 5").wait_for()


# ---- compare ----


def test_models_stand_side_by_side_and_can_be_left_out(visit, files):
    page = visit("Compare")
    compare(page, files)
    heads = page.locator(".columns .headline").all_inner_texts()
    assert [label_of(10) in heads[0], label_of(245) in heads[1]] == [True, True]
    assert "The 2 models differ" in page.locator(".agreement").inner_text()
    tops = {round(box.bounding_box()["y"]) for box in page.locator(".columns figure").all()}
    assert len(tops) == 1  # parts of the columns stand in rows
    page.get_by_label(NEGATIVE).uncheck()
    page.locator(".status", has_text="1 of 2 models read it").first.wait_for()
    assert "two models" in page.locator(".agreement").inner_text()


# ---- models ----


def test_the_page_turns_to_another_model_and_reads_again(visit, files):
    page = visit("Read")
    page.locator(".photo input[type=file]").first.set_input_files(str(files / "one.png"))
    page.locator(".raw").wait_for()
    page.get_by_role("tab", name="Models").click()
    page.locator(f'[data-name="{NEGATIVE}"]').click()
    page.locator("[data-use]").click()
    page.locator(".dossier .chip", has_text="In use").wait_for()
    page.get_by_role("tab", name="Read").click()
    page.locator(".headline", has_text=label_of(245)).wait_for()


def test_a_wrong_id_is_refused_beside_its_field(visit):
    page = visit("Models")
    page.get_by_label("A model of the Hub").fill("timm:/etc/passwd")
    page.keyboard.press("Enter")
    words = page.locator(".dossier .trouble", has_text="Give a model of the Hub")
    words.wait_for()
    assert page.locator(".dossier h2").inner_text() == "embedded"


def test_code_is_copied(visit, browser):
    page = visit("Models")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPIED)
    page.locator("[data-copy]").click()
    page.wait_for_function("window.copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert 'ferce.load_classifier("embedded")' in copied


# ---- what is saved of one reading ----


def test_a_reading_is_saved_as_page_picture_and_numbers(visit, files):
    page = visit("Read")
    page.locator(".photo input[type=file]").first.set_input_files(str(files / "one.png"))
    page.locator(".raw").wait_for()
    saved = {}
    for suffix in ("html", "png", "json"):
        with page.expect_download() as waiting:
            page.locator(f".raw [download='one.ferce.{suffix}']").click()
        saved[suffix] = Path(waiting.value.path()).read_bytes()
    assert Image.open(io.BytesIO(saved["png"])).size[0] == 1200
    assert label_of(10) in saved["html"].decode()
    assert json.loads(saved["json"])["photos"][0]["photo"] == "one.png"
