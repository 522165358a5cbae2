"""Arrays, and aligned faces, each in one npz file that is there whole, or not at all; no pickle."""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferce.core.types import Face, Mask, Quality, UnitEvidence

FORMAT = 1  # of a face; raise it whenever what is written changes
SUFFIX = ".npz"


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name into one npz; a reader sees all of it or none, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_face(path: Path, face: Face) -> None:
    """Write the face; a reader sees the whole file or none, also when two write at once."""
    arrays: dict[str, NDArray[Any]] = {
        "crop": np.frombuffer(_png(face), np.uint8),
        "to_crop": face.to_crop,
        "rest": np.frombuffer(json.dumps(_rest(face)).encode(), np.uint8),
    }
    if face.landmarks is not None:
        arrays["landmarks"] = face.landmarks
    if face.regions:
        arrays["masks"] = np.packbits(np.stack(list(face.regions.values())))
    write(path, arrays)


def load_face(path: Path) -> Face:
    """Read a face back, equal in every field.

    Raises:
        ValueError: the file is not one that `save_face` wrote in this format.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return _face(arrays)
    except (OSError, KeyError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no aligned face of format {FORMAT}; delete it.") from error


def _png(face: Face) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(face.crop).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _rest(face: Face) -> dict[str, Any]:
    """Collect what is neither pixels nor landmarks, as JSON."""
    return {
        "format": FORMAT,
        "box": face.box,
        "regions": list(face.regions),
        "units": [vars(unit) for unit in face.units.values()],
        "blendshapes": dict(face.blendshapes),
        "quality": vars(face.quality) if face.quality else None,
        "problem": face.problem,
    }


def _face(arrays: Mapping[str, NDArray[Any]]) -> Face:
    rest = json.loads(arrays["rest"].tobytes())
    if rest["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}; got {rest['format']}")
    crop = np.asarray(Image.open(io.BytesIO(arrays["crop"].tobytes())))
    return Face(
        crop=crop,
        box=tuple(rest["box"]),
        landmarks=arrays.get("landmarks", None),
        to_crop=arrays["to_crop"],
        regions=_masks(arrays, rest["regions"], len(crop)),
        units={u["unit"]: UnitEvidence(**u) for u in rest["units"]},
        blendshapes=rest["blendshapes"],
        quality=Quality(**rest["quality"]) if rest["quality"] else None,
        problem=rest["problem"],
    )


def _masks(arrays: Mapping[str, NDArray[Any]], names: list[str], size: int) -> dict[str, Mask]:
    if not names:
        return {}
    count = len(names) * size * size
    masks = np.unpackbits(arrays["masks"], count=count).reshape(len(names), size, size)
    return dict(zip(names, masks.astype(np.bool_), strict=True))
