"""Label scoring: how likely a language model finds each of K phrases after one picture and prompt.

The picture and the prompt are encoded once, for N pictures alike; the K phrases are then read in
one batch of N * K rows that share that prefix.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.models.vlm.renames import cache_argument, cache_of

Tokens = Sequence[Sequence[int]]  # K phrases, each the ids that continue the prompt


class Prefix(Protocol):
    """N pictures with their prompt, read once, ready for phrases."""

    def log_probs(self, tokens: Any) -> Any:
        """(N, K, T) log-probability of each token of (K, T) ids, given those before it."""
        ...


@dataclass
class CausalPrefix:
    """The prefix of a decoder-only model.

    Attributes:
        first: (N, V) logits of the token that follows the prefix.
        cache: keys and values of the prefix; used up by the first call of `log_probs`.
        step: (N * K, T) ids and the cache -> (N * K, T, V) logits of the token after each.
    """

    first: Any
    cache: Any
    step: Callable[[Any, Any], Any]

    def log_probs(self, tokens: Any) -> Any:
        """(N, K, T) log-probability of each token of (K, T) ids, given those before it."""
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

    states: Any
    mask: Any
    start: int
    step: Callable[[Any, Any, Any], Any]

    def log_probs(self, tokens: Any) -> Any:
        """(N, K, T) log-probability of each token of (K, T) ids, given those before it."""
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

    def step(ids: Any, cache: Any) -> Any:
        return model(input_ids=ids, use_cache=True, **{argument: cache}).logits

    return CausalPrefix(out.logits[:, -1], cache_of(out), step)


def likelihoods(prefix: Prefix, phrases: Tokens, device: Any) -> Any:
    """Mean log-probability per token of each phrase, so that long phrases are not held back.

    Args:
        prefix: N pictures, read.
        phrases: K continuations.
        device: where the prefix lies.

    Returns:
        (N, K) tensor, at most 0; differentiable where the prefix is.
    """
    tokens, real = pad(phrases, device)
    return (prefix.log_probs(tokens) * real).sum(-1) / real.sum(-1)


def likelihood_of(logits: Any, answer: Any) -> Any:
    """(N,) mean log-probability of the ids (N, T) under the logits (N, T, V) that predict them."""
    return _chosen(logits, answer).mean(-1)


def pad(phrases: Tokens, device: Any) -> tuple[Any, Any]:
    """(K, T) ids padded on the right and (K, T) 1 where an id is real.

    Padding comes after the real ids, which never look ahead, so its id does not matter.

    Raises:
        ValueError: a phrase has no token.
    """
    if not all(phrases):
        raise ValueError("every phrase must have at least one token; got an empty one")
    width = max(len(ids) for ids in phrases)
    tokens = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in phrases], device=device)
    real = torch.tensor([[1.0] * len(ids) + [0.0] * (width - len(ids)) for ids in phrases])
    return tokens, real.to(device)


def probabilities(
    scores: NDArray[np.floating], priors: Sequence[NDArray[np.floating]] = ()
) -> NDArray[np.float64]:
    """Label probabilities, divided by the content-free prior and renormalised.

    softmax(log p - log prior), with prior the mean of the label probabilities over content-free
    inputs: contextual calibration with W = diag(prior)^-1, b = 0 (Zhao et al. 2021,
    arXiv:2102.09690, section 5).

    Args:
        scores: (N, K) log-likelihoods.
        priors: (K,) log-likelihoods of each content-free input; none leaves the softmax as it is.

    Returns:
        (N, K), rows sum to 1.
    """
    logits = np.asarray(scores, np.float64)
    if priors:
        logits = logits - np.log(np.mean([_softmax(np.asarray(p, float)) for p in priors], axis=0))
    return _softmax(logits)


@dataclass(frozen=True)
class Race:
    """Seconds for one picture's labels by the shared prefix and by as many whole passes.

    `difference` is the largest |shared - whole| of the mean log-probabilities.
    """

    shared: float
    whole: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times faster the shared prefix is."""
        return self.whole / self.shared


def race(shared: Callable[[], Any], whole: Callable[[], Any], repeats: int = 5) -> Race:
    """Time two ways to score the same labels; the fastest of `repeats` runs of each, by turns.

    Each callable must wait for its device before it returns, as one that returns numpy does.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for run, taken in zip((shared, whole), times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    difference = float(np.abs(np.asarray(shared()) - np.asarray(whole())).max())
    return Race(min(times[0]), min(times[1]), difference)


def _chosen(logits: Any, tokens: Any) -> Any:
    """(B, T) log-probability of the ids (B, T) under the logits (B, T, V)."""
    picked = logits.gather(-1, tokens[..., None])[..., 0].float()
    return picked - logits.float().logsumexp(-1)


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))
