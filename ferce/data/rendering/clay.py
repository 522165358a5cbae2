"""Draw painted (clay) heads without a photograph, and match landmarks to vertices by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data import npz
from ferce.data.rendering.kit import Floats, Ints, Kit
from ferce.data.rendering.raster import STUDIO, Camera, Light, cover, rotation, vertex_normals
from ferce.data.rendering.regions import EYE, FLESH, SOCKET, TEETH, Regions
from ferce.data.rendering.texture import depth_shade, mouth_colours
from ferce.data.rendering.wrinkles import height_map, sample_map, shading_map

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
# A face mesh reader: RGB picture -> (478, 2) landmarks in pixels and 52 blendshapes, or None.
MeshReader = Callable[[Pixels], "tuple[Floats, dict[str, float]] | None"]
MESH = 468  # landmarks of the skin; 468-477 are the irises, which turn with the gaze
_SIZE = 384  # pixels of the test pictures; errors are in these pixels
CAP = 40.0  # an error counts at most this much, so that one bad detection decides nothing
TRUSTED = 5.0  # landmarks with a larger mean error are not fitted


@dataclass(frozen=True)
class Paint:
    """Colours of one painted person, RGB 0..255."""

    skin: Floats
    hair: Floats
    lips: Floats
    iris: Floats
    brow_strength: float
    bald: bool
    gloss: float
    seed: int


def random_paint(seed: int) -> Paint:
    """Draw the colours of person number `seed`, light or dark skin alike."""
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
) -> Pixels:
    """Draw a painted head over a plain backdrop: (S, S, 3) RGB at the scene's size."""
    normals = vertex_normals(np.ascontiguousarray(vertices @ camera.rotation.T), kit.triangles)
    seen = cover(camera.project(vertices), kit.triangles, scene.size, scene.size)
    colours = vertex_colours(kit, regions, paint)
    depth = depth_shade(kit, vertices)[:, None]
    stacked = np.concatenate([normals, colours, depth, regions.gaze, kit.vertices[:, :2]], axis=1)
    layers = seen.spread(kit.triangles, stacked)
    shown = seen.triangle >= 0
    picture = scene.backdrop.copy()
    folds = sample_map(shading_map(scene.folds, scene.light.direction), layers[..., 10:12])
    grain = (folds * _pores(scene.size, paint.seed))[shown]
    material = regions.material[kit.triangles[seen.triangle[shown], 0]]
    picture[shown] = _shade(layers[shown], material, grain, paint, scene)
    return np.clip(picture, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Scene:
    """Surroundings of a painted head: light, folds of skin, backdrop (S, S, 3)."""

    light: Light
    folds: Floats
    backdrop: Floats

    @property
    def size(self) -> int:
        """Side in pixels."""
        return len(self.backdrop)


def vertex_colours(kit: Kit, regions: Regions, paint: Paint) -> Floats:
    """Colour the vertices without light, (V, 3)."""
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


def _shade(
    layers: Floats, material: NDArray[np.int32], grain: Floats, paint: Paint, scene: Scene
) -> Floats:
    """Shade covered pixels from interpolated values (N, 12) and relief (N,); colours (N, 3)."""
    normals = layers[:, :3] / (np.linalg.norm(layers[:, :3], axis=1, keepdims=True) + 1e-6)
    lit = scene.light.shade(normals)[:, None]
    facing = np.clip(normals @ _half_way(scene.light), 0, 1)[:, None]
    out = layers[:, 3:6] * grain[:, None] * lit + facing**22 * np.float32(paint.gloss)
    inside = np.isin(material, (FLESH, TEETH))
    deep, shine = layers[inside, 6:7], facing[inside] ** 40
    out[inside] = layers[inside, 3:6] * deep * (0.35 + 0.65 * lit[inside]) + shine * 25 * deep
    eye = material == EYE
    colours = _eye_colours(layers[eye, 7:10], paint.iris)
    out[eye] = colours * (0.45 + 0.5 * lit[eye]) + facing[eye] ** 160 * 150
    return np.asarray(out, np.float32)


def _half_way(light: Light) -> Floats:
    """Compute the unit vector between the lamp and the viewer (Blinn, SIGGRAPH 1977)."""
    lamp = np.asarray(light.direction, np.float32)
    half = lamp / (np.linalg.norm(lamp) + 1e-6) + np.array([0, 0, 1], np.float32)
    return np.asarray(half / np.linalg.norm(half), np.float32)


def _pores(size: int, seed: int) -> Floats:
    """Draw blotches and grain of skin, (S, S), about 1."""
    rng = np.random.default_rng([seed, 5])
    out = np.ones((size, size), np.float32)
    for cells, amount in ((24, 0.03), (max(size // 4, 2), 0.02)):
        noise = rng.normal(0, amount, (cells, cells)).astype(np.float32)
        out += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return out


def _eye_colours(gaze: Floats, iris: Floats) -> Floats:
    """Colour directions (..., 3) from the eyeball's centre."""
    away = np.hypot(gaze[..., 0], gaze[..., 1]) + (gaze[..., 2] < 0) * 9
    inside = np.clip((IRIS - away) / 0.05, 0, 1)[..., None]
    ring = np.clip((away - (IRIS - 0.13)) / 0.13, 0, 1)[..., None]
    pupil = np.clip((PUPIL - away) / 0.04, 0, 1)[..., None]
    white = np.array([222, 214, 210]) * (1 - 0.25 * np.clip(away - 0.5, 0, 1))[..., None]
    out = white * (1 - inside) + iris * (1 - 0.45 * ring) * inside
    return np.asarray(out * (1 - pupil) + np.array([12, 10, 10]) * pupil, np.float32)


@dataclass(frozen=True)
class Correspondence:
    """Vertex (478,) of each landmark and its mean error (478,) in pixels of a 384 px picture."""

    vertex: Ints
    error: Floats

    @property
    def trusted(self) -> NDArray[np.int64]:
        """Landmarks that can be fitted."""
        return np.flatnonzero(self.error[:MESH] < TRUSTED)

    def save(self, path: Path) -> None:
        """Write an npz."""
        npz.write(path, {"vertex": self.vertex, "error": self.error})


def load_correspondence(path: Path) -> Correspondence:
    """Read the npz that `save` wrote."""
    with np.load(path) as arrays:
        return Correspondence(arrays["vertex"], arrays["error"])


def find_correspondence(
    kit: Kit, regions: Regions, reader: MeshReader, count: int = 40
) -> Correspondence:
    """Find for each landmark the vertex nearest on average over `count` painted heads."""
    face = int(kit.part("face").sum())
    total, detected = np.zeros((478, face)), 0
    for i in range(count):
        picture, points, normals = _test_head(kit, regions, i)
        read = reader(picture)
        if read is None:
            continue
        away = np.linalg.norm(read[0][:, None, :2] - points[None, :face], axis=2)
        total += np.minimum(away + 6 * (normals[:face, 2] < 0.05), CAP)
        detected += 1
    if detected < count / 2:
        raise RuntimeError(
            f"expected the face reader to find {count} painted heads, it found {detected}; "
            "check that it takes RGB pictures"
        )
    mean = total / detected
    return Correspondence(mean.argmin(1).astype(np.int32), mean.min(1).astype(np.float32))


def _test_head(kit: Kit, regions: Regions, seed: int) -> tuple[Pixels, Floats, Floats]:
    """Draw a painted head; return also its vertices in pixels (V, 2) and normals (V, 3)."""
    rng = np.random.default_rng([seed, 11])
    turn = rotation(rng.normal(0, 4.5), rng.normal(0, 3), 0)
    camera = Camera(turn, _SIZE / 26, (_SIZE / 2, _SIZE * 0.53))
    shape = kit.head(rng.normal(0, 0.6, len(kit.identity)).astype(np.float32))
    if seed % 2:
        shape = shape + kit.offset({"jawOpen": 0.25, "mouthLowerDown": 0.2})
    scene = Scene(STUDIO, height_map(kit, {}, seed), np.full((_SIZE, _SIZE, 3), 150, np.float32))
    picture = render_clay(kit, regions, shape, camera, random_paint(seed), scene)
    normals = vertex_normals(np.ascontiguousarray(shape @ turn.T), kit.triangles)
    return picture, camera.project(shape)[:, :2], normals
