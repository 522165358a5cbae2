"""The expression network of the prior in torch, for its graph and for GPUs. Imports torch."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ferce.models.prior import LABELS

_MEAN = (122.782, 117.001, 104.298)  # of RGB in 0..255


class _Separable(nn.Module):  # type: ignore[misc]
    """A depthwise and a pointwise convolution; stride 2 pads as TensorFlow does."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(_padded(x, self.stride)))


class _First(nn.Module):  # type: ignore[misc]
    """The plain convolution that reads the picture."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(_padded(x, 2))


class _Dense(nn.Module):  # type: ignore[misc]
    """Four convolutions, each of which reads the sum of those before it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first = _First(outputs) if inputs == 3 else _Separable(inputs, outputs, 2)
        rest = (_Separable(outputs, outputs, 1) for _ in range(3))
        self.convs = nn.ModuleList([first, *rest])

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, fourth = self.convs
        a = functional.relu(first(x))
        b = second(a)
        c = third(functional.relu(a + b))
        d = fourth(functional.relu(a + b + c))
        return functional.relu(a + b + c + d)


class ExpressionNet(nn.Module):  # type: ignore[misc]
    """The network: (N, 3, 112, 112) RGB 0..255 to (N, 7) scores in the order of `LABELS`."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 256)
        self.blocks = nn.ModuleList(map(_Dense, widths, widths[1:]))
        self.head = nn.Linear(256, len(LABELS))
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Score the pictures."""
        x = (x - self.mean) / 255
        for block in self.blocks:
            x = block(x)
        return self.head(functional.avg_pool2d(x, 7, 2).flatten(1))


def _padded(x: Tensor, stride: int) -> Tensor:
    return functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))


def load(path: Path, device: str) -> ExpressionNet:
    """Load the weights that `train/convert_prior.py` wrote."""
    from safetensors.torch import load_file

    network = ExpressionNet()
    network.load_state_dict({n: w.float() for n, w in load_file(path).items()})
    network.requires_grad_(False).eval().to(device)
    return network
