"""From face crops to what a network was trained on, as its checkpoint's config says.

Where torchvision resized, its bicubic is met to the bit and without torch. torchvision and Pillow
filter alike but round weights and sums otherwise, and what differs by one level in a few places
moves a probability by up to .005. The arithmetic is that of torch's kernel for uint8
(aten/src/ATen/native/cpu/UpSampleKernel.cpp): weights in 16 bits with as many binary places as the
largest allows, rows first, rounded to whole levels after each direction.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Face, Pixels
from ferce.models.hub import CheckpointError

_MODES = ("bilinear", "bicubic", "nearest")
_SHARPNESS = -0.5  # a of the cubic convolution kernel (Keys 1981)
_LARGEST = 4096  # pixels, side of an input
_REACH = 2.0  # of the kernel, pixels to each side
_BITS, _MOST = 15, 22  # of a weight without its sign; binary places


@dataclass(frozen=True)
class Preprocessing:
    """The steps from a crop to an input.

    `size` (H, W) in pixels; `mean` and `std` of RGB in 0..1; the interpolation; and the `part` of
    the crop's side, about its centre, that the network sees (timm's `crop_pct`).
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    part: float = 1.0

    @classmethod
    def read(cls, config: Mapping[str, Any], where: str) -> Self:
        """Read timm's `pretrained_cfg`.

        Raises:
            CheckpointError: a value is missing or impossible; nothing is assumed.
        """
        missing = [k for k in ("input_size", "mean", "std", "interpolation") if not config.get(k)]
        if missing:
            raise CheckpointError(f"The config.json of {where} does not give {missing[0]}.")
        shape, mean, std = (_numbers(config[name]) for name in ("input_size", "mean", "std"))
        channels, *size = shape or (0.0,)
        sides = len(size) == 2 and all(1 <= side <= _LARGEST for side in size)
        if channels != 3 or not sides or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            shown = ", ".join(f"{config[name]!s:.60}" for name in ("input_size", "mean", "std"))
            raise CheckpointError(
                f"{where} must read RGB: input_size [3, H, W] and three means and stds; "
                f"got {shown}."
            )
        if config["interpolation"] not in _MODES:
            raise CheckpointError(
                f"{where} names the interpolation {config['interpolation']!r:.60}; known: {_MODES}."
            )
        if len({*size}) > 1 and config.get("crop_mode") != "squash":
            raise CheckpointError(
                f"{where} cuts {size[0]:g} x {size[1]:g} pixels out of a picture; a face's crop is "
                "square, so input_size must be too, or crop_mode 'squash', which cuts nothing off."
            )
        (part, *_) = _numbers([config.get("crop_pct") or 1.0]) or (0.0,)
        if not 0 < part <= 1:
            raise CheckpointError(
                f"{where} has crop_pct {config['crop_pct']!r:.60}; it must lie in 0..1."
            )
        return cls((int(size[0]), int(size[1])), mean, std, config["interpolation"], part)

    def config(self) -> dict[str, Any]:
        """Write it as timm's `pretrained_cfg`."""
        return {
            "input_size": (3, *self.size),
            "mean": self.mean,
            "std": self.std,
            "interpolation": self.interpolation,
            "crop_pct": self.part,
            "crop_mode": "center" if len({*self.size}) == 1 else "squash",
        }

    def __call__(self, faces: Sequence[Face]) -> Any:
        """Make the tensor (N, 3, H, W) float32 on the CPU, normalised; crops may differ in size."""
        import torch

        return torch.from_numpy(self.array(faces))

    def array(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Make the array (N, 3, H, W), normalised; crops may differ in size."""
        pixels = np.zeros((len(faces), 3, *self.size), np.float32)
        for row, face in zip(pixels, faces, strict=True):
            row[:] = self._resized(face).transpose(2, 0, 1)
        mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (self.mean, self.std))
        pixels /= np.float32(255)
        pixels -= mean
        pixels /= std
        return pixels

    def _resized(self, face: Face) -> NDArray[np.uint8]:
        """Resize with Pillow, then crop the centre, (H, W, 3), as timm does it."""
        from PIL import Image

        height, width = (math.floor(side / self.part) for side in self.size)
        image = Image.fromarray(face.crop)
        if (height, width) != (face.size, face.size):
            image = image.resize((width, height), Image.Resampling[self.interpolation.upper()])
        top, left = (round((a - b) / 2) for a, b in zip((height, width), self.size, strict=True))
        return np.asarray(image)[top : top + self.size[0], left : left + self.size[1]]


def _numbers(values: Any) -> tuple[float, ...]:
    """Read a list of finite numbers; empty where it is none."""
    try:
        numbers = () if isinstance(values, str) else tuple(map(float, values))
    except (TypeError, ValueError, OverflowError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize a (H, W, 3) uint8 picture to (height, width, 3) bicubically as torchvision does."""
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
