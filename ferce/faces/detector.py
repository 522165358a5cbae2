"""Detect faces of any size and tilt, level and crop them, and measure them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Box, Face, Pixels, Quality
from ferce.faces.geometry import alignment, region_masks, roll_of, shared, turned, warp
from ferce.faces.networks import Detection, Networks
from ferce.faces.quality import darkness, problem, sharpness
from ferce.facs.prototypes import evidence

__all__ = ["CROP", "FaceDetector", "problem", "sharpness"]

CROP = 224  # side of a crop in pixels
MAX_FACES = 100
LOOK, MARGIN = 360, 2.0  # side of the picture in which a mesh is made, over the mesh's size there
BORDERS = (0.25, 0.5)  # shares of the longer side added around a photo without a face
TILE = (
    280  # side of the smallest tiles: a face of 40 pixels, the least that is read, is found there
)
OVERLAP = 0.26  # of tiles; a face of that share of one is whole in it or in its neighbour
NET = 512  # pixels to which larger tiles are shrunk
# Photos up to this side with a face of this share of it are seen at one look, which misses faces
# below an eighth of the side.
SMALL, LARGE = 600, 0.2
SAME = 0.6  # share of the smaller of two boxes in the larger from which both are of one face
TILT = 25.0  # degrees from which a mesh is made again with the eyes level
# Scores of what may be a face: above TURNED it is looked at in other turns as well; above PLAIN it
# is an upright face (.86 at most for 76 others). Where a face was before, AGAIN stands for both.
TURNED, AGAIN, PLAIN = 0.4, 0.5, 0.88
# The score of the levelled crop. Below LEAST it is no face: of 150 faces, most of them under masks,
# in profile, blurred or cut off, all but one had more. From SURE on it is none upside down, which
# scored .80 at most, nor where it is SURER than that of the crop turned round: 2 of 360 ovals of
# noise had more, and of 700 portraits one with a false mesh less, of 100 dark copies 2.
LEAST, SURE, SURER = 0.63, 0.83, 0.22
STEADY = 0.007  # of a mesh's size; true ones moved less when made again, false ones more than .011

Scored = tuple[float, Box]  # how probably a face lies in a box, 0..1


class FaceDetector:
    """A `Detector` on MediaPipe's FaceLandmarker; safe to share between threads.

    Args:
        max_faces: at most so many faces of a photo are to be read, the largest; the others have a
            `problem`.
        model: path of another `face_landmarker.task`; the packaged one by default.

    Raises:
        FileNotFoundError: `model` does not exist.
        ValueError: `max_faces` is below 1.
    """

    name = "mediapipe:face_landmarker"

    def __init__(self, max_faces: int = MAX_FACES, model: str | Path | None = None) -> None:
        if max_faces < 1:
            raise ValueError(f"max_faces must be at least 1; got {max_faces}")
        self.max_faces = max_faces
        path = Path(model) if model else _packaged_model()
        if not path.is_file():
            raise FileNotFoundError(
                f"Expected a face_landmarker.task at {path}; there is no such file."
            )
        self._networks = Networks(path)

    def detect(self, photo: Pixels) -> list[Face]:
        """Detect faces in a (H, W, 3) uint8 photo, largest first; bad ones have a `problem`.

        Where none can be verified, those come before that a copy with more local contrast surely
        shows: a face before a window is almost black.
        """
        _require_pixels(photo)
        found = self._search(photo)
        for border in BORDERS if not found else ():
            found = found or self._look(photo, self._bordered(photo, border))
        if not any(one.verified for one in found):
            found = _joined(self._back_lit(photo), found)
        return self._faces(photo, found)

    def glance(self, frame: Pixels, near: Sequence[Box] = (), *, small: bool = False) -> list[Face]:
        """Detect faces of a video frame quickly, largest first.

        Borders, which `detect` tries, are left out. Looks at each box of `near`, where a face was
        in the frame before, and at what one pass over the frame finds; with `small` also in tiles.
        """
        _require_pixels(frame)
        found = self._look(frame, [(AGAIN, box) for box in near])
        return self._faces(frame, self._search(frame, found, small))

    def close(self) -> None:
        """Release MediaPipe's threads; the next `detect` opens them again."""
        self._networks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _faces(self, photo: Pixels, found: list[Detection]) -> list[Face]:
        largest = sorted(found, key=lambda one: -one.size)
        faces = [_face(photo, one) for one in largest]
        beyond = (
            f"Not read: only the {self.max_faces} largest faces of a photo are; raise max_faces "
            "(--max-faces, FERCE_MAX_FACES) to read this one."
        )
        return faces[: self.max_faces] + [
            face.replace(problem=face.problem or beyond) for face in faces[self.max_faces :]
        ]

    def _search(
        self, photo: Pixels, known: Sequence[Detection] = (), small: bool = True
    ) -> list[Detection]:
        """Add to the known faces those of the whole photo, and with `small` those of its tiles."""
        longer = max(photo.shape[:2])
        found = self._look(photo, self._scan(photo, [longer]), known)
        if small and (longer > SMALL or all(one.size < LARGE * longer for one in found)):
            found = self._look(photo, self._scan(photo, _sides(longer)), found)
        return found

    def _back_lit(self, photo: Pixels) -> list[Detection]:
        """Detect the faces that are sure in a copy with more local contrast.

        Of 180 dark ovals of noise it shows 62 as what may be faces, none of them steady.
        """
        copy = _contrasted(photo)
        return [
            replace(one, crop=None)  # to be cut from the photo itself
            for one in self._search(copy)
            if one.verified and self._steady(copy, one, STEADY * (1.5 if one.score > SURE else 1.0))
        ]

    def _scan(self, photo: Pixels, sides: Iterable[int]) -> list[Scored]:
        """Find what may be faces in tiles of these sides, the most probable first."""
        scored = []
        for side in sides:
            small, scale = _shrunk(photo, NET * max(photo.shape[:2]) / side)
            tile = round(side / scale)
            for x, y in _corners(small.shape[1::-1], tile):
                for score, box in self._networks.boxes(small[y : y + tile, x : x + tile]):
                    scored.append((score, _scaled(box, x, y, scale)))
        return sorted(scored, reverse=True)

    def _bordered(self, photo: Pixels, border: float) -> list[Scored]:
        """Find what may be faces that fill the photo, with a border around it."""
        small, scale = _shrunk(photo, NET)
        pad = round(border * max(small.shape[:2]))
        padded = np.pad(small, ((pad, pad), (pad, pad), (0, 0)))
        scored = self._scan(padded, [max(padded.shape)])
        return [(score, _scaled(box, -pad, -pad, scale)) for score, box in scored]

    def _look(
        self, photo: Pixels, scored: Iterable[Scored], known: Sequence[Detection] = ()
    ) -> list[Detection]:
        """Add to the known faces those that lie in the boxes."""
        found = list(known)
        for score, box in scored:
            if all(shared(box, other.box) < SAME for other in found):
                one = self._turned(photo, score, box)
                if one and all(shared(one.box, other.box) < SAME for other in found):
                    found.append(one)
        return found

    def _turned(self, photo: Pixels, score: float, box: Box) -> Detection | None:
        """Detect the face of a box as it stands, else turned by quarters until one is verified."""
        upright = self._mesh(photo, turned(box, 0, LOOK, MARGIN))
        if upright and score > PLAIN and _tilt(upright) < TILT:
            return replace(upright, score=score, verified=True)
        upright = self._verified(photo, upright)
        if score < TURNED or (upright and upright.verified):
            return upright
        for quarter in (2, 1, 3):
            one = self._verified(photo, self._mesh(photo, turned(box, quarter, LOOK, MARGIN)))
            if one and one.verified and one.score > SURE:
                return one
        return upright

    def _mesh(self, photo: Pixels, matrix: NDArray[np.float64]) -> Detection | None:
        """Make the mesh of the face in the middle of the square that `matrix` cuts, levelled."""
        import cv2

        middle = LOOK * (1 - 1 / MARGIN) / 2
        square = (middle, middle, LOOK - middle, LOOK - middle)
        meshes = self._networks.meshes(warp(photo, matrix, LOOK, quick=True))
        best = max(meshes, key=lambda one: shared(one.box, square), default=None)
        if best is None or shared(best.box, square) < SAME:
            return None
        return best.moved(cv2.invertAffineTransform(matrix))

    def _verified(self, photo: Pixels, one: Detection | None) -> Detection | None:
        """Level a mesh, and verify that it is not one drawn on a face that is turned round."""
        if one is None:
            return None
        if _tilt(one) > TILT:
            one = self._mesh(photo, alignment(one.mesh, LOOK, MARGIN)) or one
        crop = warp(photo, alignment(one.mesh, CROP), CROP)
        score = self._score(crop)
        if score < LEAST:
            return None
        sure = score > SURE or score - self._score(np.rot90(crop, 2)) > SURER
        return replace(one, score=score, verified=sure or self._steady(photo, one), crop=crop)

    def _score(self, crop: Pixels) -> float:
        return max((score for score, _ in self._networks.boxes(crop)), default=0.0)

    def _steady(self, photo: Pixels, one: Detection, most: float = STEADY) -> bool:
        """Tell whether a mesh moves less when made again in a wider picture; `most` as `STEADY`."""
        again = self._mesh(photo, alignment(one.mesh, LOOK, 1.25 * MARGIN))
        if again is None:
            return False
        moves = np.linalg.norm(again.mesh[:, :2] - one.mesh[:, :2], axis=1)
        return bool(moves.mean() < most * one.size)


def _require_pixels(photo: Pixels) -> None:
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(
            f"photo must be (H, W, 3) uint8 RGB; got {photo.shape} {photo.dtype}. "
            "Load it with ferce.images.load."
        )


def _packaged_model() -> Path:
    return Path(str(resources.files("ferce") / "weights" / "face_landmarker.task"))


def _contrasted(photo: Pixels) -> Pixels:
    """Equalise the lightness within eighths of the photo (CLAHE)."""
    import cv2

    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(4.0, (8, 8)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def _joined(first: list[Detection], others: list[Detection]) -> list[Detection]:
    """Add to the first faces those of the others that are not among them."""
    return first + [one for one in others if all(shared(one.box, f.box) < SAME for f in first)]


def _sides(longer: int) -> Iterator[int]:
    """List the sides of tiles, each half the one before, down to `TILE`."""
    while longer > TILE:
        longer = max(longer // 2, TILE)
        yield longer


def _corners(size: Sequence[int], side: int) -> Iterator[tuple[int, int]]:
    """List the left upper corners of overlapping tiles that cover a picture (width, height)."""
    starts = []
    for length in size:
        rest = max(length - side, 0)
        count = int(np.ceil(rest / (side * (1 - OVERLAP)))) + 1
        starts.append(np.linspace(0, rest, count).round().astype(int).tolist())
    return ((x, y) for y in starts[1] for x in starts[0])


def _shrunk(photo: Pixels, longest: float) -> tuple[Pixels, float]:
    """Shrink the photo to at most `longest`; return it and photo pixels per new pixel."""
    import cv2

    scale = max(photo.shape[:2]) / longest
    if scale <= 1:
        return photo, 1.0
    size = [max(round(length / scale), 1) for length in photo.shape[1::-1]]
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _tilt(detection: Detection) -> float:
    return abs(float(np.degrees(roll_of(detection.mesh))))


def _scaled(box: Box, x: float, y: float, scale: float) -> Box:
    x0, y0, x1, y1 = box
    return (x0 + x) * scale, (y0 + y) * scale, (x1 + x) * scale, (y1 + y) * scale


def _face(photo: Pixels, detection: Detection) -> Face:
    matrix = alignment(detection.mesh, CROP)
    crop = warp(photo, matrix, CROP) if detection.crop is None else detection.crop
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
        problem=problem(quality, detection.verified) or darkness(crop),
    )
