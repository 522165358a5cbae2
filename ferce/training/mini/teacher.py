"""The dense features of a trained classifier that a tower learns to see with."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ferce.training.classifier.network import LITE, lite_weights
from ferce.training.progress import TrainingError

STRIDES = (3, 4)  # timm's feature levels of stride 16 and 32


class Teacher(torch.nn.Module):  # type: ignore[misc]
    """EfficientNet-Lite0 up to its last features; it reads the same pixels in -1..1."""

    def __init__(self, weights: str = "") -> None:
        """`weights`: a timm folder, a training's safetensors, or "" for the ImageNet ones."""
        import timm

        super().__init__()
        whole = timm.create_model(LITE)
        stored = _weights(weights) if weights else lite_weights(whole)
        self.body = timm.create_model(LITE, features_only=True, out_indices=STRIDES)
        own = self.body.state_dict()
        missing = [name for name in own if name not in stored]
        if missing:
            raise TrainingError(f"{weights or LITE} has no {missing[0]}; it must be a {LITE}.")
        self.body.load_state_dict({name: stored[name] for name in own})
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("spread", torch.ones(1))
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def raw(self, images: Tensor) -> Tensor:
        """(N, P, D) features at the places of the stride-16 map, in raster order."""
        with torch.no_grad():
            fine, coarse = self.body(images.to(memory_format=torch.channels_last))
            coarse = functional.interpolate(coarse, fine.shape[-2:], mode="bilinear")
            return torch.cat([fine, coarse], 1).flatten(2).transpose(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(N, P, D) the same with mean 0 and spread 1 in each channel over some faces."""
        return (self.raw(images) - self.mean) / self.spread

    def settle(self, images: Tensor) -> None:
        """Take mean and spread of each channel from these (N, 3, S, S) faces."""
        seen = self.raw(images).flatten(0, 1)
        self.mean, self.spread = seen.mean(0), seen.std(0) + 1e-3

    @property
    def width(self) -> int:
        """Channels of the features."""
        return int(sum(self.body.feature_info.channels()))


def _weights(where: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    path = Path(where)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise TrainingError(f"There is no {path}; give a timm folder or a safetensors file.")
    return {name.removeprefix("network."): value for name, value in load_file(path).items()}
