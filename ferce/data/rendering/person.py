"""Portraits in a folder, and people fitted to them: head shape, and portrait as texture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from ferce.core.types import Pixels
from ferce.data.record import SPLITS
from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.raster import Camera, Light, rotation
from ferce.data.rendering.regions import ball_centre, eyeballs

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Portrait:
    """One picture of one person, with its source and licence."""

    path: Path
    subject: str
    source: str = "folder"
    licence: str = "unknown"
    attribution: str = ""
    split: str = ""  # train, val, test, or empty: chosen by a hash of the subject

    def __post_init__(self) -> None:
        if self.split and self.split not in SPLITS:
            raise ValueError(f"{self.path}: expected split {SPLITS} or none, came {self.split!r}")


def list_portraits(
    folder: str | Path, manifest: str | Path | None = None, sources: Iterable[str] = ()
) -> list[Portrait]:
    """List the portraits of a folder, in name order.

    A manifest is a CSV with a column `file` (relative to the folder) and any of subject, source,
    licence, attribution, split; only files named there are used, and only the given sources.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of portraits, came {folder}")
    if manifest is None:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        return [Portrait(p, p.stem) for p in paths]
    wanted = set(sources)
    portraits = [
        p for p in read_manifest(folder, Path(manifest)) if not wanted or p.source in wanted
    ]
    if not portraits:
        raise ValueError(f"{manifest}: no row has a source in {sorted(wanted)}")
    return portraits


def read_manifest(folder: Path, manifest: Path) -> list[Portrait]:
    """Read the rows of a manifest CSV, sorted by file name."""
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or "file" not in rows[0]:
        columns = list(rows[0]) if rows else []
        raise ValueError(f"{manifest}: expected a column `file`, came {columns}")
    return [_portrait(folder, row) for row in sorted(rows, key=lambda r: r["file"])]


def _portrait(folder: Path, row: dict[str, str]) -> Portrait:
    path = folder / row["file"]
    return Portrait(
        path,
        row.get("subject") or path.stem,
        row.get("source") or "folder",
        row.get("licence") or "unknown",
        row.get("attribution") or "",
        row.get("split") or "",
    )


def hold_out_last(portraits: list[Portrait], source: str, count: int) -> list[Portrait]:
    """Give the last `count` subjects of a source (by id) to the test split."""
    subjects = sorted({p.subject for p in portraits if p.source == source})
    held = set(subjects[-count:]) if count else set()
    return [_moved(p, "test") if p.source == source and p.subject in held else p for p in portraits]


def _moved(portrait: Portrait, split: str) -> Portrait:
    return Portrait(
        portrait.path,
        portrait.subject,
        portrait.source,
        portrait.licence,
        portrait.attribution,
        split,
    )


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
    """Compute yaw, pitch, roll in degrees of a rotation made by `rotation`."""
    yaw = np.degrees(np.arcsin(np.clip(-turn[2, 0], -1, 1)))
    pitch = -np.degrees(np.arctan2(turn[2, 1], turn[2, 2]))
    roll = np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))
    return float(yaw), float(pitch), float(roll)


@dataclass(frozen=True)
class Credit:
    """Person and terms of use of a picture."""

    subject: str
    source: str
    licence: str
    attribution: str
    split: str
    file: str = ""


@dataclass(frozen=True)
class Person:
    """A fitted person; all places in pixels of `image`, the cut portrait."""

    credit: Credit
    image: Pixels  # (S, S, 3) RGB
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
    """Write one npz, with the portrait inside as PNG."""
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
    """Read only the credit of a saved person."""
    with np.load(path) as z:
        return Credit(**json.loads(str(z["credit"])))
