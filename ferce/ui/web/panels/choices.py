"""Lists to choose from: the methods and labels of a heat map, and the voices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.core.parts import Prediction, Reading
from ferce.core.protocols import Attentive, Classifier, Poolable, View
from ferce.core.types import Face
from ferce.explanation.heatmaps import METHODS, view_of
from ferce.models import KINDS
from ferce.models.measured import Measured
from ferce.ui.web import markup
from ferce.ui.web.session import MapRequest

_SLOW = 30  # faces through the classifier for one map, from which a method is called slow
ANYTHING = "anything else"
# Methods of an image without named regions; the other two that hide parts need the regions.
_WITHOUT_REGIONS = ("occlusion-grid", "rise")

_SEES = "sees the picture alone"
_COMPOSED = "composed from the measured action units"


def methods(classifier: Classifier, face: Face) -> tuple[str, ...]:
    """List the keys of `METHODS` that this classifier supports on this face, in their order."""
    pools = isinstance(classifier, Poolable)  # torch opens it only when such a map is asked for
    view = None if pools else view_of(classifier)
    able = {
        "any classifier": True,
        "gradients": pools or view is not None,
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
    """List the labels that a map may speak for, by the title of their group."""
    groups = {"Two emotions": COMPOUNDS, "One emotion": BASICS}
    return groups | ({"None": (NEUTRAL,)} if prediction.label == NEUTRAL else {})


def chosen(sent: Any, prediction: Prediction) -> MapRequest | None:
    """Read the choice that a page sent; None when it is none of those that were offered."""
    if not isinstance(sent, dict):
        return None
    label, method, against = (sent.get(name) for name in ("label", "method", "against"))
    labels = {label for group in targets(prediction).values() for label in group}
    known = isinstance(label, str) and isinstance(method, str) and isinstance(against, str)
    if not known or label not in labels or method not in METHODS or against not in {"", *labels}:
        return None
    return MapRequest(str(label), str(method), against or None)


def _attends(view: View, face: Face) -> bool:
    if view.reshape is None:
        return False
    from ferce.explanation.heatmaps import attention

    return attention.reaches(view, view.inputs([face]))


def blank() -> str:
    """Draw the lists before there is a map, where they will be."""
    return _form("<option>the prediction</option>", "<option>–</option>", "<option>–</option>", "")


def draw(reading: Reading, methods: Sequence[str], wanted: MapRequest | None = None) -> str:
    """Draw the lists, set to what the map shows."""
    heat, prediction = reading.heatmap, reading.prediction
    if heat is None or prediction is None:
        return blank()
    wanted = wanted or MapRequest(heat.label, heat.method)
    rival = markup.option("", ANYTHING) + _labels(prediction, wanted.against)
    named = (markup.option(name, _named(name), name == wanted.method) for name in methods)
    labels = _labels(prediction, wanted.label)
    return _form(labels, rival, "".join(named), _meanings(methods))


def _labels(prediction: Prediction, picked: str | None) -> str:
    """Draw every label in its group; the predicted one comes first, in a group of its own."""
    first = prediction.label
    groups = {
        title: [label for label in labels if label != first]
        for title, labels in targets(prediction).items()
    }
    if first is not None:
        groups = {"Predicted": [first], **groups}
    return "".join(
        f'<optgroup label="{title}">{_options(labels, picked)}</optgroup>'
        for title, labels in groups.items()
        if labels
    )


def _options(labels: Iterable[str], picked: str | None) -> str:
    return "".join(markup.option(label, label, label == picked) for label in labels)


def _named(name: str) -> str:
    passes = METHODS[name].passes
    return f"{name} (slow: {passes} passes)" if passes >= _SLOW else name


def _form(labels: str, rivals: str, methods: str, meanings: str) -> str:
    off = "" if meanings else " disabled"
    rows = (
        ("Looks for", "label", labels),
        ("rather than", "against", rivals),
        ("Method", "method", methods),
    )
    lists = "".join(
        f'<label><span>{words}</span><select name="{name}"{off}>{options}</select></label>'
        for words, name, options in rows
    )
    return f'<form class="looks">{lists}{meanings}</form>'


def _meanings(methods: Sequence[str]) -> str:
    rows = "".join(
        f"<dt>{name}{_cost(name)}</dt><dd>{markup.text(METHODS[name].what)}</dd>"
        for name in methods
    )
    return f"<details><summary>What these methods do</summary><dl>{rows}</dl></details>"


def _cost(name: str) -> str:
    passes = METHODS[name].passes
    slow = ", slow with a large model" if passes >= _SLOW else ""
    return f" <small>{passes} {'pass' if passes == 1 else 'passes'}{slow}</small>"


def voices(names: Sequence[str], picked: str) -> str:
    """Draw the list, set to the voice that speaks."""
    listed = dict.fromkeys((*names, picked))
    options = "".join(
        markup.option(name, f"{name}: {_spoken_from(name)}", name == picked) for name in listed
    )
    return (
        '<form class="looks"><label><span>Voice</span>'
        f'<select name="voice">{options}</select></label></form>'
    )


def _spoken_from(name: str) -> str:
    if name == Measured.name:
        return _COMPOSED
    kind = name.partition(":")[0]
    return _SEES if kind in KINDS and KINDS[kind].voice else "of this model"
