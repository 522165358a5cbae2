"""Which faces come when: a function of seed and epoch alone, so a run goes on where it was."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce.training.progress import TrainingError

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Order:
    """The order of N faces.

    Attributes:
        count: N.
        step: faces in one optimiser step, of all processes together.
        seed: of the order.
        weights: (N,) chances of being drawn, with replacement; None for each face once.
    """

    count: int
    step: int
    seed: int = 0
    weights: NDArray[np.float64] | None = None

    def steps(self, epoch: int) -> list[Indices]:
        """List the faces of each optimiser step of an epoch.

        Steps differ by at most one face, so that no step is a small remainder.
        """
        order = draw(self.count, self.weights, (self.seed, epoch))
        return list(np.array_split(order, self.length))

    @property
    def length(self) -> int:
        """Optimiser steps in one epoch."""
        return -(-self.count // self.step)


def share(step: Indices, rank: int, world: int, parts: int) -> list[Indices]:
    """Share out a step: the passes of one process, cut into `parts`.

    Every process makes the same number of passes, else those with more would wait for ever; where
    the smallest share has fewer faces than `parts`, there are fewer passes.

    Raises:
        TrainingError: the step has fewer faces than there are processes.
    """
    if len(step) < world:
        raise TrainingError(f"A step of {len(step)} faces cannot be shared by {world} processes.")
    return list(np.array_split(step[rank::world], min(parts, len(step) // world)))


def chances(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute (N,) chances that draw every class equally often.

    Args:
        shares: (N, K) of each face's label; a row of zeros is an unlabelled face.
    """
    classes = np.where(shares.sum(1) > 0, shares.argmax(1), -1)
    return even_weights(classes, shares.shape[1])


def draw(count: int, weights: NDArray[np.float64] | None, seed: tuple[int, ...]) -> Indices:
    """Draw the order of N faces: each once, or N draws by weights with replacement."""
    rng = np.random.default_rng(seed)
    if weights is None:
        return rng.permutation(count)
    return rng.choice(count, count, p=weights / weights.sum())


def even_weights(classes: Indices, count: int) -> NDArray[np.float64]:
    """Compute (N,) chances that draw every class equally often.

    Args:
        classes: (N,) class numbers; -1 for unlabelled faces, which keep their share of the draws.
        count: K.
    """
    sizes = np.bincount(classes[classes >= 0], minlength=count)
    present = int((sizes > 0).sum())
    labelled = int(sizes.sum())
    weights = np.ones(len(classes))
    known = classes >= 0
    weights[known] = labelled / present / sizes[classes[known]] if present else 1.0
    return weights
