"""How many frames a second the Live tab reads: through a browser, and what one costs by itself.

The camera is Chromium's own, which shows a film of an example face.
"""

import base64
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.evaluation import films
from ferce.evaluation.served import PATIENCE, ROOT, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

WARM = 3.0  # seconds of the camera that are not counted
SENT = 640  # pixels: width of the frames that the page sends
# Counts the frames that were answered: each writes its pace anew.
_COUNT = """() => {
  window.answered = 0;
  new MutationObserver(() => (window.answered += 1))
    .observe(document.querySelector('[data-part="pace"]'), {childList: true});
}"""


@dataclass(frozen=True)
class Camera:
    """Frames a second that a browser has answered, and processor milliseconds of the app a frame.

    `pace` is what the page itself says at the end.
    """

    rate: float
    processor: float
    pace: str


@dataclass(frozen=True)
class Frame:
    """Milliseconds of one frame in this process: median by the clock, mean of the processors."""

    wall: float
    processor: float


def watch(chromium: str, seconds: float = 10.0, root: Path = ROOT) -> Camera:
    """Run the Live tab of a checkout in a browser on this machine; needs playwright.

    Args:
        chromium: path of the browser.
        seconds: that are counted.
        root: folder of the checkout.
    """
    with serve(root) as served, browser(chromium) as tab:
        begin(tab, served.address)
        time.sleep(WARM)
        tab.evaluate(_COUNT)
        spent, start = served.processor(), time.perf_counter()
        time.sleep(seconds)
        answered = int(tab.evaluate("window.answered"))
        wall, spent = time.perf_counter() - start, served.processor() - spent
        pace = str(tab.locator("[data-part=pace]").text_content())
    return Camera(answered / wall, 1000 * spent / max(answered, 1), pace)


def begin(tab: "Tab", address: str) -> None:
    """Open the page, start the camera of its Live tab, and wait for the first numbers."""
    tab.goto(address)
    tab.get_by_role("tab", name="Live").click()
    tab.get_by_role("button", name="Start the camera").click()
    tab.locator("[data-part=pace]", has_text="frames a second").wait_for()


@contextmanager
def browser(chromium: str) -> Iterator["Tab"]:
    """Open a tab whose camera shows a film of an example face, until the block ends."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        film = films.write_camera(Path(folder) / "camera.mjpeg")
        flags = ["--no-sandbox", "--use-fake-ui-for-media-stream"]
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        tab = browser.new_page()
        tab.set_default_timeout(1000 * PATIENCE)
        yield tab
        browser.close()


def frame(read: Callable[[str], object], count: int = 60) -> Frame:
    """Time so many frames in this process.

    Args:
        read: takes a frame as the page sends it: a JPEG as base64.
        count: of frames; the first ten are read once more before, uncounted.
    """
    pictures = films.frames(count, films.NAMES[:1])
    sent = [base64.b64encode(films.jpeg(pixels, SENT)).decode() for pixels in pictures]
    for picture in sent[:10]:
        read(picture)
    spent, begun = [], time.process_time()
    for picture in sent:
        start = time.perf_counter()
        read(picture)
        spent.append(time.perf_counter() - start)
    processor = (time.process_time() - begun) / count
    return Frame(1000 * statistics.median(spent), 1000 * processor)
