"""How long readings and starting take: medians of runs, as ratios to detection in the same run."""

import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ferce.pipeline import Options, Reader
from ferce.prompts import QUESTIONNAIRE
from ferce.types import Pixels

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one measured step; `ratio` is p50 over the p50 of detection in this run."""

    name: str
    p50: float
    p90: float
    ratio: float | None = None


def timed(name: str, step: Callable[[], object], repeats: int) -> Timing:
    """`step` run once unmeasured, then `repeats` times."""
    step()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        spent.append((time.perf_counter() - start) * 1000)
    return Timing(name, statistics.median(spent), statistics.quantiles(spent, n=10)[8])


def fresh(code: str) -> float:
    """Milliseconds that `code` takes in a new interpreter, which prints them itself."""
    timer = f"import time; s = time.perf_counter(); {code}; print((time.perf_counter() - s) * 1e3)"
    done = subprocess.run(
        [sys.executable, "-c", timer], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(done.stdout.split()[-1])


def page_start(port: int = 7899, limit: float = 600.0) -> float:
    """Milliseconds from starting `python app.py` to the first answer of its page."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
    start = time.perf_counter()
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=quiet, stderr=quiet
    ) as process:
        try:
            while time.perf_counter() - start < limit:
                if process.poll() is not None:
                    raise RuntimeError("app.py stopped before its page answered")
                if _answers(f"http://127.0.0.1:{port}/"):
                    return (time.perf_counter() - start) * 1000
                time.sleep(0.05)
        finally:
            process.terminate()
    raise TimeoutError(f"the page did not answer within {limit:.0f} s")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def words(reader: Reader, photo: Pixels, repeats: int) -> list[Timing]:
    """One answer and one explanation of the reader's voice about the first face."""
    reading = reader.read(photo, options=Options(method=None, explain=False)).readings[0]
    face, prediction = reading.face, reading.prediction
    assert prediction is not None, "a reading without an explanation has its prediction"
    return [
        timed("one answer", lambda: reader.voice.answer(face, [QUESTIONNAIRE[6]]), repeats),
        timed("one explanation", lambda: "".join(reader.voice.explain(face, prediction)), repeats),
    ]


def speed(photo: Pixels, repeats: int, model: str, voice: str = "measured") -> list[Timing]:
    """Detection, readings and words about `photo` by two models, then the start-up times."""
    from ferce.backends import load_classifier, load_voice

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
