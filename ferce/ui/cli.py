"""The command line: photos in; text, JSON, CSV or a page out.

Exit status: 0 every photo was read; 1 some could not be read, each named with its reason on
standard error, or the result could not be written; 2 wrong usage, one sentence on standard error;
130 or 143 stopped by Ctrl-C or SIGTERM, what was read until then is written; 141 the reader of
standard output went away.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.images import ImageError, find, passed_over
from ferce.ui import clips, options, photos
from ferce.ui.command import (
    Command,
    Interruption,
    Tally,
    complain,
    journal_path,
    silence_stdout,
    with_text,
)
from ferce.ui.journal import Journal, JournalError
from ferce.ui.options import UsageError

if TYPE_CHECKING:
    from ferce.reading.pipeline import Reader

READ, SOME_FAILED, USAGE, INTERRUPTED, TERMINATED, PIPE = 0, 1, 2, 130, 143, 141

Opener = Callable[[Namespace], "Reader"]


def open_reader(arguments: Namespace) -> "Reader":
    """Open the reader that the options name; raises ValueError for an unknown spec."""
    from ferce import models
    from ferce.faces.detector import FaceDetector
    from ferce.reading.pipeline import Reader

    classifier = models.load_classifier(arguments.classifier, arguments.device)
    if arguments.outcomes == "compounds":
        classifier = models.given_compound(classifier)
    speaks = arguments.explanation or arguments.ask  # else no network is loaded for a voice
    voice = models.load_voice(
        arguments.voice if speaks else models.MEASURED_VOICE, arguments.device
    )
    return Reader(classifier, voice, FaceDetector(arguments.max_faces))


def main(argv: Sequence[str] | None = None, opener: Opener = open_reader) -> int:
    """Run the command line and return the exit status; `opener` makes the reader."""
    with Interruption() as interruption:
        try:
            status = _main(sys.argv[1:] if argv is None else argv, opener, interruption)
            sys.stdout.flush()
        except (UsageError, ImageError, JournalError) as error:
            complain(f"ferce: {error}")
            return USAGE
        except BrokenPipeError:
            silence_stdout()
            return PIPE
        except KeyboardInterrupt:  # while photos are looked for
            complain("ferce: interrupted; nothing was read.")
            return interruption.status
    return status


def _main(argv: Sequence[str], opener: Opener, interruption: Interruption) -> int:
    arguments = options.parse(argv)
    options.check(arguments)
    if opener is not open_reader and arguments.jobs is None:
        arguments.jobs = 1  # a reader of the caller's may not be able to go to other processes
    with interruption.breaking():
        paths = find(arguments.photos)
        _complain_of(passed_over(arguments.photos))
    targets = options.targets(arguments)
    options.check_targets(targets, paths)
    run = clips.run if clips.asked(arguments, paths) else photos.run
    with interruption.breaking():
        journal = _journal(arguments, targets)
    load = partial(_load, opener)
    command = Command(arguments, paths, with_text(targets), load, interruption, journal)
    with command:
        return _ended(command, run)


def _complain_of(others: Sequence[Path]) -> None:
    """Name what lies in the folders and is not read with the photos there."""
    if others:
        names = ", ".join(path.name for path in others[:3]) + (", …" if len(others) > 3 else "")
        complain(f"ferce: not read, as only photos are in a folder: {names} ({len(others)}).")


def _journal(arguments: Namespace, targets: Mapping[str, str]) -> Journal | None:
    """Open the journal beside the first file; None where there is no file.

    Raises:
        UsageError: the run is to go on from one all the same.
        JournalError: see `Journal`.
    """
    path = journal_path(targets)
    if path is not None:
        return Journal(path, options.asked(arguments), arguments.resume)
    if arguments.resume:
        raise UsageError("--resume goes on from what lies beside a file; name it as before.")
    return None


def _load(opener: Opener, arguments: Namespace) -> "Reader":
    """Load the reader; raises UsageError with one sentence where the models cannot be used."""
    try:
        reader = opener(arguments)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise UsageError(str(error) or f"The models cannot be loaded ({error!r}).") from error
    try:
        options.check_opened(arguments.method, reader.classifier)
    except UsageError:
        with reader:
            raise
    return reader


def _ended(command: Command, run: Callable[[Command], Tally]) -> int:
    """Do it, and say what is missing at the end."""
    try:
        tally = run(command)
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(f"ferce: the result cannot be written: {error}.{command.hint}")
        return SOME_FAILED
    except KeyboardInterrupt:  # while models are loaded or files are written
        complain(f"ferce: interrupted; no file was written.{command.hint}")
        return command.interruption.status
    command.end(tally)
    if tally.interrupted:
        complain(
            f"ferce: interrupted by {command.interruption.name}; {tally.words}; what was read is "
            f"written.{command.hint}"
        )
        return command.interruption.status
    return SOME_FAILED if tally.failed else READ
