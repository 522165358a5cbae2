"""Measure whether a text names what the model uses, each measure beside its controls.

Faithfulness of an explanation's regions to a heat map and to the classifier itself, after ERASER's
comprehensiveness and sufficiency (DeYoung et al., ACL 2020, arXiv 1911.03429) and the pointing game
(Zhang et al., ECCV 2016, arXiv 1608.00507).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import NEUTRAL
from ferce.core.parts import Cue, Faithfulness, Heatmap, Prediction
from ferce.core.protocols import Classifier
from ferce.core.types import Face, Mask
from ferce.explanation.unit_maps import match
from ferce.faces.perturb import face_mask, hide_masks, random_mask, region_mask

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


def target(
    face: Face, prediction: Prediction, heatmap: Heatmap | None, classifier: Classifier | None
) -> str:
    """Choose the label that is watched: the map's, else the predicted, else the most probable.

    A model of the compounds alone has no probability of neutral, so its likeliest compound is.
    """
    label = heatmap.label if heatmap else prediction.top
    if label != NEUTRAL or classifier is None or classifier.scores([face]).neutral is not None:
        return label
    return prediction.compound


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


Measures = dict[str, float | None]

HEAT = ("auroc", "lift", "pointing", "precision", "recall", "f1")
CAUSAL = ("comprehensiveness", "sufficiency")
# At most so many other texts are tried against the classifier; each costs two faces.
_TEXTS = 4


def measure(
    face: Face,
    prediction: Prediction,
    heatmap: Heatmap | None,
    cues: Sequence[Cue],
    classifier: Classifier | None = None,
    seed: int = 0,
) -> Faithfulness:
    """Measure how well the named regions match the heat and matter to the classifier.

    Negated cues name nothing. A measure that is undefined (no heat, no region named, the whole
    face named, no classifier) is None.

    Returns:
        Measures: `auroc` of heat inside against outside the named regions (0.5 is chance), `lift`
        (share of heat over share of area, 1 is chance), `pointing` (1 if the hottest pixel is
        named), `precision`, `recall` and `f1` of the named against the hot regions,
        `comprehensiveness` (probability lost when the named regions are hidden), `sufficiency`
        (probability when only they are left), `coverage` (share of the face named), `au_cosine` and
        `au_share` (see `unit_maps.match`). Controls: "other texts" (as many other regions), "mean
        face" (a map that is hot in the middle), "random regions" (as large), "other labels".
    """
    named = named_regions(cues, face)
    inside = face_mask(face)
    for mask in face.regions.values():
        inside = inside | mask
    heat = _Heat.of(heatmap.values, inside) if heatmap and not heatmap.empty else None
    rng = np.random.default_rng(seed)
    others = _other_texts(named, face, rng)
    randoms = random_masks(inside, region_mask(face, named), rng) if named else []
    measures = _heat_measures(face, heat, named)
    controls: dict[str, Measures] = {
        "other texts": _mean(_heat_measures(face, heat, other) for other in others),
        "mean face": _heat_measures(face, _Heat.of(centre_map(inside), inside), named),
        "random regions": _mean(_mask_measures(heat, mask) for mask in randoms),
    }
    if classifier and named:
        label = target(face, prediction, heatmap, classifier)
        sets = [region_mask(face, n) for n in (named, *others[:_TEXTS])] + randoms
        causal = _causal(classifier, face, sets, label)
        split = 1 + len(others[:_TEXTS])
        measures |= causal[0]
        controls["other texts"] |= _mean(causal[1:split])
        controls["random regions"] |= _mean(causal[split:])
    measures["coverage"] = float((region_mask(face, named) & inside).sum() / inside.sum())
    _add_unit_match(face, heatmap, measures, controls)
    return Faithfulness({**dict.fromkeys(CAUSAL), **measures}, controls)


def named_regions(cues: Iterable[Cue], face: Face) -> tuple[str, ...]:
    """List the regions that the text claims to show something, in the order of the masks."""
    said = {c.region for c in cues if not c.negated}
    return tuple(r for r, mask in face.regions.items() if r in said and mask.any())


def auroc(scores: NDArray[np.floating], positive: Mask) -> float | None:
    """Compute the area under the ROC curve; ties count half, None without both classes.

    Mann-Whitney: (sum of ranks of the positives - n(n + 1) / 2) / (n m).
    """
    return _auroc(_ranks(scores), np.ravel(positive))


def _auroc(ranks: NDArray[np.float64], truth: Mask) -> float | None:
    n, m = int(truth.sum()), int((~truth).sum())
    if n == 0 or m == 0:
        return None
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * m))


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank flattened scores from 1, ties by their mean; SciPy's takes half a second to import."""
    _, places, counts = np.unique(np.ravel(scores), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def hot_regions(face: Face, heat: NDArray[np.floating], inside: Mask) -> set[str]:
    """List the regions whose mean heat is above the mean of the face."""
    chance = float(heat[inside].mean())
    means = {name: float(heat[mask].mean()) for name, mask in face.regions.items() if mask.any()}
    return {name for name, mean in means.items() if mean > chance}


def centre_map(inside: Mask) -> NDArray[np.float64]:
    """Draw a Gaussian in the middle of the face, as a map that ignores what the face shows."""
    y, x = np.nonzero(inside)
    sigma = 0.25 * np.sqrt(len(y))  # half the side of a square as large
    rows, columns = np.indices(inside.shape)
    distance = (rows - y.mean()) ** 2 + (columns - x.mean()) ** 2
    return np.asarray(np.exp(-distance / (2 * sigma**2)))


@dataclass(frozen=True, eq=False)
class _Heat:
    """A map with what all masks are measured against, computed once.

    `values` (S, S) not negative, `inside` (S, S) of the face, `ranks` of the values within it.
    """

    values: NDArray[np.floating]
    inside: Mask
    ranks: NDArray[np.float64]
    total: float
    peak: int

    @classmethod
    def of(cls, values: NDArray[np.floating], inside: Mask) -> Self:
        """Rank and add up a map within the face."""
        within = values[inside]
        peak = int(np.argmax(np.where(inside, values, -1.0)))
        return cls(values, inside, _ranks(within), float(within.sum()), peak)


def _heat_measures(face: Face, heat: _Heat | None, named: Sequence[str]) -> Measures:
    if heat is None:
        return dict.fromkeys(HEAT)
    hot = hot_regions(face, heat.values, heat.inside)
    both = len(hot & set(named))
    return {
        **_mask_measures(heat, region_mask(face, named)),
        "precision": both / len(named) if named else None,
        "recall": both / len(hot) if hot else None,
        "f1": 2 * both / (len(named) + len(hot)) if named or hot else None,
    }


def _mask_measures(heat: _Heat | None, mask: Mask) -> Measures:
    """Compute AUROC, lift and pointing hit of one mask within the face."""
    if heat is None or heat.total <= 0:
        return dict.fromkeys(HEAT[:3])
    within = mask[heat.inside]
    area = float(within.mean())
    if area in (0.0, 1.0):
        return dict.fromkeys(HEAT[:3])
    return {
        "auroc": _auroc(heat.ranks, within),
        "lift": float(heat.values[mask & heat.inside].sum()) / heat.total / area,
        "pointing": float(np.ravel(mask)[heat.peak]),
    }


def _causal(
    classifier: Classifier, face: Face, masks: Sequence[Mask], label: str
) -> list[Measures]:
    """Measure comprehensiveness and sufficiency of each mask, in one call of the classifier."""
    both = [hidden for mask in masks for hidden in (mask, ~mask)]
    before, after = probabilities(classifier, face, both, label)
    return [
        {"comprehensiveness": before - hidden, "sufficiency": kept}
        for hidden, kept in zip(after[::2], after[1::2], strict=True)
    ]


def _other_texts(
    named: Sequence[str], face: Face, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """List every other choice of as many regions in random order, as other texts would name."""
    choices = [c for c in combinations(face.regions, len(named)) if set(c) != set(named)]
    return [choices[i] for i in rng.permutation(len(choices))] if named else []


def _mean(rows: Iterable[Measures]) -> Measures:
    """Average each measure over the rows in which it is defined."""
    table = list(rows)
    keys = dict.fromkeys(key for row in table for key in row)
    columns = {key: [v for row in table if (v := row.get(key)) is not None] for key in keys}
    return {key: float(np.mean(values)) if values else None for key, values in columns.items()}


def _add_unit_match(
    face: Face, heatmap: Heatmap | None, measures: Measures, controls: dict[str, Measures]
) -> None:
    agreement = match(face, heatmap) if heatmap else {}
    measures |= {"au_cosine": agreement.get("cosine"), "au_share": agreement.get("share")}
    controls["other labels"] = {
        "au_cosine": agreement.get("cosine_others"),
        "au_share": agreement.get("share_others"),
    }
