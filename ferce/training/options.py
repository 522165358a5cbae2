"""Settings that all trainings share, command lines made from them, and how a script ends."""

import argparse
import errno
import sys
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ferce.data import DataError
from ferce.models.hub import CheckpointError
from ferce.report.files import utf8_stdout
from ferce.training.progress import TrainingError

S = TypeVar("S")

Json = dict[str, Any]  # an object of JSON
DETECT = ("auto", "yes", "no")
AUGMENT = ("full", "wild", "flip", "none")
DEVICES = ("auto", "cpu")
LOSSES = ("cross-entropy", "class-balanced", "logit-adjusted")
SAMPLERS = ("shuffled", "weighted")


def parser(text: str | None) -> argparse.ArgumentParser:
    """Make a parser whose help begins with a script's own text."""
    return argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_options(made: argparse.ArgumentParser, settings: type[object]) -> None:
    """Add an option for each field of a dataclass of `setting` fields.

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


_AGAIN = "the last whole checkpoint is still there, and the same command with --resume goes on."


def run(script: str, main: Callable[[], None], *more: type[Exception], again: str = _AGAIN) -> None:
    """Call a script's main function; a mistake of the user ends it with one sentence.

    Args:
        script: name that stands before the sentence.
        main: takes its arguments from the command line.
        more: further errors of which each is one clear sentence.
        again: how to go on where disk, memory or another process failed; ends a sentence.
    """
    expected: tuple[type[Exception], ...] = (TrainingError, DataError, CheckpointError, *more)
    utf8_stdout()
    try:
        main()
    except Exception as error:
        if isinstance(error, expected) and not _is_full(error):
            sys.exit(f"{script}: {error}")
        if (words := mishap(error, again)) is None:
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


def setting(default: Any, text: str, choices: tuple[str, ...] = ()) -> Any:
    """Define a field with its help, a full phrase, and the values that it may have (() for any)."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """Where the faces come from; each field's help says what it means.

    Raises:
        TrainingError: a field is out of range.
    """

    # Fields that change where and how fast a run goes, but not what it computes.
    FREE: ClassVar[tuple[str, ...]] = ()
    # Field -> its least value, where that is not 0.
    LEAST: ClassVar[Mapping[str, int]] = {"jobs": 1}
    SHARES: ClassVar[tuple[str, ...]] = ("val_share",)  # these lie in 0..1, without 1

    data: str = setting("demo", "spec of the data set to learn from, such as rafce:/data/RAF-CE")
    more: str = setting("", "spec of another data set whose training faces join, such as renders")
    more_times: int = setting(1, "times that each of those faces is seen in an epoch")
    val_share: float = setting(
        0.15, "share 0..1 of people held out for validation where the data has no val split"
    )
    detect: str = setting(
        "auto", "find and align the face first; auto does so unless pictures are crops", DETECT
    )
    cache: str = setting("", "folder of aligned faces (default ~/.cache/ferce/aligned)")
    jobs: int = setting(1, "processes that align faces")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, choices = getattr(self, item.name), item.metadata["choices"]
            if choices and value not in choices:
                raise TrainingError(f"{item.name} must be one of {choices}; got {value!r}.")
            if isinstance(value, int | float):
                self._check_number(item.name, value)

    def _check_number(self, name: str, value: float) -> None:
        least = self.LEAST.get(name, 0)
        if value < least:
            wanted = f"be at least {least}" if least else "not be negative"
            raise TrainingError(f"{name} must {wanted}; got {value}.")
        if name in self.SHARES and value >= 1:
            raise TrainingError(f"{name} must lie in 0..1; got {value}.")

    def differs(self, other: Mapping[str, object]) -> list[str]:
        """Name the fields that make another run than `other`, a plan as JSON holds it."""
        mine = asdict(self)
        return [n for n in mine if n not in self.FREE and mine[n] != other.get(n)]


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# As safetensors, which gives no number, tells of a disk.
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_LOST = ("Connection closed by peer", "Connection reset by peer")  # as gloo and NCCL tell


def mishap(error: BaseException, again: str = _AGAIN) -> str | None:
    """Say what happened and how to go on; None for what is a fault of ferce's own."""
    import torch

    text = str(error)
    if _is_full(error):
        return f"The disk is full ({text}). Free some space; {again}"
    if isinstance(error, torch.OutOfMemoryError):
        return f"The GPU's memory is full; end what else uses it, or use --device cpu; {again}"
    if not isinstance(error, RuntimeError):
        return None
    if isinstance(error, BrokenProcessPool) or text.startswith("DataLoader worker"):
        return (
            "A process that prepared pictures ended, perhaps for want of memory; use fewer "
            f"(--jobs, --workers); {again}"
        )
    if any(words in text for words in _LOST):
        return f"Another process of this run ended; {again}"
    return None


def _is_full(error: BaseException) -> bool:
    """Tell whether a disk is full, or a quota is used up."""
    from safetensors import SafetensorError

    if isinstance(error, SafetensorError):
        return any(words in str(error) for words in _FULL)
    return isinstance(error, OSError) and error.errno in _DISK
