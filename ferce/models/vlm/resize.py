"""Resize pictures bicubically as torchvision does, to the bit and without torch.

torchvision and Pillow filter alike but round weights and sums otherwise, and what differs by one
level in a few places moves a probability by up to .005. The arithmetic is that of torch's kernel
for uint8 (aten/src/ATen/native/cpu/UpSampleKernel.cpp): weights in 16 bits with as many binary
places as the largest allows, rows first, rounded to whole levels after each direction.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels

_SHARPNESS = -0.5  # a of the cubic convolution kernel (Keys 1981)
_REACH = 2.0  # of the kernel, pixels to each side
_BITS, _MOST = 15, 22  # of a weight without its sign; binary places


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize a (H, W, 3) uint8 picture to (height, width, 3)."""
    across = _filtered(picture.transpose(1, 0, 2), width)  # (width, H, 3)
    return _filtered(across.transpose(1, 0, 2), height)


def _filtered(picture: Pixels, size: int) -> Pixels:
    """Filter along the first axis, (S, T, 3) to (size, T, 3)."""
    weights, rows, places = _weights(picture.shape[0], size)
    flat = picture.reshape(picture.shape[0], -1).astype(np.int32)
    sums = np.full((size, flat.shape[1]), 1 << (places - 1), np.int32)  # a half, to round
    for weight, row in zip(weights, rows, strict=True):
        sums += weight[:, None] * flat[row]
    return (sums >> places).clip(0, 255).astype(np.uint8).reshape(size, *picture.shape[1:])


@lru_cache(maxsize=32)
def _weights(before: int, after: int) -> tuple[NDArray[np.int32], NDArray[np.intp], int]:
    """Compute the filter from `before` to `after` rows.

    Returns:
        (K, after) whole weights, (K, after) the rows that they weigh, and their binary places.
    """
    scale = before / after
    stretch = max(scale, 1.0)
    centre = scale * (np.arange(after) + 0.5)
    first = np.maximum((centre - _REACH * stretch + 0.5).astype(int), 0)
    last = np.minimum((centre + _REACH * stretch + 0.5).astype(int), before)
    at = first + np.arange((last - first).max())[:, None]  # (K, after)
    values = np.where(at < last, _cubic((at - centre + 0.5) / stretch), 0.0)
    values /= values.sum(0)
    fitting = (p for p in range(_MOST) if int(0.5 + values.max() * 2 ** (p + 1)) >= 1 << _BITS)
    places = next(fitting, _MOST)
    whole = np.trunc(values * (1 << places) + np.copysign(0.5, values))
    return whole.astype(np.int32), np.minimum(at, before - 1), places


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the kernel at distances in pixels."""
    x, a = np.abs(x), _SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < _REACH, far, 0.0))
