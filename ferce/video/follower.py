"""Faces followed through frames that come one after another, from a file or from a camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ferce.pipeline import measured
from ferce.protocols import Classifier, Detector
from ferce.types import Box, Face, Pixels
from ferce.video.expression import Expression
from ferce.video.tracking import PATIENCE, Tracker

_SEARCH = 1.0  # seconds between thorough searches while no face is followed; each costs 0.1 s


@runtime_checkable
class Quick(Protocol):
    """A detector that looks faster where it knows what the frame before showed."""

    def glance(self, frame: Pixels, near: Sequence[Box] = ()) -> list[Face]:
        """As `detect`, without second looks; `near` are boxes of faces seen before."""
        ...


@dataclass(frozen=True, eq=False)
class Seen:
    """A face in a frame: its number, and what it shows; None where it must not be read."""

    number: int
    face: Face
    expression: Expression | None


class Follower:
    """Finds, numbers and reads the faces of frames; holds what one stream needs to remember.

    `mass` and `calibrated` are those of the classifier's scores (see `types.Scores`).
    """

    def __init__(
        self, detector: Detector, classifier: Classifier, patience: float = PATIENCE
    ) -> None:
        self._detector, self._classifier = detector, classifier
        self._tracker = Tracker(patience)
        self._searched = float("-inf")
        self.mass, self.calibrated = 0.9, False

    def step(self, pixels: Pixels, seconds: float) -> list[Seen]:
        """The faces of the next frame, largest first; times must not go back."""
        faces = self._look(pixels, seconds)
        numbers = self._tracker.number(faces, seconds)
        readable = [face for face in faces if not face.problem]
        known = dict(zip(map(id, readable), self._read(readable), strict=True))
        return [
            Seen(number, *known.get(id(face), (face, None)))
            for number, face in zip(numbers, faces, strict=True)
        ]

    def _look(self, pixels: Pixels, seconds: float) -> list[Face]:
        """A quick look while faces are followed; a thorough one now and then to find the first."""
        near = self._tracker.near(seconds)
        quick = isinstance(self._detector, Quick)
        found = self._detector.glance(pixels, near) if isinstance(self._detector, Quick) else []
        if quick and (found or near or seconds - self._searched < _SEARCH):
            return found
        self._searched = seconds
        return self._detector.detect(pixels)

    def _read(self, faces: Sequence[Face]) -> list[tuple[Face, Expression]]:
        if not faces:
            return []
        scores = self._classifier.scores(faces)
        self.mass, self.calibrated = scores.mass, scores.calibrated
        seen = [measured(face, scores, i) for i, face in enumerate(faces)]
        return [(face, Expression.of(scores, i, face.units)) for i, face in enumerate(seen)]
