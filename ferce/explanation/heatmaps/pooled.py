"""Grad-CAM of a network that is linear in pooled features: exact, without gradients or torch.

The gradient of such a score is the same at every place of the map: the weights of the features over
the number of places. So grad-cam and hires-cam are one and the same map.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Pooled
from ferce.core.softmax import softmax
from ferce.explanation.heatmaps.target import columns, rest


def compute(seen: Pooled, label: str, against: str | None = None) -> NDArray[np.float32]:
    """Compute the raw map, (h, w) not negative, of what `target.columns` of two labels weigh."""
    own = columns(seen.index, label)
    rival = rest(own, len(seen.scores)) if against is None else columns(seen.index, against)
    slope = _slope(seen.scores, own) - _slope(seen.scores, rival)  # (K,) of the scores
    weight = slope @ seen.weight / np.prod(seen.maps.shape[1:])  # (C,) of the map at each place
    return np.asarray(np.maximum(np.tensordot(weight, seen.maps, 1), 0), np.float32)


def _slope(scores: NDArray[np.float64], places: Sequence[int]) -> NDArray[np.float64]:
    """Compute the gradient of logsumexp(scores[places]), (K,)."""
    slope = np.zeros(len(scores))
    slope[list(places)] = softmax(scores[list(places)])
    return slope
