"""Open one photo, or refuse it."""

import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferce.images.arrays import from_array
from ferce.images.content import read
from ferce.images.decoding import from_bytes, from_image
from ferce.images.limits import DEFAULT_LIMITS, Limits
from ferce.images.refusal import ImageError, Refusal, name_of
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
    except Refusal as refusal:
        raise ImageError(f"{name_of(source)} {refusal}.") from refusal.__cause__


def _load(source: object, limits: Limits) -> Pixels:
    if isinstance(source, np.ndarray):
        return from_array(source, limits)
    if isinstance(source, Image.Image):
        return from_image(source, "Pillow image", limits)
    return from_bytes(read(source, limits.max_bytes), limits)
