"""Draw what is behind and around a face: hair and room that follow its outline, or a wall."""

from __future__ import annotations

import cv2
import numba as nb
import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data.rendering.kit import Floats

CELL = 8  # pixels of one cell of the displacement field
ROUNDS = 260  # over-relaxation sweeps; a 64 x 64 field is still within 0.1 px


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
