"""The networks of the packaged classifier in torch: for GPUs, heat maps by gradients, and graphs.

One is a timm network with a head for action units, the other the expression network of the prior.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ferce.core.labels import OUTCOMES
from ferce.core.protocols import View
from ferce.core.types import Face
from ferce.facs.action_units import UNITS
from ferce.models import memory, timm_net
from ferce.models.calibration import Calibration, Columns
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.prior import LABELS
from ferce.models.spec import Spec
from ferce.models.timm_net import TimmNet, unit_head

_MEAN = (122.782, 117.001, 104.298)  # of RGB in 0..255


class TorchNet:
    """A timm network with a head for action units on the same features."""

    def __init__(self, net: TimmNet, units: nn.Module) -> None:
        """Join a network and a Linear head, on the same device."""
        self.net, self.units = net, units

    @property
    def device(self) -> str:
        """The device of both."""
        return self.net.device

    @property
    def columns(self) -> Columns:
        """The labels of the outputs."""
        return self.net.columns

    @property
    def calibration(self) -> Calibration:
        """What held-out faces gave for it."""
        return self.net.calibration

    def look(self, faces: Sequence[Face]) -> tuple[Matrix, Matrix]:
        """Compute the network's scores (N, K) and units (N, A) in one pass a batch."""
        network = self.net.network

        def one(part: Sequence[Face]) -> tuple[Tensor, Tensor]:
            features = network.forward_features(self.net.inputs(part))
            kept = network.forward_head(features, pre_logits=True)
            return network.get_classifier()(kept), self.units(kept)

        size = timm_net.BATCH[self.device.split(":")[0]]
        with torch.inference_mode():
            batches = list(memory.passes(one, faces, size))
        if not batches:
            return np.zeros((0, len(self.columns.names))), np.zeros((0, len(UNITS)))
        logits, units = (
            torch.cat(parts).double().cpu().numpy() for parts in zip(*batches, strict=True)
        )
        return logits, units

    def open(self, fusion: Fusion, head: Head) -> View:
        """Open the network with a head of the fusion behind it."""
        module = Fused(self.net.network, self.units, fusion, head).eval()
        return replace(self.net.view(), module=module, index=OUTCOMES.index, complete=False)


def load(folder: Path, device: str = "cpu") -> TorchNet:
    """Load the network and its two heads; raises CheckpointError as `timm_net` does."""
    net = timm_net.load(Spec("timm", str(folder)), device)
    return TorchNet(net, unit_head(folder, net))


class Fused(nn.Module):  # type: ignore[misc]
    """The classifier as a network: (N, 3, H, W) to (N, K) log-probabilities.

    All other evidence is at its mean. Columns are what the head names. So a map shows what the
    network adds to the decision, by way of its scores and of its action units.
    """

    def __init__(self, network: Any, units: nn.Module, fusion: Fusion, head: Head) -> None:
        """Copy one linear reader of the fusion."""
        super().__init__()
        self.network, self.units = network, units
        count = network.num_classes + units.out_features
        self.register_buffer("mean", _tensor(fusion.mean[:count]))
        self.register_buffer("scale", _tensor(fusion.scale[:count]))
        self.head = _linear(head, count)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the log-probabilities of pictures."""
        kept = self.network.forward_head(self.network.forward_features(images), pre_logits=True)
        seen = torch.cat([self.network.get_classifier()(kept), self.units(kept)], 1)
        x = (seen - self.mean) / self.scale
        return self.head(x).log_softmax(1)


def _linear(head: Head, count: int) -> nn.Module:
    made = nn.Linear(count, len(head.names))
    made.weight.data.copy_(_tensor(head.weight[:, :count]))
    made.bias.data.copy_(_tensor(head.bias))
    return made.requires_grad_(False)


def _tensor(values: Matrix) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


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


def load_prior(path: Path, device: str) -> ExpressionNet:
    """Load the expression network from the weights that `train/convert_prior.py` wrote."""
    from safetensors.torch import load_file

    network = ExpressionNet()
    network.load_state_dict({n: w.float() for n, w in load_file(path).items()})
    network.requires_grad_(False).eval().to(device)
    return network
