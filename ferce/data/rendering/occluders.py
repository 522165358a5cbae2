"""Draw occluders before a face: glasses, a mask, a hand, strands of hair."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.raster import cover

ANCHORS = (0, 4, 8, 12, 16, 27, 30, 36, 39, 42, 45)  # landmarks68 that do not move with expressions


@dataclass(frozen=True)
class CoveredFace:
    """The face that is covered: places (V, 3) in pixels, colours RGB."""

    kit: Kit
    points: Floats
    skin: Floats
    hair: Floats

    def place(self, spots: NDArray[np.float64]) -> Floats:
        """Project points fixed to the mean head, (N, 3) cm, into the picture, (N, 2) pixels."""
        ids = self.kit.landmarks68[list(ANCHORS)]
        design = np.c_[self.kit.vertices[ids], np.ones(len(ids))]
        solved = np.linalg.lstsq(design, self.points[ids, :2], rcond=None)[0]
        return np.asarray(np.c_[spots, np.ones(len(spots))] @ solved, np.float32)

    def mark(self, landmark: int) -> NDArray[np.float64]:
        """Return a landmark of the mean head, cm."""
        return np.asarray(self.kit.vertices[self.kit.landmarks68[landmark]], np.float64)

    @property
    def pixel(self) -> float:
        """Pixels of a centimetre."""
        eyes = self.kit.landmarks68[[36, 45]]
        apart = np.linalg.norm(np.diff(self.points[eyes, :2], axis=0))
        return float(apart / np.linalg.norm(np.diff(self.kit.vertices[eyes, :2], axis=0)))


def glasses(image: Pixels, covered: CoveredFace, rng: np.random.Generator) -> Pixels:
    """Draw two rims, bridge and arms, with faint lenses."""
    dark = rng.uniform(12, 60) + rng.normal(0, 6, 3)
    colour = dark if rng.random() < 0.75 else np.array([150, 130, 90.0])
    thick = max(int(covered.pixel * rng.uniform(0.12, 0.32)), 1)
    width, height, power = rng.uniform(2.15, 2.6), rng.uniform(1.5, 2.1), rng.uniform(2, 3.6)
    out = image.astype(np.float32)
    rims = [_rim(covered, side, (width, height), power) for side in (-1, 1)]
    out = _lenses(out, covered, rims, rng)
    strokes = [*rims, *(_arm(covered, side, width) for side in (-1, 1)), _bridge(covered, width)]
    shadow = _strokes(
        image.shape, strokes, thick, (0.0, 0.18 * covered.pixel), covered.pixel * 0.12
    )
    frame = _strokes(image.shape, strokes, thick, (0.0, 0.0), 0.6)
    out = out * (1 - 0.3 * shadow) * (1 - frame) + frame * colour
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _rim(covered: CoveredFace, side: int, size: tuple[float, float], power: float) -> Floats:
    """Outline a superellipse before one eye."""
    corners = (36, 39) if side < 0 else (42, 45)
    centre = (covered.mark(corners[0]) + covered.mark(corners[1])) / 2
    turn = np.linspace(0, 2 * np.pi, 49)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * size[0]
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * size[1]
    spots = np.stack([centre[0] + side * 0.15 + x, centre[1] - 0.35 + y, np.zeros(49)], axis=1)
    spots[:, 2] = covered.mark(27)[2] - 0.1 - 0.045 * spots[:, 0] ** 2
    return covered.place(spots)


def _arm(covered: CoveredFace, side: int, width: float) -> Floats:
    eye, ear = covered.mark(36 if side < 0 else 45), covered.mark(0 if side < 0 else 16)
    start = np.array([side * (3.15 + width), eye[1] + 0.3, eye[2] + 0.5])
    return covered.place(np.stack([start, [ear[0] * 1.02, eye[1] + 0.5, ear[2] - 1.0]]))


def _bridge(covered: CoveredFace, width: float) -> Floats:
    top, gap = covered.mark(27), max(3.3 - width, 0.4)
    arch = np.array([(x, 0.1 - 0.25 * abs(x), 0.1) for x in (-gap, 0, gap)])
    return covered.place(top + arch)


def _strokes(
    shape: tuple[int, ...], lines: list[Floats], thick: int, shift: tuple[float, float], blur: float
) -> Floats:
    mask = np.zeros(shape[:2], np.uint8)
    for line in lines:
        cv2.polylines(
            mask, [np.round((line + shift) * 8).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 3
        )
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(blur, 0.3)) / 255.0, np.float32)[..., None]


def _lenses(
    image: Floats, covered: CoveredFace, rims: list[Floats], rng: np.random.Generator
) -> Floats:
    """Tint the lenses lightly and add a reflection as a slanting band."""
    tint = rng.uniform(0.86, 0.98)
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    slant = (xs + ys * rng.uniform(0.5, 1.2)) / (covered.pixel * 3)
    band = np.clip(np.sin(slant + rng.uniform(0, 6)) * 3 - 2.2, 0, 1)[..., None] * rng.uniform(
        0, 60
    )
    for rim in rims:
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(rim).astype(np.int32)], 255, cv2.LINE_AA)
        share = (mask / 255.0)[..., None]
        image = image * (1 - share) + share * (image * tint + band)
    return np.asarray(image, np.float32)


def mask(image: Pixels, covered: CoveredFace, rng: np.random.Generator) -> Pixels:
    """Draw a cloth over nose, mouth and chin, with loops to the ears."""
    kit = covered.kit
    skin = kit.vertices[: kit.narrow]
    nose, chin, ear = covered.mark(29)[1], covered.mark(8)[1], abs(covered.mark(2)[0])
    x, y = skin[:, 0], skin[:, 1]
    inside = (y < nose + 0.9 - 0.02 * x**2) & (y > chin - 1.2) & (np.abs(x) < ear * 0.96)
    chosen = np.zeros(len(kit.vertices), bool)
    chosen[: kit.narrow] = inside & (skin[:, 2] > covered.mark(2)[2])
    triangles = kit.triangles[chosen[kit.triangles].all(1)]
    if not len(triangles):
        return image
    colour = np.array(rng.choice([[222, 226, 228], [150, 190, 214], [40, 40, 44]]), float)
    seen = cover(covered.points, triangles, *image.shape[:2])
    drawn = _filled(seen.triangle >= 0)
    bulge = np.minimum(cv2.distanceTransform(drawn, cv2.DIST_L2, 5) / (4.5 * covered.pixel), 1)
    round_ = cv2.GaussianBlur(np.sqrt(bulge), (0, 0), 0.3 * covered.pixel)
    tilt = cv2.Sobel(round_, cv2.CV_32F, 0, 1) - 0.5 * cv2.Sobel(round_, cv2.CV_32F, 1, 0)
    cloth = np.clip(0.78 + 0.22 * round_ + 0.9 * tilt, 0.4, 1.15) * _pleats(covered, image.shape)
    level = float(np.clip(covered.skin.mean() / 170, 0.5, 1.0))
    share = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 0.9)[..., None]
    out = image * (1 - share) + share * colour * level * cloth[..., None]
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _filled(covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Fill the outline of a region without holes, (H, W) 0 or 1."""
    out = np.zeros(covered.shape, np.uint8)
    outline = cv2.findContours(covered.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return np.asarray(cv2.drawContours(out, outline[0], -1, 1, cv2.FILLED))


def _pleats(covered: CoveredFace, shape: tuple[int, ...]) -> Floats:
    """Draw three soft horizontal folds between nose and chin."""
    top, bottom = covered.place(np.stack([covered.mark(30), covered.mark(8)]))[:, 1]
    rows = (np.arange(shape[0]) - top) / (bottom - top + 1e-6)
    wave = 1 - 0.09 * np.clip(np.sin(rows * 2 * np.pi * 3), 0, 1) * ((rows > 0) & (rows < 1))
    return np.asarray(np.repeat(wave[:, None], shape[1], axis=1), np.float32)


def hand(image: Pixels, covered: CoveredFace, rng: np.random.Generator) -> Pixels:
    """Draw fingers and palm on a cheek, the chin or the mouth, coming from below."""
    side = rng.choice([-1.0, 1.0])
    corner = covered.mark(48 if side < 0 else 54)
    spot = corner[:2] + np.array([side * rng.uniform(0.6, 2.6), rng.uniform(-2.4, 1.2)])
    aim = np.array([-side * rng.uniform(0.1, 0.55), 1.0])
    aim /= np.linalg.norm(aim)
    across = np.array([aim[1], -aim[0]]) * side
    height = np.zeros(image.shape[:2], np.float32)
    for k, (reach, radius) in enumerate(((0.2, 0.72), (0.9, 0.78), (0.6, 0.76), (-0.5, 0.62))):
        root = spot + across * (k - 1.5) * 1.45 - aim * 6.5
        tip = spot + across * (k - 1.5) * 1.62 + aim * (reach + rng.normal(0, 0.2))
        bent = (root + tip) / 2 + across * 0.1 * (k - 1.5)
        line = covered.place(np.c_[np.stack([tip, bent, root]), np.full(3, corner[2])])
        height = np.maximum(height, _capsule(height.shape, line, radius * covered.pixel))
    palm = np.stack([spot - aim * 6.8, spot - aim * 14])
    line = covered.place(np.c_[palm, np.full(2, corner[2])])
    height = np.maximum(height, _capsule(height.shape, line, 3.1 * covered.pixel))
    return _lay_skin(image, height, covered.skin * rng.uniform(0.86, 0.98), covered.pixel)


def _capsule(shape: tuple[int, ...], line: Floats, radius: float) -> Floats:
    """Compute the height of a round bar along a polyline, 1 on its ridge, 0 outside."""
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    best = np.full(shape, np.inf, np.float32)
    for a, b in itertools.pairwise(line):
        d = b - a
        t = np.clip(((xs - a[0]) * d[0] + (ys - a[1]) * d[1]) / (d @ d + 1e-6), 0, 1)
        best = np.minimum(best, np.hypot(xs - a[0] - t * d[0], ys - a[1] - t * d[1]))
    return np.asarray(np.sqrt(np.clip(1 - (best / radius) ** 2, 0, 1)), np.float32)


def _lay_skin(image: Pixels, height: Floats, colour: Floats, pixel: float) -> Pixels:
    """Shade a height map as skin, with the shadow it throws."""
    soft = cv2.GaussianBlur(height, (0, 0), 0.1 * pixel)
    slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0) * pixel / 18
    slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1) * pixel / 18
    shade = np.clip(0.62 + 0.36 * soft - 0.1 * slope_x + 0.14 * slope_y, 0.35, 1.1)
    crease = cv2.GaussianBlur(np.clip(0.5 - height, 0, 1), (0, 0), 0.12 * pixel)
    ruddy = 1 + np.array([0.02, -0.06, -0.07]) * (1 - soft[..., None]) - 0.3 * crease[..., None]
    cover_ = (height > 0.12).astype(np.float32)
    share = cv2.GaussianBlur(cover_, (0, 0), 1.0)[..., None]
    shadow = cv2.GaussianBlur(cover_, (0, 0), 0.45 * pixel)[..., None]
    out = image * (1 - 0.45 * shadow) * (1 - share) + share * colour * shade[..., None] * ruddy
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def hair(image: Pixels, covered: CoveredFace, rng: np.random.Generator) -> Pixels:
    """Draw a lock that falls from the crown past the eye to the cheek."""
    side, width = rng.choice([-1.0, 1.0]), rng.uniform(0.8, 1.6)
    fall, low = rng.uniform(3.0, 5.0), rng.uniform(-3.5, 3.0)
    layer = np.zeros((*image.shape[:2], 4), np.float32)
    for _ in range(int(rng.integers(200, 330))):
        off = float(rng.normal(0, width))
        crown = np.array([side * (1.2 + 0.5 * off), 13.5, 5.0])
        brow = np.array([side * (fall + 0.9 + off), 9.0 + rng.normal(0, 0.3), 9.5])
        end = np.array(
            [side * (fall + 0.8 * off + rng.normal(0.6, 0.3)), low + rng.normal(0, 1.3), 9.5]
        )
        t = np.linspace(0, 1, 16)[:, None]
        curve = (1 - t) ** 2 * crown + 2 * t * (1 - t) * brow + t**2 * end
        _strand(layer, covered.place(curve), covered.hair * rng.uniform(0.6, 1.35), covered.pixel)
    share = np.clip(cv2.GaussianBlur(layer[..., 3:], (0, 0), 0.8)[..., None], 0, 1) * 0.95
    colour = cv2.GaussianBlur(layer[..., :3], (0, 0), 0.6)
    colour = colour / np.maximum(cv2.GaussianBlur(layer[..., 3], (0, 0), 0.6), 0.05)[..., None]
    shadow = cv2.GaussianBlur(layer[..., 3:], (0, 0), 0.3 * covered.pixel)[..., None]
    out = image * (1 - 0.3 * np.clip(shadow, 0, 1)) * (1 - share) + share * colour
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _strand(layer: Floats, line: Floats, colour: Floats, pixel: float) -> None:
    value = (*(float(c) for c in colour), 1.0)
    thick = max(int(pixel * 0.06), 1)
    cv2.polylines(layer, [np.round(line).astype(np.int32)], False, value, thick)


OCCLUDERS: Mapping[str, Callable[[Pixels, CoveredFace, np.random.Generator], Pixels]] = {
    "glasses": glasses,
    "mask": mask,
    "hand": hand,
    "hair": hair,
}
