"""Where the result of a run goes: its formats, files that appear whole, and standard output."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from operator import methodcaller
from pathlib import Path
from typing import Any, Self, TextIO

from ferce.core.types import Report
from ferce.report import JsonWriter, page, photo_to_json, table, text
from ferce.report.files import STDOUT, Sink, is_replaced, opened
from ferce.report.page import HtmlWriter
from ferce.report.table import CsvWriter
from ferce.report.text import TextWriter, plain
from ferce.ui.journal import SUFFIX, Row

Make = Callable[[str, TextIO], Sink]

_ENTRIES: Mapping[str, Callable[[Report], Any]] = {
    "json": photo_to_json,
    "csv": table.lines,
    "html": lambda report: page.entry(report, draw=True),
    "text": text.entry,
}
_PLAIN = {**_ENTRIES, "html": lambda report: page.entry(report, draw=False)}


class Outputs:
    """One sink a format, fed row by row; left without an exception, the files are in place."""

    def __init__(self, targets: Mapping[str, str], make: Make) -> None:
        """`targets` maps a format to a file or "-"; `make` gives the sink of a format on a file."""
        self._targets, self._make = targets, make
        self._sinks: dict[str, Sink] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, target in self._targets.items():
                sink = self._make(name, stack.enter_context(opened(target)))
                if isinstance(sink, AbstractContextManager):
                    stack.enter_context(sink)
                self._sinks[name] = sink
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.__exit__(*raised)  # type: ignore[arg-type]

    def put(self, row: Row) -> None:
        """Bring what each format says to its sink.

        Raises:
            BrokenPipeError: the reader of standard output went away, and nothing else is written.
        """
        for name, entry in row.entries.items():
            if name in self._sinks:
                self._try(name, methodcaller("put", entry))

    def finish(self) -> None:
        """Write what follows the last row; raises as `put` does."""
        for name in list(self._sinks):
            self._try(name, lambda sink: sink.finish())

    def _try(self, name: str, write: Callable[[Sink], None]) -> None:
        """Write to a sink; one whose reader went away is dropped if others remain."""
        try:
            write(self._sinks[name])
        except BrokenPipeError:
            if len(self._sinks) == 1:
                raise
            del self._sinks[name]
            silence_stdout()


def complain(text: str) -> None:
    """Write one line to standard error that cannot steer a terminal."""
    sys.stderr.write(plain(text) + "\n")


def silence_stdout() -> None:
    """Send the rest nowhere, so that Python's own flush at exit does not fail again."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # a replaced stdout, as in tests
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), number)


def with_text(targets: Mapping[str, str]) -> dict[str, str]:
    """Format -> target, with text on standard output unless another takes it; without a plot."""
    kept = {name: target for name, target in targets.items() if name != "plot"}
    return kept if STDOUT in kept.values() else {**kept, "text": STDOUT}


def journal_path(targets: Mapping[str, str]) -> Path | None:
    """Place it beside the first file with rows; None where all is written straight."""
    files = [Path(where) for where in with_text(targets).values() if is_replaced(where)]
    return files[0].with_name(files[0].name + SUFFIX) if files else None


def entries(report: Report, formats: Iterable[str], *, draw: bool = True) -> dict[str, Any]:
    """Make the entry of each format, which is JSON data; pictures for the page only if `draw`."""
    make = _ENTRIES if draw else _PLAIN
    return {name: make[name](report) for name in formats}


def sink(name: str, file: TextIO, models: Mapping[str, str]) -> Sink:
    """Make the writer of a format; that of "html" must be left as a context."""
    make: dict[str, Callable[[], Sink]] = {
        "json": lambda: JsonWriter(file, models),
        "csv": lambda: CsvWriter(file),
        "html": lambda: HtmlWriter(file, models),
        "text": lambda: TextWriter(file),
    }
    return make[name]()
