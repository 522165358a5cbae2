"""Label scoring: how likely a language model finds each of K phrases after one picture and prompt.

The picture and the prompt are encoded once, for N pictures alike; the K phrases are then read in
one batch of N * K rows that share that prefix.
"""

import inspect
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils.rnn import pad_sequence

from ferce.models.vlm.phrases import Tokens

# The keys and values of a decoder, as transformers names them from 5.24 on, and before it.
CACHES = ("cache", "past_key_values")


class Prefix(Protocol):
    """N pictures with their prompt, read once, ready for phrases."""

    def log_probs(self, tokens: Tensor) -> Tensor:
        """Compute the log-probability (N, K, T) of (K, T) ids, each given those before it."""
        ...


@dataclass
class CausalPrefix:
    """The prefix of a decoder-only model.

    Attributes:
        first: (N, V) logits of the token that follows the prefix.
        cache: keys and values of the prefix; used up by the first call of `log_probs`.
        step: (N * K, T) ids and the cache -> (N * K, T, V) logits of the token after each.
    """

    first: Tensor
    cache: Any
    step: Callable[[Tensor, Any], Tensor]

    def log_probs(self, tokens: Tensor) -> Tensor:
        """Compute the log-probability (N, K, T) of (K, T) ids, each given those before it."""
        n, (k, t) = len(self.first), tokens.shape
        head = self.first.float().log_softmax(-1)[:, tokens[:, 0]]  # (N, K)
        if t == 1:
            return head[..., None]
        # Every cache layer can be reordered, as beam search does; the plain ones also be repeated.
        rows = torch.arange(n, device=tokens.device).repeat_interleave(k)
        self.cache.reorder_cache(rows)
        logits = self.step(tokens[:, :-1].repeat(n, 1), self.cache)  # (N * K, T - 1, V)
        rest = _chosen(logits, tokens[:, 1:].repeat(n, 1)).view(n, k, t - 1)
        return torch.cat([head[..., None], rest], -1)


@dataclass(frozen=True)
class EncoderPrefix:
    """The prefix of an encoder-decoder model.

    Attributes:
        states: (N, L, D) encoder output.
        mask: (N, L) 1 where a state is real.
        start: id that opens the decoder's text.
        step: (N * K, T) ids, states and mask of N * K rows -> (N * K, T, V) logits.
    """

    states: Tensor
    mask: Tensor
    start: int
    step: Callable[[Tensor, Tensor, Tensor], Tensor]

    def log_probs(self, tokens: Tensor) -> Tensor:
        """Compute the log-probability (N, K, T) of (K, T) ids, each given those before it."""
        n, (k, t) = len(self.states), tokens.shape
        opening = tokens.new_full((k, 1), self.start)
        read = torch.cat([opening, tokens[:, :-1]], 1).repeat(n, 1)
        states, mask = self.states.repeat_interleave(k, 0), self.mask.repeat_interleave(k, 0)
        logits = self.step(read, states, mask)
        return _chosen(logits, tokens.repeat(n, 1)).view(n, k, t)


def read_prefix(model: Any, inputs: Mapping[str, Any]) -> CausalPrefix:
    """Read rows of one length with a decoder-only model and keep the cache; differentiable.

    Args:
        model: takes `inputs`, a key-value cache, `use_cache` and `logits_to_keep`.
        inputs: N rows, as ids or embeddings, with whatever belongs to them.

    Raises:
        ValueError: the model takes no key-value cache.
    """
    argument = cache_argument(model)
    out = model(**inputs, use_cache=True, logits_to_keep=1)

    def step(ids: Tensor, cache: Any) -> Tensor:
        # Linear attention updates its states in place, and gradients need them as they were.
        with saved_tensors_hooks(_kept, lambda saved: saved):
            return model(input_ids=ids, use_cache=True, **{argument: cache}).logits

    return CausalPrefix(out.logits[:, -1], cache_of(out), step)


def _kept(saved: Tensor) -> Tensor:
    return saved.detach().clone() if saved.requires_grad else saved


def likelihoods(prefix: Prefix, phrases: Tokens, device: Any) -> Tensor:
    """Score phrases by their mean log-probability per token, whatever their length.

    Args:
        prefix: N pictures, read.
        phrases: K continuations.
        device: where the prefix lies.

    Returns:
        (N, K) tensor, at most 0; differentiable where the prefix is.
    """
    tokens, real = pad(phrases, device)
    return (prefix.log_probs(tokens) * real).sum(-1) / real.sum(-1)


def likelihood_of(logits: Tensor, answer: Tensor) -> Tensor:
    """Average the log-probability of ids (N, T) under the logits (N, T, V) before them, (N,)."""
    return _chosen(logits, answer).mean(-1)


def pad(rows: Tokens, device: Any, value: int = 0, side: str = "right") -> tuple[Tensor, Tensor]:
    """Pad rows of ids to one length.

    Args:
        rows: N sequences of ids.
        device: where the tensors shall lie.
        value: id of the padding; of phrases to score it does not matter, as ids never look ahead.
        side: "left" where a row goes on behind its last id, else "right".

    Returns:
        (N, L) ids and (N, L) mask, 1 where an id is real.

    Raises:
        ValueError: a row has no token.
    """
    if not all(rows):
        raise ValueError("every phrase must have at least one token; got an empty one")
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    ones = [torch.ones_like(row) for row in ids]
    padded = pad_sequence(ids, batch_first=True, padding_value=value, padding_side=side)
    mask = pad_sequence(ones, batch_first=True, padding_value=0, padding_side=side)
    return padded.to(device), mask.to(device)


def _chosen(logits: Tensor, tokens: Tensor) -> Tensor:
    """Gather the (B, T) log-probability of the ids (B, T) under the logits (B, T, V)."""
    picked = logits.gather(-1, tokens[..., None])[..., 0].float()
    return picked - logits.float().logsumexp(-1)


def cache_argument(network: Any) -> str:
    """Name the argument of a network's forward that takes the key-value cache.

    Raises:
        ValueError: it takes none.
    """
    name = _cache_name(inspect.signature(type(network).forward).parameters)
    if name is None:
        raise ValueError(
            f"Labels are scored with a network that takes a key-value cache ({', '.join(CACHES)}); "
            f"{type(network).__name__} takes none."
        )
    return name


def cache_of(output: Any) -> Any:
    """Take the key-value cache out of a network's output; it must hold one."""
    name = _cache_name(output)
    assert name is not None, f"no key-value cache in an output of {', '.join(output)}"
    return output[name]


def _cache_name(names: Container[str]) -> str | None:
    """Find the first of `CACHES` in `names`; an output of 5.24 has both and warns of one."""
    return next((name for name in CACHES if name in names), None)
