"""PNG: size, chunks, and the still picture alone, all its rows there."""

import struct
import zlib
from collections.abc import Iterator, Sequence


def size(data: bytes) -> tuple[int, int]:
    """Read width and height from IHDR: Pillow fills a canvas to open some animated PNGs."""
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


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


def still(data: bytes) -> bytes:
    """Keep only the chunks of the still picture, after checking that all its rows are there.

    Without animation and text Pillow has nothing to warn about. It would fill missing rows black.
    """
    kept, rows = [data[:8]], []
    for name, start, end in chunks(data):
        if name in _PNG_CHUNKS:
            kept.append(data[start:end])
        if name == b"IDAT":
            rows.append(data[start + 8 : end - 4])
    if not _inflates_to(rows, _row_bytes(data)):
        raise EOFError("rows are missing")
    return b"".join(kept)


def coding(data: bytes) -> tuple[int, ...]:
    """Read (primaries, transfer) of ITU-T H.273 by which the picture is coded, () if untold."""
    coded = (
        tuple(data[start + 8 : start + 10]) for name, start, _ in chunks(data) if name == b"cICP"
    )
    return next(coded, ())


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each chunk up to IEND; struct.error when the file is cut."""
    place, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, place, place + 12 + length
        place += 12 + length


def _row_bytes(data: bytes) -> int:
    """Count the bytes of all rows with their filter bytes, uncompressed (PNG 1.2, 2.3 and 2.6)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    total = 0
    for x, y, step_x, step_y in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((x - width) // step_x), -((y - height) // step_y)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    return total


def _inflates_to(parts: Sequence[bytes], length: int) -> bool:
    """Tell whether the parts inflate to at least `length` bytes, holding 1 MiB at a time."""
    inflater = zlib.decompressobj()
    for part in parts:
        while part and length > 0 and not inflater.eof:
            length -= len(inflater.decompress(part, 2**20))
            part = inflater.unconsumed_tail
    return length - len(inflater.flush()) <= 0
