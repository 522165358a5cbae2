"""What the heat map is asked for: native lists to choose label, rival and method from."""

from collections.abc import Iterable, Sequence

from ferce.core.types import Prediction, Reading
from ferce.explanation.heatmaps import METHODS
from ferce.ui.web import choices, markup
from ferce.ui.web.session import Look

_SLOW = 30  # faces through the classifier for one map, from which a method is called slow
ANYTHING = "anything else"


def blank() -> str:
    """Before there is a map: the lists stand where they will be."""
    return _form("<option>the prediction</option>", "<option>–</option>", "<option>–</option>", "")


def draw(reading: Reading, methods: Sequence[str], wanted: Look | None = None) -> str:
    """The lists, set to what the map shows."""
    heat, prediction = reading.heatmap, reading.prediction
    if heat is None or prediction is None:
        return blank()
    wanted = wanted or Look(heat.label, heat.method)
    rival = markup.option("", ANYTHING) + _labels(prediction, wanted.against)
    named = (markup.option(name, _named(name), name == wanted.method) for name in methods)
    labels = _labels(prediction, wanted.label)
    return _form(labels, rival, "".join(named), _meanings(methods))


def _labels(prediction: Prediction, picked: str | None) -> str:
    """Every label in its group; the predicted one comes first, in a group of its own."""
    first = prediction.label
    groups = {
        title: [label for label in labels if label != first]
        for title, labels in choices.targets(prediction).items()
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
