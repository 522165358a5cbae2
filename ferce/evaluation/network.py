"""What only a network with gradients can be asked: ROAD, and the check by random weights."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Classifier, Explainable
from ferce.core.types import Face, Heatmap
from ferce.explanation.heatmaps import METHODS


@dataclass(frozen=True, eq=False)
class Network:
    """The opened network, a copy with random weights, and notes on what is missing."""

    view: Any = None
    random: Any = None
    notes: tuple[str, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, classifier: Classifier, seed: int) -> Self:
        """What the classifier allows."""
        if not isinstance(classifier, Explainable):
            why = f"ROAD and random weights need a network's pixels; {classifier.name} opens none"
            return cls(notes=(why,), seed=seed)
        from ferce.explanation.heatmaps import checks

        try:
            view = classifier.view()
            return cls(view, checks.randomised(classifier, seed), (), seed)
        except ValueError as error:
            return cls(notes=(f"ROAD and random weights were not measured: {error}",), seed=seed)

    def scores(
        self, face: Face, heatmap: Heatmap, random: NDArray[np.floating]
    ) -> dict[str, float | None]:
        """ROAD of the map and of the `random` map, and the likeness to a random network's map."""
        if self.view is None:
            return {}
        from ferce.explanation.heatmaps import checks

        label, seed = heatmap.label, self.seed
        row: dict[str, float | None] = {
            "road": checks.road(self.view, face, heatmap.values, label, seed),
            "road_random": checks.road(self.view, face, random, label, seed),
        }
        if METHODS[heatmap.method].need != "any classifier":
            row["random_weights"] = checks.likeness(heatmap, face, self.random)
        return row
