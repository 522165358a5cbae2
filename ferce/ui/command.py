"""One run of the command line: its signals, what it keeps, and where its result goes."""

import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self, TextIO

from ferce.core.parts import Report
from ferce.report import JsonWriter, page, photo_to_json, table, text
from ferce.report.files import STDOUT, Sink, is_replaced, opened
from ferce.report.page import HtmlWriter
from ferce.report.table import CsvWriter
from ferce.report.text import TextWriter, plain
from ferce.ui.journal import SUFFIX, Journal, Row

if TYPE_CHECKING:
    from ferce.reading.pipeline import Reader

Load = Callable[[Namespace], "Reader"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Make = Callable[[str, TextIO], Sink]
_ENTRIES: Mapping[str, Callable[[Report], Any]] = {
    "json": photo_to_json,
    "csv": table.lines,
    "html": lambda report: page.entry(report, draw=True),
    "text": text.entry,
}
_PLAIN = {**_ENTRIES, "html": lambda report: page.entry(report, draw=False)}


class Interruption:
    """While it is entered, takes note of the first signal; the second raises KeyboardInterrupt.

    Outside the main thread, and of a signal that is ignored already, it takes no note.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._breaks = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def noted(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    @property
    def name(self) -> str:
        """Of the signal."""
        return signal.Signals(self._number or signal.SIGINT).name

    @property
    def status(self) -> int:
        """What a program ends with after the signal: 128 and its number."""
        return 128 + (self._number or signal.SIGINT)

    @contextmanager
    def breaking(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt at once within, and one noted before."""
        self._breaks = True
        try:
            if self.noted:
                raise KeyboardInterrupt
            yield
        finally:
            self._breaks = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        again, self._number = self.noted, self._number or number
        if again or self._breaks:
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Command:
    """A checked command line; leaving it as a context closes the journal.

    Attributes:
        arguments: the options.
        paths: the photos or videos, in order.
        targets: format -> file or "-", text among them where standard output is free.
        load: makes the reader; raises UsageError.
        interruption: under way.
        journal: None where no file is written.
    """

    arguments: Namespace
    paths: Sequence[Path]
    targets: Mapping[str, str]
    load: Load
    interruption: Interruption
    journal: Journal | None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.journal is not None:
            self.journal.__exit__(*raised)

    def begin(self, models: Mapping[str, str]) -> None:
        """Open the journal; raises JournalError where it is of other models."""
        if self.journal is not None:
            self.journal.begin(models)

    def known(self, path: Path) -> Row | None:
        """Find the row of what need not be read again; see `Journal.known`."""
        return None if self.journal is None else self.journal.known(path)

    def keep(self, row: Row) -> None:
        """Put a row into the journal."""
        if self.journal is not None:
            self.journal.add(row)

    @property
    def hint(self) -> str:
        """How to go on from what is kept; empty where nothing is."""
        if self.journal is None or not len(self.journal):
            return ""
        return f" The same command with --resume goes on from {self.journal.path}."

    def end(self, tally: "Tally") -> None:
        """Remove the journal unless there is something to go on from."""
        if self.journal is not None and not (tally.interrupted and len(self.journal)):
            self.journal.remove()


@dataclass
class Tally:
    """How many photos or videos there are, how many were read in full or not at all."""

    total: int
    read: int = 0
    failed: int = 0
    interrupted: bool = False

    def add(self, row: Row) -> None:
        """Count a row."""
        self.failed += row.error is not None
        self.read += row.error is None

    @property
    def words(self) -> str:
        """Say what was done and what is left."""
        seen = self.read + self.failed
        return f"{seen:,} of {self.total:,} done, {self.total - seen:,} left"


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
