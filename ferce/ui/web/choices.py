"""What a heat map can be asked for on this page: methods, and labels to speak for and against."""

from collections.abc import Mapping
from typing import Any

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.core.protocols import Attentive, Classifier, Explainable, View
from ferce.core.types import Face, Prediction
from ferce.explanation.heatmaps import METHODS
from ferce.ui.web.session import Look

# Methods of an image without named regions; the other two that hide parts need the regions.
_WITHOUT_REGIONS = ("occlusion-grid", "rise")


def methods(classifier: Classifier, face: Face) -> tuple[str, ...]:
    """The keys of `METHODS` that this classifier supports on this face, in their order."""
    view = _opened(classifier)
    able = {
        "any classifier": True,
        "gradients": view is not None,
        "attention": view is not None and _attends(view, face),
        "queries": isinstance(classifier, Attentive),
    }
    return tuple(
        name
        for name, method in METHODS.items()
        if able[method.need]
        and (face.regions or method.need != "any classifier" or name in _WITHOUT_REGIONS)
    )


def targets(prediction: Prediction) -> Mapping[str, tuple[str, ...]]:
    """Labels that a map may speak for, by the title of their group."""
    groups = {"Two emotions": COMPOUNDS, "One emotion": BASICS}
    return groups | ({"None": (NEUTRAL,)} if prediction.label == NEUTRAL else {})


def chosen(told: Any, prediction: Prediction) -> Look | None:
    """The choice that a page sent; None when it is none of those that were offered."""
    if not isinstance(told, dict):
        return None
    label, method, against = (told.get(name) for name in ("label", "method", "against"))
    labels = {label for group in targets(prediction).values() for label in group}
    known = isinstance(label, str) and isinstance(method, str) and isinstance(against, str)
    if not known or label not in labels or method not in METHODS or against not in {"", *labels}:
        return None
    return Look(str(label), str(method), against or None)


def _opened(classifier: Classifier) -> View | None:
    try:
        return classifier.view() if isinstance(classifier, Explainable) else None
    except ValueError:  # no layer of it keeps the places of the image
        return None


def _attends(view: View, face: Face) -> bool:
    if view.reshape is None:
        return False
    from ferce.explanation.heatmaps import attention

    return attention.reaches(view, view.inputs([face]))
