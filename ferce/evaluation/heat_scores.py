"""Scores of a heat map: deletion and insertion, ROAD, and the check by random weights.

Deletion and insertion (Petsiuk et al., BMVC 2018, arXiv 1806.07421) show how a probability falls,
or rises, with the hottest pixels. Pixels are hidden as `faces.perturb` does it: they are blurred
and action units seen there become unknown, so that any classifier can be asked. ROAD and random
weights need a network with gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Classifier, Explainable, View
from ferce.core.types import Face, Heatmap, Mask
from ferce.explanation.heatmaps import METHODS
from ferce.faces.perturb import GRAIN, hide_masks

if TYPE_CHECKING:
    from ferce.explanation.heatmaps.sanity import Randomised

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
    """Measure the areas of each map of a face; ties are broken at random, alike for all.

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
    """List the hidden pixels of each point: deletion from none to all, insertion reversed."""
    ties = np.random.default_rng(seed).random(heat.size)
    order = np.lexsort((ties, -np.ravel(heat)))
    place = np.empty(heat.size, np.intp)
    place[order] = np.arange(heat.size)
    cuts = np.linspace(0, heat.size, steps + 1)
    gone = [(place < cut).reshape(heat.shape) for cut in cuts]
    return gone + [~mask for mask in gone]


def random_map(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Make (S, S) smooth noise with the grain of `perturb.random_mask`, as a control."""
    import cv2

    cells = max(int(1 / GRAIN), 2) + 1
    noise = rng.random((cells, cells))
    made = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(made - made.min(), np.float32)


@dataclass(frozen=True, eq=False)
class Network:
    """The opened network, a copy with random weights, and notes on what is missing."""

    view: View | None = None
    random: "Randomised | None" = None
    notes: tuple[str, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, classifier: Classifier, seed: int) -> Self:
        """Open the classifier as far as it allows."""
        if not isinstance(classifier, Explainable):
            why = f"ROAD and random weights need a network's pixels; {classifier.name} opens none"
            return cls(notes=(why,), seed=seed)
        from ferce.explanation.heatmaps import sanity

        try:
            view = classifier.view()
            return cls(view, sanity.randomised(classifier, seed), (), seed)
        except ValueError as error:
            return cls(notes=(f"ROAD and random weights were not measured: {error}",), seed=seed)

    def scores(
        self, face: Face, heatmap: Heatmap, random: NDArray[np.floating]
    ) -> dict[str, float | None]:
        """Score ROAD of the map and the `random` map, and likeness to a random network's map."""
        if self.view is None or self.random is None:
            return {}
        from ferce.explanation.heatmaps import sanity
        from ferce.explanation.heatmaps.road import road

        label, seed = heatmap.label, self.seed
        row: dict[str, float | None] = {
            "road": road(self.view, face, heatmap.values, label, seed),
            "road_random": road(self.view, face, random, label, seed),
        }
        if METHODS[heatmap.method].need != "any classifier":
            row["random_weights"] = sanity.likeness(heatmap, face, self.random)
        return row
