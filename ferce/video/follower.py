"""Faces followed through frames that come one after another, from a file or from a camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ferce.pipeline import measured
from ferce.protocols import Classifier, Detector
from ferce.types import Box, Face, Pixels
from ferce.video.expression import Expression
from ferce.video.tracking import PATIENCE, Tracker

# Seconds between looks for small faces that have come into the picture, and between thorough
# searches while no face is followed; each costs as much as two to five quick looks.
_SEARCH = 1.0


@runtime_checkable
class Quick(Protocol):
    """A detector that looks faster where it knows what the frame before showed."""

    def glance(self, frame: Pixels, near: Sequence[Box] = (), *, small: bool = False) -> list[Face]:
        """As `detect`, by one look and one around each box of `near`; `small` looks closer."""
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
        """A quick look while faces are followed; a thorough one now and then."""
        near = self._tracker.near(seconds)
        due = seconds - self._searched >= _SEARCH
        if due:
            self._searched = seconds
        if not isinstance(self._detector, Quick):
            return self._detector.detect(pixels)
        found = self._detector.glance(pixels, near, small=due)
        return self._detector.detect(pixels) if due and not found and not near else found

    def _read(self, faces: Sequence[Face]) -> list[tuple[Face, Expression]]:
        if not faces:
            return []
        scores = self._classifier.scores(faces)
        self.mass, self.calibrated = scores.mass, scores.calibrated
        seen = [measured(face, scores, i) for i, face in enumerate(faces)]
        return [(face, Expression.of(scores, i, face.units)) for i, face in enumerate(seen)]
