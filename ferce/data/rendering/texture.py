"""What a photograph cannot show: eyeballs behind lids, lids without eyes, the inside of lips."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferce.data.rendering.kit import Floats
from ferce.data.rendering.regions import Regions

Image = NDArray[np.uint8]

# MediaPipe face mesh indices: eye openings (subject's right, left), irises, inner lips.
EYE_RINGS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
)
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
UPPER_INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
SKIN_SPOTS = (50, 280, 205, 425, 117, 346)  # cheeks: where the skin colour is read


def polygon(shape: tuple[int, ...], points: NDArray[Any], grow: int = 0) -> Floats:
    """Filled polygon, (H, W) 0..1 with soft edges, grown or shrunk by whole pixels."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    if grow:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1,) * 2)
        mask = (cv2.dilate if grow > 0 else cv2.erode)(mask, disc)
    return np.asarray(mask / 255.0, np.float32)


def lid_texture(image: Image, points: Floats) -> Image:
    """The photograph with skin grown over the eye openings, so that lids can move."""
    hole = np.zeros(image.shape[:2], np.uint8)
    for ring in EYE_RINGS:
        hole |= (polygon(image.shape, points[list(ring)], 1) > 0.4).astype(np.uint8)
    return np.asarray(cv2.inpaint(image, hole, 4, cv2.INPAINT_TELEA), np.uint8)


def eye_texture(image: Image, points: Floats) -> Image:
    """The photograph with whole eyeballs: what lids hide is painted in the eye's own colours."""
    out = image.copy()
    for ring, iris in zip(EYE_RINGS, IRISES, strict=True):
        opening = points[list(ring)]
        box, corner = _window(image.shape, opening, 0.5 * float(np.ptp(opening[:, 0])))
        part = out[box]
        if not part.size:
            continue  # the eye lies outside of the picture
        painted = _paint_eye(part, opening - corner, points[list(iris)] - corner)
        seen = cv2.GaussianBlur(polygon(part.shape, opening - corner, -2), (0, 0), 1.2)[..., None]
        out[box] = np.clip(painted * (1 - seen) + part * seen, 0, 255)
    return out


def _window(shape: tuple[int, ...], points: Floats, pad: float) -> tuple[Any, Floats]:
    """Slices of the box round some points, and its corner (x, y)."""
    limit = np.array(shape[1::-1])
    low = np.clip((points.min(0) - pad).astype(int), 0, limit)
    high = np.clip((points.max(0) + pad).astype(int), 0, limit)
    return np.s_[low[1] : high[1], low[0] : high[0]], low.astype(np.float32)


def _paint_eye(image: Image, opening: Floats, iris: Floats) -> Floats:
    """Sclera, iris with a dark outer ring, and pupil, (H, W, 3)."""
    centre, radius = iris[0], float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    away = np.hypot(xs - centre[0], ys - centre[1])
    white, colour = _eye_colours(image, polygon(image.shape, opening, -1) > 0.5, away / radius)
    ring = np.clip((away / radius - 0.75) / 0.25, 0, 1)[..., None]
    inside = np.clip((radius - away) / 2 + 0.5, 0, 1)[..., None]
    pupil = np.clip((0.4 * radius - away) / 2 + 0.5, 0, 1)[..., None]
    round_off = 1 - 0.22 * np.clip(away / radius - 1.4, 0, 1.2)[..., None]
    paint = white * round_off * (1 - inside) + colour * (1 - 0.4 * ring) * inside
    return np.asarray(paint * (1 - pupil) + 14 * pupil, np.float32)


def _eye_colours(image: Image, opening: NDArray[np.bool_], away: Floats) -> tuple[Floats, Floats]:
    """Medians of the white (its brighter half) and of the iris; plain colours where unseen."""
    white, colour = np.array([188.0, 180.0, 175.0]), np.array([72.0, 52.0, 40.0])
    iris, sclera = opening & (away > 0.5) & (away < 0.85), opening & (away > 1.25)
    if iris.sum() > 8:
        colour = np.median(image[iris], axis=0)
    if sclera.sum() > 8:
        light = image.mean(2)
        white = np.median(image[sclera & (light >= np.percentile(light[sclera], 60))], axis=0)
        white = 0.7 * white + 0.3 * white.mean()  # the white is whiter than its lit corner
    return white.astype(np.float32), colour.astype(np.float32)


def tuck_lips(regions: Regions, places: Floats, points: Floats) -> Floats:
    """Texture places (V, 2) with the hidden inside of each lip mirrored back onto that lip."""
    upper, lower = points[list(UPPER_INNER_LIP)], points[list(LOWER_INNER_LIP)]
    line = (upper + lower) / 2
    lip = np.flatnonzero(regions.lips > 0)
    margin = 0.012 * float(np.ptp(points[:, 0]))
    between = (places[lip, 0] > line[0, 0] + margin) & (places[lip, 0] < line[-1, 0] - margin)
    lip = lip[between]
    side = np.where(regions.lower_lip[lip], 1.0, -1.0)  # pictures grow downwards
    middle = np.interp(places[lip, 0], line[:, 0], line[:, 1])
    out = places.copy()
    out[lip, 1] = middle + side * np.maximum(np.abs(places[lip, 1] - middle), margin / 2)
    return out


def skin_colour(image: Image, points: Floats) -> Floats:
    """Median colour of the cheeks, (3,) RGB."""
    spots = np.clip(points[list(SKIN_SPOTS)].astype(int), 0, np.array(image.shape[1::-1]) - 1)
    return np.asarray(np.median(image[spots[:, 1], spots[:, 0]], axis=0), np.float32)
