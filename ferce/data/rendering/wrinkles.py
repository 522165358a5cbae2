"""Draw folds of skin that a coarse mesh cannot bend, as a height map driven by action units.

Every fold is a curve on the mean head, placed by the 68 landmarks. A map of heights is the sum of
the active folds; its slope against the light and its depth darken or brighten the skin.
Which unit folds what: Ekman, Friesen & Hager, Facial Action Coding System (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ferce.data.rendering.kit import Floats, Kit

PIXELS = 24  # map pixels a centimetre
LEFT, TOP, WIDTH, HEIGHT = -9.0, 12.5, 18.0, 23.0  # the map's frame on the mean head, cm
SIDES = ("left", "right")
MIDDLE = (
    1,
    2,
    4,
    9,
)  # units whose folds cross the middle: both sides are drawn alike, to meet there


@dataclass(frozen=True)
class Fold:
    """A valley along a curve on the mean head, with a swelling beside it."""

    curve: NDArray[np.float64]  # (M, 2) cm, for the subject's left side (x > 0)
    width: float  # cm, half the valley
    depth: float  # 1 = as deep as folds get
    bulge: float = 0.5  # height of the swelling beside it, share of the depth


Folds = list[Fold]
Marks = NDArray[np.float64]  # (68, 2) landmarks of the mean head, cm


def _line(*points: tuple[float, float]) -> NDArray[np.float64]:
    """Draw a smooth curve through points."""
    given = np.array(points, float)
    steps = np.linspace(0, len(given) - 1, 24)
    degree = min(len(given) - 1, 3)
    fit = [np.polyfit(np.arange(len(given)), given[:, k], degree) for k in (0, 1)]
    return np.stack([np.polyval(f, steps) for f in fit], axis=1)


def forehead(marks: Marks, rng: np.random.Generator, start: float, stop: float) -> Folds:
    """Draw two to four lines above a brow, between two shares of its width from the middle."""
    inner, outer = marks[22], marks[26]
    count = int(rng.integers(3, 5))
    reach = outer[0]
    out = []
    for k in range(count):
        y = inner[1] + 1.0 + 0.78 * k + rng.normal(0, 0.09)
        xs = np.linspace(start, stop, 5) * reach
        arch = 0.5 * np.sin(np.pi * np.clip(xs / reach, 0, 1)) ** 2  # level in the middle
        wave = rng.normal(0, 0.05, 5)
        points = np.stack([xs, y + arch + wave], axis=1)
        out.append(Fold(_line(*map(tuple, points)), 0.085, 0.85 - 0.12 * k, 0.7))
    return out


def inner_brow(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU1: lines in the middle of the forehead."""
    return forehead(marks, rng, -0.08, 0.45)


def outer_brow(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU2: lines above the outer half of the brow."""
    return forehead(marks, rng, 0.4, 0.92)


def frown(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU4: an upright crease beside the middle, the corrugator's slant, the nose root."""
    x, y = marks[22][0], marks[22][1]
    lean = rng.normal(0, 0.06)
    crease = _line((0.52 + lean, y - 0.9), (0.5 + lean, y - 0.1), (0.6 + lean, y + 0.95))
    slant = _line((x + 0.25, y + 0.35), (x + 0.95, y + 0.75), (x + 1.7, y + 0.8))
    root = marks[27][1] + 0.75
    bar = _line((-0.05, root), (0.4, root + 0.06), (0.85, root + 0.25))
    return [Fold(crease, 0.1, 1.0, 0.85), Fold(slant, 0.2, 0.5, 0.6), Fold(bar, 0.09, 0.45)]


def crows_feet(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU6: rays from the outer eye corner, and the pouch under the eye."""
    cx, cy = marks[45] + (0.45, 0.05)
    rays = []
    for angle in np.radians([28, 4, -20, -42]) + rng.normal(0, 0.06, 4):
        far = 1.25 + rng.normal(0, 0.12)
        dx, dy = np.cos(angle), np.sin(angle)
        points = ((cx, cy + 0.2 * dy), (cx + 0.5 * far * dx, cy + 0.5 * far * dy - 0.03))
        ray = _line(*points, (cx + far * dx, cy + far * dy - 0.14))
        rays.append(Fold(ray, 0.06, 0.6, 0.6))
    under = marks[46][1] - 0.75
    pouch = _line(
        (marks[42][0], under + 0.25), (marks[46][0] - 0.6, under - 0.25), (cx, under + 0.2)
    )
    return [*rays, Fold(pouch, 0.13, 0.6, 0.8)]


def lid_crease(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU7: a line close under the lower lid."""
    y = marks[46][1] - 0.35 + rng.normal(0, 0.03)
    line = _line((marks[42][0], y + 0.12), (marks[47][0], y - 0.12), (marks[45][0], y + 0.2))
    return [Fold(line, 0.08, 0.6, 0.9)]


def nose_root(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU9: bars across the root of the nose and slanting lines on its side."""
    top, out = marks[27][1], []
    for k in range(3):
        y = top + 0.55 - 0.42 * k + rng.normal(0, 0.03)
        out.append(
            Fold(_line((-0.05, y), (0.35, y + 0.03), (0.75, y + 0.16)), 0.075, 0.8 - 0.1 * k, 0.8)
        )
    for k in range(3):
        y = top - 0.55 - 0.4 * k + rng.normal(0, 0.04)
        line = _line((0.42, y + 0.3), (0.8, y), (1.2 + 0.1 * k, y - 0.32))
        out.append(Fold(line, 0.07, 0.8, 0.8))
    return out


def nasolabial(start: float, stop: float, depth: float) -> Callable[..., Folds]:
    """Draw AU10, 11, 12: a part of the fold from the nose wing round the mouth corner."""

    def folds(marks: Marks, rng: np.random.Generator) -> Folds:
        wing, corner = marks[35], marks[54]
        side = 1.0 + rng.normal(0, 0.06)
        points = ((wing[0] + 0.35, wing[1] + 0.75), (wing[0] + 1.05, wing[1] - 0.4))
        curve = _line(
            *points,
            (corner[0] + 0.75 * side, corner[1] + 0.75),
            (corner[0] + 0.8 * side, corner[1] - 0.5),
        )
        part = curve[int(start * 23) : int(stop * 23) + 1]
        return [Fold(part, 0.14, depth, 0.8)]

    return folds


def dimple(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU14: a short upright arc beside the mouth corner."""
    x, y = marks[54] + (0.45 + rng.normal(0, 0.03), 0.0)
    return [Fold(_line((x - 0.05, y + 0.55), (x + 0.15, y), (x - 0.05, y - 0.5)), 0.12, 0.8, 0.7)]


def corner_drop(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU15: a line running down from the mouth corner."""
    x, y = marks[54]
    end = x + 0.55 + rng.normal(0, 0.05)
    return [Fold(_line((x + 0.15, y - 0.1), (x + 0.4, y - 0.8), (end, y - 1.7)), 0.13, 0.7, 0.7)]


def chin(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU17: the crease under the lower lip and the dimpled ball of the chin."""
    y = marks[57][1] - 0.95
    crease = Fold(_line((-0.1, y), (0.6, y - 0.05), (1.25, y - 0.35)), 0.14, 0.7, 0.8)
    dots = []
    for _ in range(12):
        x, low = rng.uniform(0, 1.15), y - rng.uniform(0.5, 1.7)
        step = rng.normal(0, 0.12, 2)
        dots.append(Fold(_line((x, low), (x + step[0], low + step[1])), 0.09, 0.32, 0.6))
    return [crease, *dots]


def stretch(marks: Marks, rng: np.random.Generator) -> Folds:
    """Draw AU20: two upright arcs beyond the mouth corner."""
    x, y = marks[54]
    out = []
    for k in range(2):
        near = x + 0.6 + 0.5 * k + rng.normal(0, 0.04)
        line = _line((near - 0.1, y + 0.8), (near + 0.1, y), (near - 0.05, y - 0.9))
        out.append(Fold(line, 0.12, 0.5 - 0.15 * k, 0.7))
    return out


FOLDS: Mapping[int, Callable[..., Folds]] = {
    1: inner_brow,
    2: outer_brow,
    4: frown,
    6: crows_feet,
    7: lid_crease,
    9: nose_root,
    10: nasolabial(0.0, 0.62, 0.95),
    11: nasolabial(0.1, 0.75, 0.8),
    12: nasolabial(0.05, 1.0, 0.9),
    14: dimple,
    15: corner_drop,
    17: chin,
    20: stretch,
}


def height_map(
    kit: Kit, units: Mapping[int, tuple[float, float]], seed: int, strength: float = 1.0
) -> Floats:
    """Sum the heights of all active folds, (rows, columns), valleys negative.

    units: action unit -> (left, right) intensity 0..1, the subject's sides. The same seed gives a
    person the same folds in every picture; strength grows with age.
    """
    marks = kit.vertices[kit.landmarks68, :2].astype(float)
    out = np.zeros((int(HEIGHT * PIXELS), int(WIDTH * PIXELS)), np.float32)
    for unit, sides in units.items():
        if unit not in FOLDS:
            continue
        for side, intensity in zip(SIDES, sides, strict=True):
            if intensity > 0.02:
                alike = unit in MIDDLE or side == "left"
                rng = np.random.default_rng([seed, unit, 0 if alike else 1])
                for fold in FOLDS[unit](marks, rng):
                    _press(out, fold, side, strength * intensity**1.1)
    return out


def _press(heights: Floats, fold: Fold, side: str, depth: float) -> None:
    """Add one fold to the map, in a window around its curve."""
    curve = fold.curve * ((1, 1) if side == "left" else (-1, 1))
    pad = 5 * fold.width
    low, high = curve.min(0) - pad, curve.max(0) + pad
    c0, c1 = (int(np.clip((x - LEFT) * PIXELS, 0, heights.shape[1])) for x in (low[0], high[0]))
    r0, r1 = (int(np.clip((TOP - y) * PIXELS, 0, heights.shape[0])) for y in (high[1], low[1]))
    if c1 <= c0 or r1 <= r0:
        return
    away, along = _distances(curve, (r0, r1, c0, c1))
    taper = np.clip(4 * np.minimum(along, 1 - along) + 0.15, 0, 1)
    valley = np.exp(-0.5 * (away / fold.width) ** 2)
    swell = np.exp(-0.5 * ((away - 2.4 * fold.width) / (1.3 * fold.width)) ** 2)
    heights[r0:r1, c0:c1] += depth * fold.depth * taper * (0.5 * fold.bulge * swell - valley)


def _distances(curve: NDArray[np.float64], box: tuple[int, int, int, int]) -> tuple[Floats, Floats]:
    """Measure each map pixel's distance (cm) from a curve, and its place along it (0..1)."""
    r0, r1, c0, c1 = box
    xs = LEFT + (np.arange(c0, c1) + 0.5) / PIXELS
    ys = TOP - (np.arange(r0, r1) + 0.5) / PIXELS
    square = (xs[None, :, None] - curve[:, 0]) ** 2 + (ys[:, None, None] - curve[:, 1]) ** 2
    nearest = square.argmin(2)
    away = np.sqrt(np.take_along_axis(square, nearest[..., None], 2)[..., 0])
    return away.astype(np.float32), (nearest / (len(curve) - 1)).astype(np.float32)


def shading_map(heights: Floats, light: tuple[float, float, float]) -> Floats:
    """Compute the brightness factor 0.5 .. 1.22 of a height map (x right, y up, z front)."""
    smooth = cv2.GaussianBlur(heights, (0, 0), 0.8)
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    slope_y = -cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)  # rows grow downwards
    length = float(np.linalg.norm(light)) + 1e-6
    tilt = -(light[0] * slope_x + light[1] * slope_y) / length
    hollow = np.minimum(smooth, 0)  # valleys see less of the sky
    return np.asarray(np.clip(1 + 0.9 * tilt + 0.3 * hollow, 0.5, 1.22), np.float32)


def sample_map(values: Floats, places: Floats) -> Floats:
    """Read a map at mean-head positions (H, W, 2) cm -> (H, W); 1 outside."""
    columns = (places[..., 0] - LEFT) * PIXELS - 0.5
    rows = (TOP - places[..., 1]) * PIXELS - 0.5
    return np.asarray(
        cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderValue=1.0), np.float32
    )
