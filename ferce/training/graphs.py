"""Write networks as ONNX graphs whose weights stay in safetensors; see `models.graph_net`."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx.ops import rotary_embedding

from ferce.models import graph_net, prior, torch_net
from ferce.models.graph_net import WEIGHTS
from ferce.models.vlm.decoder import HIDDEN, LOGITS, PAST, PLACES, PRESENT, VECTORS
from ferce.models.vlm.fastvlm import DECODER, HOME, PIXELS, TOKENS, TOWER
from ferce.training.mini import chat

if TYPE_CHECKING:
    import onnx
    from transformers import FastVlmForConditionalGeneration

BATCH = "n"  # name of the size that may vary: the first of every input
CONSTANT = 4096  # bytes; a larger constant in the graph would be a weight that was missed
_OPSET = 23  # the first that has rotary positions and normalisation by the root mean square
_SAME = 1e-4  # largest difference between the features and the mean of the map


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


class Features(nn.Module):  # type: ignore[misc]
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
    module = Features(net.network.to(memory_format=torch.contiguous_format)).eval()
    example = torch.randn(2, 3, *net.preprocessing.size)
    with torch.inference_mode():
        features, maps = module(example)
    if maps.ndim != 4 or not torch.allclose(features, maps.mean((2, 3)), atol=_SAME):
        raise ValueError(f"{folder} has a network whose features are not the mean of its last map.")
    path, about = folder / graph_net.GRAPH, {graph_net.LAYER: net.view().layer_name}
    outputs = [graph_net.FEATURES, graph_net.MAP]
    write(module, [example], path, outputs, about=about)
    return path


def write_prior(folder: Path) -> Path:
    """Write the graph of the prior's network into a folder that holds its weights."""
    network = torch_net.load_prior(folder / "prior.safetensors", "cpu")
    path = folder / prior.GRAPH.name
    write(network, [torch.zeros(2, 3, prior.SIZE, prior.SIZE)], path, ["scores"])
    return path


class Sight(nn.Module):  # type: ignore[misc]
    """The tower and the projector: (N, 3, H, W) pixels to (N, P, D) vectors."""

    def __init__(self, network: "FastVlmForConditionalGeneration") -> None:
        super().__init__()
        self.model = network.model  # weights keep the names that they are stored by

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the vectors of the places of each picture."""
        return self.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output


class Speech(nn.Module):  # type: ignore[misc]
    """Qwen2 with its cache open; the vectors of the words are looked up outside."""

    def __init__(self, network: "FastVlmForConditionalGeneration") -> None:
        super().__init__()
        self.model, config = network.model, network.config.text_config
        self.heads = config.num_attention_heads
        assert config.num_key_value_heads == self.heads, "each head has keys and values of its own"

    def forward(
        self, vectors: Tensor, places: Tensor, hidden: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """Read on: (N, T, V) logits, then keys and values (N, heads, P + T, width) of each layer.

        Args:
            vectors: (N, T, D) of words.
            places: (N, T) how many words of its row stand before each.
            hidden: (N, 1, T, P + T) added to the scores of attention.
            past: keys and values (N, heads, P, width) of each layer by turns.
        """
        language = self.model.language_model
        angles = places[..., None].float() * language.rotary_emb.inv_freq
        turn = angles.cos(), angles.sin()
        states, present = vectors, list[Tensor]()
        for number, layer in enumerate(language.layers):
            attention, read = layer.self_attn, _normed(layer.input_layernorm, states)
            query, key, value = (
                part(read).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            key = torch.cat([past[2 * number], rotary_embedding(key, *turn)], 2)
            value = torch.cat([past[2 * number + 1], value], 2)
            scores = rotary_embedding(query, *turn) @ key.transpose(2, 3) * attention.scaling
            seen = (scores + hidden).softmax(-1) @ value
            states = states + attention.o_proj(seen.transpose(1, 2).flatten(2))
            states = states + layer.mlp(_normed(layer.post_attention_layernorm, states))
            present += [key, value]
        states = _normed(language.norm, states)
        return functional.linear(states, language.embed_tokens.weight), *present


def export_chat() -> tuple[Path, Path]:
    """Write the graphs of the packaged FastVLM beside its weights, and name them."""
    from transformers import FastVlmForConditionalGeneration

    network = FastVlmForConditionalGeneration.from_pretrained(HOME, dtype=torch.float32)
    return write_chat(network.eval(), HOME)


def write_chat(network: "FastVlmForConditionalGeneration", folder: Path) -> tuple[Path, Path]:
    """Write the graphs of a small FastVLM, what it sees and its decoder, and name them.

    Args:
        network: in evaluation mode, float32, on the CPU.
        folder: there already.
    """
    sight = Sight(network).eval()
    pixels = torch.zeros(2, 3, chat.SIDE, chat.SIDE)
    write(sight, [pixels], folder / TOWER, [TOKENS], [PIXELS])
    _write_decoder(Speech(network).eval(), folder / DECODER)
    return folder / TOWER, folder / DECODER


def _write_decoder(speech: Speech, path: Path) -> None:
    layers = range(2 * chat.LAYERS)
    past = [torch.zeros(2, chat.HEADS, 3, chat.WIDTH // chat.HEADS) for _ in layers]
    vectors, places = torch.zeros(2, 5, chat.WIDTH), torch.zeros(2, 5, dtype=torch.long)
    any_size = torch.export.Dim.DYNAMIC
    rows_and = {place: {0: any_size, place: any_size} for place in (1, 2)}
    hidden = {0: any_size, 2: any_size, 3: any_size}
    program = torch.onnx.export(
        speech,
        (vectors, places, torch.zeros(2, 1, 5, 8), *past),
        dynamo=True,
        optimize=False,  # it would fold weights into others, which then lie in the graph
        opset_version=_OPSET,
        dynamic_shapes=(rows_and[1], rows_and[1], hidden, tuple(rows_and[2] for _ in layers)),
        input_names=[VECTORS, PLACES, HIDDEN, *map(PAST.format, layers)],
        output_names=[LOGITS, *map(PRESENT.format, layers)],
        verbose=False,
    )
    model = program.model_proto  # made anew at each access
    strip(model, speech.state_dict())
    path.write_bytes(model.SerializeToString())


def _normed(norm: nn.Module, states: Tensor) -> Tensor:
    return functional.rms_norm(states, states.shape[-1:], norm.weight, norm.variance_epsilon)
