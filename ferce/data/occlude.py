"""Light occlusion of an aligned crop: patches over regions, glasses, sunglasses, a face mask.

Each function takes (S, S, 3) uint8 pixels, where the face lies, and a generator, and returns new
pixels and the regions that can no longer be seen. The renders have better occluders of their own;
these serve any crop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import REGIONS, Pixels, Points

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
    """Positions of landmarks in an aligned crop: number -> (x, y) in pixels of side `size`."""

    points: Mapping[int, NDArray[np.float64]]
    size: int

    def at(self, number: int) -> NDArray[np.float64]:
        """Return the position (2,) of a landmark."""
        return self.points[number]

    def box(self, region: str) -> Box:
        """Compute the upright box around a region."""
        numbers, reach = _BOUNDS[region]
        spots = np.stack([self.points[n] for n in numbers])
        (x0, y0), (x1, y1) = spots.min(0) - reach * self.size, spots.max(0) + reach * self.size
        return float(x0), float(y0), float(x1), float(y1)

    def moved(self, matrix: NDArray[np.float64]) -> "Layout":
        """Move the layout as the (2, 3) affine `matrix` moved the pixels."""
        moved = {n: matrix[:, :2] @ p + matrix[:, 2] for n, p in self.points.items()}
        return Layout(moved, self.size)


def layout(size: int, landmarks: Points | None = None) -> Layout:
    """Build the layout of a crop from its landmarks, or from the average face.

    Args:
        size: side of the crop.
        landmarks: (478, 2) in pixels of the crop; None for the average face.
    """
    if landmarks is None:
        return Layout({n: np.array(p) * size for n, p in MEAN.items()}, size)
    return Layout({n: np.asarray(landmarks[n, :2], np.float64) for n in MEAN}, size)


Covered = tuple[Pixels, frozenset[str]]
Occluder = Callable[[Pixels, Layout, np.random.Generator], Covered]
HIDDEN_FROM = 0.6  # a region counts as hidden when this share of its box is covered


def patch(pixels: Pixels, face: Layout, rng: np.random.Generator) -> Covered:
    """Cover one region by a patch: plain, noisy, or a piece of the crop's border."""
    x0, y0, x1, y1 = face.box(str(rng.choice(REGIONS)))
    grow = rng.uniform(0.5, 1.3, 2)  # below about .75 the region stays partly visible
    shift = rng.uniform(-0.15, 0.15, 2) * (x1 - x0, y1 - y0)
    centre = np.array([x0 + x1, y0 + y1]) / 2 + shift
    half = np.maximum(np.array([x1 - x0, y1 - y0]) / 2 * grow, 2)
    box = (*(centre - half), *(centre + half))
    left, top, right, bottom = (int(np.clip(round(v), 0, face.size)) for v in box)
    out = pixels.copy()
    if right > left and bottom > top:
        out[top:bottom, left:right] = _filling(pixels, (bottom - top, right - left), rng)
    return out, _hidden(face, (left, top, right, bottom))


def _filling(pixels: Pixels, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make (h, w, 3) pixels that are no face."""
    kind = rng.integers(3)
    if kind == 0:
        return np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), (*shape, 3))
    if kind == 1:
        return np.asarray(rng.integers(0, 256, (*shape, 3)), np.uint8)
    rows = np.arange(shape[0]) % max(len(pixels) // 10, 1)
    return np.asarray(pixels[rows][:, np.arange(shape[1]) % pixels.shape[1]])


def _hidden(face: Layout, cover: Box) -> frozenset[str]:
    return frozenset(r for r in REGIONS if _share(face.box(r), cover) >= HIDDEN_FROM)


def _share(box: Box, cover: Box) -> float:
    """Compute the part of `box` that lies under `cover`, 0..1."""
    width = min(box[2], cover[2]) - max(box[0], cover[0])
    height = min(box[3], cover[3]) - max(box[1], cover[1])
    return max(width, 0) * max(height, 0) / ((box[2] - box[0]) * (box[3] - box[1]))


def glasses(pixels: Pixels, face: Layout, rng: np.random.Generator) -> Covered:
    """Draw rims, bridge and arms with clear lenses: everything stays visible."""
    import cv2

    out = pixels.copy()
    colour = [int(v) for v in rng.integers(10, 90, 3)]
    thick = max(round(face.size * rng.uniform(0.008, 0.018)), 1)
    for lens in _lenses(face, rng):
        cv2.polylines(out, [lens], True, colour, thick, cv2.LINE_AA)
    _arms(out, face, colour, thick)
    return out, frozenset()


def sunglasses(pixels: Pixels, face: Layout, rng: np.random.Generator) -> Covered:
    """Draw dark lenses: the eyes cannot be seen."""
    import cv2

    drawn = pixels.copy()
    colour = [int(v) for v in rng.integers(5, 50, 3)]
    thick = max(round(face.size * 0.012), 1)
    lenses = _lenses(face, rng)
    cv2.fillPoly(drawn, lenses, colour, cv2.LINE_AA)
    out = np.asarray(cv2.addWeighted(drawn, 0.94, pixels, 0.06, 0), np.uint8)
    for lens in lenses:
        cv2.polylines(out, [lens], True, colour, thick, cv2.LINE_AA)
    _arms(out, face, colour, thick)
    return out, frozenset({"eyes"})


def _lenses(face: Layout, rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Draw two outlines (48, 2) around the eyes, superellipses from round to nearly square."""
    power = rng.uniform(2.0, 4.0)
    across = np.linalg.norm(face.at(263) - face.at(33))
    width, height = across * rng.uniform(0.21, 0.25), across * rng.uniform(0.15, 0.2)
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    shape = np.stack([np.cos(turn), np.sin(turn)], 1)
    shape = np.sign(shape) * np.abs(shape) ** (2 / power) * (width, height)
    axis = (face.at(263) - face.at(33)) / across
    shape = shape @ np.array([[axis[0], axis[1]], [-axis[1], axis[0]]])
    centres = [(face.at(a) + face.at(b)) / 2 for a, b in ((33, 133), (362, 263))]
    return [np.round(shape + centre).astype(np.int32) for centre in centres]


def _arms(out: Pixels, face: Layout, colour: list[int], thick: int) -> None:
    """Draw the bridge between the lenses and the arms to the temples, in place."""
    import cv2

    lines = ((133, 362), (33, 127), (263, 356))
    for a, b in lines:
        ends = [tuple(int(v) for v in np.round(face.at(n))) for n in (a, b)]
        cv2.line(out, ends[0], ends[1], colour, thick, cv2.LINE_AA)


def mask(pixels: Pixels, face: Layout, rng: np.random.Generator) -> Covered:
    """Draw a cloth over nose, mouth and chin."""
    import cv2

    bridge = face.at(168) + rng.uniform(0.25, 0.5) * (face.at(1) - face.at(168))
    below = face.at(152) + 0.06 * (face.at(152) - face.at(168))
    outline = [face.at(234), bridge, face.at(454), face.at(397), below, face.at(172)]
    colour = np.array([[225, 228, 230], [150, 190, 215], [40, 40, 45], [190, 170, 150]])
    paint = [int(v) for v in rng.choice(colour) + rng.integers(-12, 13, 3)]
    out = pixels.copy()
    hull = cv2.convexHull(np.round(np.stack(outline)).astype(np.int32))
    cv2.fillPoly(out, [hull], [min(max(v, 0), 255) for v in paint], cv2.LINE_AA)
    shade = [max(v - 25, 0) for v in paint]
    for part in (0.3, 0.5, 0.7):  # pleats
        ends = [(1 - part) * face.at(a) + part * face.at(b) for a, b in ((234, 172), (454, 397))]
        a, b = (tuple(int(v) for v in np.round(end)) for end in ends)
        cv2.line(out, a, b, shade, max(face.size // 120, 1), cv2.LINE_AA)
    return out, frozenset({"nose", "mouth", "chin"})


OCCLUDERS: Mapping[str, Occluder] = MappingProxyType(
    {"patch": patch, "glasses": glasses, "sunglasses": sunglasses, "mask": mask}
)
