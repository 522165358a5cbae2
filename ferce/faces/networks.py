"""Run MediaPipe's face networks: boxes of the faces in a picture, and meshes of near faces."""

import sys
import threading
import weakref
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Box, Pixels, Points
from ferce.faces.geometry import roll_of

POSSIBLE = 0.3  # score from which a box may be a face
PRESENCE = 0.5  # least confidence that a mesh is a face
NEIGHBOURS = 4  # meshes made of one picture; it shows one face and parts of those beside it
MESH_SIZE = 1.15  # side of a mesh over that of the detector's box


@dataclass(frozen=True, eq=False)
class Detection:
    """A mesh (478, 3) in pixels, its blendshapes, and what is known of it.

    `pose` is (yaw, pitch) in degrees with the eyes level, true where the picture shows the face in
    its middle. `score` is how much the levelled face looks like one, 0..1. `verified` is False
    where nothing confirms that the mesh lies on the face as it should. `crop` is the levelled face
    (S, S, 3) where it has been cut already.
    """

    mesh: Points
    blendshapes: dict[str, float]
    pose: tuple[float, float]
    score: float = 0.0
    verified: bool = False
    crop: Pixels | None = None

    @property
    def box(self) -> Box:
        """Corners of the mesh: x0, y0, x1, y1."""
        low, high = self.mesh[:, :2].min(0), self.mesh[:, :2].max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def size(self) -> float:
        """The larger side of the box."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)

    def moved(self, matrix: NDArray[np.float64]) -> Self:
        """Map the mesh by a (2, 3) similarity."""
        mesh = np.empty_like(self.mesh)
        mesh[:, :2] = self.mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        mesh[:, 2] = self.mesh[:, 2] * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        return replace(self, mesh=mesh)


class Networks:
    """The networks of a `face_landmarker.task`, opened when first used; safe between threads."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._open: dict[Callable[[Path], Any], Any] = {}
        _USED.add(self)

    def boxes(self, picture: Pixels) -> list[tuple[float, Box]]:
        """Find what may be faces in a picture, as (score, box); those of 13 % of its side on."""
        result = self._run(_open_detector, picture)
        return [(one.categories[0].score, _box(one.bounding_box)) for one in result.detections]

    def meshes(self, picture: Pixels) -> list[Detection]:
        """Find the meshes of the faces in a picture."""
        result = self._run(_open_landmarker, picture)
        height, width = picture.shape[:2]
        parts = zip(
            result.face_landmarks,
            result.face_blendshapes,
            result.facial_transformation_matrixes,
            strict=True,
        )
        return [_detection(*part, width=width, height=height) for part in parts]

    def close(self) -> None:
        """Release MediaPipe's threads; they are opened again when needed."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _run(self, opener: Callable[[Path], Any], picture: Pixels) -> Any:
        mp = _mediapipe()
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        with self._lock:
            if opener not in self._open:
                self._open[opener] = opener(self._model)
                _close_at_end()  # before the threads that were made just now
            return self._open[opener].detect(image)


class _Later(ModuleType):
    """A module that is imported when something of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        module = import_module(self.__name__)
        if name.startswith("__") or module is self:
            raise AttributeError(name)
        return getattr(module, name)


@cache
def _mediapipe() -> Any:
    """Import mediapipe; matplotlib, which it draws with and we do not, waits until it draws.

    Not where other threads run: one that imports matplotlib meanwhile would be given the stand-in.
    """
    pyplot = _Later("matplotlib.pyplot")
    package = _Later("matplotlib")
    waiting = {"matplotlib": package, "matplotlib.pyplot": pyplot}
    if waiting.keys() & sys.modules.keys() or threading.active_count() > 1:
        return import_module("mediapipe")
    package.pyplot = pyplot  # type: ignore[attr-defined]
    sys.modules.update(waiting)
    try:
        return import_module("mediapipe")
    finally:
        for name in waiting:
            del sys.modules[name]


_USED: "weakref.WeakSet[Networks]" = weakref.WeakSet()


@cache
def _close_at_end() -> None:
    """Close all networks when the interpreter ends.

    MediaPipe does so itself, but after the threads that it needs for it: with a traceback. At
    `atexit` it is too late as well; this is how `concurrent.futures` ends its threads.
    """
    threading._register_atexit(_close_all)  # type: ignore[attr-defined]


def _close_all() -> None:
    for one in list(_USED):
        one.close()


def _open_detector(model: Path) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    with zipfile.ZipFile(model) as bundle:
        content = bundle.read("face_detector.tflite")
    options = vision.FaceDetectorOptions(
        base_options=BaseOptions(model_asset_buffer=content), min_detection_confidence=POSSIBLE
    )
    return vision.FaceDetector.create_from_options(options)


def _open_landmarker(model: Path) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    # The file is read here, so that paths with any characters work on every system.
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
        num_faces=NEIGHBOURS,
        min_face_detection_confidence=0.5,
        min_face_presence_confidence=PRESENCE,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


def _box(bounds: Any) -> Box:
    """Take the detector's box, from the brows to the chin, to the size of a mesh."""
    x, y = bounds.origin_x + bounds.width / 2, bounds.origin_y + bounds.height / 2
    half = MESH_SIZE * max(bounds.width, bounds.height) / 2
    return x - half, y - half, x + half, y + half


def _detection(
    landmarks: Any, blendshapes: Any, matrix: Any, *, width: int, height: int
) -> Detection:
    mesh = np.array([(p.x * width, p.y * height, p.z * width) for p in landmarks], np.float32)
    scores = {b.category_name: float(b.score) for b in blendshapes if b.category_name != "_neutral"}
    return Detection(mesh, scores, _pose(np.asarray(matrix), roll_of(mesh)))


def _pose(matrix: NDArray[np.float64], roll: float) -> tuple[float, float]:
    """Compute (yaw, pitch) in degrees of a face with its eyes level, from MediaPipe's (4, 4) pose.

    The pose depends on the place in the picture (mediapipe #4759): only that of a face in the
    middle is true.
    """
    x, y, z = matrix[:3, 2]  # where the face's own z axis, its normal, points
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    yaw, pitch = np.degrees(np.arctan2(turn @ (x, y), z))
    return float(yaw), float(pitch)
