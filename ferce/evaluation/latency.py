"""How long readings and starting take: medians of runs, as ratios to detection in the same run."""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Pixels
from ferce.evaluation.served import ROOT, serve
from ferce.models.prompts import QUESTIONNAIRE
from ferce.reading.pipeline import Options, Reader

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

BATCHES = (1, 8, 32)


@dataclass(frozen=True)
class Throughput:
    """The throughput at one size of batch.

    `rate` is faces a second, `ratio` that over the rate of the first size; `memory` is the peak in
    MiB over what the process had before the model was loaded, on a GPU that of the GPU.
    """

    batch: int
    rate: float
    ratio: float
    memory: float


def measure(
    load: Callable[[], Classifier], face: Face, repeats: int, sizes: Sequence[int] = BATCHES
) -> list[Throughput]:
    """Time `repeats` batches of each size, after one that is not timed; medians."""
    before = peak()
    classifier, results = load(), list[Throughput]()
    for size in sizes:
        faces = [face] * size
        classifier.scores(faces)
        spent = []
        for _ in range(repeats):
            start = time.perf_counter()
            classifier.scores(faces)
            spent.append(time.perf_counter() - start)
        rate = size / statistics.median(spent)
        first = results[0].rate if results else rate
        results.append(Throughput(size, rate, rate / first, peak() - before))
    return results


def table(results: Sequence[Throughput]) -> str:
    """Write a Markdown table."""
    head = "| faces a batch | faces/s | ratio | peak MiB over the start |\n|--:|--:|--:|--:|"
    rows = [f"| {r.batch} | {r.rate:.1f} | {r.ratio:.2f} | {r.memory:.0f} |" for r in results]
    return "\n".join([head, *rows])


def peak() -> float:
    """Measure this process's peak memory in MiB: of the GPU where it uses one, else RAM."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one measured step; `ratio` is p50 over the p50 of detection in this run."""

    name: str
    p50: float
    p90: float
    ratio: float | None = None


def timed(name: str, step: Callable[[], object], repeats: int) -> Timing:
    """Time `step`, run once unmeasured, then `repeats` times."""
    step()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        spent.append((time.perf_counter() - start) * 1000)
    return Timing(name, statistics.median(spent), statistics.quantiles(spent, n=10)[8])


def fresh(code: str) -> float:
    """Time `code` in a new interpreter, which prints its milliseconds itself."""
    timer = f"import time; s = time.perf_counter(); {code}; print((time.perf_counter() - s) * 1e3)"
    done = subprocess.run(
        [sys.executable, "-c", timer], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(done.stdout.split()[-1])


def page_start() -> float:
    """Time `python app.py` from its start to the first answer of its page, milliseconds."""
    with serve() as served:
        return 1000 * served.seconds


# Notes when the prediction of a newly chosen photo is on the page, and when all of it is there.
_WATCH = """() => {
  const at = {start: performance.now()}, tab = document.querySelector('.first');
  let cleared = false;
  window.marks = at;
  new MutationObserver(() => {
    const headline = tab.querySelector('.headline');
    cleared ||= !headline;
    if (cleared && headline) at.prediction ??= performance.now();
    if (cleared && tab.querySelector('.raw .download')) at.everything ??= performance.now();
  }).observe(tab, {childList: true, subtree: true});
}"""


def page(photo: Pixels, repeats: int, chromium: str) -> list[Timing]:
    """Time the page in Chromium, from the choice of `photo` to its prediction, and to everything.

    Needs playwright. Each time a fresh page; the first time is not counted.

    Args:
        photo: (H, W, 3) uint8 with one face; none of the examples, whose readings are kept.
        repeats: pages that are counted, at least 2.
        chromium: path of the browser.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, serve() as served, sync_playwright() as play:
        path = Path(folder, "photo.jpg")
        Image.fromarray(photo).save(path, quality=93)
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        times = [_page_times(browser.new_page(), served.address, path) for _ in range(repeats + 1)][
            1:
        ]
        browser.close()
    return [
        Timing(f"page: {name}", statistics.median(row), max(row))
        for name, row in zip(("prediction", "everything"), zip(*times, strict=True), strict=True)
    ]


def _page_times(opened: "Tab", address: str, path: Path) -> tuple[float, float]:
    """Choose a photo on a page that has its opening reading; milliseconds of both."""
    opened.set_default_timeout(600_000)
    opened.goto(address)
    opened.locator(".first .raw .download").first.wait_for()
    opened.evaluate(_WATCH)
    opened.locator(".first .photo input[type=file]").set_input_files(str(path))
    opened.wait_for_function("window.marks.everything")
    at = opened.evaluate("window.marks")
    opened.close()
    return at["prediction"] - at["start"], at["everything"] - at["start"]


def words(reader: Reader, photo: Pixels, repeats: int) -> list[Timing]:
    """Time one answer and one explanation about the first face."""
    reading = reader.read(photo, options=Options(method=None, explain=False)).readings[0]
    return [
        timed("one answer", lambda: reader.answer(reading, [QUESTIONNAIRE[6]]), repeats),
        timed("one explanation", lambda: list(reader.explain(reading, check=False)), repeats),
    ]


def speed(photo: Pixels, repeats: int, model: str, voice: str = "measured") -> list[Timing]:
    """Time detection, readings and words about `photo`, then the start-up."""
    from ferce.models import load_classifier, load_voice

    quick = Options(method=None, explain=False)
    with Reader(load_classifier(model), load_voice(voice)) as reader:
        detection = timed("detection", lambda: reader.detect(photo), repeats)
        steps = [
            timed("prediction only", lambda: reader.read(photo, options=quick), repeats),
            timed("whole reading", lambda: reader.read(photo), repeats),
            *words(reader, photo, repeats),
        ]
    steps = [Timing(s.name, s.p50, s.p90, s.p50 / detection.p50) for s in [detection, *steps]]
    light = [fresh("import ferce") for _ in range(5)]
    steps.append(Timing("import ferce", statistics.median(light), max(light)))
    pages = [page_start() for _ in range(3)]
    steps.append(Timing("start to page", statistics.median(pages), max(pages)))
    return steps
