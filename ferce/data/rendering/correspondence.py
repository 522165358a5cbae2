"""Match landmarks of the face mesh to vertices of the kit, by detecting painted heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data import npz
from ferce.data.rendering.clay import Scene, random_paint, render_clay
from ferce.data.rendering.kit import Floats, Ints, Kit
from ferce.data.rendering.raster import STUDIO, Camera, rotation, vertex_normals
from ferce.data.rendering.regions import Regions
from ferce.data.rendering.wrinkles import height_map

# A face mesh reader: RGB picture -> (478, 2) landmarks in pixels and 52 blendshapes, or None.
Reader = Callable[[Pixels], "tuple[Floats, dict[str, float]] | None"]

MESH = 468  # landmarks of the skin; 468-477 are the irises, which turn with the gaze
SIZE = 384  # pixels of the test pictures; errors are in these pixels
CAP = 40.0  # an error counts at most this much, so that one bad detection decides nothing
TRUSTED = 5.0  # landmarks with a larger mean error are not fitted


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
    kit: Kit, regions: Regions, reader: Reader, count: int = 40
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
    camera = Camera(turn, SIZE / 26, (SIZE / 2, SIZE * 0.53))
    shape = kit.head(rng.normal(0, 0.6, len(kit.identity)).astype(np.float32))
    if seed % 2:
        shape = shape + kit.offset({"jawOpen": 0.25, "mouthLowerDown": 0.2})
    scene = Scene(STUDIO, height_map(kit, {}, seed), np.full((SIZE, SIZE, 3), 150, np.float32))
    picture = render_clay(kit, regions, shape, camera, random_paint(seed), scene)
    normals = vertex_normals(np.ascontiguousarray(shape @ turn.T), kit.triangles)
    return picture, camera.project(shape)[:, :2], normals
