"""Options of the command line: what each means, and what is refused before a model is loaded."""

import argparse
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ferce import models
from ferce.core import labels, notice
from ferce.core.protocols import Classifier, Explainable
from ferce.explanation.heatmaps import METHODS
from ferce.models import hub, spec
from ferce.reading.pipeline import Options
from ferce.report.files import STDOUT, problem
from ferce.ui.command import with_text

_EXAMPLES = f"""\
examples:
  python -m ferce photo.jpg                      a few lines about each face
  python -m ferce photos/ --html report.html     a page with pictures, to read or print
  python -m ferce photos/ --csv t.csv --jobs 2   a table, read by two processes
  python -m ferce photos/ --csv t.csv --resume   the same, going on where it was stopped
  python -m ferce 'shots/**/*.png' --json -      JSON alone on standard output
  python -m ferce clip.mp4 --csv clip.csv        a video: one row a frame a face
  python -m ferce clip.mp4 --plot clip.png       its probabilities and action units over time

exit status: 0 all read, 1 some could not be read (named on standard error) or the result could
not be written, 2 wrong usage, 130 stopped by Ctrl-C and 143 by SIGTERM (what was read until then is
written), 141 the reader of standard output went away.

A run that writes a file keeps what it has read in FILE.partial.jsonl, until it has read everything.
After a stop, a kill or a power cut the same command with --resume goes on from there.

{notice.SHORT}
"""


_ENDLESS = 1e9
_ABOVE_0 = {
    "rate": 1000.0,
    "max_seconds": _ENDLESS,
    "jobs": _ENDLESS,
    "max_faces": _ENDLESS,
}  # option -> largest value

OUTPUTS = ("json", "csv", "html", "plot")
_NEEDS = {
    "gradients": "looks inside a network",
    "attention": "looks inside a network",
    "queries": "looks at the queries of a Q-Former",
}


class UsageError(Exception):
    """One sentence on what is wrong with the command line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Leave with one sentence rather than with the usage and a sentence."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see `python -m ferce --help`.")


def parse(argv: Sequence[str]) -> Namespace:
    """Parse the options given.

    Raises:
        UsageError: an unknown option, one that needs a value, or values that contradict each other.
    """
    given = _parser().parse_args(argv)
    if given.method is not None and not given.heatmap:
        raise UsageError("--method and --no-heatmap contradict each other; give one of them.")
    given.method = (given.method or "auto") if given.heatmap else None
    if given.target is not None:
        given.target = _label(given.target)
    for name, most in _ABOVE_0.items():
        value = getattr(given, name)
        if value is not None and not 0 < value <= most:
            limit = "" if most == _ENDLESS else f", at most {most:g}"
            raise UsageError(f"--{name.replace('_', '-')} must be above 0{limit}; got {value:g}.")
    return given


def _label(name: str) -> str:
    try:
        return labels.parse(name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m ferce",
        description="Read what the facial expressions in photos resemble, and why.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "photos",
        nargs="+",
        metavar="PHOTO|VIDEO",
        help="photos: a file, a folder (with its folders) or a glob; or videos",
    )
    add(
        "--json",
        metavar="F",
        help="write JSON to F; - is standard output",
    )
    add("--csv", metavar="F", help="write a table, one row a face")
    add("--html", metavar="F", help="write one self-contained page with pictures")
    _add_models(parser)
    _add_run(parser)
    _add_parts(parser)
    _add_video(parser)
    return parser


def _add_models(parser: argparse.ArgumentParser) -> None:
    for role, default, does in (
        ("classifier", models.DEFAULT_CLASSIFIER, "predicts"),
        ("voice", models.DEFAULT_VOICE, "answers and explains"),
    ):
        words = f"model that {does}, kind:where@revision; {default}"
        parser.add_argument(f"--{role}", default=default, metavar="SPEC", help=words)
    parser.add_argument(
        "--outcomes",
        default="all",
        choices=("all", "compounds"),
        help="what a face may be read as: compounds alone, or single emotions and neutral too; all",
    )
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 ..."
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--resume",
        action="store_true",
        help="go on with the same command that was stopped; what has changed is read again",
    )
    add(
        "--jobs",
        type=int,
        metavar="N",
        help="processes that read photos, each with its own models, on a GPU all on the same; one, "
        "or one a core for many photos by small models",
    )
    add(
        "--max-faces",
        type=int,
        default=100,
        metavar="N",
        help="read the N largest faces of a photo or frame, name the others; 100",
    )


def _add_parts(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ask", action="append", default=[], metavar="QUESTION", help="may be given repeatedly")
    add("--method", metavar="NAME", help="how the heat map is made; auto by default")
    add("--target", metavar="LABEL", help="label that the heat map explains; the predicted one")
    add("--no-heatmap", dest="heatmap", action="store_false", help="make no heat map")
    add("--no-explanation", dest="explanation", action="store_false", help="make no text")


def _add_video(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("videos")
    group.add_argument(
        "--plot", metavar="F", help="write the timeline as a picture (PNG, SVG, PDF)"
    )
    group.add_argument(
        "--rate", type=float, metavar="N", help="read N frames a second; every frame by default"
    )
    group.add_argument(
        "--max-seconds", type=float, default=600.0, metavar="N", help="longest video; 600"
    )


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
    reading(arguments)


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


def reading(arguments: Namespace) -> Options:
    """Choose what each reading holds; raises UsageError for a question that is none."""
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
    """Collect what rows depend on, as JSON: a run with other values does not go on from them."""
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
    """Map each output asked for to its file or "-"."""
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
