"""Painted heads that need no photograph: skin, lips, brows, hair and eyes on the kit alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ferce.rendering.kit import Floats, Kit
from ferce.rendering.light import Light
from ferce.rendering.mouth import depth_shade, mouth_colours
from ferce.rendering.raster import Camera, Coverage, cover, vertex_normals
from ferce.rendering.regions import EYE, FLESH, SOCKET, TEETH, Regions
from ferce.rendering.wrinkles import sample_map, shading_map

Image = NDArray[np.uint8]

SKINS = np.array(  # light to dark, RGB
    [
        [236, 200, 178],
        [222, 178, 150],
        [196, 146, 114],
        [152, 104, 76],
        [106, 70, 50],
        [78, 52, 40],
    ],
    float,
)
HAIRS = np.array([[32, 26, 22], [70, 50, 36], [122, 92, 62], [150, 145, 140]], float)
IRISES = np.array([[92, 60, 36], [62, 42, 30], [88, 112, 128], [92, 108, 82]], float)
IRIS, PUPIL = 0.47, 0.18  # radii, share of the eyeball's


@dataclass(frozen=True)
class Paint:
    """The colours of one painted person, RGB 0..255."""

    skin: Floats
    hair: Floats
    lips: Floats
    iris: Floats
    brow_strength: float
    bald: bool
    gloss: float
    seed: int


def random_paint(seed: int) -> Paint:
    """The colours of person number `seed`, light or dark skin alike."""
    rng = np.random.default_rng([seed, 3])
    tone = rng.uniform(0, len(SKINS) - 1.01)
    low = int(tone)
    skin = (SKINS[low] * (1 - tone + low) + SKINS[low + 1] * (tone - low)) * rng.uniform(
        0.95, 1.05, 3
    )
    dark = skin.mean() < 125
    hair = HAIRS[0 if dark else rng.integers(len(HAIRS))] * rng.uniform(0.7, 1.15)
    return Paint(
        skin=skin.astype(np.float32),
        hair=hair.astype(np.float32),
        lips=(skin * np.array([0.9, 0.64, 0.62]) * rng.uniform(0.92, 1.05)).astype(np.float32),
        iris=IRISES[rng.integers(2 if dark else len(IRISES))].astype(np.float32),
        brow_strength=float(rng.uniform(0.6, 0.95)),
        bald=bool(rng.random() < 0.15),
        gloss=float(rng.uniform(4, 26)),
        seed=seed,
    )


def render_clay(
    kit: Kit,
    regions: Regions,
    vertices: Floats,
    camera: Camera,
    paint: Paint,
    scene: Scene,
) -> Image:
    """Draw a painted head over a plain backdrop: (S, S, 3) RGB at the scene's size."""
    normals = vertex_normals(np.ascontiguousarray(vertices @ camera.rotation.T), kit.triangles)
    seen = cover(camera.project(vertices), kit.triangles, scene.size, scene.size)
    colours = vertex_colours(kit, regions, paint)
    depth = depth_shade(kit, vertices)[:, None]
    stacked = np.concatenate([normals, colours, depth, regions.gaze, kit.vertices[:, :2]], axis=1)
    layers = seen.spread(kit.triangles, stacked)
    picture = _shade(layers, _materials(seen, kit, regions), paint, scene)
    shown = (seen.triangle >= 0)[..., None]
    return np.clip(np.where(shown, picture, scene.backdrop), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Scene:
    """What surrounds a painted head: light, folds of skin, backdrop (S, S, 3)."""

    light: Light
    folds: Floats
    backdrop: Floats

    @property
    def size(self) -> int:
        """Pixels a side."""
        return len(self.backdrop)


def vertex_colours(kit: Kit, regions: Regions, paint: Paint) -> Floats:
    """(V, 3) unlit colours."""
    out = np.tile(paint.skin, (len(kit.vertices), 1))
    layers = ((regions.lips, paint.lips, 0.8), (regions.brows, paint.hair, paint.brow_strength))
    for mask, colour, strength in (
        *layers,
        (regions.scalp, paint.hair, 0.0 if paint.bald else 1.0),
    ):
        share = (mask * strength)[:, None]
        out = out * (1 - share) + colour * share
    inside = np.isin(regions.material, (FLESH, TEETH))
    out[inside] = mouth_colours(kit, regions, paint.seed, 0.95)[inside]
    out[regions.material == SOCKET] = paint.skin * 0.5
    return np.asarray(out, np.float32)


def _materials(seen: Coverage, kit: Kit, regions: Regions) -> NDArray[np.int32]:
    first = kit.triangles[np.maximum(seen.triangle, 0), 0]
    return np.where(seen.triangle >= 0, regions.material[first], -1).astype(np.int32)


def _shade(layers: Floats, material: NDArray[np.int32], paint: Paint, scene: Scene) -> Floats:
    normals = layers[..., :3] / (np.linalg.norm(layers[..., :3], axis=2, keepdims=True) + 1e-6)
    lit = scene.light.shade(normals)[..., None]
    folds = sample_map(shading_map(scene.folds, scene.light.direction), layers[..., 10:12])
    half = np.asarray(scene.light.direction) / (np.linalg.norm(scene.light.direction) + 1e-6) + (
        0,
        0,
        1,
    )
    facing = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1)[..., None].astype(np.float32)
    skin = (
        layers[..., 3:6] * _pores(len(lit), paint.seed) * lit * folds[..., None]
        + facing**22 * paint.gloss
    )
    inner = (
        layers[..., 3:6] * layers[..., 6:7] * (0.35 + 0.65 * lit)
        + facing**40 * 25 * layers[..., 6:7]
    )
    eye = _eye_colours(layers[..., 7:10], paint.iris) * (0.45 + 0.5 * lit) + facing**160 * 150
    out = np.where(np.isin(material, (FLESH, TEETH))[..., None], inner, skin)
    return np.asarray(np.where((material == EYE)[..., None], eye, out), np.float32)


def _pores(size: int, seed: int) -> Floats:
    """(S, S, 1) blotches and grain of skin, about 1."""
    rng = np.random.default_rng([seed, 5])
    out = np.ones((size, size), np.float32)
    for cells, amount in ((24, 0.03), (max(size // 4, 2), 0.02)):
        noise = rng.normal(0, amount, (cells, cells)).astype(np.float32)
        out += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return out[..., None]


def _eye_colours(gaze: Floats, iris: Floats) -> Floats:
    """Direction from the eyeball's centre (H, W, 3) -> colour."""
    away = np.hypot(gaze[..., 0], gaze[..., 1]) + (gaze[..., 2] < 0) * 9
    inside = np.clip((IRIS - away) / 0.05, 0, 1)[..., None]
    ring = np.clip((away - (IRIS - 0.13)) / 0.13, 0, 1)[..., None]
    pupil = np.clip((PUPIL - away) / 0.04, 0, 1)[..., None]
    white = np.array([222, 214, 210]) * (1 - 0.25 * np.clip(away - 0.5, 0, 1))[..., None]
    out = white * (1 - inside) + iris * (1 - 0.45 * ring) * inside
    return np.asarray(out * (1 - pupil) + np.array([12, 10, 10]) * pupil, np.float32)
