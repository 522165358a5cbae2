"""Light on a crop and what cameras do to it: shading, colour, blur, compression, few pixels."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.types import Pixels

DEGRADED = ("blur", "low_light", "grey", "low_resolution", "jpeg")  # in the order of a camera


def shade(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Light from one side, then exposure, warmth, saturation and contrast as cameras vary them."""
    from ferce.rendering.degrade import grade

    height, width = pixels.shape[:2]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.55)
    ys, xs = np.mgrid[0:height, 0:width] / max(height, width) - 0.5
    ramp = 1 + strength * 2 * (xs * np.cos(angle) + ys * np.sin(angle))
    lit = _rounded(pixels * ramp[..., None] * np.exp(rng.normal(0, 0.18)))
    return grade(lit, rng)


def vary(
    pixels: Pixels, taken: Sequence[str], streams: Mapping[str, np.random.Generator]
) -> Pixels:
    """The steps named in `taken`, each with its own stream of chance."""
    if "light" in taken:
        pixels = shade(pixels, streams["light"])
    for name in DEGRADED:
        if name in taken:
            pixels = _degrade(pixels, name, streams[name])
    return pixels


def _degrade(pixels: Pixels, name: str, rng: np.random.Generator) -> Pixels:
    from ferce.rendering.degrade import DEGRADATIONS

    strength = float(rng.uniform(0.1, 0.9))
    return np.ascontiguousarray(DEGRADATIONS[name.replace("_", " ")](pixels, strength, rng))


def _rounded(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
