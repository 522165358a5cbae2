"""Hand-made faces, predictions and classifiers with known answers, for tests of text and checks."""

from collections.abc import Mapping, Sequence

import numpy as np
from predictions import made

from ferce.core.labels import BASICS, COMPOUNDS, components
from ferce.core.parts import Prediction
from ferce.core.types import Face, Scores, UnitEvidence
from ferce.facs.prototypes import UNITS

SIZE = 96
# name -> (y0, y1, x0, x1) in a crop of side 96
BOXES = {
    "brows": (16, 30, 14, 82),
    "eyes": (32, 46, 14, 82),
    "nose": (40, 62, 38, 58),
    "cheeks": (48, 66, 10, 36),
    "mouth": (66, 80, 28, 68),
    "chin": (82, 94, 32, 64),
}
# units that MediaPipe cannot read
DEAD = (6, 9, 11)


def masks(size: int = SIZE) -> dict[str, np.ndarray]:
    made = {}
    for name, (y0, y1, x0, x1) in BOXES.items():
        mask = np.zeros((size, size), np.bool_)
        mask[y0 * size // 96 : y1 * size // 96, x0 * size // 96 : x1 * size // 96] = True
        made[name] = mask
    return made


def units(
    intensities: Mapping[int, float | tuple[float, float]] = {},
    confidence: float = 0.6,
    dead: Sequence[int] = DEAD,
) -> dict[int, UnitEvidence]:
    """All units of the table; a pair is (left, right); not named is absent, dead is unknown."""
    made = {}
    for number, row in UNITS.items():
        value = intensities.get(number, 0.0)
        left, right = value if isinstance(value, tuple) else (value, value)
        sure = 0.0 if number in dead else confidence
        sides = (left, right) if row.sided else (None, None)
        made[number] = UnitEvidence(number, (left + right) / 2, sure, *sides, source="made")
    return made


def face(
    intensities: Mapping[int, float | tuple[float, float]] = {},
    seed: int = 0,
    **changes: object,
) -> Face:
    crop = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    made = Face(crop=crop, regions=masks(), units=units(intensities))
    return made.replace(**changes)


def prediction(label: str | None, state: str | None = None, share: float = 0.7) -> Prediction:
    """`share` on the compound named, or spread over those that hold the basic; flat otherwise."""
    row = np.full(len(COMPOUNDS), 1.0 / len(COMPOUNDS))
    if label in COMPOUNDS or label in BASICS:
        holders = [c == label or (label in BASICS and label in components(c)) for c in COMPOUNDS]
        weight = np.asarray(holders, float)
        row = share * weight / weight.sum() + (1 - share) * (1 - weight) / (1 - weight).sum()
    if state is None:
        state = "compound" if label in COMPOUNDS else "basic" if label in BASICS else "neutral"
    shares = dict(zip(COMPOUNDS, row.tolist(), strict=True))
    chosen = (COMPOUNDS[int(row.argmax())],)
    return made(state, label, shares, chosen, reason="Made for a test.")


class Looker:
    """Looks only at the contrast of one region: high contrast there speaks for `label`."""

    name = "looker"

    def __init__(self, region: str, label: str = "happily surprised") -> None:
        self.region, self.label, self.calls = region, label, 0

    def scores(self, faces: Sequence[Face]) -> Scores:
        self.calls += 1
        rows = []
        for one in faces:
            spread = one.crop[one.regions[self.region]].astype(float).std() / 74.0
            top = float(np.clip(0.1 + 0.8 * spread, 0.01, 0.99))
            row = np.full(len(COMPOUNDS), (1 - top) / (len(COMPOUNDS) - 1))
            row[COMPOUNDS.index(self.label)] = top
            rows.append(row)
        return Scores(np.asarray(rows))
