"""Load the 3-D face model: an ICT-FaceKit checkout (OBJ files) or the npz cache of one.

ICT-FaceKit is MIT, (c) 2020 USC Institute for Creative Technologies; Li et al., "Learning Formation
of Physically-Based Face Attributes", CVPR 2020, arXiv 2004.03458. Nothing of it ships with ferce.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.data import npz

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

IDENTITIES = 60  # identity modes kept out of 100; the rest moves no vertex by more than about 1 mm
NARROW = 6706  # vertices [0, 6706) are the kit's "narrow face area" (its README)
# First vertex and first polygon of every part (the kit's README, "Face Model Topology").
PARTS = (
    ("face", 0, 0),
    ("head_neck", 9409, 9230),
    ("mouth_socket", 11248, 11144),
    ("eye_socket_left", 13294, 13226),
    ("eye_socket_right", 13678, 13630),
    ("gums_tongue", 14062, 14034),
    ("teeth_upper", 17039, 17006),
    ("teeth_lower", 19247, 19250),
    ("sclera_left", 21451, 21496),
    ("iris_left", 22221, 22296),
    ("sclera_right", 23021, 23094),
    ("iris_right", 23791, 23894),
    ("lacrimal_left", 24591, 24692),
    ("lacrimal_right", 24795, 24855),
    ("eye_blend_left", 24999, 25018),
    ("eye_blend_right", 25023, 25033),
    ("eye_occlusion_left", 25047, 25048),
    ("eye_occlusion_right", 25199, 25176),
    ("eyelashes_left", 25351, 25304),
    ("eyelashes_right", 26035, 25844),
)
# Strips that need transparency, and the iris mesh, which lies behind the opaque sclera shell.
HIDDEN = ("lacrimal", "eye_blend", "eye_occlusion", "eyelashes", "iris")


@dataclass(frozen=True)
class Kit:
    """A morphable head: vertices = mean + identity + expression, all in centimetres.

    x = the subject's left, y up, z out of the face.
    """

    vertices: Floats  # (V, 3) neutral mean head
    triangles: Ints  # (T, 3) counter-clockwise seen from outside, hidden parts left out
    vertex_part: NDArray[np.uint8]  # (V,) index into part_names
    part_names: tuple[str, ...]
    identity: Floats  # (I, V, 3), weights ~ N(0, 1)
    expression: Floats  # (E, V, 3), weights 0..1
    expression_names: tuple[str, ...]
    landmarks68: Ints  # (68,) vertex ids, iBUG order
    narrow: int = NARROW  # vertices [0, narrow) are the front of the face
    index: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.vertices)
        for name in ("identity", "expression"):
            shape = getattr(self, name).shape
            if shape[1:] != (count, 3):
                raise ValueError(
                    f"{name}: expected (n, {count}, 3), came {shape}; rebuild the kit cache"
                )
        object.__setattr__(self, "index", {n: i for i, n in enumerate(self.expression_names)})

    def head(self, weights: Floats) -> Floats:
        """Build a person's neutral head from weights (<=I,): (V, 3) cm."""
        basis = self.identity[: len(weights)].reshape(len(weights), -1)
        moved = np.asarray(weights, np.float32) @ basis
        return self.vertices + moved.reshape(self.vertices.shape)

    def offset(self, weights: Mapping[str, float]) -> Floats:
        """Sum expression shapes, (V, 3) cm; a name without _L/_R moves both sides."""
        row = np.zeros(len(self.expression_names), np.float32)
        for name, value in weights.items():
            for i in self.columns(name):
                row[i] += value
        used = np.flatnonzero(row)
        basis = self.expression[used].reshape(len(used), self.vertices.size)
        return (row[used] @ basis).reshape(self.vertices.shape)

    def columns(self, name: str) -> list[int]:
        """List the indices of an expression shape: one, or its two sides."""
        indices = [self.index[n] for n in (name, name + "_L", name + "_R") if n in self.index]
        if not indices:
            known = ", ".join(self.expression_names)
            raise KeyError(f"no expression shape {name!r} in this kit; it has: {known}")
        return indices

    def part(self, *prefixes: str) -> NDArray[np.bool_]:
        """Mark, (V,), vertices of every part whose name begins with one of the prefixes."""
        hits = [i for i, n in enumerate(self.part_names) if n.startswith(prefixes)]
        return np.asarray(np.isin(self.vertex_part, hits))


def load_kit(path: str | Path) -> Kit:
    """Read a kit from a checkout (the folder, or its FaceXModel) or from an npz cache."""
    path = Path(path)
    if path.is_dir():
        return _kit(pack_checkout(path))
    if path.suffix != ".npz" or not path.is_file():
        raise FileNotFoundError(
            f"expected an ICT-FaceKit checkout or its npz cache, came {path}; "
            "clone ICT-VGL/ICT-FaceKit and pass its folder"
        )
    with np.load(path) as arrays:
        return _kit({k: arrays[k] for k in arrays.files})


@functools.lru_cache(maxsize=2)
def cached_kit(path: str) -> Kit:
    """Load a kit once in each process."""
    return load_kit(path)


def _kit(arrays: Mapping[str, Any]) -> Kit:
    parts = tuple(str(n) for n in arrays["part_names"])
    hidden = [i for i, n in enumerate(parts) if n.startswith(HIDDEN)]
    seen = ~np.isin(arrays["triangle_part"], hidden)
    return Kit(
        vertices=arrays["vertices"].astype(np.float32),
        triangles=np.ascontiguousarray(arrays["triangles"][seen], np.int32),
        vertex_part=arrays["vertex_part"],
        part_names=parts,
        identity=arrays["identity_deltas"].astype(np.float32),
        expression=arrays["expression_deltas"].astype(np.float32),
        expression_names=tuple(str(n) for n in arrays["expression_names"]),
        landmarks68=arrays["landmarks68"].astype(np.int32),
        narrow=int(arrays["narrow_face_vertices"]),
    )


def pack_checkout(folder: str | Path, identities: int = IDENTITIES) -> dict[str, Any]:
    """Turn a checkout's OBJ files into the arrays of the npz cache (shapes as float16)."""
    folder = _model_folder(Path(folder))
    config = json.loads((folder / "vertex_indices.json").read_text())
    mean = read_vertices(folder / "generic_neutral_mesh.obj")
    triangles, polygon = read_triangles(folder / "generic_neutral_mesh.obj")
    names = _expression_names(folder, list(config["expressions"]))
    shapes = [read_vertices(folder / f"{n}.obj") - mean for n in names]
    people = [folder / f"identity{i:03d}.obj" for i in range(identities)]
    modes = [read_vertices(p) - mean for p in people if p.is_file()]
    return {
        "vertices": mean.astype(np.float32),
        "triangles": triangles,
        "vertex_part": _part_of(np.arange(len(mean)), 1),
        "triangle_part": _part_of(polygon, 2),
        "part_names": np.array([p[0] for p in PARTS]),
        "narrow_face_vertices": np.int32(min(NARROW, len(mean))),
        "identity_deltas": np.array(modes, np.float16).reshape(-1, len(mean), 3),
        "expression_deltas": np.array(shapes, np.float16).reshape(-1, len(mean), 3),
        "expression_names": np.array(names),
        "landmarks68": np.array(config["idx_to_landmark_verts"], np.int32),
    }


def save_cache(folder: str | Path, out: str | Path) -> Path:
    """Write the npz cache of a checkout."""
    out = Path(out)
    npz.write(out, pack_checkout(folder))
    return out


def _model_folder(folder: Path) -> Path:
    for place in (folder, folder / "FaceXModel"):
        if (place / "generic_neutral_mesh.obj").is_file():
            return place
    raise FileNotFoundError(
        f"expected generic_neutral_mesh.obj in {folder} or its FaceXModel, found none; "
        "pass a checkout of ICT-VGL/ICT-FaceKit"
    )


def _expression_names(folder: Path, core: list[str]) -> list[str]:
    other = sorted(p.stem for p in folder.glob("*.obj") if p.stem not in core)
    return core + [n for n in other if not n.startswith(("identity", "generic"))]


def _part_of(ids: NDArray[Any], column: int) -> NDArray[np.uint8]:
    firsts = [p[column] for p in PARTS]
    return (np.searchsorted(firsts, ids, "right") - 1).astype(np.uint8)


def read_vertices(path: Path) -> NDArray[np.float64]:
    """Read vertex positions (V, 3) of an OBJ file."""
    with path.open() as lines:
        return np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float64)


def read_triangles(path: Path) -> tuple[Ints, NDArray[np.int64]]:
    """Split polygons into fans: (T, 3) vertex ids and (T,) the polygon each came from."""
    triangles: list[tuple[int, int, int]] = []
    polygon: list[int] = []
    with path.open() as lines:
        faces = (line for line in lines if line.startswith("f "))
        for number, line in enumerate(faces):
            ids = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
            for a, b in itertools.pairwise(ids[1:]):
                triangles.append((ids[0], a, b))
                polygon.append(number)
    return np.array(triangles, np.int32), np.array(polygon)
