"""A contact sheet of augmentations: one row a picture, one column a step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ferce.core.protocols import Detector
from ferce.core.types import Pixels, Points
from ferce.data.align import square
from ferce.data.augment import STEPS, Recipe, augment, only

MIXED = 4  # columns of the whole recipe
LINE = 18  # pixels of the heading


@dataclass(frozen=True, eq=False)
class Shown:
    """A crop (S, S, 3) uint8 and its landmarks (478, 2) in its pixels, None when not known."""

    crop: Pixels
    landmarks: Points | None = None


def shown(photo: Pixels, detector: Detector | None = None) -> Shown:
    """The largest face of a photo; its middle square when none is found or looked for."""
    faces = detector.detect(photo) if detector else []
    if not faces:
        return Shown(square(photo, min(photo.shape[:2])))
    return Shown(faces[0].crop, faces[0].landmarks_in_crop)


def draw(crops: Sequence[Shown], seed: int = 0, size: int = 112) -> Pixels:
    """The sheet.

    Args:
        crops: one a row.
        seed: for the steps; another seed shows other draws.
        size: side of a cell in pixels.

    Raises:
        ValueError: there is no crop.
    """
    if not crops:
        raise ValueError("A sheet needs at least one picture.")
    rows = [_row(_sized(crop, size), (seed, index)) for index, crop in enumerate(crops)]
    heading = _heading(["original", *STEPS, *(f"mix {i + 1}" for i in range(MIXED))], size)
    return np.vstack([heading, *(np.hstack(row) for row in rows)])


def _sized(one: Shown, size: int) -> Shown:
    scale = size / one.crop.shape[0]
    points = None if one.landmarks is None else one.landmarks * np.float32(scale)
    return Shown(square(one.crop, size), points)


def _row(one: Shown, seed: tuple[int, int]) -> list[Pixels]:
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
