"""Write a torch network as an ONNX graph whose weights stay in safetensors; see `models.onnx`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ferce.models.onnx import WEIGHTS

if TYPE_CHECKING:
    import onnx

BATCH = "n"  # name of the size that may vary: the first of every input
CONSTANT = 4096  # bytes; a larger constant in the graph would be a weight that was missed


def write(
    module: nn.Module,
    examples: Sequence[Tensor],
    path: Path,
    outputs: Sequence[str],
    inputs: Sequence[str] = ("pixels",),
) -> list[str]:
    """Write the graph of a module, any number of rows at once; return the names of its weights.

    Args:
        module: in evaluation mode, on the CPU, float32.
        examples: one tensor an input, of two rows or more.
        path: file to write.
        outputs: names of what the module gives.
        inputs: names of what it takes.
    """
    rows = torch.export.Dim(BATCH, min=1)
    program = torch.onnx.export(
        module,
        tuple(examples),
        dynamo=True,
        optimize=False,  # it would fold weights into others, which then lie in the graph
        dynamic_shapes=tuple({0: rows} for _ in examples),
        input_names=list(inputs),
        output_names=list(outputs),
        verbose=False,
    )
    model = program.model_proto  # made anew at each access
    names = strip(model, module.state_dict())
    path.write_bytes(model.SerializeToString())
    return names


def strip(model: "onnx.ModelProto", weights: Collection[str]) -> list[str]:
    """Take the values of `weights` out of a graph, in place; return the names of those it has.

    What else tells of the export goes as well: stack traces, shapes of inner values.

    Raises:
        ValueError: a weight by another name, too large for a constant, would stay in the graph.
    """
    names = []
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            _detach(tensor)
            names.append(tensor.name)
        elif len(tensor.raw_data) > CONSTANT:
            raise ValueError(f"{tensor.name} would stay in the graph; it is none of the weights.")
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    return names


def _detach(tensor: Any) -> None:
    """Let a tensor refer to external data instead of holding its own."""
    from onnx import TensorProto

    place = {"location": WEIGHTS, "offset": "0", "length": str(len(tensor.raw_data))}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
