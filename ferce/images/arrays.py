"""A photo that is an array already."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferce.images.colour import on_white
from ferce.images.levels import to_bytes
from ferce.images.limits import Limits, check_size
from ferce.images.refusal import Refusal
from ferce.types import Pixels


def from_array(array: NDArray[Any], limits: Limits) -> Pixels:
    """(H, W, 3) of (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); a copy, transparency on white."""
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
