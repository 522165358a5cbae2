"""Regions of the mean head: materials, lips, brows, hair, teeth, the face's rim."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ferce.data.rendering.kit import Floats, Ints, Kit

SKIN, FLESH, TEETH, EYE, SOCKET = range(5)  # materials
EYEBALLS = (("sclera_left", "iris_left"), ("sclera_right", "iris_right"))


@dataclass(frozen=True)
class Regions:
    """Soft masks in 0..1 and labels, one value a vertex of the kit."""

    material: Ints  # (V,) SKIN .. SOCKET
    lips: Floats
    lower_lip: NDArray[np.bool_]  # lip vertices that follow the jaw
    brows: Floats
    scalp: Floats
    tooth: Ints  # (V,) tooth number, -1 elsewhere
    gaze: Floats  # (V, 3) direction from the eyeball's centre, 0 elsewhere
    rim: Ints  # vertices on the outer edge of the front of the face
    front: Ints  # (T, 3) triangles of the front of the face, mouth and eyes
    partner: Ints  # (V,) the nearest vertex on the other side of the face


def paint_regions(kit: Kit) -> Regions:
    """Mark the regions of a kit on its mean head."""
    lips = _lips(kit)
    jaw = kit.offset({"jawOpen": 1.0})[:, 1]
    front = _front(kit)
    return Regions(
        material=_material(kit),
        lips=lips,
        lower_lip=(lips > 0) & (jaw < 0.35 * jaw.min()),
        brows=_brows(kit),
        scalp=_scalp(kit),
        tooth=_teeth(kit),
        gaze=_gaze(kit),
        rim=_rim(kit, front),
        front=front,
        partner=_partner(kit),
    )


def eyeballs(kit: Kit) -> list[NDArray[np.bool_]]:
    """Mark, (V,) each, the subject's left and right eyeball."""
    return [kit.part(*names) for names in EYEBALLS]


def _material(kit: Kit) -> Ints:
    out = np.full(len(kit.vertices), SKIN, np.int32)
    out[kit.part("mouth_socket", "gums")] = FLESH
    out[kit.part("teeth")] = TEETH
    out[kit.part("sclera", "iris")] = EYE
    out[kit.part("eye_socket")] = SOCKET
    return out


def _lips(kit: Kit) -> Floats:
    """Mark the inside of the outer lip line (landmarks 48-59), with a 1 mm soft edge."""
    mouth = kit.vertices[kit.landmarks68[48:60]]
    line = cv2.convexHull(mouth[:, :2].astype(np.float32))
    near = kit.part("face") & (kit.vertices[:, 2] > mouth[:, 2].min() - 1.2)
    out = np.zeros(len(kit.vertices), np.float32)
    for i in np.flatnonzero(near):
        x, y = kit.vertices[i, :2]
        out[i] = np.clip(
            (cv2.pointPolygonTest(line, (float(x), float(y)), True) + 0.08) / 0.12, 0, 1
        )
    return out


def _brows(kit: Kit) -> Floats:
    out = np.zeros(len(kit.vertices), np.float32)
    for line in (kit.landmarks68[17:22], kit.landmarks68[22:27]):
        away = line_distance(kit.vertices[:, :2], kit.vertices[line, :2])
        out = np.maximum(out, np.clip(1.5 - away / 0.28, 0, 1))
    return (out * kit.part("face")).astype(np.float32)


def line_distance(points: NDArray[Any], line: NDArray[Any]) -> Floats:
    """Compute the distance of points (N, 2) from a polyline (M, 2)."""
    best = np.full(len(points), np.inf)
    for a, b in itertools.pairwise(line):
        along = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a) + 1e-12), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - along[:, None] * (b - a), axis=1))
    return best.astype(np.float32)


def _scalp(kit: Kit) -> Floats:
    """Mark hair above a rounded hairline and behind the ears, in cm on the mean head."""
    x, y, z = kit.vertices.T
    line = 9.4 - 0.035 * x**2 + 0.25 * np.sin(1.3 * x)
    behind = (z < -1.5) & (y > 0) & (np.abs(x) < 7.9)
    soft = np.clip((y - line) * 1.2, 0, 1) * (np.abs(x) < 8.6)
    return np.asarray(np.maximum(soft, behind) * kit.part("face", "head"), np.float32)


def _teeth(kit: Kit) -> Ints:
    """Number the teeth: each is a connected piece of the teeth meshes."""
    inside = kit.part("teeth")
    edges = kit.triangles[inside[kit.triangles].all(1)]
    count = len(kit.vertices)
    pairs = (edges.ravel(), np.roll(edges, 1, axis=1).ravel())
    graph = coo_matrix((np.ones(edges.size), pairs), shape=(count, count))
    piece = connected_components(graph, directed=False)[1]
    out = np.full(count, -1, np.int32)
    out[inside] = np.unique(piece[inside], return_inverse=True)[1]
    return out


def _gaze(kit: Kit) -> Floats:
    out = np.zeros_like(kit.vertices)
    for ball in eyeballs(kit):
        points = kit.vertices[ball]
        if len(points):
            away = points - ball_centre(points)
            out[ball] = away / (np.linalg.norm(away, axis=1, keepdims=True) + 1e-9)
    return out


def ball_centre(points: Floats) -> Floats:
    """Compute an eyeball's centre, half its width behind its front, since its back is open."""
    low, high = points.min(0), points.max(0)
    centre = (low + high) / 2
    centre[2] = high[2] - (high[0] - low[0]) / 2
    return np.asarray(centre, np.float32)


def _partner(kit: Kit) -> Ints:
    mirrored = kit.vertices * np.array([-1, 1, 1], np.float32)
    return np.asarray(cKDTree(kit.vertices).query(mirrored)[1], np.int32)


def _front(kit: Kit) -> Ints:
    """Select triangles of the narrow face, sockets of the eyes, mouth, teeth and eyeballs."""
    face = (kit.triangles < kit.narrow).all(1)
    behind = kit.part("mouth", "eye_socket", "gums", "teeth", "sclera")
    rest = behind[kit.triangles].any(
        1
    )  # sockets are sewn to the face: their rims use face vertices
    return np.ascontiguousarray(kit.triangles[face | rest])


def _rim(kit: Kit, front: Ints) -> Ints:
    """List vertices on edges of one triangle only, in the loop that spans the face."""
    face = front[(front < kit.narrow).all(1)]
    edges = np.sort(np.concatenate([face[:, [0, 1]], face[:, [1, 2]], face[:, [2, 0]]]), axis=1)
    unique, times = np.unique(edges, axis=0, return_counts=True)
    once = unique[times == 1]
    count = len(kit.vertices)
    graph = coo_matrix((np.ones(len(once)), tuple(once.T)), shape=(count, count))
    piece = connected_components(graph, directed=False)[1]
    loops = [np.unique(once[piece[once[:, 0]] == k]) for k in np.unique(piece[once[:, 0]])]
    widest = max(loops, key=lambda loop: float(np.ptp(kit.vertices[loop], axis=0).sum()))
    return widest.astype(np.int32)
