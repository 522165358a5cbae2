"""Draw a fitted person with another expression, pose and light, from the portrait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data.rendering.express import Activation, expression_weights, unit_sides
from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.person import PIVOT, Person, Pose, angles, turn_eyes, turn_head
from ferce.data.rendering.raster import (
    Camera,
    Coverage,
    Light,
    cover,
    expression_ratio,
    relight_ratio,
    rotation,
    vertex_normals,
)
from ferce.data.rendering.regions import EYE, SKIN, SOCKET, Regions
from ferce.data.rendering.texture import (
    depth_shade,
    eye_texture,
    lid_texture,
    mouth_colours,
    outline_targets,
    tuck_lips,
    warp_rim,
)
from ferce.data.rendering.wrinkles import height_map, sample_map, shading_map

FEATHER = 20.0  # pixels of 512 over which the drawn face fades into the photograph
EAR = 1.9  # cm: how far an ear stands out beyond the rim of the face
MOST_TURNED = 30.0  # degrees away from the portrait; beyond, too much of the cheek is unseen
GRAZING = 0.4  # normals with a smaller z are seen edge-on in the portrait
DRAWN_IN = 0.5  # cm: how far texture is drawn in at the outline
RELIGHT_SIZE = 128  # pixels; lamps make soft gradients


@dataclass(frozen=True)
class Appearance:
    """Expression, pose and light of one picture of a person."""

    activations: Sequence[Activation] = ()
    pose: Pose = Pose()  # noqa: RUF009 -- frozen
    light: Light | None = None  # None = as in the portrait
    fold_strength: float = 0.8
    seed: int = 0  # of what belongs to the person: folds, teeth


@dataclass(frozen=True)
class Rendered:
    """A picture and where it shows what: points (V, 3) in its pixels, angles in degrees."""

    image: Pixels
    points: Floats
    angles: tuple[float, float, float]


@dataclass(frozen=True)
class Geometry:
    """The head before and after, seen by the portrait's camera; view-space, cm and pixels."""

    before: Floats  # (V, 3) normals
    after: Floats  # (V, 3) normals
    points: Floats  # (V, 3) pixels
    depth: Floats  # (V,) light inside the mouth
    turned: float  # degrees of yaw added


def render_photo(kit: Kit, regions: Regions, person: Person, appearance: Appearance) -> Rendered:
    """Draw a person in one appearance, at the size of the cut portrait."""
    geometry, final = move(kit, person, appearance)
    size = len(person.image)
    seen = cover(geometry.points, regions.front, size, size)
    layers = seen.spread(regions.front, _layers(kit, regions, person, appearance, geometry))
    material = _materials(seen, regions)
    face = _colour(person, layers, material, appearance, kit)
    behind = surroundings(kit, regions, person, geometry, seen)
    alpha = _alpha(seen, geometry, regions)
    picture = behind * (1 - alpha) + face * alpha
    picture = soften_edges(picture, material)
    if appearance.light is not None:
        picture = picture * _relight(kit, geometry, person, appearance.light)
    image = np.clip(picture, 0, 255).astype(np.uint8)
    return Rendered(image, geometry.points, final)


def move(
    kit: Kit, person: Person, appearance: Appearance
) -> tuple[Geometry, tuple[float, float, float]]:
    """Apply expression and gaze and turn the head."""
    weights = expression_weights(kit, appearance.activations, appearance.pose.gaze)
    shape = turn_eyes(kit, person.rest + kit.offset(weights), appearance.pose.gaze)
    own = person.camera.rotation
    turned = float(np.clip(appearance.pose.yaw - person.yaw, -MOST_TURNED, MOST_TURNED))
    change = rotation(turned, appearance.pose.pitch, appearance.pose.roll)
    view = turn_head(shape @ own.T, change, own @ PIVOT)
    flat = Camera(np.eye(3, dtype=np.float32), person.camera.scale, person.camera.shift)
    points = flat.project(view)
    points[:, :2] += person.places - person.camera.project(person.vertices)[:, :2]
    geometry = Geometry(
        before=vertex_normals(np.ascontiguousarray(person.vertices @ own.T), kit.triangles),
        after=vertex_normals(view, kit.triangles),
        points=points,
        depth=depth_shade(kit, shape),
        turned=turned,
    )
    return geometry, angles(change @ own)


def _layers(
    kit: Kit, regions: Regions, person: Person, appearance: Appearance, geometry: Geometry
) -> Floats:
    """Stack (V, 13): texture place, shade ratio, mouth light and colour, mean-head place, ...

    The last: for cheeks unseen in the portrait, the other one's place, share and shade ratio.
    """
    light = person.light
    unturned = (
        geometry.after @ rotation(-geometry.turned, 0, 0).T
    )  # a turn alone does not change the lamp
    ratio = expression_ratio(light.shade(geometry.before), light.shade(unturned))
    places = tuck_lips(regions, inner_places(person, geometry), person.landmarks)
    exposure = float(np.clip(person.skin.mean() / 190, 0.45, 1.05))
    colours = mouth_colours(kit, regions, appearance.seed, exposure)
    share, other = _borrowed(geometry.before, regions)
    relit = light.shade(geometry.before) / light.shade(geometry.before[other])
    stacked = (
        places, ratio[:, None], geometry.depth[:, None], colours, kit.vertices[:, :2],
        places[other], share[:, None], relit[:, None],
    )  # fmt: skip
    return np.concatenate(stacked, axis=1).astype(np.float32)


def inner_places(person: Person, geometry: Geometry) -> Floats:
    """Draw texture places (V, 2) in from the outline on the side that turns to the viewer.

    There a sliver of the portrait is stretched over the whole cheek, and at the outline a pixel of
    misfit would show the wall behind.
    """
    near = np.clip(
        -np.sign(geometry.turned) * (person.places[:, 0] - person.camera.shift[0]), 0, None
    )
    near = np.clip(near / (3 * person.camera.scale), 0, 1) * np.clip(
        abs(geometry.turned) / 15, 0, 1
    )
    grazing = np.clip((GRAZING - geometry.before[:, 2]) / GRAZING, 0, 1.2)
    out = person.places.copy()
    out[:, 0] += np.sign(geometry.turned) * near * grazing * DRAWN_IN * person.camera.scale
    return out


def _borrowed(before: Floats, regions: Regions) -> tuple[Floats, NDArray[np.int32]]:
    """Compute how much texture each vertex takes from its better seen partner, 0..1."""
    own, other = before[:, 2], before[regions.partner, 2]
    better = np.clip((other - own - 0.2) / 0.2, 0, 1)
    share = np.clip((0.5 - own) / 0.3, 0, 1) * better * (regions.material == SKIN)
    return share.astype(np.float32), regions.partner


def _materials(seen: Coverage, regions: Regions) -> NDArray[np.int32]:
    first = regions.front[np.maximum(seen.triangle, 0), 0]
    other = regions.front[np.maximum(seen.triangle, 0), 1]
    kind = np.maximum(regions.material[first], regions.material[other])
    return np.where(seen.triangle >= 0, kind, -1).astype(np.int32)


def _colour(
    person: Person, layers: Floats, material: NDArray[np.int32], appearance: Appearance, kit: Kit
) -> Floats:
    """Colour the drawn face, (S, S, 3)."""
    columns, rows = (np.ascontiguousarray(layers[..., k]) for k in (0, 1))
    lids = lid_texture(person.image, person.landmarks)
    skin = _sample(lids, columns, rows)
    skin = _borrow(skin, layers, lids)
    folds = height_map(
        kit, unit_sides(appearance.activations), appearance.seed, appearance.fold_strength
    )
    creases = sample_map(shading_map(folds, person.light.direction), layers[..., 7:9])
    shade = cv2.GaussianBlur(np.where(material == SKIN, layers[..., 2], 1.0), (0, 0), 1.2)
    skin = skin * (shade * creases)[..., None]
    out = layers[..., 4:7] * layers[..., 3:4]
    out[material == SKIN] = skin[material == SKIN]
    out[material == SOCKET] = 0.6 * skin[material == SOCKET]
    eye = material == EYE
    if eye.any():
        eyes = _sample(eye_texture(person.image, person.landmarks), columns, rows)
        out[eye] = eyes[eye] * _lid_shadow(material)[eye, None]
    return np.asarray(out, np.float32)


def _borrow(skin: Floats, layers: Floats, lids: Pixels) -> Floats:
    """Mirror the seen cheek onto the unseen one."""
    share = cv2.GaussianBlur(layers[..., 11], (0, 0), 3)[..., None]
    if share.max() < 0.02:
        return skin
    columns, rows = (np.ascontiguousarray(layers[..., k]) for k in (9, 10))
    other = _sample(lids, columns, rows) * np.clip(layers[..., 12:13], 0.6, 1.5)
    return np.asarray(skin * (1 - share) + other * share, np.float32)


def _sample(image: Pixels, columns: Floats, rows: Floats) -> Floats:
    moved = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.float32)


def _lid_shadow(material: NDArray[np.int32]) -> Floats:
    """Darken the eyes under the upper lid."""
    eye = (material == EYE).astype(np.float32)
    drop = max(len(eye) // 90, 1)
    open_above = cv2.GaussianBlur(eye * np.roll(eye, drop, axis=0), (0, 0), drop / 2)
    return np.asarray(0.6 + 0.4 * np.clip(open_above * 1.3, 0, 1), np.float32)


def surroundings(
    kit: Kit, regions: Regions, person: Person, geometry: Geometry, seen: Coverage
) -> Floats:
    """Warp the photograph so that hair and neck follow the rim of the face.

    On the side that turns away the rim is hidden: there the silhouette takes what lay beyond the
    ear, so that the ear goes out of sight.
    """
    rim = geometry.points[regions.rim, :2]
    hidden = geometry.after[regions.rim, 2] < 0.12
    targets = outline_targets(rim, hidden, seen.triangle >= 0)
    sources = inner_places(person, geometry)[regions.rim]
    level = kit.vertices[regions.rim]
    beside = np.exp(-(((level[:, 1] - 1.0) / 3.5) ** 2)) * np.sign(level[:, 0])
    away = EAR * person.camera.scale * np.clip(abs(geometry.turned) / 22, 0, 1)
    sources[:, 0] += np.where(hidden, beside * away, 0)
    return warp_rim(person.image, targets, sources.astype(np.float32))


def _alpha(seen: Coverage, geometry: Geometry, regions: Regions) -> Floats:
    """Compute the drawn face's share, (S, S, 1): feathered, but sharp where it turns away."""
    mask = cv2.morphologyEx((seen.triangle >= 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5)))
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    rim = geometry.points[regions.rim, 0]
    across = (np.arange(mask.shape[1]) - rim.mean()) / (np.ptp(rim) / 2 + 1e-6)
    far = np.clip(across * np.sign(geometry.turned) * 2, 0, 1) * np.clip(
        abs(geometry.turned) / 14, 0, 1
    )
    width = FEATHER * (1 - far) + 3.0 * far
    return np.asarray(np.clip((inside - 1) / width, 0, 1) * (seen.triangle >= 0), np.float32)[
        ..., None
    ]


def soften_edges(picture: Floats, material: NDArray[np.int32]) -> Floats:
    """Blur by a pixel where lids meet eyes and lips meet teeth."""
    steps = np.abs(cv2.Laplacian(material.astype(np.float32), cv2.CV_32F))
    edge = cv2.GaussianBlur(np.clip(steps, 0, 1), (0, 0), 1.0)
    edge = np.clip(edge * 1.5, 0, 1)[..., None]
    soft = cv2.GaussianBlur(picture, (0, 0), 1.1)
    return np.asarray(picture * (1 - edge) + soft * edge, np.float32)


def _relight(kit: Kit, geometry: Geometry, person: Person, light: Light) -> Floats:
    """Compute the brightness factor, (S, S, 1), of a new lamp on head and neck."""
    size = len(person.image)
    shrunk = geometry.points * (RELIGHT_SIZE / size)
    seen = cover(np.ascontiguousarray(shrunk), kit.triangles, RELIGHT_SIZE, RELIGHT_SIZE)
    ratio = relight_ratio(person.light.shade(geometry.after), light.shade(geometry.after))
    drawn = seen.spread(kit.triangles, ratio[:, None])[..., 0]
    mask = (seen.triangle >= 0).astype(np.float32)
    near = cv2.GaussianBlur(drawn, (0, 0), 14) + 0.02 * float(ratio.mean())
    spread = near / (cv2.GaussianBlur(mask, (0, 0), 14) + 0.02)
    soft = cv2.GaussianBlur(np.where(mask > 0, drawn, spread), (0, 0), 1.5)
    return np.asarray(cv2.resize(soft, (size, size), interpolation=cv2.INTER_CUBIC))[..., None]
