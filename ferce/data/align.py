"""Detect and align the face of every picture once; later runs read it from a cache.

A cached face is named by the content of its picture and the settings, so that renamed, copied or
re-labelled pictures are not aligned again, changed ones are, and a run that was killed goes on
where it was.
"""

import hashlib
import json
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ferce import images
from ferce.core.protocols import Detector
from ferce.core.types import Face, Pixels
from ferce.data import npz
from ferce.data.record import Problem, Row, Sample

DetectorFactory = Callable[[], Detector]


@dataclass(frozen=True)
class Settings:
    """Settings by which pictures become aligned crops.

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
        """Hash the settings and the detector to 16 hexadecimal digits that name the cache."""
        what = asdict(self) | {"detector": detector, "format": npz.FORMAT}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sample and the file of its aligned face."""

    sample: Sample
    path: Path

    def face(self) -> Face:
        """Read the face from the cache."""
        return npz.load_face(self.path)


def packaged() -> Detector:
    """Open the detector that comes with ferce."""
    from ferce.faces.detector import FaceDetector

    return FaceDetector()


def align(
    rows: Iterable[Row],
    cache: Path,
    settings: Settings | None = None,
    jobs: int = 1,
    factory: DetectorFactory = packaged,
) -> Iterator[Aligned | Problem]:
    """Align each row, or pass on why it cannot be; in order, with nothing left out.

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
    path = cache / key / digest[:2] / (digest[2:34] + npz.SUFFIX)
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
    npz.save_face(path, face)


class NoFaceError(ValueError):
    """A picture without a face that may be used."""


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
    """Cut the face with a crop of another side from the photo, not from the old crop."""
    if size == face.size:
        return face
    from ferce.faces.geometry import region_masks, warp

    matrix = face.to_crop * (size / face.size)
    bare = face.replace(crop=warp(photo, matrix, size), to_crop=matrix, regions={})
    if face.landmarks is None:
        return bare
    return bare.replace(regions=region_masks(bare.landmarks_in_crop, size))


def square(photo: Pixels, size: int) -> Pixels:
    """Cut the middle square of a picture, resized to (size, size, 3)."""
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
    """Open one detector in this process when first needed; close it with `release`."""
    if factory not in _OPEN:
        _OPEN[factory] = factory()
    return _OPEN[factory]


def release() -> None:
    """Close this process's detectors."""
    while _OPEN:
        _, detector = _OPEN.popitem()
        if hasattr(detector, "close"):
            detector.close()


@lru_cache(maxsize=1)
def _identity(factory: DetectorFactory) -> str:
    """Name what distinguishes the crops of this detector from those of another."""
    name = f"{factory.__module__}.{factory.__qualname__}"
    return f"{name}/{_versions()}" if factory is packaged else name


def _versions() -> dict[str, Any]:
    """List what the packaged detector's crops depend on."""
    from ferce.faces import geometry
    from ferce.faces.detector import CROP, LOOK

    model = Path(geometry.__file__).parents[1] / "weights" / "face_landmarker.task"
    weights = hashlib.sha256(model.read_bytes()).hexdigest()[:16] if model.is_file() else ""
    return {"crop": CROP, "margin": geometry.MARGIN, "look": LOOK, "weights": weights}


A = TypeVar("A")
B = TypeVar("B")
WINDOW = 4  # items in flight a process


def ordered_map(work: Callable[[A], B], items: Iterable[A], jobs: int = 1) -> Iterator[tuple[A, B]]:
    """Map `work` over the items in several processes; yield each item with its result, in order.

    The item is the very one given, not a copy that went to another process.

    Args:
        work: a function of a module, or a partial of one, so that it can travel.
        items: may be endless; at most `jobs * WINDOW` of them are held.
        jobs: processes; 1 works here, without another process.

    Raises:
        ValueError: fewer than one process was asked for.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    if jobs == 1:
        for item in items:
            yield item, work(item)
        return
    # Spawned, not forked: MediaPipe and OpenCV hold threads that a fork would break.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: deque[tuple[A, Future[B]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) >= jobs * WINDOW:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def _next(waiting: deque[tuple[A, Future[B]]]) -> tuple[A, B]:
    item, future = waiting.popleft()
    return item, future.result()
