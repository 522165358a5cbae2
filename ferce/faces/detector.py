"""Detect faces with MediaPipe's FaceLandmarker, level and crop them, and measure them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np

from ferce.core.types import Box, Face, Pixels, Points, Quality
from ferce.faces.geometry import alignment, overlap, region_masks, roll_of, warp
from ferce.faces.quality import problem, sharpness
from ferce.facs.prototypes import evidence

__all__ = ["CROP", "FaceDetector", "problem", "sharpness"]

CROP = 224  # side of a crop in pixels
PRESENCE = 0.5  # least confidence that a mesh is a face
BORDERS = (0.0, 0.25, 0.5)  # shares of the longer side added around a photo without a face
TILE, TILED_SIDE = 360, 1800  # small faces are looked for in tiles of the photo at this size
LARGE = 0.2  # a face of this share of the longer side means that no tiles are needed
REFINED_ROLL = 35.0  # degrees from which the mesh is detected again on the levelled crop
SAME_FACE = 0.3  # intersection over union from which two boxes are one face


@dataclass(frozen=True, eq=False)
class _Detection:
    """A mesh in photo pixels with its blendshapes and the pose (yaw, pitch) in degrees."""

    mesh: Points
    blendshapes: dict[str, float]
    pose: tuple[float, float]

    @property
    def box(self) -> tuple[float, float, float, float]:
        low, high = self.mesh[:, :2].min(0), self.mesh[:, :2].max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def size(self) -> float:
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)


class FaceDetector:
    """A `Detector` on MediaPipe's FaceLandmarker; safe to share between threads.

    Args:
        max_faces: at most so many faces a photo, largest first.
        model: path of another `face_landmarker.task`; the packaged one by default.

    Raises:
        FileNotFoundError: `model` does not exist.
    """

    name = "mediapipe:face_landmarker"

    def __init__(self, max_faces: int = 20, model: str | Path | None = None) -> None:
        self.max_faces = max_faces
        self._model = Path(model) if model else _packaged_model()
        if not self._model.is_file():
            raise FileNotFoundError(
                f"Expected a face_landmarker.task at {self._model}; there is no such file."
            )
        self._lock = threading.Lock()
        self._landmarker: Any = None

    def detect(self, photo: Pixels) -> list[Face]:
        """Detect faces in a (H, W, 3) uint8 photo, largest first; bad ones have a `problem`."""
        _require_pixels(photo)
        return self._faces(photo, self._search(photo))

    def glance(self, frame: Pixels, near: Sequence[Box] = (), *, small: bool = False) -> list[Face]:
        """Detect faces of a video frame in one pass, largest first.

        Borders and turns, which `detect` tries, are left out. Detection runs again only around each
        box of `near` (where a face was in the frame before) that has no face now, and with `small`
        in tiles, for small faces beside large ones.
        """
        _require_pixels(frame)
        detections = self._mesh(frame)
        if small and max(frame.shape[:2]) > TILE:
            detections = _distinct(detections + self._tiled(frame))
        for box in near:
            if all(overlap(one.box, box) < SAME_FACE for one in detections):
                detections += self._around(frame, box)
        return self._faces(frame, _distinct(detections))

    def _faces(self, photo: Pixels, detections: list[_Detection]) -> list[Face]:
        largest = sorted(detections, key=lambda one: -one.size)[: self.max_faces]
        return [_face(photo, one) for one in largest]

    def _around(self, frame: Pixels, box: Box) -> list[_Detection]:
        """Detect faces in the square about a box, three times its size."""
        x0, y0, x1, y1 = box
        half = 1.5 * max(x1 - x0, y1 - y0)
        left, top = (max(round((a + b) / 2 - half), 0) for a, b in ((x0, x1), (y0, y1)))
        part = frame[top : round(top + 2 * half), left : round(left + 2 * half)]
        return [_moved(one, left, top) for one in self._mesh(part)] if part.size else []

    def close(self) -> None:
        """Release MediaPipe's threads; the next `detect` opens them again."""
        with self._lock:
            if self._landmarker is not None:
                self._landmarker.close()
                self._landmarker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _search(self, photo: Pixels) -> list[_Detection]:
        """Detect in the photo, else with a border, else turned; then in tiles for small faces."""
        detections: list[_Detection] = []
        for border in BORDERS:
            detections = self._bordered(photo, border)
            if detections:
                break
        if all(_tilted(one) for one in detections):  # none at all, or meshes forced on a lying face
            detections = self._turned(photo) or detections
        longer = max(photo.shape[:2])
        if longer > TILE and all(one.size < LARGE * longer for one in detections):
            detections = _distinct(detections + self._tiled(photo))
        return [self._refined(photo, one) for one in detections]

    def _bordered(self, photo: Pixels, border: float) -> list[_Detection]:
        pad = round(border * max(photo.shape[:2]))
        if not pad:
            return self._mesh(photo)
        widths = ((pad, pad), (pad, pad), (0, 0))
        return [_moved(one, -pad, -pad) for one in self._mesh(np.pad(photo, widths))]

    def _tiled(self, photo: Pixels) -> list[_Detection]:
        """Detect in half-overlapping tiles; MediaPipe misses faces below 13 % of the side."""
        small, scale = _shrunk(photo, TILED_SIDE)
        detections = []
        for y in range(0, max(small.shape[0] - TILE // 2, 1), TILE // 2):
            for x in range(0, max(small.shape[1] - TILE // 2, 1), TILE // 2):
                tile = small[y : y + TILE, x : x + TILE]
                detections += [_moved(f, x, y) for f in self._mesh(tile) if _inside(f, tile)]
        return [_scaled(one, scale) for one in detections]

    def _refined(self, photo: Pixels, detection: _Detection) -> _Detection:
        """Detect a mesh that is far from upright again, on the levelled face."""
        if not _tilted(detection):
            return detection
        import cv2

        matrix = alignment(detection.mesh, TILE, margin=2.0)
        upright = self._mesh(warp(photo, matrix, TILE))
        if not upright:
            return detection
        back = cv2.invertAffineTransform(matrix)
        mesh = upright[0].mesh.copy()
        mesh[:, :2] = mesh[:, :2] @ back[:, :2].T + back[:, 2]
        mesh[:, 2] *= np.sqrt(abs(np.linalg.det(back[:, :2])))
        return replace(upright[0], mesh=mesh)

    def _turned(self, photo: Pixels) -> list[_Detection]:
        """Detect in the photo turned by quarters; keep the turn with the most upright face."""
        turns = [(self._mesh(np.rot90(photo, quarter)), quarter) for quarter in (1, 2, 3)]
        detections, quarter = min(turns, key=lambda turn: _uprightness(turn[0]))
        upright = [one for one in detections if not _tilted(one)]
        return [_unturned(one, quarter, photo.shape[:2]) for one in upright]

    def _mesh(self, picture: Pixels) -> list[_Detection]:
        import mediapipe as mp

        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        with self._lock:
            if self._landmarker is None:
                self._landmarker = _open(self._model, self.max_faces)
            result = self._landmarker.detect(image)
        height, width = picture.shape[:2]
        parts = zip(
            result.face_landmarks,
            result.face_blendshapes,
            result.facial_transformation_matrixes,
            strict=True,
        )
        return [_detection(*part, width=width, height=height) for part in parts]


def _require_pixels(photo: Pixels) -> None:
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(
            f"photo must be (H, W, 3) uint8 RGB; got {photo.shape} {photo.dtype}. "
            "Load it with ferce.images.load."
        )


def _packaged_model() -> Path:
    return Path(str(resources.files("ferce") / "weights" / "face_landmarker.task"))


def _open(model: Path, max_faces: int) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    # The file is read here, so that paths with any characters work on every system.
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
        num_faces=max_faces,
        min_face_detection_confidence=0.5,
        min_face_presence_confidence=PRESENCE,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


def _detection(
    landmarks: Any, blendshapes: Any, matrix: Any, *, width: int, height: int
) -> _Detection:
    mesh = np.array([(p.x * width, p.y * height, p.z * width) for p in landmarks], np.float32)
    scores = {b.category_name: float(b.score) for b in blendshapes if b.category_name != "_neutral"}
    x, y, z = np.asarray(matrix)[:3, 2]  # where the face's own z axis, its normal, points
    pose = (float(np.degrees(np.arctan2(x, z))), float(np.degrees(np.arctan2(y, z))))
    return _Detection(mesh, scores, pose)


def _moved(detection: _Detection, x: float, y: float) -> _Detection:
    shift = np.array([x, y, 0], np.float32)
    return replace(detection, mesh=detection.mesh + shift)


def _shrunk(photo: Pixels, longest: int) -> tuple[Pixels, float]:
    """Shrink the photo to at most `longest`; return it and photo pixels per new pixel."""
    import cv2

    scale = max(max(photo.shape[:2]) / longest, 1.0)
    size = (round(photo.shape[1] / scale), round(photo.shape[0] / scale))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _scaled(detection: _Detection, scale: float) -> _Detection:
    return replace(detection, mesh=(detection.mesh * scale).astype(np.float32))


def _unturned(detection: _Detection, quarter: int, shape: tuple[int, int]) -> _Detection:
    """Map a detection back to the photo's pixels from `np.rot90(photo, quarter)`."""
    height, width = shape
    x, y, z = detection.mesh.T
    turned = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarter]
    return replace(detection, mesh=np.stack([*turned, z], 1).astype(np.float32))


def _tilted(detection: _Detection) -> bool:
    return bool(abs(np.degrees(roll_of(detection.mesh))) > REFINED_ROLL)


def _uprightness(detections: list[_Detection]) -> float:
    """Return the smallest tilt in radians; infinite when there is no face."""
    return min((abs(roll_of(one.mesh)) for one in detections), default=float("inf"))


def _inside(detection: _Detection, tile: Pixels) -> bool:
    """Tell whether a face is whole in its tile; a cut one is left to the neighbouring tile."""
    x0, y0, x1, y1 = detection.box
    return x0 > 0 and y0 > 0 and x1 < tile.shape[1] and y1 < tile.shape[0]


def _distinct(detections: list[_Detection]) -> list[_Detection]:
    kept: list[_Detection] = []
    for one in detections:
        if all(overlap(one.box, other.box) < SAME_FACE for other in kept):
            kept.append(one)
    return kept


def _face(photo: Pixels, detection: _Detection) -> Face:
    matrix = alignment(detection.mesh, CROP)
    crop = warp(photo, matrix, CROP)
    points = np.asarray(detection.mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2], np.float32)
    yaw, pitch = detection.pose
    roll = float(np.degrees(roll_of(detection.mesh)))
    quality = Quality(detection.size, sharpness(crop), yaw, pitch, roll)
    return Face(
        crop=crop,
        box=detection.box,
        landmarks=detection.mesh,
        to_crop=matrix,
        regions=region_masks(points, CROP),
        units=evidence(detection.blendshapes, detection.mesh, yaw),
        blendshapes=detection.blendshapes,
        quality=quality,
        problem=problem(quality),
    )
