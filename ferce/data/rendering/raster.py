"""Rasterise triangles with a z-buffer, and light them by first-order spherical harmonics."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ferce.data.rendering.kit import Floats, Ints


@dataclass(frozen=True)
class Camera:
    """Scaled orthographic view: scale * (rotation @ vertex), y turned down, plus shift."""

    rotation: Floats  # (3, 3)
    scale: float  # pixels a centimetre
    shift: tuple[float, float]  # pixels

    def project(self, vertices: Floats) -> Floats:
        """Project (V, 3) cm to (V, 3): x, y in pixels (y down), z in pixels, larger is nearer."""
        points = vertices @ (self.rotation.T * np.float32(self.scale))
        points[:, 0] += self.shift[0]
        points[:, 1] = self.shift[1] - points[:, 1]
        return np.ascontiguousarray(points, np.float32)


@dataclass(frozen=True)
class Coverage:
    """Triangle id of each pixel (-1 = none) and two barycentric weights, all (H, W)."""

    triangle: Ints
    first: Floats
    second: Floats

    def spread(self, triangles: Ints, values: Floats) -> Floats:
        """Interpolate vertex values (V, K) to pixels (H, W, K), 0 where nothing is seen."""
        values = np.ascontiguousarray(values, np.float32)
        out: Floats = _spread(self.triangle, self.first, self.second, triangles, values)
        return out


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Build (3, 3) from degrees; yaw > 0 faces right, pitch > 0 up, roll > 0 tilts left."""
    cy, cp, cr = np.cos(np.radians([yaw, pitch, roll]))
    sy, sp, sr = np.sin(np.radians([yaw, -pitch, roll]))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, np.float32)


def cover(points: Floats, triangles: Ints, height: int, width: int) -> Coverage:
    """Draw triangles whose corners run counter-clockwise (y up); points (V, 3) in pixels."""
    return Coverage(*_cover(points, triangles, height, width))


@nb.njit(cache=True, fastmath=True, nogil=True)
def _cover(points, triangles, height, width):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    depth = np.full((height, width), -1e9, np.float32)
    seen = np.full((height, width), -1, np.int32)
    first = np.zeros((height, width), np.float32)
    second = np.zeros((height, width), np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = points[triangles[t, 0]], points[triangles[t, 1]], points[triangles[t, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area >= -1e-9:  # y points down, so a front-facing triangle has negative area
            continue
        left = max(int(np.floor(min(a[0], b[0], c[0]))), 0)
        right = min(int(np.ceil(max(a[0], b[0], c[0]))), width - 1)
        top = max(int(np.floor(min(a[1], b[1], c[1]))), 0)
        bottom = min(int(np.ceil(max(a[1], b[1], c[1]))), height - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                u = ((b[0] - x) * (c[1] - y) - (c[0] - x) * (b[1] - y)) / area
                v = ((c[0] - x) * (a[1] - y) - (a[0] - x) * (c[1] - y)) / area
                w = 1.0 - u - v
                if u < -1e-4 or v < -1e-4 or w < -1e-4:
                    continue
                z = u * a[2] + v * b[2] + w * c[2]
                if z > depth[y, x]:
                    depth[y, x], seen[y, x], first[y, x], second[y, x] = z, t, u, v
    return seen, first, second


@nb.njit(cache=True, fastmath=True, nogil=True)
def _spread(seen, first, second, triangles, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    height, width = seen.shape
    count = values.shape[1]
    out = np.zeros((height, width, count), np.float32)
    for y in range(height):
        for x in range(width):
            t = seen[y, x]
            if t < 0:
                continue
            u, v = first[y, x], second[y, x]
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            for k in range(count):
                out[y, x, k] = u * values[a, k] + v * values[b, k] + (1.0 - u - v) * values[c, k]
    return out


@nb.njit(cache=True, fastmath=True, nogil=True)
def vertex_normals(vertices, triangles):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Compute unit normals (V, 3) of triangles (T, 3), weighted by area."""
    out = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        p, q = vertices[b] - vertices[a], vertices[c] - vertices[a]
        nx, ny, nz = p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]
        for k in (a, b, c):
            out[k, 0] += nx
            out[k, 1] += ny
            out[k, 2] += nz
    for i in range(out.shape[0]):
        out[i] /= np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + 1e-9
    return out


FLOOR = 0.18  # the darkest shade, so that a ratio of two shades stays bounded


@dataclass(frozen=True)
class Light:
    """First-order spherical harmonics: shade = ambient + normal . direction."""

    ambient: float
    direction: tuple[float, float, float]  # x = the picture's right, y up, z to the viewer

    def shade(self, normals: NDArray[np.float32]) -> Floats:
        """Compute brightness (...) of unit normals (..., 3), about 1 towards the viewer."""
        lit = self.ambient + normals @ np.asarray(self.direction, np.float32)
        return np.asarray(np.maximum(lit, FLOOR), np.float32)


STUDIO = Light(0.45, (0.0, 0.22, 0.5))


def read_light(brightness: Floats, normals: Floats) -> Light:
    """Fit light to brightness (N,) and normals (N, 3) by least squares without outliers.

    Brows, beards and highlights are not skin in even light, so the worst quarter is left out.
    """
    level = brightness / max(float(np.median(brightness)), 1.0)
    design = np.concatenate([np.ones((len(normals), 1), np.float32), normals], axis=1)
    prior = np.array([STUDIO.ambient, *STUDIO.direction])
    weights = np.ones(len(level))
    for _ in range(3):
        solved = _ridge(design * weights[:, None], (level - design @ prior) * weights) + prior
        miss = np.abs(level - design @ solved)
        weights = (miss <= np.quantile(miss, 0.75)).astype(float)
    x, y, z = np.clip(solved[1:], -0.6, 0.7)
    return Light(float(np.clip(solved[0], 0.2, 0.9)), (float(x), float(y), float(z)))


def _ridge(design: NDArray[np.float64], rest: NDArray[np.float64]) -> NDArray[np.float64]:
    strength = 0.05 * len(design)
    gram = design.T @ design + strength * np.eye(design.shape[1])
    return np.asarray(np.linalg.solve(gram, design.T @ rest))


def random_light(rng: np.random.Generator, strength: float) -> Light:
    """Draw a light from the upper front; strength 0 = studio, 1 = one hard lamp from a side."""
    side, up = rng.normal(0, 0.55 * strength), rng.normal(0.22, 0.22 * strength)
    ambient = float(np.clip(0.5 - 0.18 * strength * rng.random(), 0.25, 0.6))
    front = float(np.sqrt(max(0.3 - side**2 * 0.3, 0.05)))
    return Light(ambient, (float(np.clip(side, -0.6, 0.6)), float(np.clip(up, -0.2, 0.55)), front))


def expression_ratio(old: Floats, new: Floats, contrast: float = 1.5) -> Floats:
    """Compute how much brighter skin becomes as it bends: (new / old) ** contrast, bounded.

    A photograph's own pores and creases stay in the texture, so only the ratio is painted.
    """
    ratio = (new / old) ** contrast
    bright = 1 + 0.3 * np.tanh((ratio - 1) / 0.6)
    return np.asarray(np.where(ratio > 1, bright, np.maximum(ratio, 0.42)), np.float32)


def relight_ratio(old: Floats, new: Floats) -> Floats:
    """Compute how much brighter skin becomes as the lamp moves, held to 0.5 .. 1.4."""
    return np.asarray(np.clip(new / old, 0.5, 1.4), np.float32)
