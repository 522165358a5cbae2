"""The faces of a split, aligned and in batches, with what the model says of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Prediction, Reading, Scores
from ferce.data import load_data
from ferce.data.align import Aligned, Settings, align
from ferce.data.record import Problem, Row
from ferce.evaluation.plan import EvaluationError
from ferce.facs.decision import predict

T = TypeVar("T")
BATCH = 32  # faces held in memory at a time


@dataclass(frozen=True)
class Tools:
    """The settings of a pass over the faces: cache of crops, processes, progress bars."""

    cache: Path
    jobs: int = 1
    shown: bool = True

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise EvaluationError(f"jobs is 1 or more; got {self.jobs}.")


@dataclass(frozen=True, eq=False)
class Read:
    """A face of the data with its reading, which holds the scores and the prediction."""

    item: Aligned
    reading: Reading

    @property
    def face(self) -> Face:
        """The face, with the action units that the classifier measured."""
        return self.reading.face

    @property
    def prediction(self) -> Prediction:
        """The decision about the face."""
        assert self.reading.prediction is not None, "`predicted` decides about every face"
        return self.reading.prediction

    @property
    def scores(self) -> Scores:
        """The classifier's scores, one row."""
        assert self.reading.scores is not None, "`predicted` scores every face"
        return self.reading.scores


def default_cache() -> Path:
    """Find the cache that training uses, too."""
    return Path.home() / ".cache" / "ferce" / "aligned"


def rows_of(data: str, split: str) -> Iterator[Row]:
    """List the samples and problems of one split, in order."""
    return (row for row in load_data(data).rows() if row.split == split)


def aligned(rows: Iterable[Row], detect: bool, tools: Tools) -> Iterator[Aligned | Problem]:
    """Align the face of each row, from the cache where it is there; or the problem."""
    return align(rows, tools.cache, Settings(detect=detect), tools.jobs)


def predicted(classifier: Classifier, items: Sequence[Aligned]) -> list[Read]:
    """Predict a batch, those included that the app would refuse to read."""
    readings = predict(classifier, [item.face() for item in items])
    return [Read(item, reading) for item, reading in zip(items, readings, strict=True)]


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Split items into lists of `size`, the last perhaps shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


def watched(items: Iterable[T], name: str, shown: bool, total: int | None = None) -> Iterator[T]:
    """Pass items on with a progress bar on standard error."""
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=name, total=total, disable=not shown, unit="face", delay=1.0)
