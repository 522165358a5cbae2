"""One run of the command line: its options, the signals that stop it, what it keeps."""

import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from ferce.ui.journal import Journal, Row

if TYPE_CHECKING:
    from ferce.reading.pipeline import Reader

Load = Callable[[Namespace], "Reader"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
