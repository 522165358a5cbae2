"""The graphs of the packaged FastVLM are those of its network, and hold none of its weights."""

import onnx
import pytest
import torch
from transformers import FastVlmForConditionalGeneration

from ferce.models.vlm import fastvlm
from ferce.training import graphs

pytestmark = pytest.mark.slow  # the export, mostly


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    network = FastVlmForConditionalGeneration.from_pretrained(fastvlm.HOME, dtype=torch.float32)
    graphs.write_chat(network.eval(), folder)
    return folder


@pytest.mark.parametrize("name", [fastvlm.TOWER, fastvlm.DECODER])
def test_the_packaged_graph_is_what_is_written(written, name):
    new, kept = (
        onnx.load(folder / name, load_external_data=False).graph
        for folder in (written, fastvlm.HOME)
    )
    assert [node.op_type for node in new.node] == [node.op_type for node in kept.node]
    weights = [{t.name: tuple(t.dims) for t in graph.initializer} for graph in (new, kept)]
    assert weights[0] == weights[1]
    held = [tensor for tensor in kept.initializer if tensor.data_location == tensor.DEFAULT]
    assert sum(tensor.ByteSize() for tensor in held) < 10_000
