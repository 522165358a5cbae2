"""Find and align the face of every picture once; later runs read it from a cache.

A cached face is named by the content of its picture and the settings, so that renamed, copied or
re-labelled pictures are not aligned again, changed ones are, and a run that was killed goes on
where it was.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ferce import images
from ferce.core.protocols import Detector
from ferce.core.types import Face, Pixels
from ferce.data import facefile
from ferce.data.parallel import ordered_map
from ferce.data.record import Problem, Row, Sample

DetectorFactory = Callable[[], Detector]


@dataclass(frozen=True)
class Settings:
    """How pictures become crops.

    Attributes:
        detect: find the face and level it. False takes the picture as a crop that others aligned
            (RAF's `aligned` images): its middle square, without landmarks.
        size: side of the crop in pixels; None leaves the detector's.
        keep_unclear: keep faces that carry a problem (too small, blurred, turned away) with the
            problem noted; False lists them as failures.
    """

    detect: bool = True
    size: int | None = None
    keep_unclear: bool = True

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 16:
            raise ValueError(f"size must be at least 16 pixels; got {self.size}")

    def key(self, detector: str) -> str:
        """16 hexadecimal digits that change with anything that changes the crops."""
        what = asdict(self) | {"detector": detector, "format": facefile.FORMAT}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sample and where its aligned face lies."""

    sample: Sample
    path: Path

    def face(self) -> Face:
        """Read the face."""
        return facefile.load(self.path)


def packaged() -> Detector:
    """The detector that comes with ferce."""
    from ferce.faces.detector import FaceDetector

    return FaceDetector()


def align(
    rows: Iterable[Row],
    cache: Path,
    settings: Settings | None = None,
    jobs: int = 1,
    factory: DetectorFactory = packaged,
) -> Iterator[Aligned | Problem]:
    """Each row aligned, or the reason why it cannot be; in order, with nothing left out.

    Args:
        rows: samples and problems, such as `DataSet.rows()`; problems are passed on.
        cache: folder that is made if need be and may be shared by data sets and settings.
        settings: `Settings()` when None.
        jobs: processes.
        factory: opens the detector, once in each process; a function of a module.
    """
    settings = settings or Settings()
    try:
        for row, made in ordered_map(partial(_one, cache, settings, factory), rows, jobs):
            if isinstance(made, Path) and isinstance(row, Sample):
                yield Aligned(row, made)
            elif isinstance(made, Problem):
                yield made
    finally:
        release()


def _one(cache: Path, settings: Settings, factory: DetectorFactory, row: Row) -> Path | Problem:
    if isinstance(row, Problem):
        return row
    try:
        data = row.image.read_bytes()
    except OSError as error:
        return Problem(row.name, f"cannot be read ({error.strerror or error})", row.split)
    key = settings.key(_identity(factory) if settings.detect else "none")
    digest = hashlib.sha256(data).hexdigest()
    path = cache / key / digest[:2] / (digest[2:34] + facefile.SUFFIX)
    noted = path.with_suffix(".txt")
    if not path.is_file() and not noted.is_file():
        _make(data, settings, factory, path)
    if path.is_file():
        return path
    return Problem(row.name, noted.read_text(encoding="utf-8"), row.split)


def _make(data: bytes, settings: Settings, factory: DetectorFactory, path: Path) -> None:
    """Write the face, or in its place the reason why there is none."""
    try:
        face = _face(images.load(data), settings, factory)
    except (images.ImageError, NoFaceError) as error:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(str(error), encoding="utf-8")
        part.replace(path.with_suffix(".txt"))
        return
    facefile.save(path, face)


class NoFaceError(ValueError):
    """No face that may be used."""


def _face(photo: Pixels, settings: Settings, factory: DetectorFactory) -> Face:
    if not settings.detect:
        return Face(crop=square(photo, settings.size or min(photo.shape[:2])))
    faces = detector_here(factory).detect(photo)
    if not faces:
        raise NoFaceError("shows no face that the detector finds")
    face = faces[0]  # the largest
    if face.problem and not settings.keep_unclear:
        raise NoFaceError(f"shows a face that must not be read: {face.problem}")
    return resized(photo, face, settings.size) if settings.size else face


def resized(photo: Pixels, face: Face, size: int) -> Face:
    """The face with a crop of another side, cut from the photo again and not from the crop."""
    if size == face.size:
        return face
    from ferce.faces.geometry import region_masks, warp

    matrix = face.to_crop * (size / face.size)
    bare = face.replace(crop=warp(photo, matrix, size), to_crop=matrix, regions={})
    if face.landmarks is None:
        return bare
    return bare.replace(regions=region_masks(bare.landmarks_in_crop, size))


def square(photo: Pixels, size: int) -> Pixels:
    """The middle square of a picture at side `size`: (size, size, 3)."""
    from PIL import Image

    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = photo[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(middle)
    method = Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(middle).resize((size, size), method), np.uint8)


_OPEN: dict[DetectorFactory, Detector] = {}  # of this process


def detector_here(factory: DetectorFactory) -> Detector:
    """One detector a process, opened when first needed; close it with `release`."""
    if factory not in _OPEN:
        _OPEN[factory] = factory()
    return _OPEN[factory]


def release() -> None:
    """Close this process's detectors; MediaPipe complains when the interpreter ends first."""
    while _OPEN:
        _, detector = _OPEN.popitem()
        if hasattr(detector, "close"):
            detector.close()


@lru_cache(maxsize=1)
def _identity(factory: DetectorFactory) -> str:
    """What distinguishes the crops of this detector from those of another."""
    name = f"{factory.__module__}.{factory.__qualname__}"
    return f"{name}/{_versions()}" if factory is packaged else name


def _versions() -> dict[str, Any]:
    """What the packaged detector's crops depend on."""
    from ferce.faces import geometry
    from ferce.faces.detector import CROP

    model = Path(geometry.__file__).parents[1] / "weights" / "face_landmarker.task"
    weights = hashlib.sha256(model.read_bytes()).hexdigest()[:16] if model.is_file() else ""
    return {"crop": CROP, "margin": geometry.MARGIN, "weights": weights}
