"""Check heat maps on the network itself: randomised weights, and ROAD.

Sanity check (Adebayo et al., NeurIPS 2018, arXiv 1810.03292): a map must change when the network's
weights are made random; one that stays draws the picture, not the model.

ROAD (Rong et al., ICML 2022, arXiv 2202.00449): what the network loses when the most, or the least,
relevant pixels are filled in. Filling in by the neighbours gives away nothing about the shape of
what was removed. The equations of the fill are those of pytorch-grad-cam.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.parts import Heatmap
from ferce.core.protocols import View
from ferce.core.types import Face, Scores
from ferce.explanation.heatmaps import central, explain

LARGEST = 500_000_000  # parameters; the check holds a second copy of the network


@dataclass(frozen=True, eq=False)
class Randomised:
    """An `Explainable` classifier with every weight tensor shuffled, beside its original."""

    original: Any
    opened: View

    @property
    def name(self) -> str:
        """Spec of the original, marked as random."""
        return f"{self.original.name} with random weights"

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Return the original's scores; maps by gradients do not ask for them."""
        return self.original.scores(faces)  # type: ignore[no-any-return]

    def view(self) -> View:
        """Return the network with random weights."""
        return self.opened


def randomised(classifier: Any, seed: int = 0) -> Randomised:
    """Copy a classifier with weights permuted within each tensor, so that their spread stays.

    Raises:
        ValueError: the network is too large to hold twice.
    """
    view = classifier.view()
    count = sum(p.numel() for p in view.module.parameters())
    if count > LARGEST:
        raise ValueError(f"the network has {count:,} parameters, too many to hold twice")
    module, layer = copy.deepcopy((view.module, view.layer))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            if p.is_floating_point():
                flat = p.detach().cpu().flatten()
                p.copy_(flat[torch.randperm(len(flat), generator=generator)].view_as(p))
    return Randomised(classifier, replace(view, module=module, layer=layer))


def likeness(heatmap: Heatmap, face: Face, other: Randomised) -> float | None:
    """Correlate the map (Spearman) with the random network's; near 0 is as it should be.

    None when either map is empty or flat.
    """
    from scipy.stats import spearmanr

    again = explain(other, face, heatmap.label, heatmap.method)
    if heatmap.empty or again.empty or not np.ptp(heatmap.values) or not np.ptp(again.values):
        return None
    return float(spearmanr(heatmap.values.ravel(), again.values.ravel()).statistic)


# Per cent of pixels that are kept; each costs two fills, of about a second at 224 px.
PERCENTILES = (20, 40, 60, 80)
NOISE = 0.01  # standard deviation, in units of the network's normalised input; as in the paper


def road(
    view: View,
    face: Face,
    heat: NDArray[np.floating],
    label: str,
    seed: int = 0,
    percentiles: Sequence[int] = PERCENTILES,
) -> float:
    """Compute (P(label) without the least - without the most relevant) / 2; higher is better.

    Args:
        view: the network, whose scores become probabilities by softmax.
        face: the face as the network reads it.
        heat: (S, S) in crop pixels; only the order of its pixels counts, ties are broken at random.
        label: a compound.
        seed: of the ties and of the noise in what is filled in.
        percentiles: shares of pixels that are kept, per cent.
    """
    pixels = view.inputs([face])
    if pixels.ndim != 4:
        raise ValueError(f"ROAD needs pixels of shape (1, 3, H, W); got {tuple(pixels.shape)}.")
    image = pixels[0].detach().float().cpu().numpy()
    rng = np.random.default_rng(seed)
    ranks = _ranked(heat, view.part, (image.shape[1], image.shape[2]), rng)
    shares = [k / 100 for k in percentiles]
    kept = [ranks >= 1 - s for s in shares] + [ranks <= s for s in shares]  # the most, the least
    filled = np.stack([fill(image, mask, rng) for mask in kept])
    with torch.no_grad():
        scores = view.module(torch.from_numpy(filled).to(pixels))
    p = scores.float().softmax(1)[:, view.index(label)].cpu().numpy()
    most, least = p[: len(shares)], p[len(shares) :]
    return float(most.mean() - least.mean()) / 2


def fill(
    image: NDArray[np.float32], kept: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Fill each pixel of (3, H, W) outside `kept` by the weighted mean of its 8 neighbours.

    Missing neighbours are unknowns of the same linear system; a little noise is added.
    """
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer, neighbors_weights
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import spsolve

    mask = kept.astype(np.float32)
    system, values = NoisyLinearImputer.setup_sparse_system(mask, image, neighbors_weights)
    solution = spsolve(csc_matrix(system), values)  # (missing, 3)
    made = image.copy()
    made[:, ~kept] = solution.T + NOISE * rng.standard_normal(solution.T.shape)
    return made


def _ranked(
    heat: NDArray[np.floating], part: float, shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Rank the heat, (H, W) in 0..1, in the part of the crop that the network sees."""
    import cv2

    seen = central(heat.shape[0], part)
    small = cv2.resize(np.asarray(heat[seen, seen], np.float32), shape[::-1])
    order = np.lexsort((rng.random(small.size), small.ravel()))
    ranks = np.empty(small.size)
    ranks[order] = np.linspace(0, 1, small.size)
    return ranks.reshape(shape)
