"""A small z-buffer rasteriser: triangles to pixels, vertex values to pixel values."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Camera:
    """Scaled orthographic view: scale * (rotation @ vertex), y turned down, plus shift."""

    rotation: Floats  # (3, 3)
    scale: float  # pixels a centimetre
    shift: tuple[float, float]  # pixels

    def project(self, vertices: Floats) -> Floats:
        """(V, 3) cm -> (V, 3): x, y in pixels (y down), z in pixels, larger is nearer."""
        points = vertices @ (self.rotation.T * np.float32(self.scale))
        points[:, 0] += self.shift[0]
        points[:, 1] = self.shift[1] - points[:, 1]
        return np.ascontiguousarray(points, np.float32)


@dataclass(frozen=True)
class Coverage:
    """What each pixel shows: triangle id (-1 = nothing) and two barycentric weights, all (H, W)."""

    triangle: Ints
    first: Floats
    second: Floats

    def spread(self, triangles: Ints, values: Floats) -> Floats:
        """Vertex values (V, K) -> pixel values (H, W, K), 0 where nothing is seen."""
        values = np.ascontiguousarray(values, np.float32)
        out: Floats = _spread(self.triangle, self.first, self.second, triangles, values)
        return out


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Degrees -> (3, 3); yaw > 0 faces the picture's right, pitch > 0 up, roll > 0 tilts left."""
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
    """(V, 3), (T, 3) -> (V, 3) unit normals, triangles weighted by area."""
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
