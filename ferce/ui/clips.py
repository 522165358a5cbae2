"""Videos on the command line: a timeline each, as text, CSV, JSON or a plot."""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.types import ReadingError
from ferce.reading.video import (
    Options,
    Timeline,
    VideoError,
    document,
    is_video,
    plot,
    table,
    words,
)
from ferce.reading.video.frames import Limits
from ferce.reading.video.watch import stream
from ferce.report.files import STDOUT, opened
from ferce.report.text import plain
from ferce.ui.arguments import UsageError

if TYPE_CHECKING:
    from ferce.reading.pipeline import Reader

# What is said of a photo alone; a video has no place for it.
_OF_PHOTOS = {
    "html": "--html",
    "target": "--target",
    "ask": "--ask",
}
_PLOTS = (".png", ".svg", ".pdf")


def asked(arguments: argparse.Namespace, paths: Sequence[Path]) -> bool:
    """Whether videos are named.

    Raises:
        UsageError: photos are named too, or an option does not fit what is named.
    """
    videos = [path for path in paths if is_video(path)]
    if not videos:
        if arguments.plot is not None or arguments.rate is not None:
            raise UsageError("--plot and --rate are for videos; none is named.")
        return False
    if len(videos) < len(paths):
        other = next(path for path in paths if path not in videos)
        raise UsageError(f"{videos[0]} is a video and {other} is none; read them apart.")
    for name, option in _OF_PHOTOS.items():
        if getattr(arguments, name):
            raise UsageError(f"{option} is for photos; leave it out to read {videos[0]}.")
    _check_plot(arguments.plot, videos)
    return True


def _check_plot(target: str | None, videos: Sequence[Path]) -> None:
    if target is None:
        return
    if len(videos) > 1:
        raise UsageError(f"--plot takes one video at a time; {len(videos)} are named.")
    if Path(target).suffix.lower() not in _PLOTS:
        raise UsageError(f"--plot {target} must end in {', '.join(_PLOTS)}.")


def run(
    arguments: argparse.Namespace, paths: Sequence[Path], reader: "Reader"
) -> tuple[list[str], bool]:
    """Read the videos and write what was asked for.

    Returns:
        One sentence for each video that could not be read, and whether the user interrupted.
    """
    failures: list[str] = []
    timelines: list[Timeline] = []
    for path in paths:
        try:
            timelines.append(_watched(path, reader, _options(arguments)))
        except VideoError as error:  # begins with the name
            failures.append(str(error))
        except ReadingError as error:
            failures.append(f"{path}: {error}")
        if timelines and not timelines[-1].complete:
            break
    interrupted = any(not timeline.complete for timeline in timelines)
    failures += _write(arguments, timelines, reader)
    return failures, interrupted


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        rate=arguments.rate,
        explain=arguments.explanation,
        limits=Limits(seconds=arguments.max_seconds),
    )


def _watched(path: Path, reader: "Reader", options: Options) -> Timeline:
    """The timeline, with a bar on a terminal; the first Ctrl-C keeps what was read until then."""
    from tqdm import tqdm

    last: Timeline | None = None
    with (
        _interruptible() as interrupted,
        tqdm(total=100, unit="%", file=sys.stderr, disable=None, desc=path.name[:30]) as bar,
    ):
        for part in stream(path, reader, options, interrupted.is_set, str(path)):
            if isinstance(part, Timeline):
                last = part
            else:
                bar.update(max(round(100 * part.share) - bar.n, 0))
    assert last is not None, "a video that can be read has a timeline"
    return last


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second ends the program as ever."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _write(
    arguments: argparse.Namespace, timelines: Sequence[Timeline], reader: "Reader"
) -> Iterator[str]:
    if arguments.csv is not None:
        table.write_csv(timelines, arguments.csv)
    if arguments.json is not None:
        document.write_json(timelines, reader.models, arguments.json)
    if STDOUT not in (arguments.csv, arguments.json):
        with opened(STDOUT) as file:
            for timeline in timelines:
                file.writelines(_line(line) for line in words.lines(timeline))
    if arguments.plot is not None:
        for timeline in timelines:
            try:
                plot.draw(timeline, arguments.plot)
            except ValueError as error:
                yield str(error)


def _line(text: str) -> str:
    """Free of control characters, with its indent."""
    return " " * (len(text) - len(text.lstrip())) + plain(text) + "\n"
