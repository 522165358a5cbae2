"""Sanity check: a heat map must change when the network's weights are made random.

Adebayo et al., NeurIPS 2018 (arXiv 1810.03292): a map that stays draws the picture, not the model.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ferce.core.protocols import View
from ferce.core.types import Face, Heatmap, Scores
from ferce.explanation import heatmaps

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

    again = heatmaps.explain(other, face, heatmap.label, heatmap.method)
    if heatmap.empty or again.empty or not np.ptp(heatmap.values) or not np.ptp(again.values):
        return None
    return float(spearmanr(heatmap.values.ravel(), again.values.ravel()).statistic)
