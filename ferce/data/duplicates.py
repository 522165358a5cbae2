"""Pictures that are the same to the eye: perceptual hashes and the pairs that lie close.

Needs `imagehash` (train/requirements.txt).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.data.record import DataError
from ferce.types import Pixels

SIDE = 16  # the hash has 16 x 16 bits; with 8 x 8, faces of different people collide
# Bits of 256. Of 2,557 aligned faces, the same picture at 100 px and JPEG quality 70 is at most 10
# away (99 % within 6); of 3.3 million pairs of different pictures 10 are within 20, 4 within 16.
NEAR = 16
_BLOCK = 64  # rows compared at a time, which bounds memory to 64 x N words


def fingerprint(pixels: Pixels) -> bytes:
    """32 bytes of the perceptual hash of Zauner (2010) by `imagehash.phash`.

    Raises:
        DataError: the library is not installed.
    """
    from PIL import Image

    try:
        import imagehash
    except ImportError as error:
        raise DataError(
            "Comparing pictures needs the imagehash library: pip install -r "
            "train/requirements.txt, or leave it out with --no-duplicates."
        ) from error
    bits = imagehash.phash(Image.fromarray(pixels), hash_size=SIDE).hash
    return np.packbits(bits.ravel()).tobytes()


def near_pairs(hashes: Sequence[bytes], within: int = NEAR) -> Iterator[tuple[int, int, int]]:
    """(i, j, distance in bits) with i < j of all pairs at most `within` apart.

    All pairs are looked at, a word of 64 bits at a time: 100,000 pictures take about half a minute.
    """
    if not hashes:
        return
    words = np.frombuffer(b"".join(hashes), np.uint64).reshape(len(hashes), -1)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        first = np.bitwise_count(block[:, None, 0] ^ words[None, start:, 0])
        rows, columns = np.nonzero(first <= within)
        keep = columns > rows
        yield from _confirmed(words, rows[keep] + start, columns[keep] + start, within)


def _confirmed(
    words: NDArray[np.uint64], rows: NDArray[np.intp], columns: NDArray[np.intp], within: int
) -> Iterator[tuple[int, int, int]]:
    distance = np.bitwise_count(words[rows] ^ words[columns]).sum(1, dtype=np.int64)
    near = distance <= within
    for i, j, d in zip(rows[near], columns[near], distance[near], strict=True):
        yield int(i), int(j), int(d)
