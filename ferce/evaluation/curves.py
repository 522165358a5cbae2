"""Deletion and insertion: how a probability falls, or comes, with the hottest pixels of a map.

Petsiuk et al., BMVC 2018 (arXiv 1806.07421), with the hiding of `faces.perturb`: pixels are blurred
and action units seen there become unknown, so that any classifier can be asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Mask
from ferce.faces.perturb import GRAIN, hide_masks

STEPS = 10  # a curve has one point more


@dataclass(frozen=True)
class Areas:
    """Area under the deletion curve (low is good) and the insertion curve (high is good), 0..1."""

    deletion: float
    insertion: float


def areas(
    classifier: Classifier,
    face: Face,
    maps: Sequence[NDArray[np.floating]],
    label: str,
    seed: int = 0,
    steps: int = STEPS,
) -> list[Areas]:
    """The areas of each map of one face; ties are broken at random, the same for all maps.

    Args:
        classifier: whose probability is watched.
        face: of side S.
        maps: (S, S) each.
        label: whose probability is watched.
        seed: of the ties.
        steps: equal shares of the crop that are hidden one after the other.
    """
    masks = [mask for heat in maps for mask in _masks(heat, steps, seed)]
    hidden = hide_masks(face, masks)
    p = np.concatenate(
        [classifier.scores(hidden[i : i + 32]).of(label) for i in range(0, len(hidden), 32)]
    ).reshape(len(maps), 2, steps + 1)
    return [Areas(*(float(np.trapezoid(row, dx=1 / steps)) for row in pair)) for pair in p]


def _masks(heat: NDArray[np.floating], steps: int, seed: int) -> list[Mask]:
    """Hidden pixels of each point: deletion from none to all, then insertion from all to none."""
    ties = np.random.default_rng(seed).random(heat.size)
    order = np.lexsort((ties, -np.ravel(heat)))
    place = np.empty(heat.size, np.intp)
    place[order] = np.arange(heat.size)
    cuts = np.linspace(0, heat.size, steps + 1)
    gone = [(place < cut).reshape(heat.shape) for cut in cuts]
    return gone + [~mask for mask in gone]


def random_map(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(S, S) smooth noise with the grain of `perturb.random_mask`, as a control."""
    import cv2

    cells = max(int(1 / GRAIN), 2) + 1
    noise = rng.random((cells, cells))
    made = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(made - made.min(), np.float32)
