"""Faces and classifiers whose evidence lies at a known place."""

from collections.abc import Sequence

import numpy as np

from ferce.core.labels import COMPOUNDS
from ferce.core.types import REGIONS, Face, Scores, UnitEvidence
from ferce.facs.prototypes import UNITS

SIZE = 112
# name -> rows and columns in 112ths of the crop
_BOXES = {
    "brows": (16, 34, 18, 94),
    "eyes": (36, 50, 18, 94),
    "nose": (52, 72, 44, 68),
    "cheeks": (52, 76, 10, 42),
    "mouth": (78, 96, 34, 78),
    "chin": (98, 110, 36, 76),
}


def region(name: str, size: int = SIZE) -> np.ndarray:
    top, bottom, left, right = (round(v * size / 112) for v in _BOXES[name])
    mask = np.zeros((size, size), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def noisy_face(seed: int = 0, size: int = SIZE, regions: bool = True) -> Face:
    """Strong pixel noise everywhere, so that blurring any place removes something."""
    rng = np.random.default_rng(seed)
    return Face(
        crop=rng.integers(0, 256, (size, size, 3)).astype(np.uint8),
        regions={n: region(n, size) for n in REGIONS} if regions else {},
        units={n: UnitEvidence(n, 0.8, 0.9, source="test") for n in UNITS},
    )


def rows(column: int, p: Sequence[float] | np.ndarray) -> Scores:
    """P(column) = p, the rest spread evenly."""
    p = np.asarray(p, float)
    classes = np.repeat((1 - p)[:, None] / (len(COMPOUNDS) - 1), len(COMPOUNDS), 1)
    classes[:, column] = p
    return Scores(classes)


class Patch:
    """P(label) grows with the contrast inside one mask and with nothing else."""

    name = "test:patch"

    def __init__(self, mask: np.ndarray, label: str = COMPOUNDS[0], sign: float = 1.0) -> None:
        self.mask, self.column, self.sign, self.calls = mask, COMPOUNDS.index(label), sign, 0

    def scores(self, faces: Sequence[Face]) -> Scores:
        self.calls += 1
        contrast = np.array([f.crop[self.mask].std() / 80 for f in faces])
        return rows(self.column, np.clip(0.5 + self.sign * 0.4 * contrast, 0, 1))


class OneUnit:
    """P(label) grows with the trusted intensity of one action unit; pixels are never looked at."""

    name = "test:unit"

    def __init__(self, unit: int, label: str = COMPOUNDS[0]) -> None:
        self.unit, self.column = unit, COMPOUNDS.index(label)
        self.calls = self.faces = 0

    def scores(self, faces: Sequence[Face]) -> Scores:
        self.calls += 1
        self.faces += len(faces)
        seen = [f.units[self.unit].intensity * f.units[self.unit].confidence for f in faces]
        return rows(self.column, 0.2 + 0.7 * np.array(seen))
