"""Fit the kit to a neutral portrait: shape, pose, texture places and light; or say why not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageOps, UnidentifiedImageError
from scipy.interpolate import RBFInterpolator

from ferce.core.types import Pixels
from ferce.data.rendering.clay import Correspondence, MeshReader
from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.person import Credit, Person, Portrait
from ferce.data.rendering.raster import Camera, Light, read_light, vertex_normals
from ferce.data.rendering.regions import SKIN, Regions, eyeballs
from ferce.data.rendering.texture import skin_colour

SIZE = 512  # pixels of the cut portrait
MARGIN = 1.7  # its side, in sides of the face mesh
NOISE = 2.5  # pixels: how far a landmark may be off
FREE = (  # expression shapes fitted together with the identity: no face is quite neutral
    "jawOpen", "mouthSmile", "mouthFrown", "eyeBlink", "eyeWide", "eyeSquint", "browDown",
    "browInnerUp", "browOuterUp", "mouthPress", "mouthPucker", "mouthClose",
)  # fmt: skip
RELAXED = ("mouthSmile", "mouthFrown", "jawOpen")  # taken off to get the resting face


@dataclass(frozen=True)
class Limits:
    """Limits of a neutral, readable portrait (blendshapes 0..1)."""

    smile: float = 0.7  # with closed lips: the fit takes it off, and the rest face is read again
    jaw: float = 0.08
    teeth: float = 0.12
    frown: float = 0.4  # brows lowered at rest would be an unlabelled AU4
    mouth_down: float = 0.15
    brows_up: float = 0.6
    blink: float = 0.45
    yaw: float = 16.0  # degrees
    error: float = 5.5  # pixels of the 512 px cut
    face: float = 90.0  # pixels: the mesh in the portrait as it comes


class Unfit(Exception):  # noqa: N818 -- a verdict on a portrait, not a fault
    """A portrait that cannot be used; the text says why."""


def fit_portrait(
    portrait: Portrait,
    kit: Kit,
    regions: Regions,
    match: Correspondence,
    reader: MeshReader,
    limits: Limits | None = None,
) -> Person:
    """Fit one portrait.

    Raises:
        Unfit: it cannot be read, shows no face, is not neutral, or does not fit.
    """
    limits = limits or Limits()
    photo = read_photo(portrait.path)
    read = reader(photo)
    if read is None:
        raise Unfit("no face found")
    points = np.asarray(read[0][:, :2], np.float32)
    check_neutral(read[1], points, limits)
    image, points = cut(photo, points)
    person = solve(image, points, kit, regions, match)
    if abs(person.yaw) > limits.yaw:
        raise Unfit("turned away")
    if person.error > limits.error:
        raise Unfit("poor fit")
    return replace(person, credit=credit(portrait))


def credit(portrait: Portrait) -> Credit:
    """Name source and licence; without a split a hash gives one (15 % test, 10 % val)."""
    split = portrait.split or hashed_split(portrait.subject)
    names = (portrait.subject, portrait.source, portrait.licence, portrait.attribution)
    return Credit(*names, split, portrait.path.name)


def hashed_split(subject: str) -> str:
    """Choose a split by a hash of the subject, the same on every machine."""
    share = int.from_bytes(hashlib.sha256(os.fsencode(subject)).digest()[:4]) / 2**32
    return "test" if share < 0.15 else "val" if share < 0.25 else "train"


def read_photo(path: Path) -> Pixels:
    """Read a photo as upright RGB."""
    try:
        with PILImage.open(path) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise Unfit("unreadable") from error


def check_neutral(shapes: Mapping[str, float], points: Floats, limits: Limits) -> None:
    """Refuse expressions, since the rendered action units come on top of them."""

    def most(name: str) -> float:
        return max(shapes.get(name + s, 0.0) for s in ("", "Left", "Right"))

    checks = (
        ("smiling", most("mouthSmile"), limits.smile),
        ("mouth open", most("jawOpen"), limits.jaw),
        ("teeth showing", most("mouthUpperUp"), limits.teeth),
        ("frowning at rest", most("browDown"), limits.frown),
        ("mouth corners down", most("mouthFrown"), limits.mouth_down),
        ("brows raised", most("browInnerUp"), limits.brows_up),
        ("eyes closed", most("eyeBlink"), limits.blink),
        ("too small", -float(np.ptp(points, axis=0).max()), -limits.face),
    )
    for reason, value, limit in checks:
        if value > limit:
            raise Unfit(reason)


def cut(photo: Pixels, points: Floats) -> tuple[Pixels, Floats]:
    """Cut a square round the mesh, 512 px; return it and the landmarks in it."""
    low, high = points.min(0), points.max(0)
    scale = SIZE / (float((high - low).max()) * MARGIN)
    shift = SIZE / 2 - scale * (low + high) / 2
    turn = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    if scale < 0.7:
        photo = cv2.GaussianBlur(photo, (0, 0), 0.4 / scale)
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    image = cv2.warpAffine(photo, turn, (SIZE, SIZE), flags=way, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(image, np.uint8), (points * scale + shift).astype(np.float32)


def solve(
    image: Pixels, points: Floats, kit: Kit, regions: Regions, match: Correspondence
) -> Person:
    """Fit shape, pose, texture places and light to one cut portrait."""
    used = match.trusted
    vertex, weight = match.vertex[used], 1 / (1 + match.error[used])
    identity, expression, camera = fit_shape(kit, vertex, weight / weight.mean(), points[used])
    neutral = kit.head(identity)
    vertices = neutral + kit.offset(expression)
    kept = {k: v for k, v in expression.items() if not k.startswith(RELAXED)}
    seen = camera.project(vertices)[:, :2]
    miss = points[used] - seen[vertex]
    places = _warp(kit, seen, vertex, miss)
    return Person(
        credit=Credit("", "", "", "", ""),
        image=image,
        landmarks=points,
        vertices=vertices,
        rest=neutral + kit.offset(kept),
        places=places,
        camera=camera,
        light=_light(image, kit, regions, vertices, places, camera),
        skin=skin_colour(image, points),
        yaw=float(np.degrees(np.arctan2(camera.rotation[0, 2], camera.rotation[2, 2]))),
        error=float(np.sqrt((miss**2).sum(1).mean())),
    )


def fit_pose(shape: Floats, points: Floats) -> Camera:
    """Fit the scaled orthographic view of points (N, 3) that best gives (N, 2), y down."""
    flat = points * np.array([1, -1], np.float32)
    mean3, mean2 = shape.mean(0), flat.mean(0)
    rows = np.linalg.lstsq(shape - mean3, flat - mean2, rcond=None)[0].T
    scale = float(np.linalg.norm(rows, axis=1).mean())
    u, _, vt = np.linalg.svd(rows / scale, full_matrices=False)
    two = u @ vt
    turn = np.vstack([two, np.cross(two[0], two[1])]).astype(np.float32)
    x, y = mean2 - scale * two @ mean3
    return Camera(turn, scale, (float(x), float(-y)))


def fit_shape(
    kit: Kit, vertex: NDArray[np.int32], weight: Floats, points: Floats, rounds: int = 8
) -> tuple[Floats, dict[str, float], Camera]:
    """Fit pose and ridge-regularised coefficients in turn; identity, expression, camera."""
    free = [i for name in FREE for i in _columns(kit, name)]
    basis = np.concatenate([kit.identity[:, vertex], kit.expression[free][:, vertex]])  # (K, L, 3)
    people = len(kit.identity)
    prior = np.r_[np.full(people, 1 / 1.5), np.full(len(free), 1 / 0.35)]
    weights = np.zeros(len(basis), np.float32)
    for _ in range(rounds):
        camera = fit_pose(kit.vertices[vertex] + np.tensordot(weights, basis, 1), points)
        flat = camera.scale * np.einsum("ij,klj->kli", camera.rotation[:2], basis) * [1, -1]
        design = (flat * weight[:, None]).reshape(len(basis), -1).T / NOISE
        base = camera.project(kit.vertices[vertex])[:, :2]
        rest = ((points - base) * weight[:, None]).ravel() / NOISE
        solved = np.linalg.solve(design.T @ design + np.diag(prior**2), design.T @ rest)
        solved[people:] = np.clip(solved[people:], 0, 1)
        weights = solved.astype(np.float32)
    names = [kit.expression_names[i] for i in free]
    shown = {n: float(v) for n, v in zip(names, weights[people:], strict=True) if v > 1e-3}
    return weights[:people], shown, camera


def _columns(kit: Kit, name: str) -> list[int]:
    return [kit.index[n] for n in (name, name + "_L", name + "_R") if n in kit.index]


def _warp(kit: Kit, seen: Floats, vertex: NDArray[np.int32], miss: Floats) -> Floats:
    """Pull projected vertices onto the landmarks, smoothly in between; texture places."""
    _, first = np.unique(vertex, return_index=True)
    pull = RBFInterpolator(seen[vertex][first], miss[first], kernel="linear", smoothing=20.0)
    out = seen.copy()
    out[: kit.narrow] += pull(seen[: kit.narrow]).astype(np.float32)
    for ball in eyeballs(kit):  # eyeballs move as one
        if ball.any():
            out[ball] += pull(seen[ball].mean(0)[None]).astype(np.float32)
    return out


def _light(
    image: Pixels, kit: Kit, regions: Regions, vertices: Floats, places: Floats, camera: Camera
) -> Light:
    """Estimate the light that best explains the brightness of the skin."""
    turned = np.ascontiguousarray(vertices @ camera.rotation.T)
    normals = vertex_normals(turned, kit.triangles)
    plain = (regions.lips + regions.brows == 0) & (regions.material == SKIN)
    skin = np.flatnonzero(plain[: kit.narrow] & (normals[: kit.narrow, 2] > 0.3))
    spots = np.clip(places[skin].astype(int), 0, SIZE - 1)
    grey = cv2.GaussianBlur(image, (0, 0), 3).mean(2)
    return read_light(grey[spots[:, 1], spots[:, 0]], normals[skin])
