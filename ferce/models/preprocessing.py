"""From face crops to the tensor a network was trained on, as its checkpoint's config says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Face
from ferce.models.hub import CheckpointError

_MODES = ("bilinear", "bicubic", "nearest")


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
        channels, *size = map(int, config["input_size"])
        mean, std = tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
        if channels != 3 or len(size) != 2 or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise CheckpointError(
                f"{where} must read RGB: input_size [3, H, W] and three means and stds; "
                f"got {config['input_size']}, {mean} and {std}."
            )
        if config["interpolation"] not in _MODES:
            raise CheckpointError(
                f"{where} names the interpolation {config['interpolation']!r}; known: {_MODES}."
            )
        if len({*size}) > 1 and config.get("crop_mode") != "squash":
            raise CheckpointError(
                f"{where} cuts {size[0]} x {size[1]} pixels out of a picture; a face's crop is "
                "square, so input_size must be too, or crop_mode 'squash', which cuts nothing off."
            )
        part = float(config.get("crop_pct") or 1.0)
        if not 0 < part <= 1:
            raise CheckpointError(f"{where} has crop_pct {part}; it must lie in 0..1.")
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
