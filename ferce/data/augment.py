"""Seeded variations of an aligned crop that keep, or say how they change, what its label means.

A flip swaps left and right of every action unit; what an occluder covers is returned as `hidden`,
so that nobody trains a text to name what cannot be seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels, Points
from ferce.data.layout import Layout, layout
from ferce.data.occlude import OCCLUDERS
from ferce.data.record import UnitLabel

DEGRADED = ("blur", "low_light", "grey", "low_resolution", "jpeg")  # in the order of a camera


def shade(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Light from one side, then exposure, warmth, saturation and contrast as cameras vary them."""
    from ferce.data.rendering.degrade import grade

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
    from ferce.data.rendering.degrade import DEGRADATIONS

    strength = float(rng.uniform(0.1, 0.9))
    return np.ascontiguousarray(DEGRADATIONS[name.replace("_", " ")](pixels, strength, rng))


def _rounded(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


Seed = int | Sequence[int]  # for instance (run, epoch, index)


@dataclass(frozen=True)
class Recipe:
    """The probability 0..1 of each step, and how far the geometry goes.

    `turn` in degrees, `zoom` and `shift` as shares of the side, each the largest change either way.
    """

    flip: float = 0.5
    jitter: float = 1.0
    light: float = 0.5
    patch: float = 0.12
    glasses: float = 0.05
    sunglasses: float = 0.03
    mask: float = 0.03
    blur: float = 0.12
    low_light: float = 0.08
    grey: float = 0.1
    low_resolution: float = 0.12
    jpeg: float = 0.25
    turn: float = 12.0
    zoom: float = 0.1
    shift: float = 0.05

    def __post_init__(self) -> None:
        for name in STEPS:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a probability 0..1; got {getattr(self, name)}")
        if not 0.0 <= self.zoom < 1.0:
            raise ValueError(f"zoom must lie in 0..1; got {self.zoom}")


STEPS = tuple(f.name for f in fields(Recipe) if f.name not in ("turn", "zoom", "shift"))
NOTHING = Recipe(**dict.fromkeys(STEPS, 0.0))


def only(step: str, recipe: Recipe | None = None) -> Recipe:
    """A recipe that takes one step for certain and no other; ValueError for unknown steps."""
    if step not in STEPS:
        raise ValueError(f"Unknown step {step!r}; the steps are {', '.join(STEPS)}.")
    base = recipe or Recipe()
    extents = {name: getattr(base, name) for name in ("turn", "zoom", "shift")}
    return Recipe(**{**dict.fromkeys(STEPS, 0.0), step: 1.0}, **extents)


@dataclass(frozen=True, eq=False)
class View:
    """One variation of a crop.

    Attributes:
        pixels: (S, S, 3) uint8 RGB.
        units: the action units as they are in this picture; None when not coded.
        hidden: regions that are covered.
        matrix: (2, 3), from pixels of the crop to pixels of the view; for landmarks and masks.
        steps: names of the steps taken, in order.
    """

    pixels: Pixels
    units: tuple[UnitLabel, ...] | None
    hidden: frozenset[str]
    matrix: NDArray[np.float64]
    steps: tuple[str, ...]


def augment(
    pixels: Pixels,
    units: Sequence[UnitLabel] | None,
    seed: Seed,
    recipe: Recipe | None = None,
    landmarks: Points | None = None,
) -> View:
    """One variation; the same arguments give the same view on every run.

    Args:
        pixels: (S, S, 3) uint8 RGB, an aligned crop; never changed in place.
        units: its action units, None when not coded.
        seed: a number or several, such as (run, epoch, index).
        recipe: what to do how often; `Recipe()` when None.
        landmarks: (478, 2) in crop pixels for occluders that sit where they should; without them
            they sit where they should on the average face.

    Raises:
        ValueError: the crop is not square uint8 RGB.
    """
    size = pixels.shape[0]
    if pixels.dtype != np.uint8 or pixels.shape != (size, size, 3):
        raise ValueError(f"pixels must be (S, S, 3) uint8; got {pixels.shape} {pixels.dtype}")
    rng = np.random.default_rng(seed)
    recipe = recipe or Recipe()
    # Every draw is made whatever the recipe, so that one step more changes no other.
    taken = tuple(
        s for s, u in zip(STEPS, rng.random(len(STEPS)), strict=True) if u < _odds(recipe, s)
    )
    streams = dict(zip(STEPS, rng.spawn(len(STEPS)), strict=True))
    matrix = _matrix(size, taken, recipe, streams["jitter"])
    out = _warp(pixels, matrix, taken)
    out, hidden = _occlude(out, layout(size, landmarks).moved(matrix), taken, streams)
    out = vary(out, taken, streams)
    if units is not None:
        units = tuple(u.mirrored() if "flip" in taken else u for u in units)
    return View(out, units, hidden, matrix, taken)


def _odds(recipe: Recipe, step: str) -> float:
    return float(getattr(recipe, step))


def _matrix(
    size: int, taken: Sequence[str], recipe: Recipe, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Turn and zoom about the middle, shift, then mirror; (0, 0) is the corner of the crop."""
    matrix = np.eye(2, 3)
    if "jitter" in taken:
        angle = np.radians(rng.uniform(-recipe.turn, recipe.turn))
        scale = 1 + rng.uniform(-recipe.zoom, recipe.zoom)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.full(2, size / 2)
        matrix[:, :2] = turn
        matrix[:, 2] = middle - turn @ middle + rng.uniform(-1, 1, 2) * recipe.shift * size
    if "flip" in taken:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size
    return matrix


def _warp(pixels: Pixels, matrix: NDArray[np.float64], taken: Sequence[str]) -> Pixels:
    if "jitter" in taken:
        from ferce.faces.geometry import warp

        return warp(pixels, matrix, pixels.shape[0])
    return pixels[:, ::-1].copy() if "flip" in taken else pixels.copy()


def _occlude(
    pixels: Pixels, face: Layout, taken: Sequence[str], streams: dict[str, np.random.Generator]
) -> tuple[Pixels, frozenset[str]]:
    hidden: frozenset[str] = frozenset()
    for name, occluder in OCCLUDERS.items():
        if name in taken:
            pixels, more = occluder(pixels, face, streams[name])
            hidden |= more
    return pixels, hidden
