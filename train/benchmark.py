"""Measure ferce, for instance with `python -m train.benchmark speed`.

usage: python -m train.benchmark speed [--photo FILE] [--repeats 30] [--json FILE]

speed: p50 and p90 of finding faces and of whole readings on a 512 px photo, the time until
`import ferce` returns and until the page answers, each in fresh processes where that matters.
Machines differ and are noisy: read the ratios to `detection`, which is measured in the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from ferce import images
from ferce.pipeline import Options, Reader
from ferce.types import Pixels


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


def page_start(port: int = 7899, limit: float = 120.0) -> float:
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


def photo_of(path: str | None) -> Pixels:
    """The photo at `path`, or a demo face of 512 px."""
    default = ROOT / "ferce/data/demo/examples/smile.jpg"
    return images.load(path or default)


def speed(photo: Pixels, repeats: int) -> list[Timing]:
    """Detection and whole readings on `photo`, then the start-up times."""
    quick = Options(method=None, explain=False)
    with Reader() as reader:
        detection = timed("detection", lambda: reader.detect(photo), repeats)
        steps = [
            timed("prediction only", lambda: reader.read(photo, options=quick), repeats),
            timed("whole reading", lambda: reader.read(photo), repeats),
        ]
    steps = [Timing(s.name, s.p50, s.p90, s.p50 / detection.p50) for s in [detection, *steps]]
    light = [fresh("import ferce") for _ in range(5)]
    steps.append(Timing("import ferce", statistics.median(light), max(light)))
    pages = [page_start() for _ in range(3)]
    steps.append(Timing("start to page", statistics.median(pages), max(pages)))
    return steps


def training(chosen: argparse.Namespace) -> None:
    """Compare the fine-tuning of `train/finetune_blip2.py` with the plain recipe."""
    from ferce.training.language_plan import LanguagePlan
    from ferce.training.throughput import compare

    plan = LanguagePlan(base=chosen.base, load_in=chosen.load_in, batch=chosen.batch, views=1)
    made = compare(plan, steps=chosen.steps)
    print(f"{made.ours.device}, {os.cpu_count()} cores, {made.ours.steps} steps of {chosen.batch}")
    print(made.table())
    if chosen.json:
        chosen.json.write_text(json.dumps(asdict(made), indent=2) + "\n")


def main() -> None:
    """Parse the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    kinds = parser.add_subparsers(dest="kind", required=True)
    arguments = kinds.add_parser("speed", help="latency of readings and of starting")
    arguments.add_argument("--photo", help="a photo with one face; a demo face by default")
    arguments.add_argument("--repeats", type=int, default=30)
    arguments.add_argument("--json", type=Path, help="write the figures here as well")
    tuning = kinds.add_parser("training", help="fine-tuning BLIP-2 beside the plain recipe")
    tuning.add_argument("--base", default="mini", help="mini, or a BLIP-2 as a Hub id or folder")
    tuning.add_argument("--load-in", default="auto", help="auto, fp32, bf16, 8bit or 4bit")
    tuning.add_argument("--batch", type=int, default=16)
    tuning.add_argument("--steps", type=int, default=40)
    tuning.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = parser.parse_args()
    if chosen.kind == "training":
        training(chosen)
        return
    photo = photo_of(chosen.photo)
    figures = speed(photo, chosen.repeats)
    print(f"photo {photo.shape[1]} x {photo.shape[0]} px, {os.cpu_count()} cores, ", end="")
    print(f"numpy {np.__version__}, {chosen.repeats} repeats")
    print("| step | p50 ms | p90 ms | ratio to detection |\n|---|---|---|---|")
    for step in figures:
        ratio = f"{step.ratio:.2f}" if step.ratio else ""
        print(f"| {step.name} | {step.p50:.1f} | {step.p90:.1f} | {ratio} |")
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(step) for step in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
