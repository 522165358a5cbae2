"""Seeded augmentations of an aligned crop, which keep track of units and covered regions.

A flip swaps left and right of every action unit; what an occluder covers is returned as `hidden`,
so that nobody trains a text to name what cannot be seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Detector
from ferce.core.types import Pixels, Points
from ferce.data.align import square
from ferce.data.occlude import OCCLUDERS, Layout, layout
from ferce.data.record import UnitLabel

DEGRADED = ("blur", "low_light", "grey", "low_resolution", "jpeg")  # in the order of a camera


def shade(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Light the crop from one side, then vary exposure, warmth, saturation and contrast."""
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
    """Apply the light and degradation steps named in `taken`, each with its own generator."""
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
    """Probability 0..1 of each step, and how far the geometry goes.

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
    """Build a recipe of one certain step and no other; ValueError for unknown steps."""
    if step not in STEPS:
        raise ValueError(f"Unknown step {step!r}; the steps are {', '.join(STEPS)}.")
    base = recipe or Recipe()
    extents = {name: getattr(base, name) for name in ("turn", "zoom", "shift")}
    return Recipe(**{**dict.fromkeys(STEPS, 0.0), step: 1.0}, **extents)


@dataclass(frozen=True, eq=False)
class View:
    """An augmented crop.

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
    """Augment a crop; the same arguments give the same view on every run.

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
    """Build turn and zoom about the middle, shift, then mirror; (0, 0) is the crop's corner."""
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


MIXED = 4  # columns of the whole recipe
LINE = 18  # pixels of the heading


@dataclass(frozen=True, eq=False)
class SheetCrop:
    """A crop (S, S, 3) uint8 and its landmarks (478, 2) in its pixels, None when not known."""

    crop: Pixels
    landmarks: Points | None = None


def largest_crop(photo: Pixels, detector: Detector | None = None) -> SheetCrop:
    """Crop the largest face of a photo; its middle square without a detector or a face."""
    faces = detector.detect(photo) if detector else []
    if not faces:
        return SheetCrop(square(photo, min(photo.shape[:2])))
    return SheetCrop(faces[0].crop, faces[0].landmarks_in_crop)


def draw_sheet(crops: Sequence[SheetCrop], seed: int = 0, size: int = 112) -> Pixels:
    """Draw a contact sheet of augmentations: one row for each picture, one column a step.

    Args:
        crops: one a row.
        seed: for the steps; another seed shows other draws.
        size: side of a cell in pixels.

    Raises:
        ValueError: there is no crop.
    """
    if not crops:
        raise ValueError("A sheet needs at least one picture.")
    rows = [_sheet_row(_sized(crop, size), (seed, index)) for index, crop in enumerate(crops)]
    heading = _heading(["original", *STEPS, *(f"mix {i + 1}" for i in range(MIXED))], size)
    return np.vstack([heading, *(np.hstack(row) for row in rows)])


def _sized(one: SheetCrop, size: int) -> SheetCrop:
    scale = size / one.crop.shape[0]
    points = None if one.landmarks is None else one.landmarks * np.float32(scale)
    return SheetCrop(square(one.crop, size), points)


def _sheet_row(one: SheetCrop, seed: tuple[int, int]) -> list[Pixels]:
    recipes = [(0, only(step)) for step in STEPS] + [(1 + i, Recipe()) for i in range(MIXED)]
    views = [augment(one.crop, None, (*seed, n), r, one.landmarks) for n, r in recipes]
    return [one.crop, *(view.pixels for view in views)]


def _heading(names: Iterable[str], size: int) -> Pixels:
    from PIL import Image, ImageDraw

    names = list(names)
    strip = Image.new("RGB", (size * len(names), LINE), "white")
    pen = ImageDraw.Draw(strip)
    for place, name in enumerate(names):
        pen.text((place * size + 3, 3), name.replace("_", " "), fill="black")
    return np.asarray(strip, np.uint8)
