"""Where results go: a file that appears whole or not at all, or standard output."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TextIO

from ferce.core.parts import Report

Target = str | os.PathLike[str]

STDOUT = "-"
_TEXT: Any = {"encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}


class Sink(Protocol):
    """Takes the entries of a format in order, so that nothing of them need be kept."""

    def put(self, entry: Any) -> None:
        """Write what the format says of one photo or video; an entry is JSON data."""
        ...

    def finish(self) -> None:
        """Write what follows the last entry."""
        ...


class Writer(Sink, Protocol):
    """A sink that makes the entries of photos, too."""

    def add(self, report: Report) -> None:
        """Write one photo."""
        ...


def problem(target: Target) -> str | None:
    """Say why nothing can be written to `target`, as the end of a sentence; None when it can."""
    if target == STDOUT:
        return None
    path = Path(target)
    if path.is_dir():
        return "is a folder; give a file name in it"
    if not path.parent.is_dir():
        return "lies in a folder that does not exist; make it first"
    if path.exists() and not os.access(path, os.W_OK):
        return "cannot be written to; check its permissions"
    if is_replaced(path) and not os.access(path.resolve().parent, os.W_OK):
        return "lies in a folder that cannot be written to; check its permissions"
    return None


@contextmanager
def opened(target: Target) -> Iterator[TextIO]:
    r"""Open a text file in UTF-8 that replaces `target` at the end, but not on an exception.

    "-" is standard output; a device or a pipe is written straight. Characters that UTF-8 cannot
    hold (bytes of odd file names) are written as \udcXX, which in JSON reads back as they were.
    Until the end the text lies in a temporary file without a name, of which a kill leaves nothing.
    """
    path = Path(target).resolve()  # keeps a link a link
    if target == STDOUT:
        yield utf8_stdout()
    elif not is_replaced(path):
        with path.open("w", **_TEXT) as file:
            yield file
    else:
        with tempfile.TemporaryFile("w+", dir=path.parent, **_TEXT) as file:
            yield file  # type: ignore[misc]
            file.flush()
            _replace(path, file.buffer)


def is_replaced(target: Target) -> bool:
    """Tell whether the target is a file, there or to be made; not a device, a pipe or "-"."""
    path = Path(target)
    return target != STDOUT and (not path.exists() or stat.S_ISREG(path.stat().st_mode))


def _replace(path: Path, content: IO[bytes]) -> None:
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    content.seek(0)
    try:
        with part.open("xb") as file:
            shutil.copyfileobj(content, file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def utf8_stdout() -> TextIO:
    r"""Make standard output take names of any file, bytes that are no Unicode as \udcXX."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # absent where tests replace stdout
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")
    return sys.stdout
