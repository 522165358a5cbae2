"""A fitted person: the shape of the head in one portrait, and the portrait as its texture."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.light import Light
from ferce.data.rendering.raster import Camera, rotation
from ferce.data.rendering.regions import ball_centre, eyeballs

PIVOT = np.array([0.0, 0.0, 5.0], np.float32)  # cm on the mean head: the face stays in the frame
GAZE_REACH = 22.0  # degrees of eyeball rotation for a gaze of 1


@dataclass(frozen=True)
class Pose:
    """Head angles in degrees, and gaze, -1..1 to the picture's right and up.

    yaw > 0 faces the picture's right, pitch > 0 looks up, roll > 0 tilts to the picture's left.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


def turn_head(view: Floats, turn: Floats, pivot: Floats) -> Floats:
    """Rotate view-space vertices (V, 3) about a point."""
    return np.ascontiguousarray((view - pivot) @ turn.T + pivot, np.float32)


def turn_eyes(kit: Kit, vertices: Floats, gaze: tuple[float, float]) -> Floats:
    """Rotate each eyeball about its centre."""
    if gaze == (0.0, 0.0):
        return vertices
    turn = rotation(gaze[0] * GAZE_REACH, gaze[1] * GAZE_REACH, 0)
    out = vertices.copy()
    for ball in eyeballs(kit):
        if ball.any():
            out[ball] = turn_head(vertices[ball], turn, ball_centre(vertices[ball]))
    return out


def angles(turn: Floats) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees of a rotation made by `rotation`."""
    yaw = np.degrees(np.arcsin(np.clip(-turn[2, 0], -1, 1)))
    pitch = -np.degrees(np.arctan2(turn[2, 1], turn[2, 2]))
    roll = np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))
    return float(yaw), float(pitch), float(roll)


Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Credit:
    """Who a picture shows and under which terms."""

    subject: str
    source: str
    licence: str
    attribution: str
    split: str
    file: str = ""


@dataclass(frozen=True)
class Person:
    """What rendering needs; all places in pixels of `image`, the cut portrait."""

    credit: Credit
    image: Image  # (S, S, 3) RGB
    landmarks: Floats  # (478, 2)
    vertices: Floats  # (V, 3) cm, the head as it is in the portrait
    rest: Floats  # (V, 3) cm, the same head without the slight expression it has there
    places: Floats  # (V, 2) where each vertex lies in the portrait
    camera: Camera
    light: Light
    skin: Floats  # (3,) RGB
    yaw: float  # degrees
    error: float  # root mean square of the fit, pixels


def save_person(person: Person, path: Path) -> None:
    """Write one npz; the portrait inside as PNG."""
    buffer = io.BytesIO()
    PILImage.fromarray(person.image).save(buffer, "PNG")
    arrays: dict[str, Any] = {
        "image": np.frombuffer(buffer.getvalue(), np.uint8),
        "landmarks": person.landmarks,
        "vertices": person.vertices,
        "rest": (person.rest - person.vertices).astype(np.float16),
        "places": person.places,
        "rotation": person.camera.rotation,
        "view": np.array([person.camera.scale, *person.camera.shift]),
        "light": np.array([person.light.ambient, *person.light.direction]),
        "skin": person.skin,
        "numbers": np.array([person.yaw, person.error]),
        "credit": np.array(json.dumps(vars(person.credit))),
    }
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)
    part.rename(path)


def load_person(path: Path) -> Person:
    """Read what `save_person` wrote."""
    with np.load(path) as z:
        scale, x, y = map(float, z["view"])
        ambient, *direction = map(float, z["light"])
        yaw, error = map(float, z["numbers"])
        picture = PILImage.open(io.BytesIO(z["image"].tobytes())).convert("RGB")
        return Person(
            credit=Credit(**json.loads(str(z["credit"]))),
            image=np.asarray(picture),
            landmarks=z["landmarks"],
            vertices=z["vertices"],
            rest=(z["vertices"] + z["rest"]).astype(np.float32),
            places=z["places"],
            camera=Camera(z["rotation"], scale, (x, y)),
            light=Light(ambient, (direction[0], direction[1], direction[2])),
            skin=z["skin"],
            yaw=yaw,
            error=error,
        )


def load_credit(path: Path) -> Credit:
    """Only the credit of a saved person."""
    with np.load(path) as z:
        return Credit(**json.loads(str(z["credit"])))
