"""What turns frozen CLIP features into label scores: text, a linear probe, or a few-shot cache."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.models.columns import Columns
from ferce.models.hub import CheckpointError, read_json

WEIGHTS = "model.safetensors"
L2 = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # penalties tried by cross-validation
FOLDS = 5
# Strength and sharpness tried for the cache; Tip-Adapter searches the same ranges.
ALPHAS, BETAS = (0.5, 1.0, 2.0, 4.0, 8.0), (1.0, 2.0, 4.0, 5.5, 8.0, 16.0)

# What a head's safetensors holds; the first has one column a feature.
TENSORS = {"linear": ("weight", "bias"), "cache": ("keys", "values", "strength", "text.text")}

Module: Any = torch.nn.Module


class ZeroShot(Module):  # type: ignore[misc]
    """A zero-shot head: scale * cosine (CLIP), or the log-sigmoid of that and a bias (SigLIP).

    SigLIP was trained to answer yes or no to each text (arXiv:2303.15343, section 3.2), so what
    sums to one over the labels is the sigmoids, and its bias counts.
    """

    def __init__(self, text: Any, scale: float, bias: float | None = None) -> None:
        super().__init__()
        self.register_buffer("text", text)  # (14, D) rows of length 1
        self.scale, self.bias, self.width = scale, bias, text.shape[1]

    def forward(self, features: Any) -> Any:
        """Score (N, D) features of length 1, (N, 14)."""
        logits = self.scale * features @ self.text.T
        return logits if self.bias is None else torch.nn.functional.logsigmoid(logits + self.bias)


class Linear(Module):  # type: ignore[misc]
    """A linear probe: one weight vector and bias a label."""

    kind = "linear"

    def __init__(self, weight: Any, bias: Any) -> None:
        super().__init__()
        self.register_buffer("weight", weight)  # (K, D)
        self.register_buffer("bias", bias)  # (K,)
        self.width = weight.shape[1]

    def forward(self, features: Any) -> Any:
        """Score (N, D) features, (N, K)."""
        return features @ self.weight.T + self.bias


class Cache(Module):  # type: ignore[misc]
    """A Tip-Adapter (Zhang et al. 2022, arXiv:2111.03930, eq. 5): known faces vote by likeness.

    Scores are those of the text and alpha * exp(-beta (1 - f K^T)) V. Row i of V holds the label of
    known face i, weighed so that every label has the same say however many faces it has.
    """

    kind = "cache"

    def __init__(self, keys: Any, values: Any, strength: Any, text: ZeroShot) -> None:
        super().__init__()
        self.register_buffer("keys", keys)  # (M, D) rows of length 1
        self.register_buffer("values", values)  # (M, 14)
        self.register_buffer("strength", strength)  # alpha, beta
        self.text, self.width = text, keys.shape[1]

    def forward(self, features: Any) -> Any:
        """Score (N, D) features of length 1, (N, 14)."""
        alpha, beta = self.strength
        return self.text(features) + alpha * _likeness(features, self.keys, beta) @ self.values


def _likeness(features: Any, keys: Any, beta: Any) -> Any:
    return torch.exp(-beta * (1 - features @ keys.T))


def fit_linear(
    features: NDArray[np.float32],
    labels: Sequence[str],
    names: Sequence[str] = COMPOUNDS,
    l2: float | None = None,
) -> Linear:
    """Fit a multinomial logistic regression on frozen features, to the optimum (L-BFGS).

    Args:
        features: (N, D), rows of length 1.
        labels: N names, each in `names`.
        names: the labels in the order of the outputs.
        l2: penalty on the squared weights beside the mean log-loss; None chooses among `L2` by
            cross-validated log-loss.
    """
    x, y = torch.tensor(features, dtype=torch.double), _targets(labels, names)
    if l2 is None:
        losses = [_held_out_loss(x, y, len(names), penalty) for penalty in L2]
        l2 = L2[int(np.argmin(losses))]
    weight, bias = _regress(x, y, len(names), l2)
    return Linear(weight.float(), bias.float())


def _targets(labels: Sequence[str], names: Sequence[str]) -> Any:
    if unknown := sorted(set(labels) - set(names)):
        raise ValueError(f"Expected labels among {', '.join(names)}; got {unknown[0]!r}.")
    return torch.tensor([list(names).index(label) for label in labels])


def _regress(x: Any, y: Any, count: int, l2: float) -> tuple[Any, Any]:
    weight = torch.zeros(count, x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(count, dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weight.T + bias, y)
        value = value + l2 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weight.detach(), bias.detach()


def _held_out_loss(x: Any, y: Any, count: int, l2: float) -> float:
    """Cross-validate the mean log-loss; the folds take every fifth face of each label."""
    fold = torch.zeros_like(y)
    for label in y.unique():
        rows = torch.nonzero(y == label)[:, 0]
        fold[rows] = torch.arange(len(rows)) % FOLDS
    losses = []
    for k in range(int(fold.max()) + 1):
        weight, bias = _regress(x[fold != k], y[fold != k], count, l2)
        logits = x[fold == k] @ weight.T + bias
        losses.append(torch.nn.functional.cross_entropy(logits, y[fold == k], reduction="sum"))
    return float(sum(losses)) / len(y)


def fit_cache(features: NDArray[np.float32], labels: Sequence[str], text: ZeroShot) -> Cache:
    """Build a cache of known faces; alpha and beta by leave-one-out log-loss.

    Args:
        features: (M, D), rows of length 1.
        labels: M compounds.
        text: what the model says without the cache.
    """
    keys, y = torch.tensor(features), _targets(labels, COMPOUNDS)
    values = torch.nn.functional.one_hot(y, len(COMPOUNDS)).float()
    shares = values.sum(0)
    values *= len(y) / (shares[y][:, None] * int((shares > 0).sum()))
    said = text(keys)
    best, strength = float("inf"), torch.zeros(2)
    for beta in BETAS:
        votes = _likeness(keys, keys, beta).fill_diagonal_(0) @ values
        for alpha in ALPHAS:
            loss = float(torch.nn.functional.cross_entropy(said + alpha * votes, y))
            if loss < best:
                best, strength = loss, torch.tensor([alpha, beta])
    return Cache(keys, values, strength, text)


def save_head(
    folder: Path, head: Linear | Cache, columns: Columns, base: str, fingerprint: str
) -> None:
    """Write `config.json` and `model.safetensors`.

    Args:
        folder: made if it is not there.
        head: as fitted.
        columns: the labels of its outputs.
        base: Hub id of the model that gave the features.
        fingerprint: of that model's weights (`hub.fingerprint`).
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.contiguous() for n, t in head.state_dict().items()}, folder / WEIGHTS)
    config = {
        "head": head.kind,
        "base": base,
        "base_fingerprint": fingerprint,
        "label_names": list(columns.names),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def load_head(folder: Path, text: ZeroShot) -> tuple[Linear | Cache, Columns]:
    """Load the head in a folder, with the labels of its outputs.

    Raises:
        CheckpointError: no head, one of another size, or one for other labels.
    """
    from safetensors.torch import load_file

    config = read_json(folder / "config.json")
    kind = config.get("head")
    if kind not in TENSORS:
        raise CheckpointError(
            f"{folder} must hold a head, linear or cache; its config has {kind!r}."
        )
    columns = Columns.read(config.get("label_names"), str(folder))
    tensors = load_file(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else {}
    if set(TENSORS[kind]) != set(tensors):
        raise CheckpointError(
            f"{folder} must hold {', '.join(TENSORS[kind])}; it holds {', '.join(tensors) or None}."
        )
    first, *rest = (tensors[name] for name in TENSORS[kind])
    if first.shape[1] != text.width:
        raise CheckpointError(
            f"The head in {folder} reads {first.shape[1]} features; the model gives {text.width}."
        )
    if kind == "linear":
        return Linear(first, *rest), columns
    values, strength, own = rest  # the sentences with which alpha and beta were chosen
    return Cache(first, values, strength, ZeroShot(own, text.scale, text.bias)), columns
