"""Make the picture of a recipe: render, cover, frame, grade, degrade."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferce.core.types import Pixels
from ferce.data.rendering.clay import (
    HAIRS,
    MESH,
    Correspondence,
    Scene,
    load_correspondence,
    random_paint,
    render_clay,
)
from ferce.data.rendering.degrade import DEGRADATIONS, grade
from ferce.data.rendering.express import expression_weights, unit_sides
from ferce.data.rendering.fit import SIZE
from ferce.data.rendering.kit import Floats, Kit, cached_kit
from ferce.data.rendering.occluders import OCCLUDERS, CoveredFace
from ferce.data.rendering.person import PIVOT, Credit, Person, load_person, turn_eyes, turn_head
from ferce.data.rendering.photo import Appearance, render_photo
from ferce.data.rendering.plan import CLAY, Recipe
from ferce.data.rendering.raster import STUDIO, Camera, rotation
from ferce.data.rendering.regions import Regions, paint_regions
from ferce.data.rendering.texture import wall
from ferce.data.rendering.wrinkles import height_map

CLAY_CREDIT = Credit(
    "", "ICT-FaceKit", "MIT", "ICT-FaceKit, (c) 2020 USC Institute for Creative Technologies", ""
)
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)  # corners, face mesh indices


@dataclass(frozen=True)
class AssetPaths:
    """Paths of the kit's cache, the fitted people and the landmark table."""

    kit: Path
    people: Path
    match: Path

    def load(self) -> Assets:
        """Load everything into memory, once in each process."""
        return _assets(self)


@dataclass(frozen=True)
class Assets:
    """The loaded kit, its regions and the landmark table."""

    kit: Kit
    regions: Regions
    match: Correspondence
    people: Path

    def person(self, name: str) -> Person:
        """Load a fitted person by name; the last few stay in memory."""
        return _person(self.people / f"{name}.npz")


@dataclass(frozen=True)
class Unframed:
    """A rendered picture before framing, and where it shows what."""

    image: Pixels
    points: Floats  # (V, 3) pixels
    angles: tuple[float, float, float]
    credit: Credit
    skin: Floats
    hair: Floats


@functools.lru_cache(maxsize=2)
def _assets(asset_paths: AssetPaths) -> Assets:
    kit = cached_kit(str(asset_paths.kit))
    return Assets(
        kit, paint_regions(kit), load_correspondence(asset_paths.match), asset_paths.people
    )


@functools.lru_cache(maxsize=24)
def _person(path: Path) -> Person:
    return load_person(path)


def render(assets: Assets, recipe: Recipe, size: int) -> tuple[Pixels, dict[str, Any]]:
    """Render a recipe: picture (size, size, 3) RGB, and metadata without a file name."""
    rng = np.random.default_rng([*recipe.seed, 1])
    unframed = (draw_clay if recipe.subject.style == CLAY else draw_photo)(assets, recipe)
    image = unframed.image
    if recipe.occluder:
        covered = CoveredFace(assets.kit, unframed.points, unframed.skin, unframed.hair)
        image = OCCLUDERS[recipe.occluder](image, covered, rng)
    image = frame(image, unframed.points[assets.match.vertex[:MESH], :2], recipe, size)
    image = grade(image, rng)
    for name, strength in recipe.degradations:
        image = DEGRADATIONS[name](image, strength, rng)
    return image, describe(recipe, unframed)


def draw_photo(assets: Assets, recipe: Recipe) -> Unframed:
    """Draw a fitted person."""
    person = assets.person(recipe.subject.name)
    seed = int.from_bytes(os.fsencode(recipe.subject.name)[-6:])
    appearance = Appearance(recipe.activations, recipe.pose, recipe.light, recipe.folds, seed)
    drawn = render_photo(assets.kit, assets.regions, person, appearance)
    hair = hair_colour(person, seed)
    return Unframed(drawn.image, drawn.points, drawn.angles, person.credit, person.skin, hair)


def hair_colour(person: Person, seed: int) -> Floats:
    """Read the colour above the forehead where it is dark enough for hair, else guess one."""
    x, y = np.clip((person.landmarks[10] - (0, 0.09 * SIZE)).astype(int), 0, SIZE - 1)
    seen = np.asarray(person.image[y, x], np.float32)
    if seen.mean() < 80:
        return seen
    likely = HAIRS[0 if person.skin.mean() < 125 else seed % 2]
    return np.asarray(likely, np.float32)


def draw_clay(assets: Assets, recipe: Recipe) -> Unframed:
    """Draw a painted head; everything about it follows from its name."""
    kit, number = assets.kit, int(recipe.subject.name.split("_")[-1])
    paint, rng = random_paint(number), np.random.default_rng([number, 17])
    identity = rng.normal(0, 0.75, len(kit.identity)).astype(np.float32)
    weights = expression_weights(kit, recipe.activations, recipe.pose.gaze)
    shape = turn_eyes(kit, kit.head(identity) + kit.offset(weights), recipe.pose.gaze)
    turn = rotation(recipe.pose.yaw, recipe.pose.pitch, recipe.pose.roll)
    camera = Camera(np.eye(3, dtype=np.float32), SIZE / 27, (SIZE / 2, SIZE * 0.52))
    view = turn_head(shape, turn, PIVOT)
    folds = height_map(kit, unit_sides(recipe.activations), number, recipe.folds)
    scene = Scene(
        recipe.light or STUDIO, folds, wall(SIZE, np.random.default_rng([*recipe.seed, 2]))
    )
    image = render_clay(kit, assets.regions, view, camera, paint, scene)
    angles = (recipe.pose.yaw, recipe.pose.pitch, recipe.pose.roll)
    return Unframed(image, camera.project(view), angles, CLAY_CREDIT, paint.skin, paint.hair)


def frame(image: Pixels, mesh: Floats, recipe: Recipe, size: int) -> Pixels:
    """Cut a square round the face mesh (468, 2), eyes level save for the recipe's roll."""
    right, left = mesh[list(RIGHT_EYE)].mean(0), mesh[list(LEFT_EYE)].mean(0)
    tilt = float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0])))
    around = cv2.getRotationMatrix2D((0, 0), tilt + recipe.pose.roll, 1.0)[:, :2]
    level = mesh @ around.T
    low, high = level.min(0), level.max(0)
    side = float((high - low).max()) * recipe.frame
    scale = size / side
    centre = (low + high) / 2 + np.array(recipe.shift) * side
    turn = np.c_[around * scale, size / 2 - centre * scale]
    if scale < 0.75:
        image = cv2.GaussianBlur(image, (0, 0), 0.36 / scale)
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    moved = cv2.warpAffine(image, turn, (size, size), flags=way, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.uint8)


def describe(recipe: Recipe, unframed: Unframed) -> dict[str, Any]:
    """Return one line of metadata.jsonl."""
    yaw, pitch, roll = (
        round(a, 1) + 0.0 for a in (*unframed.angles[:2], recipe.pose.roll)
    )  # no -0.0
    light = recipe.light and {
        "ambient": round(recipe.light.ambient, 3),
        "direction": [round(v, 3) for v in recipe.light.direction],
    }
    return {
        "label": recipe.label,
        "expression": recipe.expression,
        "kind": recipe.kind,
        "action_units": [a.as_dict() for a in recipe.activations],
        "person": unframed.credit.subject or recipe.subject.name,
        "split": recipe.subject.split,
        "style": recipe.subject.style,
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "light": light,
        "occluder": recipe.occluder,
        "degradation": [{"name": n, "strength": s} for n, s in recipe.degradations],
        "source": unframed.credit.source,
        "licence": unframed.credit.licence,
        "attribution": unframed.credit.attribution,
        "seed": recipe.seed[0],
        "index": recipe.index,
    }
