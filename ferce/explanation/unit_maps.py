"""Maps of where a label's action units lie, drawn from landmarks, and their match with heat."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.core.parts import Heatmap
from ferce.core.types import Face, Points
from ferce.facs.prototypes import PROTOTYPES, UNITS

Map = NDArray[np.float64]

# Sigma of the disc around a landmark as a share of the distance between the eyes: about the width
# of an iris, so that neighbouring landmarks of one unit melt into one patch.
DISC = 0.15
# Side at which maps are compared; a disc is still several pixels wide.
_GRID = 56


def unit_map(face: Face, weights: Mapping[int, float]) -> Map:
    """Draw where action units lie, (S, S) >= 0, each weighted; the peak of one unit is 1.

    After Belharbi et al., FG 2024 (discs on landmarks, blurred), but on 478 landmarks and scaled by
    the distance between the eyes.

    Raises:
        ValueError: the face has no landmarks.
    """
    points, made = face.landmarks_in_crop, np.zeros((face.size, face.size))
    for number, weight in weights.items():
        seeds = [i for side in UNITS[number].seeds for i in side]
        made += weight * _discs(points[seeds], face.size, DISC * _eye_distance(points))
    return made


def _weights(label: str) -> dict[int, float]:
    """Weigh a label's units: core units by 1, variants by the share who show them."""
    row = PROTOTYPES[label]
    return dict.fromkeys(row.core, 1.0) | dict(row.variants)


def match(face: Face, heatmap: Heatmap) -> dict[str, float | None]:
    """Compare the heat with the action units of the map's label, and of other labels.

    Returns:
        `cosine` of the heat with the label's map, 0..1, and `share` of the heat where that map is
        at least half its peak; `cosine_others` and `share_others` are the means over the other
        labels of its kind. All None without heat, landmarks or units.
    """
    names = ("cosine", "share", "cosine_others", "share_others")
    kind = BASICS if heatmap.label in BASICS else COMPOUNDS
    if heatmap.empty or face.landmarks is None or heatmap.label not in kind:
        return dict.fromkeys(names)
    heat, weights = _small(heatmap.values), {name: _weights(name) for name in kind}
    drawn = _drawn(_shrunk(face), {unit for row in weights.values() for unit in row})
    rows = {name: _cosine_and_share(heat, _weighted(drawn, row)) for name, row in weights.items()}
    own = rows.pop(heatmap.label)
    others = np.mean(list(rows.values()), axis=0)
    return dict(zip(names, (*own, *map(float, others)), strict=True))


def _drawn(face: Face, units: Iterable[int]) -> dict[int, Map]:
    """Draw each unit by itself."""
    return {unit: unit_map(face, {unit: 1.0}) for unit in units}


def _weighted(drawn: Mapping[int, Map], weights: Mapping[int, float]) -> Map:
    return np.asarray(sum(weight * drawn[unit] for unit, weight in weights.items()))


def _small(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    side = min(_GRID, heat.shape[0])
    return np.asarray(cv2.resize(heat, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _shrunk(face: Face) -> Face:
    """Shrink the face to a crop of `_GRID` pixels, for its landmarks only."""
    side = min(_GRID, face.size)
    blank = np.zeros((side, side, 3), np.uint8)
    return Face(crop=blank, landmarks=face.landmarks, to_crop=face.to_crop * (side / face.size))


def _cosine_and_share(heat: NDArray[np.float32], drawn: Map) -> tuple[float, float]:
    """Compute the cosine of the two maps, and the heat's share in the drawn map's upper half."""
    norm = float(np.linalg.norm(heat) * np.linalg.norm(drawn))
    cosine = float((heat * drawn).sum()) / norm if norm > 0 else 0.0
    return cosine, float(heat[drawn >= drawn.max() / 2].sum() / heat.sum())


def _eye_distance(points: Points) -> float:
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    return max(float(np.linalg.norm(right - left)), 1.0)


@lru_cache(maxsize=8)
def _axis(size: int) -> NDArray[np.float64]:
    return np.arange(size, dtype=np.float64) + 0.5


def _discs(points: Points, size: int, sigma: float) -> Map:
    """Draw the largest of Gaussians around the points, (S, S), peak 1."""
    axis = _axis(size)
    x = np.exp(-((axis[None] - points[:, :1]) ** 2) / (2 * sigma**2))
    y = np.exp(-((axis[None] - points[:, 1:]) ** 2) / (2 * sigma**2))
    return np.asarray((y[:, :, None] * x[:, None, :]).max(0), np.float64)
