"""OPT as a loss on a CPU reads it: transformers' own states, as far as an answer needs them.

Of the last layer only keys and values are computed at all places; everything else of it at those
that predict a token of an answer. Rows are padded on the right, where the causal mask hides the
padding from every answer, so that attention needs no other mask.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ferce.training.language.lowrank import Draws, Layer

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True, eq=False)
class Block:
    """One layer: the library's, and its linear layers taken apart."""

    layer: Any
    query: Layer
    key: Layer
    value: Layer
    out: Layer
    fc1: Layer
    fc2: Layer

    @classmethod
    def of(cls, layer: Any) -> "Block | None":
        """Take a layer apart; None where one of its linear layers is of another kind."""
        modules = [getattr(layer.self_attn, name) for name in NAMES] + [layer.fc1, layer.fc2]
        parts = [Layer.of(module) for module in modules]
        known = [part for part in parts if part is not None]
        return cls(layer, *known) if len(known) == len(parts) else None


@dataclass(frozen=True, eq=False)
class Decoder:
    """OPT's decoder, whose weights stay the library's.

    Attributes:
        inner: `OPTDecoder`.
        blocks: its layers.
    """

    inner: Any
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, inner: Any) -> Self | None:
        """Take a decoder apart; None for one that only the library computes.

        Such are those on a GPU, of other precisions, with other adapters than plain LoRA, with
        norms behind the layers, with layers left out by chance or with activations recomputed.
        """
        config = inner.config
        odd = not config.do_layer_norm_before or config.layerdrop or inner.gradient_checkpointing
        if odd or inner.final_layer_norm is None or config._attn_implementation != "sdpa":
            return None
        blocks = [Block.of(layer) for layer in inner.layers]
        known = tuple(block for block in blocks if block is not None)
        return cls(inner, known) if len(known) == len(blocks) else None

    def __call__(self, embeds: Tensor, learnt: Tensor) -> Tensor:
        """Compute (M, D) states at the M places that predict a token.

        Args:
            embeds: (N, L, D) of rows padded on the right.
            learnt: (N, L - 1) with M true: places whose next token belongs to an answer.
        """
        inner, length = self.inner, embeds.shape[1]
        draws = Draws() if inner.training else None
        if inner.project_in is not None:
            embeds = inner.project_in(embeds)
        places = inner.embed_positions
        states = embeds + places.weight[places.offset : places.offset + length]
        for block in self.blocks[:-1]:
            states = _whole(block, states, draws)
        states = inner.final_layer_norm(_last(self.blocks[-1], states, learnt, draws))
        return states if inner.project_out is None else inner.project_out(states)


def _whole(block: Block, states: Tensor, draws: Draws | None) -> Tensor:
    """Compute a layer at all places, (N, L, D) from (N, L, D)."""
    count, length, _ = states.shape
    flat = states.flatten(0, 1)
    rows = block.layer.self_attn_layer_norm(flat)
    parts = (block.query, block.key, block.value)
    query, key, value = (_heads(block, part(rows, draws), count) for part in parts)
    attention = block.layer.self_attn
    seen = functional.scaled_dot_product_attention(
        query, key, value, dropout_p=_dropout(attention), is_causal=True
    )
    read = seen.transpose(1, 2).reshape(count * length, -1)
    return _read(block, flat, read, draws).view_as(states)


def _last(block: Block, states: Tensor, learnt: Tensor, draws: Draws | None) -> Tensor:
    """Compute a layer at the places of the answers only, (M, D) from (N, L, D)."""
    count, length, width = states.shape
    rows = block.layer.self_attn_layer_norm(states.flatten(0, 1))
    key, value = (_heads(block, part(rows, draws), count) for part in (block.key, block.value))
    row, place = learnt.nonzero(as_tuple=True)
    turn = (learnt.cumsum(1) - 1)[row, place]  # of a place among those of its row
    most = int(learnt.sum(1).max())
    chosen = row * length + place
    asked = block.query(rows[chosen], draws)
    query = asked.new_zeros(count, most, width).index_put((row, turn), asked)
    until = place.new_zeros(count, most).index_put((row, turn), place)
    visible = torch.arange(length, device=until.device) <= until[..., None]
    seen = functional.scaled_dot_product_attention(
        _heads(block, query, count),
        key,
        value,
        visible[:, None],
        dropout_p=_dropout(block.layer.self_attn),
    )
    read = seen.transpose(1, 2)[row, turn].flatten(1)
    return _read(block, states.flatten(0, 1)[chosen], read, draws)


def _heads(block: Block, rows: Tensor, count: int) -> Tensor:
    """Split (N * L, D) into (N, heads, L, width)."""
    attention = block.layer.self_attn
    return rows.view(count, -1, attention.num_heads, attention.head_dim).transpose(1, 2)


def _read(block: Block, states: Tensor, read: Tensor, draws: Draws | None) -> Tensor:
    """Add what attention read, (T, D), and the two linear layers behind it to states (T, D)."""
    layer = block.layer
    states = states + _dropped(layer, block.out(read, draws))
    inner = layer.activation_fn(block.fc1(layer.final_layer_norm(states), draws))
    return states + _dropped(layer, block.fc2(inner, draws))


def _dropped(layer: nn.Module, rows: Tensor) -> Tensor:
    return functional.dropout(rows, layer.dropout, layer.training)


def _dropout(attention: nn.Module) -> float:
    return float(attention.dropout) if attention.training else 0.0
