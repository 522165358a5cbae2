"""The packaged classifier as one torch module of the picture, for heat maps. Imports torch."""

from typing import Any

import numpy as np
import torch
from torch import nn

from ferce.backends.fusion import Fusion, Head

Module: Any = nn.Module


class Fused(Module):  # type: ignore[misc]
    """(N, 3, H, W) to (N, K) log-probabilities, with all other evidence at its mean.

    Columns are what the head names. So a map shows what the network adds to the decision, by way
    of its scores and of its action units.
    """

    def __init__(self, network: Any, units: Any, fusion: Fusion, head: Head) -> None:
        """`head` is one of the fusion's."""
        super().__init__()
        self.network, self.units = network, units
        count = network.num_classes + units.out_features
        self.register_buffer("mean", _tensor(fusion.mean[:count]))
        self.register_buffer("scale", _tensor(fusion.scale[:count]))
        self.head = _linear(head, count)

    def forward(self, images: Any) -> Any:
        """See the class."""
        kept = self.network.forward_head(self.network.forward_features(images), pre_logits=True)
        seen = torch.cat([self.network.get_classifier()(kept), self.units(kept)], 1)
        x = (seen - self.mean) / self.scale
        return self.head(x).log_softmax(1)


def _linear(head: Head, count: int) -> Any:
    made = nn.Linear(count, len(head.names))
    made.weight.data.copy_(_tensor(head.weight[:, :count]))
    made.bias.data.copy_(_tensor(head.bias))
    return made.requires_grad_(False)


def _tensor(values: Any) -> Any:
    return torch.from_numpy(np.asarray(values, np.float32))
