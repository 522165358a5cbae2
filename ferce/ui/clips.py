"""Videos on the command line: a timeline each, as text, CSV, JSON or a plot."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.types import ReadingError
from ferce.reading.video import (
    Options,
    Timeline,
    VideoError,
    formats,
    is_video,
    plot,
)
from ferce.reading.video.frames import Limits
from ferce.reading.video.watch import stream
from ferce.ui.command import Command, Outputs, Tally, complain
from ferce.ui.journal import Row, stamp_of
from ferce.ui.options import UsageError

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
    """Tell whether videos are named.

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
    if arguments.jobs is not None and arguments.jobs > 1:
        raise UsageError(f"--jobs is for photos; leave it out to read {videos[0]}.")
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


def run(command: Command) -> Tally:
    """Read the videos and write what was asked for, each as it ends.

    The first signal keeps what was read of a video until then; `--resume` reads it again.

    Raises:
        UsageError: the models cannot be had.
        JournalError: the journal is of other models.
    """
    tally = Tally(len(command.paths))
    with ExitStack() as stack:
        with command.interruption.breaking():
            reader = stack.enter_context(command.load(command.arguments))
        command.begin(reader.models)
        make = partial(formats.sink, models=reader.models)
        outputs = stack.enter_context(Outputs(command.targets, make))
        for row in _rows(command, reader, tally):
            outputs.put(row)
            if row.error is not None:
                complain(row.error)
        outputs.finish()
    return tally


def _rows(command: Command, reader: "Reader", tally: Tally) -> Iterator[Row]:
    """Read the videos, a row each; of one that is broken off, with what was read until then."""
    for path in command.paths:
        row = command.known(path)
        if row is None and not command.interruption.noted:
            row = _read(path, reader, command)
            if not command.interruption.noted:
                command.keep(row)
            else:
                tally.interrupted = True
                yield row
                continue
        if row is None:
            tally.interrupted = True
            continue
        tally.add(row)
        yield row


def _read(path: Path, reader: "Reader", command: Command) -> Row:
    stamp, name = stamp_of(path), str(path)
    try:
        timeline = _watched(path, reader, command)
    except VideoError as error:  # begins with the name
        return Row(name, stamp, str(error))
    except ReadingError as error:
        return Row(name, stamp, f"{path}: {error}")
    undrawn = _plotted(timeline, command.arguments.plot)
    entries = formats.entries(timeline, command.targets)
    return Row(name, stamp, undrawn, len(timeline.tracks), entries)


def _plotted(timeline: Timeline, target: str | None) -> str | None:
    """Draw the plot, if one is asked for; gives the reason why there is none."""
    try:
        if target is not None:
            plot.draw(timeline, target)
    except ValueError as error:
        return str(error)
    return None


def _watched(path: Path, reader: "Reader", command: Command) -> Timeline:
    """Watch a clip to its timeline, with a bar on a terminal."""
    from tqdm import tqdm

    arguments, last = command.arguments, None
    options = Options(
        rate=arguments.rate,
        explain=arguments.explanation,
        limits=Limits(seconds=arguments.max_seconds),
    )
    with tqdm(total=100, unit="%", file=sys.stderr, disable=None, desc=path.name[:30]) as bar:
        for part in stream(path, reader, options, lambda: command.interruption.noted, str(path)):
            if isinstance(part, Timeline):
                last = part
            else:
                bar.update(max(round(100 * part.share) - bar.n, 0))
    assert last is not None, "a video that can be read has a timeline"
    return last
