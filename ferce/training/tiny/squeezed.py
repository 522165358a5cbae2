"""An album as a few small files, to be carried to another machine; WebP takes a thirtieth."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.training.errors import TrainingError

QUALITY = 80  # of WebP: about 1.7 kB a face of 128 pixels
PART = 12_000_000  # bytes of a file, at most
SIZES = "sizes.npy"


def write(pixels: NDArray[np.uint8], folder: Path, quality: int = QUALITY) -> None:
    """Write (N, S, S, 3) faces as `part-000.bin` and so on, and the size of each face."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    sizes, part, held = [], 0, bytearray()
    for face in pixels:
        buffer = io.BytesIO()
        Image.fromarray(face).save(buffer, "WEBP", quality=quality)
        if len(held) + buffer.tell() > PART:
            (folder / f"part-{part:03}.bin").write_bytes(held)
            part, held = part + 1, bytearray()
        held += buffer.getvalue()
        sizes.append(buffer.tell())
    (folder / f"part-{part:03}.bin").write_bytes(held)
    np.save(folder / SIZES, np.array(sizes, np.int64), allow_pickle=False)


def read(folder: Path) -> NDArray[np.uint8]:
    """(N, S, S, 3) faces in memory.

    Raises:
        TrainingError: a part is missing or cut short.
    """
    from PIL import Image

    sizes = np.load(folder / SIZES, allow_pickle=False)
    data = b"".join(path.read_bytes() for path in sorted(folder.glob("part-*.bin")))
    if len(data) != int(sizes.sum()):
        raise TrainingError(f"{folder} should hold {sizes.sum()} bytes of faces, not {len(data)}.")
    ends = np.cumsum(sizes)
    faces = [
        np.asarray(Image.open(io.BytesIO(data[end - size : end])).convert("RGB"))
        for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
    ]
    return np.stack(faces)
