"""Attention maps of vision transformers: rollout, and relevance for one label.

The attention matrices are read from the pass itself, whichever of torch's attention functions the
network calls; only the calling thread is watched. Imports torch: import it late.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from ferce.core.protocols import View
from ferce.explanation.heatmaps.cam import Recorder, Target

_FUSED = torch.nn.functional.scaled_dot_product_attention
_FUSED_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
_SOFTMAX = (torch.softmax, torch.Tensor.softmax, torch.nn.functional.softmax)


class _Watch(TorchFunctionMode):  # type: ignore[misc]
    """A torch function mode that records attention matrices (N, heads, T, T) while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Any] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is _FUSED:
            given = dict(zip(_FUSED_NAMES, args, strict=False)) | (kwargs or {})
            if not given.get("is_causal"):
                weights = _matrix(given)
                self._keep(weights)
                return weights @ _grouped(given, "value")
        result = func(*args, **(kwargs or {}))
        if func in _SOFTMAX:
            self._keep(result)
        return result

    def _keep(self, weights: Any) -> None:
        if weights.ndim == 4 and weights.shape[-1] == weights.shape[-2]:
            self.weights.append(weights)


def _matrix(given: Mapping[str, Any]) -> Any:
    """Compute the attention weights (N, heads, T, T) that the fused function does not return."""
    query, mask, scale = given["query"], given.get("attn_mask"), given.get("scale")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    logits = query @ _grouped(given, "key").transpose(-2, -1) * scale
    if mask is not None:
        allowed = mask.dtype == torch.bool
        logits = logits.masked_fill(~mask, -torch.inf) if allowed else logits + mask
    return logits.softmax(-1)


def _grouped(given: Mapping[str, Any], name: str) -> Any:
    """Repeat keys or values to as many heads as the queries have (grouped-query attention)."""
    if not given.get("enable_gqa"):
        return given[name]
    return given[name].repeat_interleave(given["query"].shape[-3] // given[name].shape[-3], -3)


def compute(view: View, tensor: Any, goal: Target, method: str) -> NDArray[np.float32]:
    """Compute raw maps of "attention-rollout" or "attention-relevance".

    Args:
        view: the opened transformer, in evaluation mode.
        tensor: (N, 3, H, W) as `view.inputs` makes it.
        goal: what is explained; rollout only takes from it which tokens the scores are read from.
        method: one of the two.

    Returns:
        (N, h, w) not negative, at the resolution of the tokens.

    Raises:
        ValueError: the network has no attention between all its image tokens.
    """
    rows, weights, (h, w) = _passed(view, tensor)
    if not weights:
        raise ValueError(
            "This network has no attention between all parts of the image, so attention cannot be "
            "followed through it; use 'grad-cam' or 'occlusion'."
        )
    grads = torch.autograd.grad(sum(goal(row) for row in rows), weights)
    flow = _rollout(weights) if method == "attention-rollout" else _relevance(weights, grads)
    tokens = (_read(grads[-1])[:, None] @ flow)[:, 0, -h * w :]  # (N, h * w), without prefix tokens
    return np.asarray(tokens.detach().reshape(-1, h, w).float().cpu().numpy())


def reaches(view: View, tensor: Any) -> bool:
    """Tell whether attention can be followed through the network; tested once for each network."""
    if view.module not in _reaches:
        _reaches[view.module] = bool(_passed(view, tensor[:1])[1])
    return _reaches[view.module]


_reaches: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def _passed(view: View, tensor: Any) -> tuple[Any, list[Any], tuple[int, int]]:
    """Run one pass; return scores (N, K), attention matrices and the grid (h, w)."""
    recorder, watch, thread = Recorder(view), _Watch(), threading.get_ident()
    ends: list[int] = []

    def note(*_: Any) -> None:
        if threading.get_ident() == thread:
            ends.append(len(watch.weights) + 1)

    # The layer feeds the last attention that counts: what comes after is a layer that nobody reads
    # (LLaVA) or a language model, whose text may be as long as the image.
    handle = view.layer.register_forward_hook(note)
    try:
        with torch.enable_grad(), watch:
            rows = view.module(tensor.detach().clone().requires_grad_(True))
        h, w = recorder.activations[0].shape[-2:]
    finally:
        handle.remove()
        recorder.release()
    return rows, _global(watch.weights[: ends[0]], len(tensor), h * w), (h, w)


def _global(weights: Sequence[Any], n: int, places: int) -> list[Any]:
    """Keep the matrices between all image tokens: `places` of them and up to 64 prefix tokens.

    None where the first attention already sees windows only, as in Swin: what is global in its last
    stage has been mixed within the windows before. A language model may follow an image tower.
    """
    fits = [len(w) == n and 0 <= w.shape[-1] - places <= 64 for w in weights]
    if not fits or not fits[0]:
        return []
    return [w for w, fit in zip(weights, fits, strict=True) if fit]


def _rollout(weights: Sequence[Any]) -> Any:
    """Multiply attention through the layers, (N, T, T) (Abnar & Zuidema 2020, arXiv:2005.00928)."""
    eye = torch.eye(weights[0].shape[-1], device=weights[0].device)
    flow = eye
    for matrix in weights:
        flow = (matrix.detach().float().mean(1) + eye) / 2 @ flow
    return flow


def _relevance(weights: Sequence[Any], grads: Sequence[Any]) -> Any:
    """Sum relevance, (N, T, T) (Chefer, Gur & Wolf 2021, arXiv:2103.15679, eq. 5 and 6).

    The identity that each token starts with is taken off again: it is there without any evidence.
    """
    eye = torch.eye(weights[0].shape[-1], device=weights[0].device)
    relevance = eye
    for matrix, grad in zip(weights, grads, strict=True):
        positive = (matrix.detach() * grad).float().clamp_min(0).mean(1)
        relevance = relevance + positive @ relevance
    return relevance - eye


def _read(grad: Any) -> Any:
    """Compute each token's share, (N, T), among those that the scores are read from.

    The class token where the network has one that counts; every token where it pools them.
    """
    touched = (grad.float().abs().sum((1, 3)) > 0).float()
    return touched / touched.sum(1, keepdim=True).clamp_min(1)
