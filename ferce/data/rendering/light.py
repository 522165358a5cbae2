"""Light on a face: read from a photograph, chosen at random, and changed from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce.data.rendering.kit import Floats

FLOOR = 0.18  # the darkest shade, so that a ratio of two shades stays bounded


@dataclass(frozen=True)
class Light:
    """First-order spherical harmonics: shade = ambient + normal . direction."""

    ambient: float
    direction: tuple[float, float, float]  # x = the picture's right, y up, z to the viewer

    def shade(self, normals: NDArray[np.float32]) -> Floats:
        """Unit normals (..., 3) -> brightness (...), about 1 for a face turned to the viewer."""
        lit = self.ambient + normals @ np.asarray(self.direction, np.float32)
        return np.asarray(np.maximum(lit, FLOOR), np.float32)


STUDIO = Light(0.45, (0.0, 0.22, 0.5))


def read_light(brightness: Floats, normals: Floats) -> Light:
    """Least squares of brightness (N,) on normals (N, 3), twice: the second without outliers.

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
    """A light from the upper front half; strength 0 = studio, 1 = one hard lamp from a side."""
    side, up = rng.normal(0, 0.55 * strength), rng.normal(0.22, 0.22 * strength)
    ambient = float(np.clip(0.5 - 0.18 * strength * rng.random(), 0.25, 0.6))
    front = float(np.sqrt(max(0.3 - side**2 * 0.3, 0.05)))
    return Light(ambient, (float(np.clip(side, -0.6, 0.6)), float(np.clip(up, -0.2, 0.55)), front))


def expression_ratio(old: Floats, new: Floats, contrast: float = 1.5) -> Floats:
    """How much brighter skin becomes as it bends: (new / old) ** contrast, the bright side held.

    A photograph's own pores and creases stay in the texture, so only the ratio is painted.
    """
    ratio = (new / old) ** contrast
    bright = 1 + 0.3 * np.tanh((ratio - 1) / 0.6)
    return np.asarray(np.where(ratio > 1, bright, np.maximum(ratio, 0.42)), np.float32)


def relight_ratio(old: Floats, new: Floats) -> Floats:
    """How much brighter skin becomes as the lamp moves, held to 0.5 .. 1.4."""
    return np.asarray(np.clip(new / old, 0.5, 1.4), np.float32)
