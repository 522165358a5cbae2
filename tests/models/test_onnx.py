"""Graphs without weights in them, fed from arrays, against the torch network they came from."""

import numpy as np
import pytest
import torch
from torch import nn

from ferce.models import graph_net
from ferce.models.hub import CheckpointError
from ferce.training import graphs


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.SiLU()
    made = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 5)).eval()
    made[1].running_mean.uniform_(-1, 1)
    made[1].running_var.uniform_(0.5, 2)
    return made


@pytest.fixture(scope="module")
def graph(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "network.onnx"
    names = graphs.write(network, [torch.zeros(2, 3, 16, 16)], path, ["scores"])
    return path, names


def arrays(network, names):
    return {name: network.state_dict()[name].numpy() for name in names}


def test_the_graph_computes_what_the_network_does(network, graph):
    path, names = graph
    assert set(names) == set(network.state_dict()) - {"1.num_batches_tracked"}
    opened = graph_net.session(path, arrays(network, names), threads=1)
    for count in (1, 3):
        pixels = torch.randn(count, 3, 16, 16)
        (scores,) = opened.run(["scores"], {"pixels": pixels.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(scores, network(pixels).numpy(), atol=1e-5)


def test_the_weights_are_those_given_and_none_lie_in_the_file(network, graph):
    path, names = graph
    content = path.read_bytes()
    assert network[0].weight.detach().numpy().tobytes() not in content
    zeros = {name: np.zeros_like(array) for name, array in arrays(network, names).items()}
    zeros["5.bias"] = np.arange(5, dtype=np.float16)
    opened = graph_net.session(path, zeros)
    (scores,) = opened.run(None, {"pixels": np.ones((1, 3, 16, 16), np.float32)})
    assert scores[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("change", ["missing", "odd", "shape"])
def test_weights_of_another_network_are_refused(network, graph, change):
    path, names = graph
    weights = arrays(network, names)
    if change == "missing":
        del weights["5.bias"]
    elif change == "odd":
        weights["6.bias"] = weights["5.bias"]
    else:
        weights["5.bias"] = np.zeros(6, np.float32)
    with pytest.raises(CheckpointError, match="does not fit its weights"):
        graph_net.session(path, weights)


def test_no_weight_stays_in_the_graph_by_another_name(network):
    program = torch.onnx.export(
        network, (torch.zeros(1, 3, 16, 16),), dynamo=True, optimize=False, verbose=False
    )
    with pytest.raises(ValueError, match=r"0\.weight would stay in the graph"):
        graphs.strip(program.model_proto, {"5.weight"})
