"""Ctrl-C and SIGTERM: reading is broken off at once, writing never is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

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
        """Within, a signal raises KeyboardInterrupt at once, and so does one noted before."""
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
