"""What share of the time that predictions of a folder take the networks alone would take.

Every pass of MediaPipe's and of ONNX Runtime's networks is recorded with what it was given, and
done again by itself. On one core: a folder is read by a process a core, each of which does so.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import onnxruntime

from ferce.faces.networks import Networks
from ferce.models import load_classifier, load_voice
from ferce.reading.pipeline import Options, Reader

Pass = Callable[[], object]
QUICK = Options(method=None, explain=False)


@dataclass(frozen=True)
class Share:
    """Processor seconds of one photo: of its prediction, and of the `passes` of its networks."""

    photos: int
    prediction: float
    passes: float

    @property
    def value(self) -> float:
        """Share of the passes, 0..1."""
        return self.passes / self.prediction

    def row(self) -> str:
        """Write it as a sentence."""
        return (
            f"{self.photos} photos: a prediction takes {self.prediction * 1e3:.1f} ms of one core, "
            f"the passes of its networks {self.passes * 1e3:.1f}: share {self.value:.2f}"
        )


def measure(photos: Sequence[Path], model: str = "embedded", turns: int = 3) -> Share:
    """Predict the photos and do the passes of their networks alone, in turns; medians.

    Raises:
        ValueError: no photos.
    """
    if not photos:
        raise ValueError("There are no photos to read; name a folder that holds some.")
    reader = Reader(load_classifier(model, "cpu"), load_voice("measured"))
    read = partial(_each, [partial(reader.read, str(photo), options=QUICK) for photo in photos])
    with mock.patch.dict(os.environ, OMP_NUM_THREADS="1"), reader:
        with recorded() as passes:
            read()
        spent = [(_timed(read), _timed(partial(_each, passes))) for _ in range(turns)]
    whole, alone = (median(column) / len(photos) for column in zip(*spent, strict=True))
    return Share(len(photos), whole, alone)


@contextmanager
def recorded() -> Iterator[list[Pass]]:
    """Collect every pass of a network within the block, to be done again."""
    passes: list[Pass] = []

    def recording(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            passes.append(partial(original, *given, **named))
            return original(*given, **named)

        return run

    owners = ((Networks, "boxes"), (Networks, "meshes"), (onnxruntime.InferenceSession, "run"))
    patches = [mock.patch.object(own, name, recording(getattr(own, name))) for own, name in owners]
    for one in patches:
        one.start()
    try:
        yield passes
    finally:
        for one in patches:
            one.stop()


def _each(tasks: Sequence[Pass]) -> None:
    for task in tasks:
        task()


def _timed(task: Pass) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start
