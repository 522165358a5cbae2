"""Find the photos that a command line names; load one as RGB pixels, or refuse it."""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferce.core.types import Pixels
from ferce.images.colour import on_white, to_bytes
from ferce.images.decode import Photo, from_bytes, from_image
from ferce.images.refusal import (
    DEFAULT_LIMITS,
    IS_URL,
    SUFFIXES,
    UNREAD,
    URL,
    ImageError,
    Limits,
    Refusal,
    check_size,
    name_of,
    printable,
)

_NAMED = SUFFIXES | UNREAD
# What may hold faces but is read apart, if at all.
# fmt: off
_PASSED = frozenset({
    ".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".3gp", ".wmv", ".mpg",
    ".zip", ".pdf",
})
# fmt: on


def read(source: object, max_bytes: int) -> bytes:
    """Read all bytes of the source; refuse an empty one, or one longer than `max_bytes`."""
    data = _start(source, max_bytes)
    if not data:
        raise Refusal("is empty; export or copy it again")
    if len(data) > max_bytes:
        raise _too_long(max_bytes)
    return data


def _start(source: object, max_bytes: int) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[: max_bytes + 1])
    if isinstance(source, str | os.PathLike):
        return _read_path(os.fsdecode(source), max_bytes)
    if hasattr(source, "read"):
        return _read_file(source, max_bytes)
    raise Refusal(
        "must be a path, bytes, an open binary file, a Pillow image or an array, "
        f"not {type(source).__name__}"
    )


def _read_path(name: str, max_bytes: int) -> bytes:
    if URL.match(name):
        raise Refusal(IS_URL)
    try:
        path = Path(name)
        status = path.stat()  # before opening: a named pipe would wait for ever
        if not name or stat.S_ISDIR(status.st_mode):
            raise Refusal("is a folder; name a photo in it")
        if not stat.S_ISREG(status.st_mode):
            raise Refusal("is a device or a pipe, not a file; save the photo to disk first")
        if status.st_size > max_bytes:
            raise _too_long(max_bytes, status.st_size)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise Refusal(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "does not exist; check the path"
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a link that leads back to itself; name the photo itself"
    return "cannot be opened; check the path and the disk"


def _read_file(file: Any, max_bytes: int) -> bytes:
    try:
        data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # closed, text that is not UTF-8, or a broken disk
        raise Refusal("cannot be read from the open file; open it again in binary mode") from error
    if not isinstance(data, bytes):
        raise Refusal('is open as text; open it in binary mode ("rb")')
    return data


def _too_long(limit: int, size: int | None = None) -> Refusal:
    is_long = "is larger" if size is None else f"has {size / 2**20:.0f} MiB, more"
    return Refusal(f"{is_long} than the {limit / 2**20:.3g} MiB accepted; save it smaller")


def from_array(array: NDArray[Any], limits: Limits) -> Pixels:
    """Convert (H, W) or (H, W, 1, 3 or 4) to (H, W, 3) uint8; a copy, transparency on white."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise Refusal(f"must have shape (H, W), (H, W, 3) or (H, W, 4), not {array.shape[:6]}")
    check_size((array.shape[1], array.shape[0]), limits)
    pixels = to_bytes(array)
    if channels == 4:
        rgba = Image.fromarray(pixels)
        return np.array(on_white(rgba.convert("RGB"), rgba.getchannel("A")))
    grey_or_rgb = pixels.reshape(*array.shape[:2], channels)
    return np.array(np.broadcast_to(grey_or_rgb, (*array.shape[:2], 3)), order="C")


Source = (
    str
    | os.PathLike[Any]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | Image.Image
    | NDArray[np.generic]
)


def load(source: Source, limits: Limits = DEFAULT_LIMITS) -> Pixels:
    """Read the pixels of one photo; see `load_noted`."""
    return load_noted(source, limits).pixels


def load_noted(source: Source, limits: Limits = DEFAULT_LIMITS) -> Photo:
    """Read one photo, and say of a file with several pictures which one was taken.

    That is the first frame of an animation, and the first page of a TIFF that is no reduced copy.
    EXIF orientation is applied, an ICC profile is converted to sRGB (a broken one is ignored, as is
    broken EXIF), transparency is laid on white. 16-bit values are divided by 257 (for colour Pillow
    keeps the high byte, at most one level away), float values must lie in 0..1 and are multiplied
    by 255.

    Args:
        source: A path, the bytes of a file, an open binary file, a Pillow image, or an array
            (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA of uint8, uint16, bool or float 0..1.
        limits: The largest and smallest photo accepted.

    Returns:
        A photo whose pixels are (H, W, 3) RGB uint8, C-contiguous, writable, never sharing memory
        with the source.

    Raises:
        ImageError: The photo cannot be read; the message is one sentence.
    """
    try:
        return _load(source, limits)
    except Refusal as refusal:
        raise ImageError(f"{name_of(source)} {refusal}.") from refusal.__cause__


def _load(source: object, limits: Limits) -> Photo:
    if isinstance(source, np.ndarray):
        return Photo(from_array(source, limits))
    if isinstance(source, Image.Image):
        return Photo(from_image(source, "Pillow image", limits))
    return from_bytes(read(source, limits.max_bytes), limits)


def find(paths_or_globs: Sequence[str]) -> list[Path]:
    """List the photos named on a command line, in the order given, each once.

    A file is taken whatever its suffix. A folder gives its photos by suffix, recursively and
    sorted, without hidden names and without following links to folders; `UNREAD` pictures are among
    them, so that each is named. Anything else is a glob (``**`` crosses folders) and gives the
    matching photos by suffix, sorted.

    Raises:
        ImageError: A name is a web address, or names no photo.
    """
    paths: dict[Path, None] = {}
    for name in paths_or_globs:
        photos = _find_one(name)
        if not photos:
            raise ImageError(f"{printable(name)} names no photo; check the path and its suffix.")
        paths.update(dict.fromkeys(photos))
    return list(paths)


def passed_over(paths_or_globs: Sequence[str]) -> list[Path]:
    """List the clips, ZIPs and PDFs in the folders named, of which `find` gives none."""
    folders = [Path(name) for name in paths_or_globs if name and Path(name).is_dir()]
    return [path for folder in folders for path in sorted(_walk(folder, _PASSED))]


def _find_one(name: str) -> list[Path]:
    if URL.match(name):
        raise ImageError(f"{printable(name)} {IS_URL}.")
    path = Path(name)
    try:
        if path.is_dir():
            return sorted(_walk(path)) if name else []  # an empty name is not the current folder
        return [path] if path.exists() else sorted(_matches(path))
    except (OSError, ValueError, re.error):  # a name too long, a null byte, a folder closed to us
        return []


def _matches(pattern: Path) -> Iterator[Path]:
    relative = pattern.relative_to(pattern.anchor)
    for path in Path(pattern.anchor).glob(str(relative)):  # its ** follows no links
        hidden = {part for part in path.parts if part.startswith(".")}
        if hidden <= set(pattern.parts) and _is_file(path):
            yield path


def _walk(folder: Path, suffixes: Set[str] = _NAMED) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(root, name) for name in names if not name.startswith("."))
        yield from (path for path in paths if _is_file(path, suffixes))


def _is_file(path: Path, suffixes: Set[str] = _NAMED) -> bool:
    return path.suffix.lower() in suffixes and path.is_file()
