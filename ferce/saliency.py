"""Heat maps: where a classifier looks for a label, by a method chosen by name; raw values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ferce import labels, occlusion
from ferce.occlusion import Question
from ferce.protocols import Classifier
from ferce.types import Face, Heatmap, Mask

Need = Literal["any classifier", "gradients", "attention"]


@dataclass(frozen=True)
class Method:
    """One way to make a heat map: what its values mean, and which classifiers it works for.

    `need` is "any classifier" (also one that reads action units only, since hiding a region hides
    its units), "gradients" (a `protocols.Explainable`), or "attention" (one that is a transformer).
    """

    what: str
    need: Need


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "occlusion": Method(
            "how far the label's probability falls when a region of the face is hidden",
            "any classifier",
        ),
        "shapley": Method(
            "each region's fair share of the label's probability, over all sets of hidden regions",
            "any classifier",
        ),
        "occlusion-grid": Method(
            "how far the label's probability falls when a sliding window is hidden",
            "any classifier",
        ),
        "rise": Method(
            "how far the label's probability falls on average when a pixel is among those hidden "
            "at random (RISE, arXiv:1806.07421)",
            "any classifier",
        ),
    }
)
_OCCLUSIONS: Mapping[str, Callable[[Question], occlusion.Map]] = MappingProxyType(
    {
        "occlusion": occlusion.by_region,
        "shapley": occlusion.by_shapley,
        "occlusion-grid": occlusion.by_grid,
        "rise": occlusion.by_random_masks,
    }
)


def explain(
    classifier: Classifier,
    face: Face,
    label: str,
    method: str = "auto",
    against: str | None = None,
) -> Heatmap:
    """Where `classifier` looks for `label` on `face`.

    Args:
        classifier: any; what a method needs of it stands in `METHODS`.
        face: the face as the classifier reads it.
        label: a compound, a basic emotion (the sum of the compounds that hold it) or "neutral".
        method: a key of `METHODS`, or "auto" (see `choose`).
        against: a second label: the map then shows what speaks for `label` rather than for it.

    Returns:
        Raw values in crop pixels, all zero when nothing speaks for the label, with the share of the
        heat in each region of the face.

    Raises:
        ValueError: unknown method or label, a label that the classifier has no output for, or a
            method that needs what the classifier or the face does not have.
    """
    label, against = labels.parse(label), None if against is None else labels.parse(against)
    name = choose(classifier, face) if method == "auto" else method
    if name not in METHODS:
        raise ValueError(f"Unknown method {name!r}. Known methods: auto, {', '.join(METHODS)}.")
    values = _OCCLUSIONS[name](Question(classifier, face, label, against))
    return Heatmap(values, label, name, None, region_shares(values, face.regions))


def choose(classifier: Classifier, face: Face) -> str:
    """What "auto" stands for: region occlusion, or the grid for a face without landmarks."""
    del classifier
    return "occlusion" if face.regions else "occlusion-grid"


def region_shares(values: NDArray[np.floating], regions: Mapping[str, Mask]) -> dict[str, float]:
    """Share of the heat in each region, 0..1; zeros for an empty map.

    Args:
        values: (S, S) not negative, crop pixels.
        regions: name -> (S, S) bool.
    """
    total = float(values.sum(dtype=np.float64))
    return {
        name: float(values[mask].sum(dtype=np.float64)) / total if total > 0 else 0.0
        for name, mask in regions.items()
    }
