"""Hide parts of a face: blur their pixels and make action units seen there unknown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import spread
from ferce.core.types import Face, Mask, Pixels, Units
from ferce.facs.prototypes import UNITS

# Gaussian sigma of the blur as a share of the crop's side: 18 px at 224, a mouth is then a smudge.
BLUR = 0.08
# Sigma of the soft edge as a share of the crop's side, so that hiding draws no line of its own.
FEATHER = 0.015
# A random region is a thresholded noise whose grain is this share of the crop's side.
GRAIN = 0.12
# Cover by a pixel of the blurred mask, 0..255: whole from the mask's own border on.
_EDGE = np.minimum(np.arange(256, dtype=np.float32) * np.float32(2 / 255), 1)
_WIDE = 8.0  # sigma in pixels from which a blur is done on a smaller picture


def hide_masks(face: Face, masks: Sequence[Mask]) -> list[Face]:
    """Hide each mask in its own copy of the face; the crop is blurred once for all.

    Pixels under a mask are blurred (sigma `BLUR`), with a soft edge outside it. The confidence of
    an action unit falls with the share of its region that is covered and is 0 from one half on.

    Raises:
        ValueError: a mask has not the size of the crop.
    """
    blurred = np.asarray(_blur(face.crop, BLUR * face.size), np.uint8)
    areas = {name: int(np.count_nonzero(region)) or 1 for name, region in face.regions.items()}
    parts = spread(lambda part: [_hidden(face, mask, blurred, areas) for mask in part], masks)
    return [hidden for part in parts for hidden in part]


def region_mask(face: Face, names: Iterable[str]) -> Mask:
    """Unite the masks of the named regions, (S, S) bool; ValueError when the face lacks one."""
    union = np.zeros((face.size, face.size), np.bool_)
    for name in names:
        if name not in face.regions:
            known = ", ".join(face.regions) or "none (the face came without landmarks)"
            raise ValueError(f"The face has no mask of region {name!r}. It has: {known}.")
        union |= face.regions[name]
    return union


def face_mask(face: Face) -> Mask:
    """Fill the face's outline, (S, S) bool; the whole crop for a face without landmarks."""
    if face.landmarks is None:
        return np.ones((face.size, face.size), np.bool_)
    import cv2

    outline = cv2.convexHull(np.round(face.landmarks_in_crop).astype(np.int32))
    canvas = np.zeros((face.size, face.size), np.uint8)
    return np.asarray(cv2.fillConvexPoly(canvas, outline, 1), np.bool_)


def random_mask(inside: Mask, area: int, rng: np.random.Generator) -> Mask:
    """Draw a random region of exactly min(area, inside) pixels within the (S, S) bool `inside`."""
    import cv2

    size = inside.shape[0]
    cells = max(int(1 / GRAIN), 2) + 1
    noise = cv2.resize(rng.random((cells, cells)), (size, size), interpolation=cv2.INTER_CUBIC)
    places = np.flatnonzero(inside)
    area = min(area, len(places))
    mask = np.zeros(inside.size, np.bool_)
    if area:
        highest = np.argpartition(-noise.ravel()[places], area - 1)[:area]
        mask[places[highest]] = True
    return mask.reshape(inside.shape)


def _hidden(face: Face, mask: Mask, blurred: Pixels, areas: Mapping[str, int]) -> Face:
    """Hide a mask; `areas` are the pixels of each region."""
    import cv2

    if mask.shape != (face.size, face.size):
        raise ValueError(f"mask must be {(face.size, face.size)}, as the crop; got {mask.shape}")
    crop, part = face.crop.copy(), _around(mask)
    cover = _soft(mask[part], FEATHER * face.size)
    crop[part] = cv2.blendLinear(blurred[part], crop[part], cover, 1 - cover)
    covered = {
        name: np.count_nonzero(mask[part] & region[part]) / areas[name]
        for name, region in face.regions.items()
    }
    return face.replace(crop=crop, units=_dimmed(face.units, covered), hidden=covered)


def _around(mask: Mask) -> tuple[slice, slice]:
    """Find the part of the crop that hiding a mask changes: the mask and its soft edge."""
    sigma = FEATHER * len(mask)
    reach = math.ceil(3 * sigma) + 2 if sigma <= _WIDE else len(mask)
    return _span(np.any(mask, 1), reach), _span(np.any(mask, 0), reach)


def _span(line: Mask, reach: int) -> slice:
    """Find where a line of (S,) bool has any, with so many more at both ends; one pixel if none."""
    places = np.flatnonzero(line)
    if not len(places):
        return slice(0, 1)
    return slice(max(int(places[0]) - reach, 0), int(places[-1]) + reach + 1)


def _soft(mask: Mask, sigma: float) -> NDArray[np.float32]:
    """Feather the mask: 1 inside, falling to 0 outside it."""
    import cv2

    inside = mask.astype(np.uint8) * 255
    edge = np.maximum(_blur(inside, sigma), inside)
    return np.asarray(cv2.LUT(edge, _EDGE), np.float32)


def _dimmed(units: Units, covered: Mapping[str, float]) -> Units:
    """Lower the units' confidence by the share of their region that is covered."""
    dimmed = dict(units)
    for number, unit in units.items():
        share = covered.get(UNITS[number].region, 0.0) if number in UNITS else 0.0
        if share > 0:
            left = max(0.0, 1.0 - 2.0 * share)
            dimmed[number] = unit.dimmed(left)
    return dimmed


def _blur(values: NDArray[Any], sigma: float) -> Any:
    """Blur by a Gaussian; a wide one at a quarter of the size, where it is 16 times faster."""
    import cv2

    if sigma > _WIDE and min(values.shape[:2]) >= 4 * _WIDE:
        small = cv2.resize(values, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / 4, borderType=cv2.BORDER_REFLECT_101)
        return cv2.resize(small, values.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REFLECT_101)
