"""Arrays as photos: values of other types scaled to the levels 0..255."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.images.refusal import Refusal


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
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
    raise Refusal(f"has {values.dtype} values; give uint8, uint16, bool or float in 0..1")


def _scaled(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())  # NaN passes through to both
    if not (low >= 0.0 and high <= 1.0):
        raise Refusal(f"has float values from {low:g} to {high:g}; scale them to 0..1")
    return (values.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
