"""Photos on the command line: a report each, written in their order as they are read."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TextIO

from ferce.core.compute import cores
from ferce.models import spec
from ferce.report.files import Sink
from ferce.report.page import MAX_PICTURES
from ferce.ui import options
from ferce.ui.command import Command, Outputs, Tally, complain, sink
from ferce.ui.journal import Row
from ferce.ui.workers import Alone, Recipe, Task, Workers

AHEAD = 64  # photos that may be read before one that is not ready


MANY = 24  # photos; fewer are read before other processes have started
SMALL = ("embedded", "prototypes", "measured", "fastvlm-mini")  # kinds of which each core has one


def run(command: Command) -> Tally:
    """Read the photos and write what was asked for; a signal ends it with what was read.

    Raises:
        UsageError: the models cannot be had.
        JournalError: the journal is of other models.
    """
    arguments, tally = command.arguments, Tally(len(command.paths))
    recipe = Recipe(command.load, arguments, options.reading(arguments), tuple(command.targets))
    with ExitStack() as stack:
        source = stack.enter_context(_source(recipe, command))
        command.begin(source.models)
        outputs = stack.enter_context(_outputs(command.targets, source.models))
        for row in _shown(_rows(command, source, tally), tally.total):
            outputs.put(row)
            tally.add(row)
            if row.error is not None:
                complain(f"{row.name}: {row.error}")
        outputs.finish()
    return tally


def _jobs(arguments: Namespace, photos: int) -> int:
    """The processes to read with: as many as asked for, else one a core where that is faster."""
    if arguments.jobs is not None:
        return int(min(arguments.jobs, photos))
    models = (arguments.classifier, arguments.voice)
    small = all(spec.parse(name).kind in SMALL for name in models)
    on_cpu = arguments.device in ("auto", "cpu")
    return min(cores(), photos) if small and on_cpu and photos >= MANY else 1


def _source(recipe: Recipe, command: Command) -> AbstractContextManager[Alone | Workers]:
    jobs = _jobs(command.arguments, len(command.paths))
    if jobs == 1:
        return Alone(recipe, command.interruption)
    return Workers(recipe, command.interruption, jobs)


def _outputs(targets: Mapping[str, str], models: Mapping[str, str]) -> Outputs:
    def make(name: str, file: TextIO) -> Sink:
        return sink(name, file, models)

    return Outputs(targets, make)


def _rows(command: Command, source: Alone | Workers, tally: Tally) -> Iterator[Row]:
    """Give the rows in the order of the photos; those there are when a signal comes."""
    queue = Queue(command.paths, command.known)
    try:
        yield from queue.due()
        while not queue.ended:
            for task, row in source.step(queue.take):
                command.keep(row)
                queue.put(task, row)
            yield from queue.due()
    except KeyboardInterrupt:
        tally.interrupted = True
        yield from queue.rest()


def _shown(rows: Iterable[Row], total: int) -> Iterator[Row]:
    """Pass the rows on, with a progress bar for many."""
    if total == 1:
        yield from rows
        return
    from tqdm import tqdm

    # None: hidden where there is no terminal
    with tqdm(total=total, unit="photo", file=sys.stderr, disable=None) as bar:
        for row in rows:
            with bar.external_write_mode(file=sys.stdout):  # no text runs into the bar
                yield row
            bar.update()


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
        """Take the next photo to read; None where there is none, or rows must be given first."""
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
        """Give the rows whose turn it is."""
        while self._due in self._rows:
            row = self._rows.pop(self._due)
            self._due += 1
            self._faces += row.faces
            yield row

    def rest(self) -> Iterator[Row]:
        """Give all rows of a run that is stopped, in order, those in the journal too."""
        for index in range(self._due, len(self._photos)):
            row = self._rows.pop(index, None) or (
                self._known(self._photos[index]) if index >= self._next else None
            )
            if row is not None:
                yield row
