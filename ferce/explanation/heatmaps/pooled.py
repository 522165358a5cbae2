"""Grad-CAM of a network that is linear in pooled features: exact, without gradients or torch.

The gradient of such a score is the same at every place of the map: the weights of the features over
the number of places. So grad-cam and hires-cam are one and the same map.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import softmax
from ferce.core.labels import BASICS, COMPOUNDS, components
from ferce.core.protocols import Pooled


def columns(index: Callable[[str], int], label: str) -> list[int]:
    """List the outputs of a label.

    A basic emotion has the probability of all compounds that hold it, and of itself alone where the
    network has an output for that.

    Args:
        index: gives the output of a label, or raises ValueError.
        label: a compound, a basic emotion or "neutral".
    """
    if label not in BASICS:
        return [index(label)]
    held = [index(compound) for compound in COMPOUNDS if label in components(compound)]
    try:
        return [*held, index(label)]  # shown alone
    except ValueError:
        return held


def rest(own: Collection[int], count: int) -> list[int]:
    """List the other outputs of `count`."""
    return sorted(set(range(count)) - set(own))


def compute(seen: Pooled, label: str, against: str | None = None) -> NDArray[np.float32]:
    """Compute the raw map, (h, w) not negative, of what `columns` of two labels weigh."""
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
