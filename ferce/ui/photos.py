"""Photos on the command line: a report each, written as they are read."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import TextIO

from ferce.report import formats
from ferce.report.files import Sink
from ferce.ui import usage
from ferce.ui.command import Command, Tally
from ferce.ui.journal import Row
from ferce.ui.outputs import Outputs, complain
from ferce.ui.queue import Queue
from ferce.ui.workers import Alone, Recipe, Workers


def run(command: Command) -> Tally:
    """Read the photos and write what was asked for; a signal ends it with what was read.

    Raises:
        UsageError: the models cannot be had.
        JournalError: the journal is of other models.
    """
    arguments, tally = command.arguments, Tally(len(command.paths))
    recipe = Recipe(command.load, arguments, usage.options(arguments), tuple(command.targets))
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


def _source(recipe: Recipe, command: Command) -> AbstractContextManager[Alone | Workers]:
    jobs = min(command.arguments.jobs, len(command.paths))
    if jobs == 1:
        return Alone(recipe, command.interruption)
    return Workers(recipe, command.interruption, jobs)


def _outputs(targets: Mapping[str, str], models: Mapping[str, str]) -> Outputs:
    def make(name: str, file: TextIO) -> Sink:
        return formats.sink(name, file, models)

    return Outputs(targets, make)


def _rows(command: Command, source: Alone | Workers, tally: Tally) -> Iterator[Row]:
    """The rows in the order of the photos; those there are when a signal comes."""
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
    """The rows, with a progress bar for many."""
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
