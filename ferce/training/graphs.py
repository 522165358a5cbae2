"""Write a torch network as an ONNX graph whose weights stay in safetensors; see `models.onnx`."""

from collections.abc import Collection, Mapping, Sequence
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
    about: Mapping[str, str] | None = None,
) -> list[str]:
    """Write the graph of a module, any number of rows at once; return the names of its weights.

    Args:
        module: in evaluation mode, on the CPU, float32.
        examples: one tensor an input, of two rows or more.
        path: file to write.
        outputs: names of what the module gives.
        inputs: names of what it takes.
        about: metadata that the file keeps.
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
    for key, value in (about or {}).items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return names


def strip(model: "onnx.ModelProto", weights: Collection[str]) -> list[str]:
    """Take the values of `weights` out of a graph, in place; return the names of those it has.

    What is constant without them is computed, since ONNX Runtime fuses only what it finds so (on
    the packaged network that is 5 times as fast). What else tells of the export goes as well:
    stack traces, shapes of inner values.

    Raises:
        ValueError: a weight by another name, too large for a constant, would stay in the graph.
    """
    taken = [tensor for tensor in model.graph.initializer if tensor.name in weights]
    model.CopyFrom(_without(model, taken))
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > CONSTANT:
            raise ValueError(f"{tensor.name} would stay in the graph; it is none of the weights.")
    model.graph.initializer.extend(_detached(tensor) for tensor in taken)
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    return [tensor.name for tensor in taken]


def _without(model: "onnx.ModelProto", taken: Sequence[Any]) -> "onnx.ModelProto":
    """Compute what is constant while those in `taken` are none, and leave these out."""
    from onnx import helper
    from onnxscript import optimizer

    graph, names = model.graph, {tensor.name for tensor in taken}
    for tensor in taken:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        graph.input.append(value)
        graph.initializer.remove(tensor)
    made = optimizer.optimize(model)
    for value in [value for value in made.graph.input if value.name in names]:
        made.graph.input.remove(value)
    return made


def _detached(tensor: Any) -> Any:
    """Let a tensor refer to external data instead of holding its own."""
    from onnx import TensorProto

    place = {"location": WEIGHTS, "offset": "0", "length": str(len(tensor.raw_data))}
    made = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    made.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        made.external_data.add(key=key, value=value)
    return made
