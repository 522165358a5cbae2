"""The example photos of the page, whose readings are kept, so that they are there at once."""

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ferce import images
from ferce.core.types import Pixels
from ferce.ui.web import markup
from ferce.ui.web.markup import Thumbnail

_FIRST = "happily_surprised"  # the photo on which the page opens, where it is there
_FILMED = ("smile", "happily_surprised", "sadly_angry")  # one after another in the clip
_RATE, _FRAMES, _SIDE = 10, 18, 384  # frames a second, frames of each photo, pixels
_NEARER = 0.06  # of the picture's side, by which the camera comes nearer to each photo


@dataclass(frozen=True)
class Examples:
    """The photos of a folder, which may be empty or missing; None for no folder."""

    folder: Path | None = None

    @cached_property
    def paths(self) -> Sequence[Path]:
        """List the photos in order."""
        if self.folder is None or not self.folder.is_dir():
            return ()
        known = [path for path in self.folder.iterdir() if path.suffix in images.SUFFIXES]
        return images.find([str(self.folder)]) if known else ()

    @property
    def first(self) -> Path | None:
        """The photo on which the page opens; None without any."""
        named = (path for path in self.paths if path.stem == _FIRST)
        return next(named, next(iter(self.paths), None))

    @cached_property
    def clip(self) -> Path | None:
        """A film of three of the photos, made when it is first asked for; None without them."""
        photos = [path for name in _FILMED for path in self.paths if path.stem == name]
        if len(photos) < len(_FILMED):
            return None
        path = Path(tempfile.mkdtemp(prefix="ferce-")) / "three_examples.webm"
        atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
        _film(path, (frame for photo in photos for frame in _nearer(photo)))
        return path

    @cached_property
    def thumbnails(self) -> str:
        """Draw the photos to choose from; nothing where there is none."""
        pictures = [Thumbnail(markup.thumbnail(images.load(p)), title(p)) for p in self.paths]
        return markup.thumbnails("Examples", pictures)

    def digest(self, path: Path) -> str | None:
        """Give the digest of a file that holds an example; None for any other file."""
        if not path.is_file() or path.stat().st_size not in self._sizes:
            return None
        name = _digest(path)
        return name if name in self._digests else None

    @cached_property
    def _sizes(self) -> frozenset[int]:
        return frozenset(path.stat().st_size for path in self.paths)

    @cached_property
    def _digests(self) -> frozenset[str]:
        return frozenset(map(_digest, self.paths))


def title(path: Path) -> str:
    """Name an example by its file."""
    return f"Example: {path.stem.replace('_', ' ').replace('-', ' ')}"


def _nearer(photo: Path) -> Iterator[Pixels]:
    """Come nearer to a photo, frame by frame."""
    from PIL import Image

    picture = Image.fromarray(images.load(photo))
    for i in range(_FRAMES):
        edge = _NEARER * i / _FRAMES * picture.width
        box = (edge, edge, picture.width - edge, picture.height - edge)
        yield np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box))


def _film(path: Path, frames: Iterable[Pixels]) -> None:
    """Write square frames as a clip that every browser plays."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=_RATE)
        stream.width = stream.height = _SIDE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 300_000
        for pixels in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
