"""How long a clip takes: read, and written as plot, table and page; cold and warm."""

import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferce.evaluation import films
from ferce.evaluation.served import ROOT
from ferce.reading.pipeline import Reader

RATE = 10.0  # readings a second, as on the page


@dataclass(frozen=True)
class ClipCost:
    """Seconds of one step with a clip: by the clock, and of all processors."""

    name: str
    wall: float
    processor: float


def cold(clip: Path, root: Path = ROOT, rate: float = RATE) -> ClipCost:
    """Time the command line of a checkout on a clip, from nothing to table, plot and JSON.

    Raises:
        ValueError: it failed; the message ends with its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"--{kind}={folder}/clip.{kind}" for kind in ("csv", "json")]
        command = [sys.executable, "-m", "ferce", str(clip), f"--rate={rate}", *outputs]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, f"--plot={folder}/clip.png"],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
        )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise ValueError(f"{root} could not read the clip: {done.stderr.strip()[-200:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ClipCost("cold process: read, table, plot, JSON", wall, spent)


def warm(clip: Path, reader: Reader, rate: float | None = RATE) -> list[ClipCost]:
    """Time a clip with models that are loaded: the reading, and the whole document."""
    from ferce.reading import video
    from ferce.reading.video import formats, plot

    start, begun = time.perf_counter(), time.process_time()
    timeline = video.read(clip, reader, video.Options(rate=rate))
    read = time.perf_counter() - start, time.process_time() - begun
    plot.draw(timeline, io.BytesIO())
    formats.write_rows([timeline], io.StringIO())
    formats.to_html(timeline)
    whole = time.perf_counter() - start, time.process_time() - begun
    return [
        ClipCost("warm: read and explained", *read),
        ClipCost("warm: whole document (plot, table, page)", *whole),
    ]


def measure(seconds: float, root: Path = ROOT) -> list[ClipCost]:
    """Time a film of the example faces, cold in a checkout and, where that is this one, warm."""
    with tempfile.TemporaryDirectory() as folder:
        clip = films.write(Path(folder) / "clip.mp4", seconds)
        costs = [cold(clip, root)]
        if root == ROOT:
            with Reader() as reader:
                warm(clip, reader)  # not counted
                costs += warm(clip, reader)
    return costs


def table(costs: Mapping[str, Sequence[ClipCost]], seconds: float) -> str:
    """Write a Markdown table of medians; `seconds` is the length of the clip."""
    lines = ["| checkout | step | s | times real time | processors, s |", "|---|---|--:|--:|--:|"]
    for root, every in costs.items():
        for name in dict.fromkeys(cost.name for cost in every):
            same = [cost for cost in every if cost.name == name]
            wall = statistics.median(cost.wall for cost in same)
            spent = statistics.median(cost.processor for cost in same)
            row = f"{wall:.2f} | {wall / seconds:.2f} | {spent:.2f}"
            lines.append(f"| {Path(root).name} | {name} | {row} |")
    return "\n".join(lines)
