"""Command lines made from settings: one option for each field, and what every script does."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

from ferce.data import DataError
from ferce.models.hub import CheckpointError
from ferce.report.files import utf8_stdout
from ferce.training import mishaps
from ferce.training.progress import TrainingError

S = TypeVar("S")


def parser(text: str | None) -> argparse.ArgumentParser:
    """Make a parser whose help begins with a script's own text."""
    return argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_options(made: argparse.ArgumentParser, settings: type[object]) -> None:
    """Add an option for each field of a dataclass of `settings.setting` fields.

    A help is a full phrase; the default is put behind it.
    """
    for item in fields(settings):  # type: ignore[arg-type]
        made.add_argument("--" + item.name.replace("_", "-"), **_option(item))


def chosen(settings: type[S], given: argparse.Namespace) -> S:
    """Build the settings that the arguments mean.

    Raises:
        TrainingError: they contradict each other, or one is out of range.
    """
    names = [item.name for item in fields(settings)]  # type: ignore[arg-type]
    return settings(**{name: getattr(given, name) for name in names})


def add_run(made: argparse.ArgumentParser, output: Path) -> None:
    """Add the options of a run: its folder, and whether to go on."""
    made.add_argument(
        "--output", type=_folder, default=output, help=f"folder of the run (default {output})"
    )
    made.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in the folder of the run (default: start anew)",
    )


def _folder(text: str) -> Path:
    if text.encode(errors="ignore").decode() != text:
        raise argparse.ArgumentTypeError("safetensors writes to paths in Unicode only")
    return Path(text)


def run(script: str, main: Callable[[], None], *more: type[Exception]) -> None:
    """Call a script's main function; a mistake of the user ends it with one sentence.

    Args:
        script: name that stands before the sentence.
        main: takes its arguments from the command line.
        more: further errors of which each is one clear sentence.
    """
    expected: tuple[type[Exception], ...] = (TrainingError, DataError, CheckpointError, *more)
    utf8_stdout()
    try:
        main()
    except expected as error:
        sys.exit(f"{script}: {error}")
    except Exception as error:
        if (words := mishaps.sentence(error)) is None:
            raise
        sys.exit(f"{script}: {words}")


def _option(item: "Field[Any]") -> dict[str, Any]:
    default, choices = item.default, item.metadata["choices"] or None
    assert default is not MISSING, f"{item.name} needs a default"
    shown = f"default {default}" if default != "" else "default: none"
    text = item.metadata["help"]
    text = text if "default" in text else f"{text} ({shown})"
    made = {"default": default, "help": text.replace("%", "%%")}
    if isinstance(default, bool):
        return {**made, "action": argparse.BooleanOptionalAction}
    return {**made, "type": type(default), "choices": choices}
