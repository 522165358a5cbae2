"""The photos of a run in order: which is read next, and whose row is due."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferce.report.formats import MAX_PICTURES
from ferce.ui.journal import Row

AHEAD = 64  # photos that may be read before one that is not ready


@dataclass(frozen=True)
class Task:
    """One photo to read: its place in the run, its path, and whether its pictures may be shown."""

    index: int
    path: Path
    draw: bool


class Queue:
    """Gives out tasks and takes their rows in any order; gives rows in the order of the photos.

    It holds rows of at most `AHEAD` photos, so memory does not grow with their number.
    """

    def __init__(self, photos: Sequence[Path], known: Callable[[Path], Row | None]) -> None:
        """`known` gives the row of a photo that need not be read again."""
        self._photos, self._known = photos, known
        self._next = self._due = self._faces = 0
        self._rows: dict[int, Row] = {}

    @property
    def ended(self) -> bool:
        """Whether the rows of all photos were given."""
        return self._due == len(self._photos)

    def take(self) -> Task | None:
        """The next photo to read; None where there is none, or rows must be given first."""
        while self._next < min(len(self._photos), self._due + AHEAD):
            index, path = self._next, self._photos[self._next]
            self._next += 1
            row = self._known(path)
            if row is None:
                return Task(index, path, self._faces < MAX_PICTURES)
            self._rows[index] = row
        return None

    def put(self, task: Task, row: Row) -> None:
        """Take the row of a task."""
        self._rows[task.index] = row

    def due(self) -> Iterator[Row]:
        """Rows whose turn it is."""
        while self._due in self._rows:
            row = self._rows.pop(self._due)
            self._due += 1
            self._faces += row.faces
            yield row

    def rest(self) -> Iterator[Row]:
        """Of a run that is stopped: all rows that there are, in order, those in the journal too."""
        for index in range(self._due, len(self._photos)):
            row = self._rows.pop(index, None) or (
                self._known(self._photos[index]) if index >= self._next else None
            )
            if row is not None:
                yield row
