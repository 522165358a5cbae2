"""A subcommand of `train/benchmark.py`, and the options that several of them take."""

import argparse
import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "ferce/data/demo/examples/smile.jpg"

Option = tuple[str, Any, str]  # name, default, and what it is


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        run: measures and prints; gives the figures as JSON data. Its name is the subcommand's.
        add: adds its options to a parser.
    """

    run: Callable[[argparse.Namespace], Any]
    add: Callable[[argparse.ArgumentParser], None]

    @property
    def name(self) -> str:
        """The name of the subcommand."""
        return self.run.__name__


def add_options(one: argparse.ArgumentParser, *options: Option) -> None:
    """Add options; each is of its default's type."""
    for name, default, text in options:
        help_ = f"{text} (default {default})"
        one.add_argument(f"--{name}", type=type(default), default=default, help=help_)


def add_photo(one: argparse.ArgumentParser) -> None:
    """Add the photo to read."""
    one.add_argument("--photo", default=str(PHOTO), help="a photo with one face")


def add_photos(one: argparse.ArgumentParser) -> None:
    """Add the folder of photos to read."""
    folder = ROOT / "ferce/data/demo/examples"
    help_ = "folder of photos (default the packaged examples)"
    one.add_argument("--photos", type=Path, default=folder, help=help_)


def add_against(one: argparse.ArgumentParser) -> None:
    """Add another checkout."""
    one.add_argument("--against", type=Path, help="another checkout to compare with")


def checkouts(chosen: argparse.Namespace) -> Sequence[Path]:
    """List this checkout, and the one to compare with.

    Raises:
        ValueError: that is none.
    """
    if chosen.against is None:
        return (ROOT,)
    if not (chosen.against / "ferce").is_dir():
        raise ValueError(f"--against {chosen.against} is no checkout of ferce.")
    return ROOT, chosen.against.resolve()


def browser() -> str:
    """Find Chromium, and the package that drives it.

    Raises:
        ValueError: one of them is missing.
    """
    path = shutil.which("chromium")
    if path is None or importlib.util.find_spec("playwright") is None:
        raise ValueError("the page is measured with chromium on the path and playwright installed")
    return path
