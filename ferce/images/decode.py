"""Decode the bytes of a file to pixels, with Pillow's own readers, never its registry."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ferce.core.types import Pixels
from ferce.images import png
from ferce.images.colour import to_bytes, to_rgb
from ferce.images.refusal import DEFAULT_LIMITS, Limits, Refusal, check_size, sniff
from ferce.images.tiff import TiffSanitiser, grey_files, tiles_are_sound

_MAX_SCANS = 500  # a camera writes about 10; thousands of empty scans keep libjpeg busy for hours
_MAX_SEGMENTS = 10_000  # before the first scan; a phone writes about 20
_JPEG_END, _NOISE = b"\xff\xd9", b"\x33\x9a\xe1" * 30
ORIENTATION = 0x0112  # tag of EXIF and TIFF
_MAX_GIF_HEADER = 2 * 2**20  # bytes; Pillow gathers comments in quadratic time


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read the canvas size from the header: libwebp allocates two canvases to open a file."""
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
    """Read the canvas size, grown by the first frame; Pillow would fill the canvas to open it."""
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
    """Check that the picture has few scans; Pillow reads the size itself safely."""
    place = _jpeg_scan(data)
    end = data.find(_JPEG_END, place)
    if data.count(b"\xff\xda", place, end if end >= 0 else len(data)) > _MAX_SCANS:
        raise Refusal(f"has more than {_MAX_SCANS} scans, as no camera writes; save it again")


def _jpeg_scan(data: bytes) -> int:
    """Find the offset of the first scan, past all segments and the thumbnails within them."""
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


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """JPEG reader that skips the resolution in EXIF, since Pillow warns when EXIF is broken."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _open_jpeg(file: BytesIO) -> Image.Image:
    data = file.getvalue()
    return _Jpeg(file) if data.find(_JPEG_END, _jpeg_scan(data)) >= 0 else _endless_jpeg(data)


def _endless_jpeg(data: bytes) -> Image.Image:
    """Decode a JPEG without an end marker, as some cameras write; EOFError when it is cut off.

    libjpeg makes what is missing out of whatever follows, so that it looks different with each end.
    """
    shown = set()
    for end in (
        b"",
        _NOISE,
        _NOISE[::-1],
        b"".join(b"\xff%c" % mark + _NOISE for mark in range(0xD0, 0xD8)),
    ):
        image = _Jpeg(BytesIO(data.rstrip(b"\xff") + end + _JPEG_END))
        check_size(image.size, DEFAULT_LIMITS)
        shown.add(hashlib.sha256(image.tobytes()).digest())
    if len(shown) > 1 or image.info.get("progressive"):
        raise EOFError("the end is missing")
    return image


def _open_heic(file: BytesIO) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        advice = "run `pip install pillow-heif` or save it as JPEG"
        raise Refusal(f"is a HEIC photo, which needs pillow-heif; {advice}") from error
    opener: Callable[[BytesIO], Image.Image] = HeifImageFile
    image = opener(file)
    nclx = image.info.get("nclx_profile") or {}
    image.info["coding"] = (nclx.get("color_primaries"), nclx.get("transfer_characteristics"))
    return image


def _open_avif(file: BytesIO) -> Image.Image:
    if not AvifImagePlugin.SUPPORTED:
        raise Refusal("is an AVIF photo, which this Pillow was built without; save it as JPEG")
    image = AvifImagePlugin.AvifImageFile(file)
    _, mark, nclx = file.getvalue().partition(b"colrnclx")  # which Pillow leaves out
    image.info["coding"] = struct.unpack(">HH", nclx[:4]) if mark else ()
    return image


def _open_png(file: BytesIO) -> Image.Image:
    data = file.getvalue()
    image = PngImagePlugin.PngImageFile(BytesIO(png.still(data)))
    image.info["coding"] = png.coding(data)
    return image


def _tiff_size(data: bytes) -> tuple[int, int]:
    return TiffSanitiser(data).size


def _open_tiff(file: BytesIO) -> Image.Image:
    tiff = TiffSanitiser(file.getvalue())
    sound = tiff.sanitised()
    greys = grey_files(tiff)
    return _joined(tiff, greys) if greys else TiffImagePlugin.TiffImageFile(BytesIO(sound))


def _joined(tiff: TiffSanitiser, greys: Sequence[bytes]) -> Image.Image:
    """Decode grey TIFFs and join them to an RGB or RGBA picture of 8 bits."""
    planes = []
    for data in greys:
        image = TiffImagePlugin.TiffImageFile(BytesIO(data))
        if not tiles_are_sound(image, DEFAULT_LIMITS.max_pixels):
            raise ValueError("tiles with gaps")
        planes.append(np.asarray(image))
    width, height = tiff.size
    joined = Image.fromarray(to_bytes(np.stack(planes, -1).reshape(height, width, -1)))
    joined.info["icc_profile"] = bytes(tiff.values(TiffImagePlugin.ICCPROFILE)) or None
    exif = Image.Exif()
    exif[ORIENTATION] = tiff.value(ORIENTATION, 1)
    joined.info["exif"] = exif.tobytes()
    return joined


HEADERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "PNG": png.size,
    "WebP": _webp_size,
    "GIF": _gif_size,
    "JPEG": _jpeg_size,
    "TIFF": _tiff_size,
}

_OPENERS: dict[str, Callable[[BytesIO], Image.Image]] = {
    "JPEG": _open_jpeg,
    "PNG": _open_png,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _open_tiff,
    "AVIF": _open_avif,
    "HEIC": _open_heic,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as (H, W, 3) RGB uint8, and one sentence on pictures of its file that are not read.

    The sentence is empty where there are no others.
    """

    pixels: Pixels
    note: str = ""


def from_bytes(data: bytes, limits: Limits) -> Photo:
    """Decode the content of a file; its size is checked from the header first."""
    kind = sniff(data)
    try:
        size = HEADERS[kind](data) if kind in HEADERS else None
        if size:
            check_size(size, limits)
        image = _OPENERS[kind](BytesIO(data))
        note = _note(kind, data, image)
    except Refusal:
        raise
    except Exception as error:  # decoders raise a dozen types, struct.error to AssertionError
        raise _undecodable(kind) from error
    return Photo(from_image(image, kind, limits), note)


def _note(kind: str, data: bytes, image: Image.Image) -> str:
    """Say which of several pages or frames is read."""
    if kind == "TIFF" and (pages := TiffSanitiser(data).pages) > 1:
        return f"It has {pages} pages, of which the first was read."
    if kind == "HEIC" and getattr(image, "n_frames", 1) > 1:
        return "It holds several pictures, of which the main one was read."
    chunks = (name for name, _, _ in png.chunks(data)) if kind == "PNG" else ()
    if b"acTL" in chunks or (kind in ("GIF", "WebP", "AVIF") and _moves(image)):
        return "It is animated; its first frame was read."
    return ""


def _moves(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame; the first may be read
        return True


def from_image(image: Image.Image, kind: str, limits: Limits) -> Pixels:
    """Decode an opened image; `kind` names it in the sentence of a refusal."""
    check_size(image.size, limits)
    if not tiles_are_sound(image, limits.max_pixels):
        raise _undecodable(kind)
    try:
        image.load()
        check_size(image.size, limits)  # HEIC may turn out another size than it said
        return to_rgb(image)
    except Refusal:
        raise
    except Exception as error:  # as above: whatever a decoder meets in a damaged file
        raise _undecodable(kind) from error


def _undecodable(kind: str) -> Refusal:
    return Refusal(
        f"looks like a {kind} but cannot be decoded, because it is cut off, damaged or of an "
        "unusual kind; export or copy it again"
    )
