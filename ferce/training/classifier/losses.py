"""Losses against unequal classes, one value a face; targets are rows of shares."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.training.classifier.plan import Plan


@dataclass(frozen=True)
class ClassLoss:
    """Cross-entropy on shifted, weighted or focused scores.

    Attributes:
        shift: (K,) added to the scores: tau log prior, for logit adjustment.
        margins: (K,) taken off the score of the target class (LDAM).
        weights: (K,) of each class in the sum.
        gamma: exponent of the focal factor, 0 for none.
        smoothing: share of each target that is spread over all classes.
    """

    shift: Tensor
    margins: Tensor
    weights: Tensor
    gamma: float = 0.0
    smoothing: float = 0.0

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute (N,) losses of (N, K) scores and (N, K) target shares.

        A row of zeros stands for an unlabelled face; its loss is 0.
        """
        logits = logits.float()
        shift, margins, weights = (
            v.to(logits.device) for v in (self.shift, self.margins, self.weights)
        )
        log_p = functional.log_softmax(logits + shift - margins * targets, dim=1)
        even = targets.sum(1, keepdim=True) / targets.shape[1]
        wanted = (1 - self.smoothing) * targets + self.smoothing * even
        # Lin et al. 2017, arXiv:1708.02002, eq. 4
        focus = (1 - log_p.exp()).clamp_min(1e-8) ** self.gamma if self.gamma else 1.0
        return -(wanted * weights * focus * log_p).sum(1)


def class_loss(plan: Plan, counts: NDArray[np.floating]) -> ClassLoss:
    """Build the loss that the plan names.

    Args:
        plan: names the loss and its constants.
        counts: (K,) training faces of each class; a class without any counts as one face.
    """
    seen = np.maximum(np.asarray(counts, np.float64), 1.0)
    nothing, ones = np.zeros(len(seen)), np.ones(len(seen))
    shift = plan.tau * log_prior(seen) if plan.loss == "logit-adjusted" else nothing
    margins = ldam_margins(seen, plan.margin) if plan.loss == "ldam" else nothing
    balanced = plan.loss == "class-balanced"
    weights = balanced_weights(seen, plan.beta) if balanced else ones
    gamma = plan.gamma if plan.loss == "focal" else 0.0
    shift, margins, weights = (
        torch.tensor(v, dtype=torch.float32) for v in (shift, margins, weights)
    )
    return ClassLoss(shift, margins, weights, gamma, plan.smoothing)


def log_prior(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute log class priors (Menon et al. 2021, arXiv:2007.07314, eq. 10)."""
    return np.asarray(np.log(counts / counts.sum()))


def ldam_margins(counts: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    """Compute margins in proportion to n^(-1/4) (Cao et al. 2019, arXiv:1906.07413, eq. 13).

    They apply to plain scores, not to cosines as there, so that the head stays a linear layer.
    """
    margins = counts**-0.25
    return np.asarray(margins * largest / margins.max())


def balanced_weights(counts: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Compute (1 - beta) / (1 - beta^n) (Cui et al. 2019, arXiv:1901.05555, eq. 10).

    Scaled so that the mean weight of the training faces is 1, which keeps the learning rate's
    meaning.
    """
    weights = (1 - beta) / (1 - beta**counts)
    return np.asarray(weights * counts.sum() / (weights * counts).sum())


def unit_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Compute (N,) mean binary cross-entropies of the coded action units.

    Args:
        logits: (N, A) scores.
        wanted: (N, A) presence 0..1; NaN where not coded or not to be seen, which says nothing. A
            face without any coded unit has loss 0.
    """
    known = ~torch.isnan(wanted)
    filled = torch.where(known, wanted, torch.zeros_like(wanted))
    each = functional.binary_cross_entropy_with_logits(logits.float(), filled, reduction="none")
    return (each * known).sum(1) / known.sum(1).clamp_min(1)
