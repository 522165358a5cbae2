"""What the server remembers of each open page: a photo in memory, its faces, what was read."""

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.parts import Answer, Reading, Report
from ferce.core.types import Face, Pixels

if TYPE_CHECKING:
    from ferce.reading.video import Timeline
    from ferce.ui.web.models import Models

READ, MAP = "read", "map"  # turns that end with the photo or the face on the Read tab


@dataclass(frozen=True)
class MapRequest:
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

    Attributes:
        models: read it to its end, whatever the page turns to meanwhile.
        path: None where the photo was taken away.
        photo: its pixels, once it was opened.
        faces: all of them, largest first.
        picked: number of the face on the page, from 0; a key of what follows.
        newest: its reading as far as it has come.
        readings: those that are complete.
        own_answers: answers to the visitor's own questions.
        unanswered: why the questionnaire has no answers.
        maps: what the visitor asked the heat map for, and a reading that has that map.
        located: readings without words yet, for a voice that is to speak of them anew.
        seconds: spent on all of this.
        note: what of the photo's file was not read.
    """

    models: "Models"
    path: Path | None = None
    photo: Pixels | None = None
    faces: list[Face] = field(default_factory=list)
    picked: int = 0
    newest: Reading | None = None
    readings: dict[int, Reading] = field(default_factory=dict)
    own_answers: dict[int, list[Answer]] = field(default_factory=dict)
    unanswered: dict[int, str] = field(default_factory=dict)
    maps: dict[int, tuple[MapRequest, Reading]] = field(default_factory=dict)
    located: dict[int, Reading] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""

    @property
    def answers(self) -> list[Answer]:
        """The visitor's own questions about the picked face, with their answers."""
        return self.own_answers.setdefault(self.picked, [])

    def report(self) -> Report:
        """Report all that is known so far; faces not yet picked have no prediction."""
        if self.photo is None or not self.faces:
            raise ValueError("there is no report before a face was found")
        height, width = self.photo.shape[:2]
        readings = tuple(self._with_answers(i) for i in range(len(self.faces)))
        name = self.path.name if self.path else "photo"
        return Report(name, (width, height), round(self.seconds, 3), readings, note=self.note)

    def _with_answers(self, i: int) -> Reading:
        """Add the answers to the visitor's own questions to the reading of a face."""
        reading = self.readings.get(i) or Reading(self.faces[i])
        return replace(reading, answers=(*reading.answers, *self.own_answers.get(i, ())))


def wordless(reading: Reading) -> Reading:
    """Take what a voice said from a reading."""
    said = {"explanation": None, "revised": None, "faithfulness": None, "answers": ()}
    return replace(reading, **said)  # type: ignore[arg-type]


@dataclass
class Column:
    """What one model says: `trouble` is why it says nothing, `doing` what it is busy with."""

    name: str
    reading: Reading | None = None
    seconds: float = 0.0
    doing: str = ""
    trouble: str = ""
    voice: str = ""


@dataclass
class Compared:
    """What the Compare tab holds: a photo, its faces once they were found, and which is picked."""

    path: Path | None = None
    names: tuple[str, ...] = ()
    photo: Pixels | None = None
    faces: list[Face] = field(default_factory=list)
    picked: int = 0


@dataclass
class Clip:
    """What the Video tab holds: a clip, what was read of it, and which of its faces is picked."""

    path: Path | None = None
    timeline: "Timeline | None" = None
    picked: int = 0


class Session:
    """One open page: what each tab holds, and turns, by which a newer run ends an older one.

    Attributes:
        models: those that the page uses.
        spoken: the same, with the voice of the visitor's choice.
        model: their spec, "" for the default.
        opened: spec of the model whose facts the Models tab shows, "" for the one in use.
        work: of the Read tab.
        compared: of the Compare tab.
        clip: of the Video tab.
        files: of the Batch tab.
        details: the readings of its rows as HTML.
        answering: held while an event is answered, as several may come at the same moment.
    """

    def __init__(self, models: "Models") -> None:
        self.models = self.spoken = models
        self.model = self.opened = ""
        self.work, self.compared, self.clip = Work(models), Compared(), Clip()
        self.files: tuple[Path, ...] = ()
        self.details: list[str] = []
        self.answering = threading.RLock()
        self._turns: Counter[str] = Counter()
        self._started: Counter[str] = Counter()
        self._halted: set[str] = set()
        self._closed = False

    def begin(self, path: Path | None = None) -> Work:
        """Start over with a new photograph; whatever runs for the old one ends."""
        return self._read_on(Work(self.spoken, path))

    def use(self, models: "Models", name: str) -> None:
        """Turn the page to other models, which speak with their own voice."""
        self.models = self.spoken = models
        self.model = name

    def speak(self, models: "Models") -> Work:
        """Let another voice speak of what was read; prediction and maps stay."""
        self.spoken = models
        located = {i: wordless(reading) for i, reading in self.work.readings.items()}
        work = replace(self.work, models=models, located=located)
        blank = replace(work, readings={}, own_answers={}, unanswered={}, newest=None)
        return self._read_on(blank)

    def pick(self, index: int) -> Work:
        """Turn to another face of the same photograph, keeping what was read already."""
        known = dict(self.work.readings)
        return self._read_on(replace(self.work, picked=index, readings=known, newest=None))

    def _read_on(self, work: Work) -> Work:
        for name in (READ, MAP):
            self.take(name)
        self.work = work
        return work

    def take(self, name: str) -> int:
        """Take the next turn of that name; a run that holds an older one ends at its next step."""
        self._halted.discard(name)
        self._turns[name] += 1
        return self._turns[name]

    def end(self, name: str) -> None:
        """End the run that holds a turn of that name; nothing takes its place."""
        with self.answering:
            self._started[name] = self.take(name)

    def turn(self, name: str) -> int:
        """Give the newest turn of that name, 0 before there was one."""
        return self._turns[name]

    def start(self, name: str) -> int | None:
        """Give the newest turn of that name to a run; None where one has had it already."""
        with self.answering:
            turn = self._turns[name]
            fresh, self._started[name] = turn > self._started[name], turn
        return turn if fresh else None

    def holds(self, name: str, turn: int) -> bool:
        """Tell whether this turn is still the newest of its name, and the page is open."""
        return not self._closed and self._turns[name] == turn

    def halt(self, name: str) -> None:
        """Ask the run that holds the newest turn to end early and to show what it has."""
        self._halted.add(name)

    def halted(self, name: str) -> bool:
        """Tell whether the run of that name was asked to end early."""
        return name in self._halted

    def close(self) -> None:
        """End every run of the page at its next step."""
        self._closed = True
        self.begin()


class Sessions:
    """The open pages by the id that Gradio gives each; a page that closes is forgotten at once."""

    def __init__(self, models: "Models") -> None:
        self._models = models
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def of(self, page: str) -> Session:
        """Find the session of a page; a new one uses the default models."""
        with self._lock:
            return self._open.setdefault(page, Session(self._models))

    def close(self, page: str) -> None:
        """Forget a page; its running work stops at the next step."""
        with self._lock:
            session = self._open.pop(page, None)
        if session is not None:
            session.close()

    def __len__(self) -> int:
        return len(self._open)
