"""How far several readings of one face agree: labels, probabilities and heat maps, pair by pair."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ferce.core.labels import OUTCOMES
from ferce.core.parts import Heatmap, Prediction, Reading
from ferce.core.types import Scores


@dataclass(frozen=True)
class Agreement:
    """The agreement of N readings of the same face.

    Attributes:
        labels: label -> how many models give it, see `vote`, most first; unclear ones give none.
        overlap: mean over pairs of the probability that two readings share, 0 (none) to 1 (all).
        maps: mean over pairs of the heat that two maps share, 0..1; None without two maps.
    """

    labels: tuple[tuple[str, int], ...]
    overlap: float
    maps: float | None

    @property
    def unanimous(self) -> bool:
        """Whether all give the same label."""
        return len(self.labels) == 1


def compare(readings: Sequence[Reading]) -> Agreement | None:
    """Measure how far the readings with a prediction agree; None for fewer than two."""
    predictions = [reading.prediction for reading in readings if reading.prediction is not None]
    if len(predictions) < 2:
        return None
    votes = [label for reading in readings if (label := vote(reading)) is not None]
    shared = [overlap(a, b) for a, b in combinations(predictions, 2)]
    heats = [reading.heatmap for reading in readings if reading.heatmap is not None]
    alike = [s for a, b in combinations(heats, 2) if (s := likeness(a, b)) is not None]
    return Agreement(
        tuple(Counter(votes).most_common()),
        float(np.mean(shared)),
        float(np.mean(alike)) if alike else None,
    )


def vote(reading: Reading) -> str | None:
    """Choose the label that a model itself gives; None where it says that none is clear.

    Of a model of the compounds alone it is the likeliest one: whether one emotion or two show is
    then said by action units that are the same for every model.
    """
    if reading.prediction is None:
        return None
    return reading.prediction.label if whole(reading.scores) else reading.prediction.compound


def whole(scores: Scores | None) -> bool:
    """Tell whether a model tells single emotions and neutral from compounds by its own outputs."""
    return scores is not None and scores.outcomes is not None


def overlap(a: Prediction, b: Prediction) -> float:
    """Sum min(p, q) over the outcomes, 0..1; one minus their total variation distance."""
    pairs = ((a.outcomes[name], b.outcomes[name]) for name in OUTCOMES)
    return float(sum(min(pair) for pair in pairs))


def likeness(a: Heatmap, b: Heatmap) -> float | None:
    """Measure the share of heat in the same places, 0..1; None where a map is empty.

    Sum of min(a, b) of two maps that each sum to 1: the similarity metric of saliency maps
    (SIM, Bylinskii et al. 2016, arXiv 1604.03605, eq. 4).
    """
    if a.values.shape != b.values.shape:
        raise ValueError(f"maps must be of one crop; got {a.values.shape} and {b.values.shape}")
    if a.empty or b.empty:
        return None
    one, two = (heat.values.astype(np.float64) / heat.values.sum(dtype=float) for heat in (a, b))
    return float(np.minimum(one, two).sum())
