"""ROAD: measure what a network loses when the most or least relevant pixels are filled in.

Rong et al., ICML 2022 (arXiv 2202.00449). Filling in by the neighbours gives away nothing about the
shape of what was removed. The equations of the fill are those of pytorch-grad-cam.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.protocols import View
from ferce.core.types import Face
from ferce.explanation.heatmaps import central

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
