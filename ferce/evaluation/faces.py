"""The faces of a split, aligned and in batches, with what the model says of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Prediction, Scores
from ferce.data import load_data
from ferce.data.align import Aligned, Settings, align
from ferce.data.record import Problem, Row
from ferce.evaluation.plan import EvaluationError
from ferce.facs import decision
from ferce.reading.pipeline import measured

T = TypeVar("T")
BATCH = 32  # faces held in memory at a time


@dataclass(frozen=True)
class Tools:
    """What a pass over the faces uses: where crops are cached, and whether bars are shown."""

    cache: Path
    jobs: int = 1
    shown: bool = True

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise EvaluationError(f"jobs is 1 or more; got {self.jobs}.")


@dataclass(frozen=True, eq=False)
class Read:
    """A face with its scores (row `i` of a batch) and the decision."""

    item: Aligned
    face: Face
    scores: Scores
    i: int
    prediction: Prediction


def default_cache() -> Path:
    """The cache that training uses, too."""
    return Path.home() / ".cache" / "ferce" / "aligned"


def rows_of(data: str, split: str) -> Iterator[Row]:
    """Samples and problems of one split, in order."""
    return (row for row in load_data(data).rows() if row.split == split)


def aligned(rows: Iterable[Row], detect: bool, tools: Tools) -> Iterator[Aligned | Problem]:
    """Each row with its face in the cache, or the reason why there is none."""
    return align(rows, tools.cache, Settings(detect=detect), tools.jobs)


def predicted(classifier: Classifier, items: Sequence[Aligned]) -> list[Read]:
    """The model's scores and decision for a batch."""
    faces = [item.face() for item in items]
    if not faces:
        return []
    scores = classifier.scores(faces)
    reads = []
    for i, (item, face) in enumerate(zip(items, faces, strict=True)):
        seen = measured(face, scores, i)
        told = decision.decide(scores, i, seen, classifier.name)
        reads.append(Read(item, seen, scores, i, told))
    return reads


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of `size` items, the last perhaps shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


def watched(items: Iterable[T], name: str, shown: bool, total: int | None = None) -> Iterator[T]:
    """The items, with a progress bar on standard error."""
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=name, total=total, disable=not shown, unit="face", delay=1.0)
