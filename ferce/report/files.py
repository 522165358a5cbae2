"""Where results go: a file that appears whole or not at all, or standard output."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, TextIO

from ferce.core.types import Report

Target = str | os.PathLike[str]

STDOUT = "-"


class Writer(Protocol):
    """Takes reports one by one, so that nothing of them need be kept."""

    def add(self, report: Report) -> None:
        """Write one photo."""
        ...

    def finish(self) -> None:
        """Write what follows the last photo."""
        ...


def write_all(writer: Writer, reports: Iterable[Report]) -> None:
    """Bring every report to the writer and finish."""
    for report in reports:
        writer.add(report)
    writer.finish()


def problem(target: Target) -> str | None:
    """Why nothing can be written to `target`, as the end of a sentence; None when it can."""
    if target == STDOUT:
        return None
    path = Path(target)
    if path.is_dir():
        return "is a folder; give a file name in it"
    if not path.parent.is_dir():
        return "lies in a folder that does not exist; make it first"
    if path.exists() and not os.access(path, os.W_OK):
        return "cannot be written to; check its permissions"
    if not path.exists() and not os.access(path.parent, os.W_OK):
        return "lies in a folder that cannot be written to; check its permissions"
    return None


@contextmanager
def opened(target: Target) -> Iterator[TextIO]:
    r"""A text file in UTF-8 that replaces `target` at the end, or leaves it alone on an exception.

    "-" is standard output; a device or a pipe is written straight. Characters that UTF-8 cannot
    hold (bytes of odd file names) are written as \udcXX, which in JSON reads back as they were.
    """
    if target == STDOUT:
        yield _utf8_stdout()
        return
    path = Path(target).resolve()  # keeps a link a link
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with _open(path, "w") as file:
            yield file
        return
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        with _open(part, "x") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open(path: Path, mode: Literal["w", "x"]) -> TextIO:
    return path.open(mode, encoding="utf-8", errors="backslashreplace", newline="\n")


def _utf8_stdout() -> TextIO:
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # absent where tests replace stdout
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")
    return sys.stdout
