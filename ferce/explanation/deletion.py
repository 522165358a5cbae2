"""Measure what a classifier loses when part of a face is hidden, against random parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Heatmap, Mask, Prediction
from ferce.faces.perturb import face_mask, hide_masks, random_mask

# Random regions drawn for each one that is tested: with 8, beating all of them by luck has 1 in 9.
RANDOMS = 8


@dataclass(frozen=True)
class Drop:
    """Probability before and after hiding one mask, and after hiding random masks of its size."""

    before: float
    after: float
    random: tuple[float, ...]

    @property
    def loss(self) -> float:
        """Probability lost by hiding the mask; negative when it rises."""
        return self.before - self.after

    @property
    def random_loss(self) -> float:
        """Mean probability lost over the random masks."""
        return self.before - float(np.mean(self.random))


def target(prediction: Prediction, heatmap: Heatmap | None) -> str:
    """Choose the label that is watched: the map's, else the predicted, else the most probable."""
    return heatmap.label if heatmap else prediction.label or prediction.top


def probabilities(
    classifier: Classifier, face: Face, masks: Sequence[Mask], label: str
) -> tuple[float, list[float]]:
    """Compute P(label) of the face and with each mask hidden, in one call of the classifier."""
    scores = classifier.scores([face, *hide_masks(face, masks)])
    before, *after = (float(p) for p in scores.of(label))
    return before, after


def drops(
    classifier: Classifier, face: Face, masks: Sequence[Mask], label: str, seed: int
) -> list[Drop]:
    """Measure one `Drop` for each mask, all in one call of the classifier."""
    rng, inside = np.random.default_rng(seed), face_mask(face)
    groups = [[m, *random_masks(inside, m, rng)] for m in masks]
    before, after = probabilities(classifier, face, [m for group in groups for m in group], label)
    rows = np.reshape(after, (len(groups), RANDOMS + 1)).tolist() if groups else []
    return [Drop(before, first, tuple(rest)) for first, *rest in rows]


def random_masks(inside: Mask, like: Mask, rng: np.random.Generator) -> list[Mask]:
    """Draw `RANDOMS` random masks within `inside`, each as large as `like` is there."""
    return [random_mask(inside, int((like & inside).sum()), rng) for _ in range(RANDOMS)]
