"""ROAD: what a network loses when the most, or the least, relevant pixels are filled in.

Rong et al., ICML 2022 (arXiv 2202.00449), by the implementation in pytorch-grad-cam. Filling in by
the neighbours gives away nothing about the shape of what was removed.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.protocols import View
from ferce.saliency import central
from ferce.types import Face

# Per cent of pixels; each costs two fills, of seconds at 224 px.
PERCENTILES = (20, 40, 60, 80)


def road(
    view: View,
    face: Face,
    heat: NDArray[np.floating],
    label: str,
    seed: int = 0,
    percentiles: Sequence[int] = PERCENTILES,
) -> float:
    """(P(label) without the least relevant - without the most relevant) / 2; higher is better.

    Args:
        view: the network, whose scores become probabilities by softmax.
        face: the face as the network reads it.
        heat: (S, S) in crop pixels; only the order of its pixels counts, ties are broken at random.
        label: a compound.
        seed: of the ties and of the noise in what is filled in.
        percentiles: shares of pixels that are filled in, per cent.
    """
    from pytorch_grad_cam.metrics.road import ROADCombined
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    pixels = view.inputs([face])
    if pixels.ndim != 4:
        raise ValueError(f"ROAD needs pixels of shape (1, 3, H, W); got {tuple(pixels.shape)}.")
    ranks = _ranked(heat, view.part, (int(pixels.shape[2]), int(pixels.shape[3])), seed)
    metric = ROADCombined(percentiles=list(percentiles))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        score = metric(
            pixels.detach().float(),
            ranks[None],
            [ClassifierOutputSoftmaxTarget(view.index(label))],
            view.module,
        )
    return float(score[0])


def _ranked(
    heat: NDArray[np.floating], part: float, shape: tuple[int, int], seed: int
) -> NDArray[np.float32]:
    """(H, W) ranks 0..1 of the heat in what the network sees of the crop."""
    import cv2

    seen = central(heat.shape[0], part)
    small = cv2.resize(np.asarray(heat[seen, seen], np.float32), shape[::-1])
    order = np.lexsort((np.random.default_rng(seed).random(small.size), small.ravel()))
    ranks = np.empty(small.size, np.float32)
    ranks[order] = np.linspace(0, 1, small.size, dtype=np.float32)
    return ranks.reshape(shape)
