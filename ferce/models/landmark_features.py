"""What MediaPipe's mesh and blendshapes say of a face, as numbers for a linear reader."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Face, Points

# Blendshapes that say something; the five that never leave zero, and those of the gaze, do not.
BLENDSHAPES: tuple[str, ...] = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawOpen",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
)
_PREFIXES = {"brow": "brows", "eye": "eyes", "jaw": "mouth", "mouth": "mouth"}
# Landmarks whose distance is taken; the person's right, then left, where there are two.
DISTANCES: tuple[tuple[int, int], ...] = (
    (13, 14),  # lips, inner edges
    (0, 17),  # lips, outer edges
    (61, 291),  # corners of the mouth
    (78, 308),  # corners, inner
    (0, 13),  # upper lip
    (14, 17),  # lower lip
    (2, 0),  # nose to upper lip
    (17, 152),  # lower lip to chin
    (159, 145),  # eye opening
    (386, 374),
    (107, 336),  # between the inner brows
    (55, 133),  # inner brow to inner corner of the eye
    (285, 362),
    (66, 159),  # inner brow to upper lid
    (296, 386),
    (63, 159),  # outer brow to upper lid
    (293, 386),
    (70, 33),  # end of the brow to outer corner of the eye
    (300, 263),
    (129, 358),  # wings of the nose
    (48, 145),  # wing of the nose to lower lid
    (278, 374),
    (205, 145),  # cheek to lower lid
    (425, 374),
    (61, 33),  # corner of the mouth to outer corner of the eye
    (291, 263),
)
# Height of the first landmark below the second, along the face's own vertical.
HEIGHTS: tuple[tuple[int, int], ...] = (
    (61, 13),  # corners of the mouth below the middle of the upper lip
    (291, 13),
    (61, 14),
    (291, 14),
    (66, 70),  # slope of the brows
    (296, 300),
    (107, 105),
    (336, 334),
)
_EYES = ((33, 133), (362, 263))
NAMES: tuple[str, ...] = (
    *BLENDSHAPES,
    *(f"distance {a}-{b}" for a, b in DISTANCES),
    *(f"height {a}-{b}" for a, b in HEIGHTS),
)


def _region_of(blendshape: str) -> str:
    return next(region for prefix, region in _PREFIXES.items() if blendshape.startswith(prefix))


# Where each number is read: covered there, it says nothing.
REGIONS: tuple[str, ...] = (
    *map(_region_of, BLENDSHAPES),
    *("mouth",) * 7,
    "chin",
    *("eyes",) * 2,
    *("brows",) * 9,
    *("nose",) * 3,
    *("cheeks",) * 2,
    *("mouth",) * 2,
    *("mouth",) * 4,
    *("brows",) * 4,
)
assert len(REGIONS) == len(NAMES), "every number has its region"


def shape(faces: Sequence[Face]) -> NDArray[np.float64]:
    """Measure (N, F) numbers in the order of `NAMES`; NaN for undetected faces.

    Blendshapes by their square root, which spreads the weak ones; distances and heights over the
    distance of the eyes' centres, in the crop, where the eyes are level.
    """
    rows = np.full((len(faces), len(NAMES)), np.nan)
    known: dict[tuple[int, ...], int] = {}  # faces that differ in their pixels alone, by row
    for i, face in enumerate(faces):
        if face.landmarks is not None and face.blendshapes:
            key = id(face.landmarks), id(face.to_crop), id(face.blendshapes)
            rows[i] = rows[known[key]] if key in known else _measured(face)
            known.setdefault(key, i)
    return rows


def shown(face: Face) -> NDArray[np.float64]:
    """Weigh the (F,) numbers from 1 to 0 by how far their regions are covered."""
    weights = {region: face.shown(region) for region in set(REGIONS)}
    return np.array([weights[region] for region in REGIONS])


def _measured(face: Face) -> list[float]:
    return [*_blendshapes(face), *_measures(face.landmarks_in_crop)]


def _blendshapes(face: Face) -> NDArray[np.float64]:
    values = [face.blendshapes.get(name, 0.0) for name in BLENDSHAPES]
    return np.asarray(np.sqrt(np.clip(values, 0.0, 1.0)))


def _measures(points: Points) -> NDArray[np.float64]:
    right, left = (points[list(corners)].mean(0) for corners in _EYES)
    unit = float(np.linalg.norm(left - right)) or 1.0
    a, b = np.array(DISTANCES).T
    low, high = np.array(HEIGHTS).T
    distances = np.linalg.norm(points[a] - points[b], axis=1)
    heights = points[low, 1] - points[high, 1]
    return np.concatenate([distances, heights]) / unit
