"""What the server remembers of each open page: a photo in memory, its faces, what was read."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferce.types import Face, Pixels, Reading, Report


@dataclass(eq=False)
class Work:
    """One photograph being read. It fills up part by part, always by the one run that owns it.

    `turn` counts the choices made on the page; `path` is None where the photo was taken away.
    """

    turn: int = 0
    path: Path | None = None
    photo: Pixels | None = None
    faces: list[Face] = field(default_factory=list)
    readings: dict[int, Reading] = field(default_factory=dict)
    seconds: float = 0.0
    picked: int = 0

    def report(self) -> Report:
        """All that is known so far; faces not yet picked are there without a prediction."""
        if self.photo is None or not self.faces:
            raise ValueError("there is no report before a face was found")
        height, width = self.photo.shape[:2]
        readings = [self.readings.get(i) or Reading(face) for i, face in enumerate(self.faces)]
        name = self.path.name if self.path else "photo"
        return Report(name, (width, height), round(self.seconds, 3), tuple(readings))


class Session:
    """One browser tab. A run holds a `Work`; once that is no longer `work`, the run must stop."""

    def __init__(self) -> None:
        self.work = Work()

    def begin(self, path: Path | None = None) -> Work:
        """Start over with a new photograph; what runs for the old one is out of date from here."""
        self.work = Work(self.work.turn + 1, path)
        return self.work

    def pick(self, index: int) -> Work:
        """Turn to another face of the same photograph, keeping what was read already."""
        old = self.work
        self.work = replace(old, turn=old.turn + 1, picked=index, readings=dict(old.readings))
        return self.work


class Sessions:
    """The open pages by the id that Gradio gives each; a page that closes is forgotten at once."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def of(self, page: str) -> Session:
        """The session of a page, new if it is not known."""
        with self._lock:
            return self._open.setdefault(page, Session())

    def close(self, page: str) -> None:
        """Forget a page; its running work stops at the next step."""
        with self._lock:
            session = self._open.pop(page, None)
        if session is not None:
            session.begin()

    def __len__(self) -> int:
        return len(self._open)
