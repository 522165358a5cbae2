"""Sizes and scans read from the header, before any decoder may allocate."""

import struct
from collections.abc import Callable

from ferce.images.refusal import Refusal

_MAX_SCANS = 500  # a camera writes about 10; thousands of empty scans keep libjpeg busy for hours
_MAX_SEGMENTS = 10_000  # before the first scan; a phone writes about 20
_MAX_GIF_HEADER = 2 * 2**20  # bytes; Pillow gathers comments in quadratic time


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
        raise Refusal(f"has more than {_MAX_SCANS} scans, as no camera writes; save it again")


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


HEADERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "PNG": _png_size,
    "WebP": _webp_size,
    "GIF": _gif_size,
    "JPEG": _jpeg_size,
}
