"""What is wrong with a command line, as far as that shows before a model is loaded."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ferce import models
from ferce.core.protocols import Classifier, Explainable
from ferce.explanation.heatmaps import METHODS
from ferce.models import hub, spec
from ferce.reading.pipeline import Options
from ferce.report.files import STDOUT, problem
from ferce.ui.arguments import UsageError
from ferce.ui.outputs import with_text

OUTPUTS = ("json", "csv", "html", "plot")
_NEEDS = {
    "gradients": "looks inside a network",
    "attention": "looks inside a network",
    "queries": "looks at the queries of a Q-Former",
}


def check(arguments: Namespace) -> None:
    """Refuse models, a device, a method or a question that cannot be.

    Raises:
        UsageError: what was expected, what came.
    """
    try:
        models.check_classifier(arguments.classifier, arguments.device)
        models.check_voice(arguments.voice, arguments.device)
    except ValueError as error:
        raise UsageError(str(error)) from error
    _check_method(arguments.method, arguments.classifier)
    options(arguments)


def _check_method(method: str | None, classifier: str) -> None:
    if method is None or method == "auto":
        return
    if method not in METHODS:
        raise UsageError(f"Unknown method {method!r}. Known methods: auto, {', '.join(METHODS)}.")
    _require(method, classifier, models.KINDS[spec.parse(classifier).kind].opens)


def check_opened(method: str | None, classifier: Classifier) -> None:
    """Refuse a method that a loaded classifier does not open its network for.

    Raises:
        UsageError: which methods there are.
    """
    if method not in (None, "auto") and not isinstance(classifier, Explainable):
        _require(str(method), classifier.name, ())


def _require(method: str, classifier: str, opens: Sequence[str]) -> None:
    able = [name for name, row in METHODS.items() if row.need in ("any classifier", *opens)]
    if method not in able:
        raise UsageError(
            f"Method {method!r} {_NEEDS[METHODS[method].need]}, which {classifier!r} does not "
            f"open; use one of: auto, {', '.join(able)}."
        )


def options(arguments: Namespace) -> Options:
    """What each reading holds; raises UsageError for a question that is none."""
    try:
        return Options(
            questions=tuple(arguments.ask),
            method=arguments.method,
            target=arguments.target,
            explain=arguments.explanation,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def asked(arguments: Namespace) -> dict[str, Any]:
    """What rows depend on, as JSON data: a run with other values does not go on from them."""
    names = (
        *("classifier", "voice", "device", "outcomes", "max_faces"),
        *("ask", "method", "target", "explanation", "rate"),
    )
    weights = {name: hub.weights(getattr(arguments, name)) for name in ("classifier", "voice")}
    return {
        **{name: getattr(arguments, name) for name in names},
        "weights": weights,
        "formats": sorted(with_text(targets(arguments))),
    }


def targets(arguments: Namespace) -> dict[str, str]:
    """Output -> file or "-", of those asked for."""
    every = {name: getattr(arguments, name) for name in OUTPUTS}
    return {name: target for name, target in every.items() if target is not None}


def check_targets(asked: Mapping[str, str], photos: Sequence[Path]) -> None:
    """Refuse before anything is read what could not be written after.

    Raises:
        UsageError: a file cannot be written, is named twice, or is a photo to be read.
    """
    taken: dict[Any, str] = {}
    for name, target in asked.items():
        if why := problem(target):
            raise UsageError(f"--{name} {target} {why}.")
        place = STDOUT if target == STDOUT else Path(target).resolve()
        if place in taken:
            raise UsageError(f"--{name} and --{taken[place]} both name {target}; name two files.")
        taken[place] = name
    there = {place: name for place, name in taken.items() if place != STDOUT and place.exists()}
    for photo in photos if there else ():
        if name := there.get(photo.resolve(), ""):
            raise UsageError(f"--{name} {photo} would overwrite a photo to be read.")
