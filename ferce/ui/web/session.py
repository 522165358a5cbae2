"""What the server remembers of each open page: a photo in memory, its faces, what was read."""

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.types import Answer, Face, Heatmap, Pixels, Reading, Report

if TYPE_CHECKING:
    from ferce.ui.web.loading import Models


@dataclass(frozen=True)
class Look:
    """What a heat map is asked for: `label`, rather than `against` where there is one."""

    label: str
    method: str
    against: str | None = None

    @property
    def words(self) -> str:
        """What the map speaks for: "happy", or "happy rather than sad"."""
        return f"{self.label} rather than {self.against}" if self.against else self.label


@dataclass(eq=False)
class Work:
    """One photograph being read. It fills up part by part, always by the one run that owns it.

    `turn` counts the choices made on the page; `path` is None where the photo was taken away;
    `models` read it to its end, whatever the page turns to meanwhile (None for the default).
    `newest` is the reading of the picked face as far as it has come. By number of the face,
    `asked` holds the answers to the user's own questions, `silent` why the questionnaire has none,
    and `looked` the map that the user chose;
    `looks` counts those choices, of which only the last is drawn.
    """

    turn: int = 0
    path: Path | None = None
    photo: Pixels | None = None
    faces: list[Face] = field(default_factory=list)
    readings: dict[int, Reading] = field(default_factory=dict)
    seconds: float = 0.0
    picked: int = 0
    newest: Reading | None = None
    asked: dict[int, list[Answer]] = field(default_factory=dict)
    silent: dict[int, str] = field(default_factory=dict)
    looked: dict[int, tuple[Look, Heatmap]] = field(default_factory=dict)
    looks: int = 0
    models: "Models | None" = None

    @property
    def answers(self) -> list[Answer]:
        """The user's own questions about the picked face, with their answers."""
        return self.asked.setdefault(self.picked, [])

    def report(self) -> Report:
        """All that is known so far; faces not yet picked are there without a prediction."""
        if self.photo is None or not self.faces:
            raise ValueError("there is no report before a face was found")
        height, width = self.photo.shape[:2]
        readings = [self._told(i) for i in range(len(self.faces))]
        name = self.path.name if self.path else "photo"
        return Report(name, (width, height), round(self.seconds, 3), tuple(readings))

    def _told(self, i: int) -> Reading:
        """The reading of a face with the answers to the user's own questions."""
        reading = self.readings.get(i) or Reading(self.faces[i])
        return replace(reading, answers=(*reading.answers, *self.asked.get(i, ())))


@dataclass
class Compared:
    """What the Compare tab holds: a photo, its faces once they were found, and which is picked."""

    path: Path | None = None
    names: tuple[str, ...] = ()
    faces: list[Face] = field(default_factory=list)
    picked: int = 0


class Session:
    """One browser tab. A run holds a `Work`; once that is no longer `work`, the run must stop.

    `models` are those chosen on this page, None for the default. Tabs without a `Work` take turns
    by name instead: a run stops once its turn is no longer the newest of its tab.
    """

    def __init__(self) -> None:
        self.work = Work()
        self.models: Models | None = None
        self.model = ""  # name of these models, "" for the default
        self.opened = ""  # name that the Models tab shows
        self.files: tuple[Path, ...] = ()  # of the Batch tab
        self.compared = Compared()
        self._turns: Counter[str] = Counter()
        self._halted: set[str] = set()
        self._closed = False

    def begin(self, path: Path | None = None) -> Work:
        """Start over with a new photograph; what runs for the old one is out of date from here."""
        self.work = Work(self.work.turn + 1, path, models=self.models)
        return self.work

    def take(self, tab: str) -> int:
        """The next turn of a tab; what runs there for an older one is out of date from here."""
        self._halted.discard(tab)
        self._turns[tab] += 1
        return self._turns[tab]

    def holds(self, tab: str, turn: int) -> bool:
        """Whether this turn is still the newest of its tab, and the page is open."""
        return not self._closed and self._turns[tab] == turn

    def halt(self, tab: str) -> None:
        """Ask the run of a tab to end early and to show what it has."""
        self._halted.add(tab)

    def halted(self, tab: str) -> bool:
        """Whether the run of a tab was asked to end early."""
        return tab in self._halted

    def close(self) -> None:
        """Every run of the page stops at its next step."""
        self._closed = True
        self.begin()

    def pick(self, index: int) -> Work:
        """Turn to another face of the same photograph, keeping what was read already."""
        old = self.work
        known = dict(old.readings)
        self.work = replace(old, turn=old.turn + 1, picked=index, readings=known, newest=None)
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
            session.close()

    def __len__(self) -> int:
        return len(self._open)
