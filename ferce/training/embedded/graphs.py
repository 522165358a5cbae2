"""Graphs of the packaged classifier: its network, and the expression network of the prior."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ferce.models import expression_net, graph_net, prior, torch_net
from ferce.training import graphs

SAME = 1e-4  # largest difference between the features and the mean of the map


class Seeing(nn.Module):  # type: ignore[misc]
    """The network without its head: (N, 3, H, W) to features (N, C) and last map (N, C, h, w)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both."""
        maps = self.network.forward_features(images)
        return self.network.forward_head(maps, pre_logits=True), maps


def write_network(folder: Path) -> Path:
    """Write the graph of a folder's network beside its weights.

    Raises:
        ValueError: its features are not the mean of its last map over the places.
    """
    net = torch_net.load(folder).net
    module = Seeing(net.network.to(memory_format=torch.contiguous_format)).eval()
    example = torch.randn(2, 3, *net.preprocessing.size)
    with torch.inference_mode():
        features, maps = module(example)
    if maps.ndim != 4 or not torch.allclose(features, maps.mean((2, 3)), atol=SAME):
        raise ValueError(f"{folder} has a network whose features are not the mean of its last map.")
    path, about = folder / graph_net.GRAPH, {graph_net.LAYER: net.view().layer_name}
    outputs = [graph_net.FEATURES, graph_net.MAP]
    graphs.write(module, [example], path, outputs, about=about)
    return path


def write_prior(folder: Path) -> Path:
    """Write the graph of the prior's network into a folder that holds its weights."""
    network = expression_net.load(folder / "prior.safetensors", "cpu")
    path = folder / prior.GRAPH.name
    graphs.write(network, [torch.zeros(2, 3, prior.SIZE, prior.SIZE)], path, ["scores"])
    return path
