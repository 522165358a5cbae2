"""Where the parts of a face lie in an aligned crop: measured, or on the average face."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import REGIONS, Points

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the crop

# Mean landmarks of 83 frontal faces as `ferce.faces` aligns them, as shares of the crop's side;
# they vary by .01 to .04 from face to face. Numbers are MediaPipe's.
MEAN: Mapping[int, tuple[float, float]] = MappingProxyType(
    {
        33: (0.319, 0.372),
        133: (0.427, 0.379),
        362: (0.567, 0.380),
        263: (0.675, 0.371),
        159: (0.363, 0.351),
        145: (0.370, 0.385),
        386: (0.632, 0.351),
        374: (0.623, 0.385),
        70: (0.267, 0.315),
        107: (0.436, 0.292),
        336: (0.556, 0.292),
        300: (0.729, 0.314),
        168: (0.496, 0.362),
        1: (0.494, 0.535),
        2: (0.495, 0.559),
        98: (0.424, 0.547),
        327: (0.568, 0.547),
        127: (0.219, 0.388),
        356: (0.782, 0.387),
        234: (0.221, 0.446),
        454: (0.781, 0.444),
        172: (0.275, 0.690),
        397: (0.726, 0.691),
        152: (0.496, 0.832),
        61: (0.381, 0.635),
        291: (0.614, 0.635),
        0: (0.495, 0.617),
        17: (0.495, 0.695),
        50: (0.298, 0.501),
        280: (0.697, 0.500),
        205: (0.331, 0.536),
        425: (0.663, 0.536),
    }
)
# Landmarks that bound each region, and how far it reaches beyond them (share of the crop's side).
_BOUNDS: Mapping[str, tuple[tuple[int, ...], float]] = MappingProxyType(
    {
        "brows": ((70, 107, 336, 300), 0.04),
        "eyes": ((33, 263, 159, 145, 386, 374), 0.02),
        "nose": ((168, 1, 2, 98, 327), 0.01),
        "cheeks": ((234, 454, 50, 280, 205, 425), 0.03),
        "mouth": ((61, 291, 0, 17), 0.02),
        "chin": ((17, 152, 61, 291), -0.01),
    }
)
assert set(_BOUNDS) == set(REGIONS), "one box for each region"


@dataclass(frozen=True, eq=False)
class Layout:
    """Landmark -> (x, y) in pixels of a crop of side `size`."""

    points: Mapping[int, NDArray[np.float64]]
    size: int

    def at(self, number: int) -> NDArray[np.float64]:
        """(2,) the landmark."""
        return self.points[number]

    def box(self, region: str) -> Box:
        """The upright box around a region."""
        numbers, reach = _BOUNDS[region]
        spots = np.stack([self.points[n] for n in numbers])
        (x0, y0), (x1, y1) = spots.min(0) - reach * self.size, spots.max(0) + reach * self.size
        return float(x0), float(y0), float(x1), float(y1)

    def moved(self, matrix: NDArray[np.float64]) -> "Layout":
        """The layout after the pixels went through the (2, 3) affine `matrix`."""
        moved = {n: matrix[:, :2] @ p + matrix[:, 2] for n, p in self.points.items()}
        return Layout(moved, self.size)


def layout(size: int, landmarks: Points | None = None) -> Layout:
    """The layout of a crop.

    Args:
        size: side of the crop.
        landmarks: (478, 2) in pixels of the crop; None for the average face.
    """
    if landmarks is None:
        return Layout({n: np.array(p) * size for n, p in MEAN.items()}, size)
    return Layout({n: np.asarray(landmarks[n, :2], np.float64) for n in MEAN}, size)
