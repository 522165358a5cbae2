"""One number for one face through the frames: boxes and meshes matched over time, with gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ferce.core.parts import Prediction, Reading
from ferce.core.types import Box, Face, Pixels
from ferce.faces.geometry import overlap
from ferce.reading.pipeline import Reader
from ferce.reading.video.expression import Expression

PATIENCE = 1.0  # seconds that a face may be out of sight and still be the same
_LEAST = 0.5  # likeness from which two sightings are one face; see `likeness`
# Correlation of the crops below which they show different people. From frame to frame one face
# stays above 0.9; of two people in the demo set 4 in 5 lie below.
_ALIKE = 0.4
_SIDE = 24  # pixels of the crops that are compared


@dataclass(frozen=True, eq=False)
class Sighting:
    """The place of a face and its picture, small and grey."""

    face: Face
    patch: NDArray[np.float32]

    @classmethod
    def of(cls, face: Face) -> "Sighting":
        """Make the sighting of a face."""
        import cv2

        grey = cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        inner = small[4:-4, 4:-4]  # the face itself, not what is behind it
        spread = float(inner.std())
        return cls(face, (inner - inner.mean()) / spread if spread > 1 else np.zeros_like(inner))


class Tracker:
    """The numbers of faces, from 1, through frames given in the order of time.

    `patience` is how long, in seconds, a face may be missing and still keep its number.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._last: dict[int, tuple[float, Sighting]] = {}
        self._count = 0

    def near(self, seconds: float) -> tuple[Box, ...]:
        """List the boxes of the faces expected at this time."""
        self._forget(seconds)
        return tuple(sighting.face.box for _, sighting in self._last.values())

    def number(self, faces: Sequence[Face], seconds: float) -> list[int]:
        """Number each face: as the face it continues, or anew."""
        self._forget(seconds)
        seen = [Sighting.of(face) for face in faces]
        numbers = self._continued(seen)
        for i, sighting in enumerate(seen):
            if i not in numbers:
                self._count += 1
                numbers[i] = self._count
            self._last[numbers[i]] = (seconds, sighting)
        return [numbers[i] for i in range(len(seen))]

    def _forget(self, seconds: float) -> None:
        kept = {n: at for n, at in self._last.items() if seconds - at[0] <= self._patience}
        self._last = kept

    def _continued(self, seen: Sequence[Sighting]) -> dict[int, int]:
        """Match sightings to numbers by the pairs most alike in sum (Kuhn 1955)."""
        from scipy.optimize import linear_sum_assignment

        known = list(self._last)
        table = np.array([[likeness(self._last[n][1], one) for n in known] for one in seen])
        if not table.size:
            return {}
        pairs = zip(*linear_sum_assignment(table, maximize=True), strict=True)
        return {int(i): known[j] for i, j in pairs if table[i, j] >= _LEAST}


def likeness(a: Sighting, b: Sighting) -> float:
    """Score how well two sightings fit, 0 (not at all) to 2.

    The overlap of the boxes (intersection over union) and the nearness of the meshes (1 less their
    mean distance in face sizes). Faces that look different, as after a cut, are never one.
    """
    if a.patch.any() and b.patch.any() and float((a.patch * b.patch).mean()) < _ALIKE:
        return 0.0
    return overlap(a.face.box, b.face.box) + max(1.0 - _distance(a.face, b.face), 0.0)


def _distance(a: Face, b: Face) -> float:
    """Average the distance of landmarks, or of box corners, over the larger box's side."""
    sides = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (a.box, b.box)]
    points = [
        np.reshape(face.box, (2, 2)) if face.landmarks is None else face.landmarks[:, :2]
        for face in (a, b)
    ]
    if len(points[0]) != len(points[1]):
        points = [np.reshape(face.box, (2, 2)) for face in (a, b)]
    gap = np.linalg.norm(points[0] - points[1], axis=1).mean()
    return float(gap) / max(*sides, 1.0)


# Seconds between looks for small faces that have come into the picture, and between thorough
# searches while no face is followed; each costs as much as two to five quick looks.
_SEARCH = 1.0


Numbered = tuple[int, Face]  # a face with its number


@runtime_checkable
class FrameDetector(Protocol):
    """A detector that is faster where it knows what the frame before showed."""

    def glance(self, frame: Pixels, near: Sequence[Box] = (), *, small: bool = False) -> list[Face]:
        """Find faces by one pass and one around each box of `near`; `small` adds one in tiles."""
        ...


@dataclass(frozen=True, eq=False)
class Seen:
    """A face in a frame: its number, its reading, and the numbers of that; None without one."""

    number: int
    reading: Reading
    expression: Expression | None

    @property
    def face(self) -> Face:
        """The face, as the classifier measured it."""
        return self.reading.face


class Follower:
    """The faces of one stream: finds, numbers and reads them, frame by frame.

    `mass` is the `outcome_mass` of the classifier's scores.
    """

    def __init__(self, reader: Reader, patience: float = PATIENCE) -> None:
        """Follow by a reader, which detects and predicts; `patience` is that of `Tracker`."""
        self._reader = reader
        self._tracker = Tracker(patience)
        self._searched = float("-inf")
        self.mass: float | None = None

    def step(self, pixels: Pixels, seconds: float) -> list[Seen]:
        """Read the faces of the next frame, largest first; times must not go back."""
        return self.read(self.find(pixels, seconds))

    def find(self, pixels: Pixels, seconds: float) -> list[Numbered]:
        """Find and number the faces of the next frame, largest first; times must not go back."""
        faces = self._detect(pixels, seconds)
        return list(zip(self._tracker.number(faces, seconds), faces, strict=True))

    def read(self, found: Sequence[Numbered]) -> list[Seen]:
        """Read faces that `find` found; another thread may find those of the next frame."""
        readings = self._reader.predict([face for _, face in found])
        return [
            Seen(number, reading, self._expression(reading))
            for (number, _), reading in zip(found, readings, strict=True)
        ]

    def decide(self, expression: Expression) -> Prediction:
        """Decide on an expression of these faces, such as a mean over time."""
        return expression.decide(self.mass, self._reader.classifier.name)

    def _detect(self, pixels: Pixels, seconds: float) -> list[Face]:
        """Search quickly while faces are followed, and thoroughly now and then."""
        near = self._tracker.near(seconds)
        due = seconds - self._searched >= _SEARCH
        if due:
            self._searched = seconds
        detector = self._reader.detector
        if not isinstance(detector, FrameDetector):
            return self._reader.detect(pixels)
        faces = detector.glance(pixels, near, small=due)
        return self._reader.detect(pixels) if due and not faces and not near else faces

    def _expression(self, reading: Reading) -> Expression | None:
        scores = reading.scores
        if scores is None:
            return None
        self.mass = scores.outcome_mass
        return Expression.of(scores, 0, reading.face.units)
