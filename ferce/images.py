"""Open a photo from anywhere as RGB pixels, or refuse it with one sentence that says what to do.

The content decides the format, never the suffix: a PNG named ``.jpg`` is read, a PDF named ``.jpg``
is refused. What is refused is never replaced by a black or half-filled picture. Sizes are checked
from the header, before any pixel is decoded. Nothing global is touched: neither Pillow's settings
and plugin list nor the warning filters, so threads may load at the same time.
"""

import errno
import math
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    TiffTags,
    WebPImagePlugin,
)

from ferce.types import Pixels

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

# fmt: off
SUFFIXES: frozenset[str] = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif",
    ".bmp", ".dib", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
})
# fmt: on

_KINDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:")
_IS_URL = "is a web address; save the photo to disk and name the file"
_MAX_SCANS = 500  # a camera writes about 10; thousands of empty scans keep libjpeg busy for hours
_MAX_SEGMENTS = 10_000  # before the first scan; a phone writes about 20
_MAX_DIRECTORIES = 8  # EXIF, GPS, interoperability in one TIFF, with room to spare
_MAX_GIF_HEADER = 2 * 2**20  # bytes; Pillow gathers comments in quadratic time
_PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"IDAT", b"IEND"})
# PNG 1.2, 8.2: first column, first row, column step, row step of the seven passes
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_NUMBERS = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
}  # TIFF 6.0, 2
_TURNS = {  # EXIF 2.32, tag 0x0112: what brings the stored rows upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """One clear sentence for the user: which photo, what is wrong with it, what to do."""


class _Refusal(Exception):  # noqa: N818 - becomes an ImageError once the photo's name is known
    """What is wrong, as the end of a sentence that begins with the photo's name."""


@dataclass(frozen=True)
class Limits:
    """What is accepted; a photo beyond any of these is refused before its pixels are decoded."""

    max_bytes: int = 40 * 2**20
    max_pixels: int = 60_000_000  # 180 MB as RGB; phones of 2024 write 12 to 50 million by default
    max_side: int = 32_768  # pixels; also bounds what one row may cost a decoder
    min_side: int = 16  # pixels; no face can be read below

    def __post_init__(self) -> None:
        if min(self.max_bytes, self.max_pixels, self.max_side, self.min_side) < 1:
            raise ValueError(f"every limit must be at least 1; got {self}")


DEFAULT_LIMITS = Limits()


def load(source: Source, limits: Limits = DEFAULT_LIMITS) -> Pixels:
    """Read one photo.

    The first frame of an animation is taken. EXIF orientation is applied, an ICC profile is
    converted to sRGB (a broken one is ignored, as is broken EXIF), transparency is laid on white.
    16-bit values are divided by 257 (for colour Pillow keeps the high byte, at most one level
    away), float values must lie in 0..1 and are multiplied by 255.

    Args:
        source: A path, the bytes of a file, an open binary file, a Pillow image, or an array
            (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA of uint8, uint16, bool or float 0..1.
        limits: The largest and smallest photo accepted.

    Returns:
        (H, W, 3) RGB uint8, C-contiguous, writable, never sharing memory with the source.

    Raises:
        ImageError: The photo cannot be read; the message is one sentence.
    """
    try:
        return _load(source, limits)
    except _Refusal as refusal:
        raise ImageError(f"{_name(source)} {refusal}.") from refusal.__cause__


def find(paths_or_globs: Sequence[str]) -> list[Path]:
    """List the photos named on a command line, in the order given, each once.

    A file is taken whatever its suffix. A folder gives its photos by suffix, recursively and
    sorted, without hidden names and without following links to folders. Anything else is a glob
    (``**`` crosses folders) and gives the matching photos by suffix, sorted.

    Raises:
        ImageError: A name is a web address, or names no photo.
    """
    found: dict[Path, None] = {}
    for name in paths_or_globs:
        photos = _find_one(name)
        if not photos:
            raise ImageError(f"{_printable(name)} names no photo; check the path and its suffix.")
        found.update(dict.fromkeys(photos))
    return list(found)


def _find_one(name: str) -> list[Path]:
    if _URL.match(name):
        raise ImageError(f"{_printable(name)} {_IS_URL}.")
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
        if hidden <= set(pattern.parts) and _is_photo(path):
            yield path


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(root, name) for name in names if not name.startswith("."))
        yield from filter(_is_photo, paths)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


# ---- names ----


def _printable(name: str) -> str:
    """Make a name safe to show in a terminal: one line, at most 80 characters, no control codes."""
    shown = "".join(char if char.isprintable() else "?" for char in name) or "An empty name"
    return shown if len(shown) <= 80 else f"{shown[:50]}…{shown[-29:]}"


def _name(source: object) -> str:
    """How the sentence calls the photo: the last part of its path, never the folders."""
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if isinstance(path, str | os.PathLike):
        text = os.fsdecode(path)
        shown = text if _URL.match(text) else Path(text).name or text
        return _printable(shown)
    return "The array" if isinstance(source, np.ndarray) else "The photo"


# ---- reading bytes ----


def _load(source: object, limits: Limits) -> Pixels:
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if isinstance(source, Image.Image):
        return _from_image(source, "Pillow image", limits)
    data = _read(source, limits.max_bytes)
    if not data:
        raise _Refusal("is empty; export or copy it again")
    if len(data) > limits.max_bytes:
        raise _too_long(limits.max_bytes)
    return _from_bytes(data, limits)


def _read(source: object, max_bytes: int) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[: max_bytes + 1])
    if isinstance(source, str | os.PathLike):
        return _read_path(os.fsdecode(source), max_bytes)
    if hasattr(source, "read"):
        return _read_file(source, max_bytes)
    raise _Refusal(
        "must be a path, bytes, an open binary file, a Pillow image or an array, "
        f"not {type(source).__name__}"
    )


def _read_path(name: str, max_bytes: int) -> bytes:
    if _URL.match(name):
        raise _Refusal(_IS_URL)
    try:
        path = Path(name)
        status = path.stat()  # before opening: a named pipe would wait for ever
        if not name or stat.S_ISDIR(status.st_mode):
            raise _Refusal("is a folder; name a photo in it")
        if not stat.S_ISREG(status.st_mode):
            raise _Refusal("is a device or a pipe, not a file; save the photo to disk first")
        if status.st_size > max_bytes:
            raise _too_long(max_bytes, status.st_size)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise _Refusal(_reason(error)) from error


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
        raise _Refusal("cannot be read from the open file; open it again in binary mode") from error
    if not isinstance(data, bytes):
        raise _Refusal('is open as text; open it in binary mode ("rb")')
    return data


def _too_long(limit: int, size: int | None = None) -> _Refusal:
    is_long = "is larger" if size is None else f"has {size / 2**20:.0f} MiB, more"
    return _Refusal(f"{is_long} than the {limit / 2**20:.3g} MiB accepted; save it smaller")


# ---- what the bytes are ----

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBPVP8[ LX]", "WebP"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"II\*\0|MM\0\*", "TIFF"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp(?:mif1|msf1).{0,40}avi[fs]", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "HEIC"),
)
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF-", "a PDF document"),
    (rb"%!PS", "a PostScript file"),
    (rb"PK(?:\x03\x04|\x05\x06)", "a ZIP archive or office document"),
    (rb"\x1f\x8b|BZh|7z\xbc\xaf|\xfd7zXZ|Rar!", "a compressed archive"),
    (rb"....ftyp|....(?:moov|mdat|wide|free)", "an MP4 or QuickTime video"),
    (rb"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (rb"RIFF....AVI |\0\0\x01\xba", "a video"),
    (rb"RIFF....WAVE|ID3|OggS|fLaC|\xff[\xfb\xf3]", "a sound file"),
    (rb"8BPS", "a Photoshop document"),
    (rb"\0\0\0\x0cjP  |\xffO\xffQ", "a JPEG 2000 picture"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (rb"\0\0[\x01\x02]\0", "an icon"),
    (rb"II\+\0|MM\0\+", "a BigTIFF picture"),
    (rb"\x7fELF|MZ", "a program"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml.{0,400}?<svg)", "an SVG drawing"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|head|body)", "a web page or XML document"),
)


def _sniff(data: bytes) -> str:
    """Name the photo format of the content, or refuse the content by name."""
    for magic, kind in _MAGIC:
        if re.match(magic, data, re.DOTALL):
            return kind
    advice = f"not a photo; give a {_KINDS} file"
    for magic, kind in _STRANGERS:
        if re.match(magic, data[:1024], re.DOTALL | re.IGNORECASE):
            raise _Refusal(f"is {kind}, {advice}")
    if _is_text(data[:1024]):
        raise _Refusal(f"is a text file, {advice}")
    raise _Refusal(f"has content that no known photo format begins with; give a {_KINDS} file")


def _is_text(start: bytes) -> bool:
    text = start.decode("utf-8", errors="ignore")  # a character may be cut at the end
    printable = sum(char.isprintable() or char.isspace() for char in text)
    whole = len(text.encode()) >= len(start) - 3
    return bool(text) and whole and printable == len(text)


# ---- headers, read before any decoder may allocate ----


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    given = f"is {width} by {height} pixels"
    if min(size) < limits.min_side:
        raise _Refusal(
            f"{given}, and each side needs at least {limits.min_side}; give a larger one"
        )
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        most = f"{limits.max_pixels / 1e6:.3g} million pixels and {limits.max_side} a side"
        raise _Refusal(f"{given}, more than the {most} accepted; save it smaller")


def _png_size(data: bytes) -> tuple[int, int]:
    """Read IHDR ourselves: Pillow fills a canvas while opening some animated PNGs."""
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read the canvas ourselves: libwebp allocates two of them while opening."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        bits = int.from_bytes(data[24:30], "little")
        return (bits & 0xFFFFFF) + 1, (bits >> 24) + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _gif_size(data: bytes) -> tuple[int, int]:
    """Canvas, grown by the first frame as Pillow grows it (Pillow fills it while opening)."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[place] != ord(","):
        place = _after_gif_block(data, place)
        if place > _MAX_GIF_HEADER:
            raise ValueError("no frame within the first megabytes")
    x, y, w, h = struct.unpack_from("<4H", data, place + 1)
    return max(width, x + w), max(height, y + h)


def _after_gif_block(data: bytes, place: int) -> int:
    if data[place] != ord("!"):
        return place + 1  # stray byte
    label, first = data[place + 1], data[place + 2]
    place += 3 + first
    if label == 0xFE and not first:  # an empty comment; Pillow reads on after other empty blocks
        return place
    while data[place]:
        place += data[place] + 1
    return place + 1


def _jpeg_size(data: bytes) -> None:
    """Check that the picture ends and has few scans; its size is safe to leave to Pillow."""
    place = _jpeg_scan(data)
    end = data.find(b"\xff\xd9", place)
    if end < 0:
        raise EOFError("no end marker")
    if data.count(b"\xff\xda", place, end) > _MAX_SCANS:
        raise _Refusal(f"has more than {_MAX_SCANS} scans, as no camera writes; save it again")


def _jpeg_scan(data: bytes) -> int:
    """Where the first scan begins, past all segments and the thumbnails within them."""
    place = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[place + 1]
        if data[place] != 0xFF or marker == 0xDA:
            break
        if marker == 0xFF:
            place += 1  # fill byte
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            place += 2  # no length follows
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    if data[place : place + 2] != b"\xff\xda":
        raise ValueError("no scan")
    return place


_HEADERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "PNG": _png_size,
    "WebP": _webp_size,
    "GIF": _gif_size,
    "JPEG": _jpeg_size,
}


# ---- PNG chunks ----


def _still_png(data: bytes) -> bytes:
    """Keep the chunks that make the still picture, once its rows are known to be all there.

    Without animation and text Pillow has nothing to warn about. It would fill missing rows black.
    """
    kept, rows = [data[:8]], []
    for name, start, end in _png_chunks(data):
        if name in _PNG_CHUNKS:
            kept.append(data[start:end])
        if name == b"IDAT":
            rows.append(data[start + 8 : end - 4])
    if not _inflates_to(rows, _png_row_bytes(data)):
        raise EOFError("rows are missing")
    return b"".join(kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk up to IEND; struct.error when the file ends before."""
    place, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, place, place + 12 + length
        place += 12 + length


def _png_row_bytes(data: bytes) -> int:
    """Length of all rows with their filter bytes, before compression (PNG 1.2, 2.3 and 2.6)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    total = 0
    for x, y, step_x, step_y in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((x - width) // step_x), -((y - height) // step_y)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    return total


def _inflates_to(parts: Sequence[bytes], length: int) -> bool:
    """Whether the parts hold at least length bytes; never more than 1 MiB of them at once."""
    inflater = zlib.decompressobj()
    for part in parts:
        while part and length > 0 and not inflater.eof:
            length -= len(inflater.decompress(part, 2**20))
            part = inflater.unconsumed_tail
    return length - len(inflater.flush()) <= 0


# ---- TIFF directories ----


class _TiffTamer:
    """Mutes the directory entries of a TIFF that Pillow would warn about or choke on.

    An entry is muted (its type set to 0, which readers skip) when its values lie outside the file,
    when it has more values than its tag allows, when it points to a broken sub-directory, or when
    all values together would be longer than the file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order = "<" if data[:1] == b"I" else ">"
        self.left = len(data)  # bytes that values may still take
        self.seen: set[int] = set()  # where directories begin; each is visited once

    def tamed(self) -> bytes:
        (first,) = struct.unpack_from(self.order + "I", self.data, 4)
        self._tame(first)
        return bytes(self.data)

    def _tame(self, start: int) -> None:
        """Mute in place; struct.error when the directory itself does not fit the file."""
        self.seen.add(start)
        (count,) = struct.unpack_from(self.order + "H", self.data, start)
        end = start + 2 + 12 * count
        struct.unpack_from(self.order + "I", self.data, end)  # the pointer behind it
        for place in range(start + 2, end, 12):
            if not self._is_sound(place):
                struct.pack_into(self.order + "H", self.data, place + 2, 0)

    def _is_sound(self, place: int) -> bool:
        tag, kind, count, value = struct.unpack_from(self.order + "HHII", self.data, place)
        length = count * _NUMBERS.get(kind, 0)
        if length > 4:
            self.left -= length
            if self.left < 0 or value + length > len(self.data):
                return False
        if tag in TiffTags.TAGS_V2_GROUPS:
            return self._leads_to_sound(value)
        return count == 1 or kind in (1, 2, 7) or TiffTags.lookup(tag).length != 1

    def _leads_to_sound(self, start: int) -> bool:
        if start in self.seen or len(self.seen) > _MAX_DIRECTORIES:
            return False
        try:
            self._tame(start)
        except struct.error:
            return False
        return True


# ---- decoding ----


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """JPEG without the look for a resolution in EXIF, which warns when EXIF is broken."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _open_heic(file: BytesIO) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        advice = "run `pip install pillow-heif` or save it as JPEG"
        raise _Refusal(f"is a HEIC photo, which needs pillow-heif; {advice}") from error
    opener: Callable[[BytesIO], Image.Image] = HeifImageFile
    return opener(file)


def _open_avif(file: BytesIO) -> Image.Image:
    if not AvifImagePlugin.SUPPORTED:
        raise _Refusal("is an AVIF photo, which this Pillow was built without; save it as JPEG")
    return AvifImagePlugin.AvifImageFile(file)


def _open_png(file: BytesIO) -> Image.Image:
    return PngImagePlugin.PngImageFile(BytesIO(_still_png(file.getvalue())))


def _open_tiff(file: BytesIO) -> Image.Image:
    return TiffImagePlugin.TiffImageFile(BytesIO(_TiffTamer(file.getvalue()).tamed()))


_OPENERS: dict[str, Callable[[BytesIO], Image.Image]] = {
    "JPEG": _Jpeg,
    "PNG": _open_png,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _open_tiff,
    "AVIF": _open_avif,
    "HEIC": _open_heic,
}


def _from_bytes(data: bytes, limits: Limits) -> Pixels:
    kind = _sniff(data)
    try:
        size = _HEADERS[kind](data) if kind in _HEADERS else None
        if size:
            _check_size(size, limits)
        image = _OPENERS[kind](BytesIO(data))
    except _Refusal:
        raise
    except Exception as error:  # decoders raise a dozen types, struct.error to AssertionError
        raise _undecodable(kind) from error
    return _from_image(image, kind, limits)


def _from_image(image: Image.Image, kind: str, limits: Limits) -> Pixels:
    _check_size(image.size, limits)
    if not _tiles_are_sound(image, limits.max_pixels):
        raise _undecodable(kind)
    try:
        image.load()
        _check_size(image.size, limits)  # HEIC may turn out another size than it said
        return _to_rgb(image)
    except _Refusal:
        raise
    except Exception as error:  # as above: whatever a decoder meets in a damaged file
        raise _undecodable(kind) from error


def _undecodable(kind: str) -> _Refusal:
    return _Refusal(
        f"looks like a {kind} but cannot be decoded, because it is cut off, damaged or of an "
        "unusual kind; export or copy it again"
    )


def _tiles_are_sound(image: Image.Image, max_pixels: int) -> bool:
    """Whether a TIFF's tiles are ones Pillow reads, no larger than allowed, without a gap."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or not image.tile:
        return True
    tags = image.tag_v2
    is_planar = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2
    if is_planar and max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8:
        return False  # Pillow 12 takes the 16-bit planes for 8-bit ones and shows noise
    sides = [tags.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
    boxes = {tile[1] for tile in image.tile if tile[1]}  # one box for all planes
    covered = sum((right - left) * (low - top) for left, top, right, low in boxes)
    return math.prod(sides) <= max_pixels and covered >= math.prod(image.size)


# ---- to RGB ----


def _to_rgb(image: Image.Image) -> Pixels:
    """Turn a decoded image of any mode into (H, W, 3) RGB uint8, upright."""
    turn = _TURNS.get(_orientation(image.info.get("exif")))
    if image.mode[0] in "IF":
        grey = Image.fromarray(_to_bytes(_deep_grey(image)))
        grey.info["icc_profile"] = image.info.get("icc_profile")
        rgb = _as_rgb(_managed(grey))
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = _on_white(_managed(_as_rgb(rgba)), rgba.getchannel("A"))
    else:
        keep = image.mode in ("L", "CMYK", "LAB")
        rgb = _as_rgb(_managed(image if keep else _as_rgb(image)))
    return np.array(rgb.transpose(turn) if turn is not None else rgb)


def _as_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")  # convert would copy


def _on_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", rgb.size, "white")
    canvas.paste(rgb, mask=alpha)
    return canvas


def _deep_grey(image: Image.Image) -> NDArray[Any]:
    """Grey values (H, W) of a 16-bit or float image; a TIFF may hold 12 bits, or white as zero."""
    values: NDArray[Any] = np.asarray(image)
    if values.dtype.kind == "f":
        return values
    if values.dtype.itemsize > 2:
        raise _Refusal("has 32-bit whole numbers, whose white is not known; save it as 16-bit")
    tags = getattr(image, "tag_v2", {})
    if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,):
        values = values << 4 | values >> 8
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        values = ~values
    return values


def _orientation(exif: object) -> int:
    """Read tag 0x0112 of an EXIF block, 1 (upright) when there is none or it is broken.

    Ours, because Pillow's reader warns about broken EXIF and a warning may be an error.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, place)
            if tag == 0x0112:
                return int(value)
    except struct.error:
        pass
    return 1


def _managed(image: Image.Image) -> Image.Image:
    """Convert by the embedded ICC profile to sRGB; unchanged when there is none that fits.

    An sRGB profile is not applied, which keeps the pixels exact.
    """
    data = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif isinstance(data, bytes):
            source = ImageCms.ImageCmsProfile(BytesIO(data))
        else:
            return image
        fits = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
        if fits.get(source.profile.xcolor_space.strip()) != image.mode:
            return image
        if "sRGB" in (source.profile.profile_description or ""):
            return image
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile says nothing about the pixels


# ---- arrays ----


def _from_array(array: NDArray[Any], limits: Limits) -> Pixels:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise _Refusal(f"must have shape (H, W), (H, W, 3) or (H, W, 4), not {array.shape[:6]}")
    _check_size((array.shape[1], array.shape[0]), limits)
    pixels = _to_bytes(array)
    if channels == 4:
        rgba = Image.fromarray(pixels)
        return np.array(_on_white(rgba.convert("RGB"), rgba.getchannel("A")))
    grey_or_rgb = pixels.reshape(*array.shape[:2], channels)
    return np.array(np.broadcast_to(grey_or_rgb, (*array.shape[:2], 3)), order="C")


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale uint8, uint16, bool or float 0..1 to 0..255, rounding; any shape."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size == 1:
        return np.ascontiguousarray(values)
    if kind == "u" and size == 2:
        # round(v / 257) within 16 bits: 257 is odd, so no tie arises
        scaled: NDArray[np.uint8] = (values // 257 + (values % 257 > 128)).astype(np.uint8)
        return scaled
    if kind == "f":
        return _scaled(values)
    raise _Refusal(f"has {values.dtype} values; give uint8, uint16, bool or float in 0..1")


def _scaled(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())  # NaN passes through to both
    if not (low >= 0.0 and high <= 1.0):
        raise _Refusal(f"has float values from {low:g} to {high:g}; scale them to 0..1")
    return (values.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
