"""The graphs of the small FastVLM, for `models.vlm.fastvlm`: what it sees, and its decoder."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx.ops import rotary_embedding

from ferce.models.vlm.decoder import HIDDEN, LOGITS, PAST, PLACES, PRESENT, VECTORS
from ferce.models.vlm.fastvlm import DECODER, HOME, PIXELS, TOKENS, TOWER
from ferce.training import graphs
from ferce.training.mini import chat

if TYPE_CHECKING:
    from transformers import FastVlmForConditionalGeneration

OPSET = 23  # the first that has rotary positions and normalisation by the root mean square


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


def export() -> tuple[Path, Path]:
    """Write the graphs of the packaged model beside its weights, and name them."""
    from transformers import FastVlmForConditionalGeneration

    network = FastVlmForConditionalGeneration.from_pretrained(HOME, dtype=torch.float32)
    return write(network.eval(), HOME)


def write(network: "FastVlmForConditionalGeneration", folder: Path) -> tuple[Path, Path]:
    """Write both graphs into `folder`, and name them.

    Args:
        network: in evaluation mode, float32, on the CPU.
        folder: there already.
    """
    sight = Sight(network).eval()
    pixels = torch.zeros(2, 3, chat.SIDE, chat.SIDE)
    graphs.write(sight, [pixels], folder / TOWER, [TOKENS], [PIXELS])
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
        opset_version=OPSET,
        dynamic_shapes=(rows_and[1], rows_and[1], hidden, tuple(rows_and[2] for _ in layers)),
        input_names=[VECTORS, PLACES, HIDDEN, *map(PAST.format, layers)],
        output_names=[LOGITS, *map(PRESENT.format, layers)],
        verbose=False,
    )
    model = program.model_proto  # made anew at each access
    graphs.strip(model, speech.state_dict())
    path.write_bytes(model.SerializeToString())


def _normed(norm: nn.Module, states: Tensor) -> Tensor:
    return functional.rms_norm(states, states.shape[-1:], norm.weight, norm.variance_epsilon)
