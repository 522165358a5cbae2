"""The command line: photos in; text, JSON, CSV or a page out.

Exit status: 0 every photo was read; 1 some could not be read, each named with its reason on
standard error; 2 wrong usage, one sentence on standard error; 130 interrupted, what was read until
then is written; 141 the reader of standard output went away.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ferce.core.types import Report
from ferce.images import ImageError, find
from ferce.report import JsonWriter
from ferce.report.files import STDOUT, Writer, opened, problem
from ferce.report.page import HtmlWriter
from ferce.report.table import CsvWriter
from ferce.report.text import TextWriter, plain
from ferce.ui import clips
from ferce.ui.arguments import UsageError, parse

if TYPE_CHECKING:
    from ferce.reading.pipeline import Options, Reader

READ, SOME_FAILED, USAGE, INTERRUPTED, PIPE = 0, 1, 2, 130, 141

Opener = Callable[[argparse.Namespace], "Reader"]


def open_reader(arguments: argparse.Namespace) -> "Reader":
    """The reader that the options name; raises ValueError for an unknown spec."""
    from ferce import models
    from ferce.reading.pipeline import Reader

    classifier = arguments.classifier or models.DEFAULT_CLASSIFIER
    voice = arguments.voice or models.DEFAULT_VOICE
    return Reader(
        models.load_classifier(classifier, arguments.device),
        models.load_voice(voice, arguments.device),
    )


def main(argv: Sequence[str] | None = None, opener: Opener = open_reader) -> int:
    """Run the command line and return the exit status; `opener` makes the reader."""
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        photos = find(arguments.photos)
        _check_targets(_targets(arguments), photos)
        run = _run_clips if clips.asked(arguments, photos) else _run
        status = run(arguments, photos, opener)
        sys.stdout.flush()
    except (UsageError, ImageError) as error:
        sys.stderr.write(f"ferce: {plain(str(error))}\n")
        return USAGE
    except BrokenPipeError:
        _silence_stdout()
        return PIPE
    except KeyboardInterrupt:  # while models are loaded or a file is written
        _complain("ferce: interrupted; no file was written.")
        return INTERRUPTED
    return status


def _targets(arguments: argparse.Namespace) -> dict[str, str]:
    """Option -> file, of those given."""
    every = {f"--{name}": getattr(arguments, name) for name in ("json", "csv", "html", "plot")}
    return {option: target for option, target in every.items() if target is not None}


def _check_targets(targets: dict[str, str], photos: Sequence[Path]) -> None:
    """Refuse before anything is read what could not be written after."""
    taken: dict[Any, str] = {}
    for option, target in targets.items():
        if why := problem(target):
            raise UsageError(f"{option} {target} {why}.")
        place = STDOUT if target == STDOUT else Path(target).resolve()
        if place in taken:
            raise UsageError(f"{option} and {taken[place]} both name {target}; name two files.")
        taken[place] = option
    for photo in photos if any(target != STDOUT for target in targets.values()) else ():
        if option := taken.get(photo.resolve(), ""):
            raise UsageError(f"{option} {photo} would overwrite a photo to be read.")


@dataclass
class _Tally:
    failed: int = 0
    interrupted: bool = False

    @property
    def status(self) -> int:
        return INTERRUPTED if self.interrupted else SOME_FAILED if self.failed else READ


def _run(arguments: argparse.Namespace, photos: Sequence[Path], opener: Opener) -> int:
    tally, options = _Tally(), _options(arguments)
    with ExitStack() as stack:
        reader = stack.enter_context(_loaded(arguments, opener))
        _check_method(arguments.method, reader)
        writers = list(_writers(arguments, reader, stack))
        for report in _reports(reader, photos, options, tally):
            _add(writers, report)
            if report.error is not None:
                tally.failed += 1
                _complain(f"{report.photo}: {report.error}")
        for writer in writers:
            writer.finish()
        if tally.interrupted:
            _complain("ferce: interrupted; what was read until then is written.")
    return tally.status


def _run_clips(arguments: argparse.Namespace, paths: Sequence[Path], opener: Opener) -> int:
    with _loaded(arguments, opener) as reader:
        failures, interrupted = clips.run(arguments, paths, reader)
    for failure in failures:
        _complain(failure)
    if interrupted:
        _complain("ferce: interrupted; what was read until then is written.")
    return _Tally(len(failures), interrupted).status


def _options(arguments: argparse.Namespace) -> "Options":
    from ferce.reading.pipeline import Options

    try:
        return Options(
            questions=tuple(arguments.ask),
            method=arguments.method,
            target=arguments.target,
            explain=arguments.explanation,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextmanager
def _loaded(arguments: argparse.Namespace, opener: Opener) -> Iterator["Reader"]:
    """The reader; a model that cannot be had ends the run with one sentence."""
    try:
        reader = opener(arguments)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise UsageError(str(error) or f"The models cannot be loaded ({error!r}).") from error
    with reader:
        yield reader


def _check_method(method: str | None, reader: "Reader") -> None:
    """Refuse, before the first photo, an unknown method or one that the classifier cannot do."""
    from ferce.core.protocols import Explainable
    from ferce.explanation.heatmaps import METHODS

    if method is None or method == "auto":
        return
    if method not in METHODS:
        raise UsageError(f"Unknown method {method!r}. Known methods: auto, {', '.join(METHODS)}.")
    free = [name for name, row in METHODS.items() if row.need == "any classifier"]
    if method not in free and not isinstance(reader.classifier, Explainable):
        raise UsageError(
            f"Method {method!r} looks inside a network, which {reader.classifier.name!r} does not "
            f"open; use one of: auto, {', '.join(free)}."
        )


def _writers(arguments: argparse.Namespace, reader: "Reader", stack: ExitStack) -> Iterator[Writer]:
    """One writer an output; text on standard output unless another takes it."""
    make: dict[str, Callable[[TextIO], Writer]] = {
        "--json": lambda file: JsonWriter(file, reader.models),
        "--csv": CsvWriter,
        "--html": lambda file: stack.enter_context(HtmlWriter(file, reader.models)),
    }
    targets = _targets(arguments)
    for option, target in targets.items():
        yield make[option](stack.enter_context(opened(target)))
    if STDOUT not in targets.values():
        yield TextWriter(stack.enter_context(opened(STDOUT)))


def _reports(
    reader: "Reader", photos: Sequence[Path], options: "Options", tally: _Tally
) -> Iterator[Report]:
    """One report a photo, with a progress bar for many; ends when interrupted while reading."""
    from tqdm import tqdm

    hidden = True if len(photos) == 1 else None  # None: hidden where there is no terminal
    with tqdm(total=len(photos), unit="photo", file=sys.stderr, disable=hidden) as bar:
        for photo in photos:
            try:
                report = _read(reader, photo, options)
            except KeyboardInterrupt:
                tally.interrupted = True
                return
            with bar.external_write_mode(file=sys.stdout):  # no text runs into the bar
                yield report
            bar.update()


def _read(reader: "Reader", photo: Path, options: "Options") -> Report:
    """The report; a fault of ours costs one photo, not the run, and says so."""
    try:
        return reader.read(photo, name=str(photo), options=options)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        return Report(str(photo), error=f"A fault in ferce kept it from being read ({fault}).")


def _add(writers: list[Writer], report: Report) -> None:
    """Bring the report to every writer; one whose reader went away is dropped if others remain."""
    for writer in list(writers):
        try:
            writer.add(report)
        except BrokenPipeError:
            if len(writers) == 1:
                raise
            writers.remove(writer)
            _silence_stdout()


def _complain(text: str) -> None:
    sys.stderr.write(plain(text) + "\n")


def _silence_stdout() -> None:
    """Send the rest nowhere, so that Python's own flush at exit does not fail again."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # a replaced stdout, as in tests
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), number)
