"""Paint what a photograph cannot show: eyeballs, lids, the mouth inside, what is around a face."""

from __future__ import annotations

from typing import Any

import cv2
import numba as nb
import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.regions import FLESH, TEETH, Regions

# MediaPipe face mesh indices: eye openings (subject's right, left), irises, inner lips.
EYE_RINGS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
)
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
UPPER_INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
SKIN_SPOTS = (50, 280, 205, 425, 117, 346)  # cheeks: where the skin colour is read

CELL = 8  # pixels of one cell of the displacement field
ROUNDS = 260  # over-relaxation sweeps; a 64 x 64 field is still within 0.1 px


def polygon(shape: tuple[int, ...], points: NDArray[Any], grow: int = 0) -> Floats:
    """Fill a polygon, (H, W) 0..1 with soft edges, grown or shrunk by whole pixels."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    if grow:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1,) * 2)
        mask = (cv2.dilate if grow > 0 else cv2.erode)(mask, disc)
    return np.asarray(mask / 255.0, np.float32)


def lid_texture(image: Pixels, points: Floats) -> Pixels:
    """Grow skin over the eye openings of the photograph, so that lids can move."""
    hole = np.zeros(image.shape[:2], np.uint8)
    for ring in EYE_RINGS:
        hole |= (polygon(image.shape, points[list(ring)], 1) > 0.4).astype(np.uint8)
    return np.asarray(cv2.inpaint(image, hole, 4, cv2.INPAINT_TELEA), np.uint8)


def eye_texture(image: Pixels, points: Floats) -> Pixels:
    """Paint whole eyeballs into the photograph, in the eye's own colours."""
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
    """Return slices of the box round some points, and its corner (x, y)."""
    limit = np.array(shape[1::-1])
    low = np.clip((points.min(0) - pad).astype(int), 0, limit)
    high = np.clip((points.max(0) + pad).astype(int), 0, limit)
    return np.s_[low[1] : high[1], low[0] : high[0]], low.astype(np.float32)


def _paint_eye(image: Pixels, opening: Floats, iris: Floats) -> Floats:
    """Paint sclera, iris with a dark outer ring, and pupil, (H, W, 3)."""
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


def _eye_colours(image: Pixels, opening: NDArray[np.bool_], away: Floats) -> tuple[Floats, Floats]:
    """Read the white (its brighter half) and the iris as medians; plain colours if unseen."""
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
    """Mirror the hidden inside of each lip back onto that lip, in texture places (V, 2)."""
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


def skin_colour(image: Pixels, points: Floats) -> Floats:
    """Read the median colour of the cheeks, (3,) RGB."""
    spots = np.clip(points[list(SKIN_SPOTS)].astype(int), 0, np.array(image.shape[1::-1]) - 1)
    return np.asarray(np.median(image[spots[:, 1], spots[:, 0]], axis=0), np.float32)


FLESH_COLOUR = np.array([142.0, 62.0, 60.0])  # gums and tongue in plain light, RGB


ENAMEL = np.array([236.0, 227.0, 214.0])


def depth_shade(kit: Kit, vertices: Floats) -> Floats:
    """Compute light that reaches into the mouth, (V,): 1 at the lips, 0.1 three cm behind."""
    mouth = kit.vertices[kit.landmarks68[48:60]]
    moved = vertices[:, 2] - (vertices[kit.landmarks68[48:60], 2].mean() - 2.9)
    sides = np.abs(vertices[:, 0]) / (np.abs(mouth[:, 0]).max() + 1e-6)
    return np.asarray(
        np.clip(moved / 2.3, 0.1, 1) * np.clip(1.35 - 0.5 * sides, 0.35, 1), np.float32
    )


def mouth_colours(kit: Kit, regions: Regions, seed: int, exposure: float) -> Floats:
    """Colour flesh and teeth, (V, 3), 0 elsewhere; exposure is the picture's, 0..1."""
    rng = np.random.default_rng([seed, 7])
    out = np.zeros((len(kit.vertices), 3), np.float32)
    out[regions.material == FLESH] = FLESH_COLOUR * exposure * rng.uniform(0.9, 1.1)
    teeth = regions.material == TEETH
    if not teeth.any():
        return out
    shade = ENAMEL * rng.uniform([0.96, 0.95, 0.9], [1.02, 1.02, 1.02])
    each = rng.normal(1, 0.035, int(regions.tooth.max()) + 1)
    warm = rng.normal(1, 0.02, len(each))
    number = regions.tooth[teeth]
    tint = np.stack([each, each, each * warm], axis=1)[number]
    out[teeth] = shade * tint * max(exposure, 0.72) * _gum_line(kit, regions)[teeth][:, None]
    return out


def _gum_line(kit: Kit, regions: Regions) -> Floats:
    """Darken each tooth towards its root and the gaps to its neighbours, (V,)."""
    out = np.ones(len(kit.vertices), np.float32)
    for name, root in (("teeth_upper", 1.0), ("teeth_lower", -1.0)):
        row = kit.part(name)
        for number in np.unique(regions.tooth[row]):
            one = np.flatnonzero(row & (regions.tooth == number))
            x, y, _ = (kit.vertices[one] - kit.vertices[one].mean(0)).T
            up = root * y / (np.ptp(y) + 1e-6)
            gap = np.abs(x) / (np.ptp(x) / 2 + 1e-6)
            out[one] = (1 - 0.3 * np.clip(up, 0, 0.5)) * (
                1 - 0.38 * np.clip(gap - 0.55, 0, 0.45) / 0.45
            )
    return out


def warp_rim(image: Pixels, targets: Floats, sources: Floats) -> Floats:
    """Warp a picture so that `targets` (N, 2) show what lies at `sources`, with edges held."""
    height, width = image.shape[:2]
    field = displacement(targets, sources - targets, height, width)
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    xs, ys = xs + field[..., 0], ys + field[..., 1]
    moved = cv2.remap(image, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.float32)


def displacement(places: Floats, moves: Floats, height: int, width: int) -> Floats:
    """Solve the harmonic field (H, W, 2): given moves at places, none at the picture's edge."""
    rows, columns = height // CELL, width // CELL
    cell = np.floor(places / CELL).astype(int)
    inside = ((cell >= 0) & (cell < (columns, rows))).all(1)
    flat = cell[inside, 1] * columns + cell[inside, 0]
    total, count = np.zeros((rows * columns, 2)), np.zeros(rows * columns)
    np.add.at(total, flat, moves[inside])
    np.add.at(count, flat, 1)
    field = (total / np.maximum(count, 1)[:, None]).reshape(rows, columns, 2).astype(np.float32)
    fixed = count.reshape(rows, columns) > 0
    fixed[[0, -1]] = fixed[:, [0, -1]] = True
    solved = _relax(field, fixed, ROUNDS)
    return np.asarray(cv2.resize(solved, (width, height), interpolation=cv2.INTER_LINEAR))


@nb.njit(cache=True)
def _relax(field, fixed, rounds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for _ in range(rounds):
        for y in range(1, field.shape[0] - 1):
            for x in range(1, field.shape[1] - 1):
                if fixed[y, x]:
                    continue
                for k in range(2):
                    around = (
                        field[y - 1, x, k]
                        + field[y + 1, x, k]
                        + field[y, x - 1, k]
                        + field[y, x + 1, k]
                    )
                    field[y, x, k] += 1.6 * (around / 4 - field[y, x, k])
    return field


def outline_targets(rim: Floats, hidden: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Floats:
    """Move hidden points of the face's rim to the silhouette in their row.

    rim (N, 2) pixels; hidden (N,): turned away from the viewer; mask (H, W): covered by the face.
    """
    out = rim.copy()
    middle = float(rim[:, 0].mean())
    for i in np.flatnonzero(hidden):
        row = int(np.clip(rim[i, 1], 0, len(mask) - 1))
        columns = np.flatnonzero(mask[row])
        if len(columns):
            edge = columns[-1] if rim[i, 0] > middle else columns[0]
            beyond = edge > rim[i, 0] if rim[i, 0] > middle else edge < rim[i, 0]
            out[i, 0] = edge if beyond else rim[i, 0]
    return out


def wall(size: int, rng: np.random.Generator) -> Floats:
    """Paint a soft backdrop, (S, S, 3): two muted colours in large blotches, and a vignette."""
    base = rng.uniform(40, 215)
    first, second = base + rng.normal(0, 16, 3), base + rng.normal(0, 30) + rng.normal(0, 20, 3)
    cells = rng.uniform(0, 1, (int(rng.integers(2, 6)), int(rng.integers(2, 6)))).astype(np.float32)
    share = cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    ys, xs = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    edge = 1 - 0.18 * np.clip(xs**2 + ys**2, 0, 1.6)[..., None]
    return np.asarray(np.clip((first + (second - first) * share) * edge, 0, 255), np.float32)
