"""The packaged classifier as one torch module of the picture, for heat maps. Imports torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ferce.models.fusion import Fusion, Head

Module: Any = nn.Module


class Fused(Module):  # type: ignore[misc]
    """(N, 3, H, W) to (N, 21) log-probabilities, with all other evidence at its mean.

    Columns are the compounds, then what the expression head names. So a map shows what the network
    adds to the decision, by way of its scores and of its action units.
    """

    def __init__(self, network: Any, units: Any, fusion: Fusion, heads: Sequence[str]) -> None:
        """`heads` are the names of the compound, the expression and the gate head."""
        super().__init__()
        self.network, self.units = network, units
        count = network.num_classes + units.out_features
        self.register_buffer("mean", _tensor(fusion.mean[:count]))
        self.register_buffer("scale", _tensor(fusion.scale[:count]))
        self.heads = nn.ModuleList(_linear(fusion.heads[name], count) for name in heads)

    def forward(self, images: Any) -> Any:
        """See the class."""
        kept = self.network.forward_head(self.network.forward_features(images), pre_logits=True)
        seen = torch.cat([self.network.get_classifier()(kept), self.units(kept)], 1)
        x = (seen - self.mean) / self.scale
        compounds, expression, gate = (head(x) for head in self.heads)
        both = nn.functional.logsigmoid(gate) + compounds.log_softmax(1)
        alone = nn.functional.logsigmoid(-gate) + expression.log_softmax(1)
        return torch.cat([both, alone], 1)


def _linear(head: Head, count: int) -> Any:
    made = nn.Linear(count, len(head.names))
    made.weight.data.copy_(_tensor(head.weight[:, :count]))
    made.bias.data.copy_(_tensor(head.bias))
    return made.requires_grad_(False)


def _tensor(values: Any) -> Any:
    return torch.from_numpy(np.asarray(values, np.float32))
