"""Hide parts of a face: pixels are blurred away, action units seen there become unknown."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.action_units import UNITS
from ferce.types import Face, Mask, Units

# Gaussian sigma of the blur as a share of the crop's side: 18 px at 224, a mouth is then a smudge.
BLUR = 0.08
# Sigma of the soft edge as a share of the crop's side, so that hiding draws no line of its own.
FEATHER = 0.015
# A random region is a thresholded noise whose grain is this share of the crop's side.
GRAIN = 0.12


def hide_regions(face: Face, names: Iterable[str]) -> Face:
    """The face with the named regions hidden.

    Raises:
        ValueError: the face has no mask of a named region.
    """
    return hide_mask(face, region_mask(face, names))


def hide_mask(face: Face, mask: Mask) -> Face:
    """The face with the (S, S) bool `mask` hidden; see `hide_masks`."""
    return hide_masks(face, [mask])[0]


def hide_masks(face: Face, masks: Sequence[Mask]) -> list[Face]:
    """One face a mask, each hidden there; the crop is blurred once for all.

    Pixels under a mask are blurred (sigma `BLUR`), with a soft edge outside it. The confidence of
    an action unit falls with the share of its region that is covered and is 0 from one half on.

    Raises:
        ValueError: a mask has not the size of the crop.
    """
    blurred = _blur(face.crop.astype(np.float32), BLUR * face.size)
    return [_hidden(face, mask, blurred) for mask in masks]


def region_mask(face: Face, names: Iterable[str]) -> Mask:
    """(S, S) bool union of the named regions; raises ValueError when the face lacks one."""
    union = np.zeros((face.size, face.size), np.bool_)
    for name in names:
        if name not in face.regions:
            known = ", ".join(face.regions) or "none (the face came without landmarks)"
            raise ValueError(f"The face has no mask of region {name!r}. It has: {known}.")
        union |= face.regions[name]
    return union


def face_mask(face: Face) -> Mask:
    """(S, S) bool inside of the face's outline; the whole crop for a face without landmarks."""
    if face.landmarks is None:
        return np.ones((face.size, face.size), np.bool_)
    import cv2

    outline = cv2.convexHull(np.round(face.landmarks_in_crop).astype(np.int32))
    canvas = np.zeros((face.size, face.size), np.uint8)
    return np.asarray(cv2.fillConvexPoly(canvas, outline, 1), np.bool_)


def random_mask(inside: Mask, area: int, rng: np.random.Generator) -> Mask:
    """A random blotch of exactly min(area, inside) pixels within the (S, S) bool `inside`."""
    import cv2

    size = inside.shape[0]
    cells = max(int(1 / GRAIN), 2) + 1
    noise = cv2.resize(rng.random((cells, cells)), (size, size), interpolation=cv2.INTER_CUBIC)
    order = np.argsort(np.where(inside, -noise, np.inf), axis=None, kind="stable")
    mask = np.zeros(inside.size, np.bool_)
    mask[order[: min(area, int(inside.sum()))]] = True
    return mask.reshape(inside.shape)


def _hidden(face: Face, mask: Mask, blurred: NDArray[np.float32]) -> Face:
    if mask.shape != (face.size, face.size):
        raise ValueError(f"mask must be {(face.size, face.size)}, as the crop; got {mask.shape}")
    cover = _soft(mask)[..., None]
    crop = face.crop * (1 - cover) + blurred * cover
    return face.replace(crop=np.round(crop).astype(np.uint8), units=_dimmed(face, mask))


def _soft(mask: Mask) -> NDArray[np.float32]:
    """1 inside the mask, falling to 0 over the feather outside it."""
    edge = _blur(mask.astype(np.float32), FEATHER * mask.shape[0])
    return np.asarray(np.where(mask, 1.0, np.minimum(2 * edge, 1.0)), np.float32)


def _dimmed(face: Face, mask: Mask) -> Units:
    """The units with their confidence lowered by the share of their region under the mask."""
    covered = {name: float(mask[m].mean()) for name, m in face.regions.items() if m.any()}
    dimmed = {}
    for number, unit in face.units.items():
        row = UNITS.get(number)
        share = covered.get(row.region, 0.0) if row else 0.0
        dimmed[number] = replace(unit, confidence=unit.confidence * max(0.0, 1.0 - 2.0 * share))
    return dimmed


def _blur(values: NDArray[np.float32], sigma: float) -> Any:
    import cv2

    return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REFLECT_101)
