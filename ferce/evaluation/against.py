"""What reading costs here and in another checkout, in turns, by the same interpreter.

Only the command line and the public names of `ferce` are used, which older checkouts have, too.
Beside the time stands the processor time, which says more on a machine that others use as well.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Prints {step: [seconds, seconds of processors]}, medians; arguments: photo, model, voice, repeats.
WARM = """
import json, statistics, sys, time
import ferce
from ferce import images
path, model, voice, repeats = sys.argv[1:]
photo = images.load(path)
quick = ferce.Options(method=None, explain=False)
reader = ferce.Reader(ferce.load_classifier(model, "cpu"), ferce.load_voice(voice, "cpu"))
steps = {
    "prediction only, warm": lambda: reader.read(photo, options=quick),
    "whole reading, warm": lambda: reader.read(photo),
}
figures = {}
for name, step in steps.items():
    spent = []
    step()
    for _ in range(int(repeats)):
        start = time.perf_counter(), time.process_time()
        step()
        spent.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    figures[name] = [statistics.median(column) for column in zip(*spent)]
print(json.dumps(figures))
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of a step: `wall` by the clock, `processor` of all cores."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Pair:
    """The cost of a step here and there."""

    step: str
    here: Cost
    there: Cost

    def row(self) -> str:
        """Write a row of `table`."""
        ratios = self.here.wall / self.there.wall, self.here.processor / self.there.processor
        cells = (self.here.wall, self.there.wall, ratios[0])
        more = (self.here.processor, self.there.processor, ratios[1])
        numbers = " | ".join(f"{value:.3f}" for value in (*cells, *more))
        return f"| {self.step} | {numbers} |"


@dataclass(frozen=True)
class Plan:
    """What is measured: one photo, several, the specs of the models, and how often."""

    photo: Path
    photos: Sequence[Path] = ()
    model: str = "embedded"
    voice: str = "measured"
    repeats: int = 10
    turns: int = 3


def compare(plan: Plan, other: Path) -> list[Pair]:
    """Measure each step here and in the checkout `other`, one after the other, medians of turns."""
    runs = [(_measure(plan, ROOT), _measure(plan, other)) for _ in range(plan.turns)]
    return [
        Pair(step, *(_median([turn[side][step] for turn in runs]) for side in (0, 1)))
        for step in runs[0][0]
    ]


def table(pairs: Sequence[Pair]) -> str:
    """Write a Markdown table."""
    head = "| step | here, s | there, s | ratio | processors here, s | there, s | ratio |"
    return "\n".join([head, "|---|--:|--:|--:|--:|--:|--:|", *(pair.row() for pair in pairs)])


def _measure(plan: Plan, root: Path) -> dict[str, Cost]:
    models = ["--classifier", plan.model, "--voice", plan.voice, "--device", "cpu"]
    command = [sys.executable, "-m", "ferce", str(plan.photo), *models, "--json", "-"]
    costs = {"one photo, cold process": _spent(command, root)[0]}
    given = [str(plan.photo), plan.model, plan.voice, str(plan.repeats)]
    _, said = _spent([sys.executable, "-c", WARM, *given], root)
    costs |= {name: Cost(*spent) for name, spent in json.loads(said.splitlines()[-1]).items()}
    if plan.photos:
        with tempfile.TemporaryDirectory() as folder:
            names = [str(path) for path in plan.photos]
            target = str(Path(folder) / "photos.json")
            command = [sys.executable, "-m", "ferce", *names, *models, "--json", target]
            # 1: no face in some of them
            costs[f"{len(names)} photos, whole readings"] = _spent(command, root, (0, 1))[0]
    return costs


def _spent(command: Sequence[str], root: Path, good: Sequence[int] = (0,)) -> tuple[Cost, str]:
    """Run a command in a checkout; its cost, with that of its own processes, and what it wrote.

    Raises:
        ValueError: it failed; the message ends with its own.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in good:
        raise ValueError(f"{root} could not be measured: {done.stderr.strip()[-200:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, spent), done.stdout


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.processor for cost in costs),
    )
