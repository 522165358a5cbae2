"""The network of the packaged classifier in torch: for GPUs, and for heat maps by gradients."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ferce.core.labels import OUTCOMES
from ferce.core.protocols import View
from ferce.core.types import Face
from ferce.facs.action_units import UNITS
from ferce.models import memory, timm_net
from ferce.models.calibration import Calibration, Columns
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.spec import Spec
from ferce.models.timm_net import TimmNet, unit_head


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
