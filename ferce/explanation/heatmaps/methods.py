"""Compute the heat map of a classifier for a label, by a method chosen by name; raw values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ferce.core import labels
from ferce.core.parts import Heatmap
from ferce.core.protocols import Attentive, Classifier, Explainable, Poolable, Pooled, View
from ferce.core.types import Face, Mask
from ferce.explanation.heatmaps import occlusion
from ferce.explanation.heatmaps.occlusion import Question

# Of these a network that is linear in pooled features needs no gradients, see `pooled`.
POOLED = ("grad-cam", "hires-cam")
Need = Literal["any classifier", "gradients", "attention", "queries"]


@dataclass(frozen=True)
class Method:
    """One way to compute a heat map: what its values mean and what it needs of a classifier.

    `need` is "any classifier" (also one that reads action units only, since hiding a region hides
    its units), "gradients" (a `protocols.Explainable`), "attention" (one that is a transformer), or
    "queries" (a `protocols.Attentive`).
    A method that is not `of_label` gives the same map for every label. `passes` is about how many
    faces go through the classifier for one map; the largest are not for a slow one.
    """

    what: str
    need: Need
    of_label: bool = True
    passes: int = 1

    @property
    def hides(self) -> bool:
        """Whether it hides parts of the face and measures what that costs."""
        return self.need == "any classifier"


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "grad-cam": Method(
            "channels of the last layer, weighted by the mean gradient of the label's log-odds "
            "(arXiv:1610.02391)",
            "gradients",
        ),
        "grad-cam++": Method(
            "as grad-cam, but only rising evidence counts, so small places show (arXiv:1710.11063)",
            "gradients",
        ),
        "hires-cam": Method(
            "activation times gradient at each place; exact for a network that ends in pooling and "
            "a linear layer (arXiv:2011.08891)",
            "gradients",
        ),
        "layer-cam": Method(
            "activation times positive gradient at each place (Jiang et al. 2021, TIP)",
            "gradients",
        ),
        "eigen-cam": Method(
            "first principal component of the last layer: what stands out, whatever the label "
            "(arXiv:2008.00299)",
            "gradients",
            of_label=False,
        ),
        "score-cam": Method(
            "channels weighted by the log-odds of the face seen through them (arXiv:1910.01279)",
            "gradients",
            passes=130,
        ),
        "ablation-cam": Method(
            "channels weighted by how far the log-odds fall without them "
            "(Desai & Ramaswamy 2020, WACV)",
            "gradients",
            passes=130,
        ),
        "attention-relevance": Method(
            "attention weighted by the gradient of the label's log-odds, through all layers "
            "(arXiv:2103.15679)",
            "attention",
        ),
        "attention-rollout": Method(
            "attention through all layers, whatever the label (arXiv:2005.00928)",
            "attention",
            of_label=False,
        ),
        "q-former": Method(
            "where the queries of a Q-Former attend, whatever the label and the answer",
            "queries",
            of_label=False,
        ),
        "occlusion": Method(
            "how far the label's probability falls when a region of the face is hidden",
            "any classifier",
            passes=7,
        ),
        "shapley": Method(
            "each region's fair share of the label's probability, over all sets of hidden regions "
            "(arXiv:1705.07874)",
            "any classifier",
            passes=64,
        ),
        "occlusion-grid": Method(
            "how far the label's probability falls when a sliding window is hidden",
            "any classifier",
            passes=50,
        ),
        "rise": Method(
            "how far the label's probability falls on average when a pixel is among those hidden "
            "at random (arXiv:1806.07421)",
            "any classifier",
            passes=401,
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
    scorer: Classifier | None = None,
) -> Heatmap:
    """Compute which parts of `face` `classifier` uses for `label`.

    Args:
        classifier: any; what a method needs of it stands in `METHODS`.
        face: the face as the classifier reads it.
        label: a compound, a basic emotion (the sum of the compounds that hold it) or "neutral".
        method: a key of `METHODS`, or "auto" (see `choose`).
        against: a second label: the map then shows what speaks for `label` rather than for it.
        scorer: scores variants of the face as the classifier does; None for itself.

    Returns:
        Raw values in crop pixels, all zero when nothing speaks for the label, with the share of the
        heat in each region of the face.

    Raises:
        ValueError: unknown method or label, a label that the classifier has no output for, or a
            method that needs what the classifier or the face does not have.
    """
    question = Question(
        classifier, face, labels.parse(label), None if against is None else labels.parse(against)
    )
    name = choose(classifier, face) if method == "auto" else method
    _check(name, question)
    if name in _OCCLUSIONS:
        asked = replace(question, classifier=scorer or classifier)
        values, layer = _OCCLUSIONS[name](asked), None
    elif isinstance(classifier, Attentive) and METHODS[name].need == "queries":
        values, layer = _enlarged(classifier.attention([face])[0], face.size, 1.0), None
    elif isinstance(classifier, Poolable) and name in POOLED:
        seen = classifier.pooled(face)
        values, layer = _of_pooled(seen, question), seen.layer_name
    else:
        assert isinstance(classifier, Explainable), name
        view = classifier.view()
        values, layer = _through(view, question, name), view.layer_name
    return Heatmap(values, question.label, name, layer, region_shares(values, face.regions))


def choose(classifier: Classifier, face: Face) -> str:
    """Choose the method that "auto" stands for.

    Region occlusion for a classifier that decides by more than its network (`View.complete` is
    False), as only hiding shows all that it uses. Attention relevance for a transformer in which it
    can be followed (on small trained ones with evidence at a known place Grad-CAM mostly missed
    it), Grad-CAM for any other network whose layers keep the places of the image; else region
    occlusion, or the grid without landmarks.
    """
    if isinstance(classifier, Poolable):
        return "grad-cam" if classifier.complete else _hiding(face)
    view = view_of(classifier)
    return _hiding(face) if view is None or not view.complete else _inside(view, face)


def counterpart(classifier: Classifier, face: Face, method: str) -> str | None:
    """Choose the method to set beside `method`: inside the network beside hiding, or the reverse.

    None where there is no network to look into.
    """
    if not METHODS[method].hides:
        return _hiding(face)
    if isinstance(classifier, Poolable):
        return "grad-cam"
    view = view_of(classifier)
    return None if view is None else _inside(view, face)


def _hiding(face: Face) -> str:
    return "occlusion" if face.regions else "occlusion-grid"


def _inside(view: View, face: Face) -> str:
    if view.reshape is None:
        return "grad-cam"
    from ferce.explanation.heatmaps import attention

    return "attention-relevance" if attention.reaches(view, view.inputs([face])) else "grad-cam"


def view_of(classifier: Classifier) -> View | None:
    """Open the classifier's view; None where it has none, or no layer that keeps places."""
    try:
        return classifier.view() if isinstance(classifier, Explainable) else None
    except ValueError:
        return None


def region_shares(values: NDArray[np.floating], regions: Mapping[str, Mask]) -> dict[str, float]:
    """Compute the share of the heat in each region, 0..1; zeros for an empty map.

    Args:
        values: (S, S) not negative, crop pixels.
        regions: name -> (S, S) bool.
    """
    total = float(values.sum(dtype=np.float64))
    return {
        name: float(values[mask].sum(dtype=np.float64)) / total if total > 0 else 0.0
        for name, mask in regions.items()
    }


def _check(name: str, question: Question) -> None:
    if name not in METHODS:
        raise ValueError(f"Unknown method {name!r}. Known methods: auto, {', '.join(METHODS)}.")
    wanted = Attentive if METHODS[name].need == "queries" else Explainable
    if not METHODS[name].hides and not isinstance(question.classifier, wanted):
        free = ", ".join(n for n, m in METHODS.items() if m.hides)
        raise ValueError(
            f"Method {name!r} looks inside a network, which {question.classifier.name!r} does not "
            f"open; use one of: {free}."
        )
    if question.against is not None and not METHODS[name].of_label:
        raise ValueError(
            f"Method {name!r} gives the same map for every label, so it cannot tell "
            f"{question.label!r} from {question.against!r}; choose another method."
        )


def _through(view: View, question: Question, name: str) -> occlusion.Map:
    """Compute the map of one face through the network, enlarged to crop pixels, values kept."""
    from ferce.explanation.heatmaps import attention, cam

    goal = cam.target(view, question.label, question.against)
    compute = attention.compute if METHODS[name].need == "attention" else cam.compute
    small = compute(view, view.inputs([question.face]), goal, name)[0]
    return _enlarged(small, question.face.size, view.part)


def _of_pooled(seen: Pooled, question: Question) -> occlusion.Map:
    """Compute the map of one face from what the network saw of it, enlarged to crop pixels."""
    from ferce.explanation.heatmaps import pooled

    small = pooled.compute(seen, question.label, question.against)
    return _enlarged(small, question.face.size, seen.part)


def _enlarged(small: NDArray[np.float32], size: int, part: float) -> occlusion.Map:
    """Enlarge the small map over the middle `part` of the crop, (S, S)."""
    import cv2

    values = np.zeros((size, size), np.float32)
    seen = central(size, part)
    side = seen.stop - seen.start
    values[seen, seen] = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    return values


def central(side: int, part: float) -> slice:
    """Return the middle `part` (a share) of `side` pixels, which a network that crops sees."""
    keep = max(round(side * part), 1)
    start = (side - keep) // 2
    return slice(start, start + keep)
