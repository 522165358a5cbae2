"""Faces a second and memory of a classifier by the size of its batches, as ratios to one face."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ferce.protocols import Classifier
from ferce.types import Face

BATCHES = (1, 8, 32)


@dataclass(frozen=True)
class Throughput:
    """Of one size of batch.

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
    classifier, found = load(), list[Throughput]()
    for size in sizes:
        faces = [face] * size
        classifier.scores(faces)
        spent = []
        for _ in range(repeats):
            start = time.perf_counter()
            classifier.scores(faces)
            spent.append(time.perf_counter() - start)
        rate = size / statistics.median(spent)
        first = found[0].rate if found else rate
        found.append(Throughput(size, rate, rate / first, peak() - before))
    return found


def table(found: Sequence[Throughput]) -> str:
    """Markdown."""
    head = "| faces a batch | faces/s | ratio | peak MiB over the start |\n|--:|--:|--:|--:|"
    rows = [f"| {r.batch} | {r.rate:.1f} | {r.ratio:.2f} | {r.memory:.0f} |" for r in found]
    return "\n".join([head, *rows])


def peak() -> float:
    """The most MiB that this process ever had: of the GPU where it uses one, else of RAM."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
